"""One thread for each query call: batching gives concurrency, and two runtimes with two threads each fight."""

from __future__ import annotations

import faiss
from threadpoolctl import threadpool_limits


def one_thread_each() -> None:
    """For FAISS and for NumPy's BLAS, in this process from now on."""
    faiss.omp_set_num_threads(1)
    threadpool_limits(1, user_api="blas")
