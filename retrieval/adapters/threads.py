"""One thread for each query call: batching gives concurrency, and two runtimes with two threads each fight."""

from __future__ import annotations

import faiss
from threadpoolctl import threadpool_limits


def one_thread_each() -> None:
    """For FAISS and for NumPy's BLAS, in this process from now on."""
    faiss.omp_set_num_threads(1)
    threadpool_limits(1, user_api="blas")


def one_torch_thread() -> None:
    """For PyTorch too, in a process that trains nothing: on two busy cores its second thread made everybody's
    recommendations take twelve times the processor time, nearly all of it waiting."""
    import torch

    torch.set_num_threads(1)
