"""Indexing speed: products embedded per second, beside what one would otherwise call, and what it costs in neighbours.

Takes products, gives ratios from one process and one run: our in-process encoder against `SentenceTransformer.encode`
with its defaults, same weights, same texts, turn by turn so that a busy machine slows both. Speed alone would reward a
sloppy encoder, so the overlap of every product's ten nearest neighbours under both sets of vectors stands beside it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

from retrieval.adapters.embedder_openvino import OpenVinoEmbedder
from retrieval.adapters.weights import EMBEDDED, encoder_path
from retrieval.text import product_text
from tasteline.types import Product, Vectors

NEIGHBOURS = 10
_BLOCK = 1024
"""Rows of the similarity matrix held at once."""

Encode = Callable[[list[str]], Vectors]


def run(products: Sequence[Product], limit: int, cache_dir: Path, repeats: int = 3) -> dict[str, Any]:
    """`{"bench": "index", "ratios": …, "raw": …}` over `limit` products spread evenly over `products`.

    A ratio above 1 means that ours is faster; it is the ratio of the medians of `repeats` turns. Each turn encodes
    every text anew; one more before them, on either side, warms up and does not count. Raises ValueError when there
    are too few products to have ten neighbours.
    """
    texts = [product_text(product) for product in products[:: max(1, len(products) // limit)][:limit]]
    if len(texts) <= NEIGHBOURS:
        raise ValueError(f"indexing is measured on more than {NEIGHBOURS} products, not {len(texts)}")
    embedder = OpenVinoEmbedder(encoder_path(EMBEDDED), cache_dir)
    ours = _Contender("tasteline", lambda batch: embedder.encode(batch, "document"))
    after_ours = _peak_memory_mb(lambda: ours.turn(texts))  # before PyTorch comes into the process
    theirs = _Contender("sentence_transformers", _default_encode())
    theirs.turn(texts)
    ours.forget_turns()
    theirs.forget_turns()
    for _ in range(repeats):
        theirs.turn(texts)
        ours.turn(texts)
    return {
        "bench": "index",
        "ratios": {"index_throughput": theirs.seconds() / ours.seconds()},
        "raw": {
            "products": len(texts),
            "mean_characters": sum(map(len, texts)) / len(texts),
            "repeats": repeats,
            "embedder": embedder.name,
            "machine": platform.machine(),
            "neighbour_overlap_at_10": neighbour_overlap(ours.vectors, theirs.vectors),
            "lowest_cosine": float((ours.vectors * theirs.vectors).sum(axis=1).min()),
            "cpu_time_ratio": theirs.cpu_seconds() / ours.cpu_seconds(),
            "peak_memory_mb_with_tasteline_alone": after_ours,
            "peak_memory_mb": _peak_memory_mb(),
            **ours.report(len(texts)),
            **theirs.report(len(texts)),
        },
    }


class _Contender:
    """One way to encode, with the times of its turns and its last vectors."""

    def __init__(self, name: str, encode: Encode) -> None:
        self._name = name
        self._encode = encode
        self.vectors: Vectors = np.zeros((0, 0), dtype=np.float32)
        self._turns: list[tuple[float, float]] = []

    def turn(self, texts: list[str]) -> None:
        wall, cpu = perf_counter(), process_time()
        self.vectors = self._encode(texts)
        self._turns.append((perf_counter() - wall, process_time() - cpu))

    def forget_turns(self) -> None:
        self._turns.clear()

    def seconds(self) -> float:
        return median(wall for wall, _ in self._turns)

    def cpu_seconds(self) -> float:
        return median(cpu for _, cpu in self._turns)

    def report(self, count: int) -> dict[str, Any]:
        return {
            f"{self._name}_products_per_second": count / self.seconds(),
            f"{self._name}_seconds": [wall for wall, _ in self._turns],
            f"{self._name}_cpu_seconds": [cpu for _, cpu in self._turns],
        }


def neighbour_overlap(first: Vectors, second: Vectors, k: int = NEIGHBOURS) -> float:
    """Mean share of each row's `k` nearest other rows that both sets of unit vectors agree on, 0 to 1.

    >>> vectors = np.eye(4, dtype=np.float32)
    >>> neighbour_overlap(vectors, vectors, k=2)
    1.0
    """
    shared = 0
    for start in range(0, len(first), _BLOCK):
        pairs = zip(_nearest(first, start, k), _nearest(second, start, k), strict=True)
        shared += sum(len(np.intersect1d(mine, theirs)) for mine, theirs in pairs)
    return shared / (len(first) * k)


def _nearest(vectors: Vectors, start: int, k: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    block = vectors[start : start + _BLOCK]
    similarity = block @ vectors.T
    similarity[np.arange(len(block)), np.arange(start, start + len(block))] = -np.inf  # not a neighbour of itself
    return np.argpartition(-similarity, k - 1, axis=1)[:, :k].astype(np.int64)


def _default_encode() -> Encode:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(encoder_path(EMBEDDED))
    return lambda texts: np.asarray(model.encode(texts), dtype=np.float32)


def _peak_memory_mb(work: Callable[[], None] | None = None) -> float:
    import resource

    if work is not None:
        work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kB on Linux
