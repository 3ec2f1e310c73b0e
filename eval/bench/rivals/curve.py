"""What a training reaches and when, told the same way by all sides: learning is under the clock, measuring is not.

Takes a value after each epoch, gives seconds and values by epoch. Knows no library that trains.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

K = 10


class Over(Exception):
    """The training has gone on long enough."""


class Curve:
    """The clock runs from the start, and stands still inside of `measured`."""

    def __init__(self, budget: float, patience: int) -> None:
        """`budget`: seconds of learning, and `patience` epochs without a better one, after which it is over."""
        self._budget, self._patience = budget, patience
        self._learned = 0.0
        self._since = time.perf_counter()
        self.seconds: list[float] = []
        self.reached: list[float] = []

    def stop(self) -> None:
        """An epoch has ended: the clock stands still."""
        self._learned += time.perf_counter() - self._since

    def measured(self, value: float) -> None:
        """Note what the epoch reached and let the clock go on. Raises Over."""
        self.seconds.append(self._learned)
        self.reached.append(value)
        best = int(np.argmax(self.reached))
        if self._learned > self._budget or len(self.reached) - 1 - best >= self._patience:
            raise Over
        self._since = time.perf_counter()

    def values(self) -> Mapping[str, float]:
        """ "seconds_1", "ndcg_1", "seconds_2", …, as a turn gives them."""
        epochs = enumerate(zip(self.seconds, self.reached, strict=True), start=1)
        return {
            f"{name}_{epoch}": value
            for epoch, both in epochs
            for name, value in zip(("seconds", "ndcg"), both, strict=True)
        }


def mean_ndcg(ranked: NDArray[np.int64], targets: NDArray[np.int64]) -> float:
    """nDCG@K of rankings (n, K), -1 past the end, of which one item each is the one turned to.

    >>> round(mean_ndcg(np.array([[5, 7], [7, -1]]), np.array([7, 7])), 4)
    0.8155
    """
    gains = (ranked == targets[:, None]) / np.log2(np.arange(ranked.shape[1]) + 2)
    return float(gains.sum(axis=1).mean())
