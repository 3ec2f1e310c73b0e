"""Seeded draws: everything random in the demo shop goes through a NumPy generator made here.

Takes a seed and a name, gives a generator of its own for each name, so that adding a kind of product or a
shopper leaves all others as they were. Knows nothing of shops.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


def generator(seed: int, name: str) -> np.random.Generator:
    """A stream of its own for `name`; crc32 because `hash` of a string differs between processes."""
    return np.random.default_rng([seed, crc32(name.encode())])


def happens(rng: np.random.Generator, probability: float) -> bool:
    return bool(rng.random() < probability)


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number, both ends included."""
    return low + int(rng.random() * (high - low + 1))


def pick(rng: np.random.Generator, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
    """One of `options`, which must not be empty; weights are positive and need not add up to one."""
    if weights is None:
        return options[int(rng.random() * len(options))]
    cumulative = list(accumulate(weights))
    place = bisect_right(cumulative, rng.random() * cumulative[-1])
    return options[min(place, len(options) - 1)]


def pick_many(rng: np.random.Generator, options: Sequence[T], weights: NDArray[np.float64], number: int) -> list[T]:
    """`number` independent draws, repeats allowed; a weight may be zero."""
    cumulative = np.cumsum(weights)
    places = np.searchsorted(cumulative, rng.random(number) * cumulative[-1], side="right")
    return [options[int(place)] for place in places]


def shuffled(rng: np.random.Generator, options: Sequence[T]) -> list[T]:
    return [options[int(i)] for i in rng.permutation(len(options))]
