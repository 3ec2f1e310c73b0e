"""One thread for each query call: batching gives concurrency, and two runtimes with two threads each fight."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

import faiss
from threadpoolctl import threadpool_limits


def one_thread_each() -> None:
    """For FAISS and for NumPy's BLAS, in this process from now on."""
    faiss.omp_set_num_threads(1)
    threadpool_limits(1, user_api="blas")


@contextmanager
def shared_out() -> Iterator[Executor]:
    """As many threads as there are processors, or as OMP_NUM_THREADS says; each does parts of a work alone.

    PyTorch would have its threads share every single product of a small network: on two busy cores everybody's
    recommendations took twelve times the processor time like that, nearly all of it waiting. Not for a process in which
    others use PyTorch meanwhile: the limit is the whole process's.
    """
    import torch

    before, threads = torch.get_num_threads(), int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def one_torch_thread() -> None:
    """For PyTorch too, in a process that only asks small networks: see `shared_out`. Threads that have used PyTorch
    before keep what they had."""
    import torch

    torch.set_num_threads(1)
