"""Is a difference more than luck? Bootstrap intervals, paired randomisation tests and Holm's correction.

Takes one value per query (or person), gives numbers; the seed is the caller's, so a run can be repeated to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_CHUNK_VALUES = 4_000_000  # drawn at a time: 32 MB of float64, whatever the number of queries


def bootstrap_interval(
    values: Values, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the mean when queries are redrawn with replacement (Efron, 1979).

    NaN values are left out first. One value or equal values give an interval of width 0, none gives (nan, nan).

    >>> low, high = bootstrap_interval(np.array([0.0, 1.0, 1.0, 1.0]))
    >>> low <= 0.75 <= high
    True
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, _CHUNK_VALUES // len(values))
    for start in range(0, resamples, step):
        drawn = rng.integers(len(values), size=(min(step, resamples - start), len(values)))
        means[start : start + step] = values[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def paired_randomisation_test(ours: Values, theirs: Values, *, permutations: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of the mean difference when each query's pair is swapped at random (Fisher, 1935).

        p = (1 + #{|mean of swapped differences| >= |observed mean|}) / (1 + permutations)

    Recommended for retrieval by Smucker, Allan and Carterette, CIKM 2007. Pairs with a NaN are left out; no pairs
    give NaN, equal systems 1.

    >>> paired_randomisation_test(np.array([0.5, 0.2]), np.array([0.5, 0.2]))
    1.0
    """
    if ours.shape != theirs.shape:
        raise ValueError(
            f"{ours.shape} and {theirs.shape} values cannot be paired; both systems answer the same queries"
        )
    differences = ours - theirs
    differences = differences[~np.isnan(differences)]
    if not len(differences):
        return float("nan")
    rng = np.random.default_rng(seed)
    observed = abs(differences.mean())
    step = max(1, _CHUNK_VALUES // len(differences))
    as_large = 0
    for start in range(0, permutations, step):
        signs = rng.choice([-1.0, 1.0], size=(min(step, permutations - start), len(differences)))
        # sums differ in the last bits between orders of addition; equal ones must count as equal
        as_large += int((np.abs((signs * differences).mean(axis=1)) >= observed - 1e-12).sum())
    return (1 + as_large) / (1 + permutations)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for having made several comparisons (Holm, 1979), in the order given.

    NaN stays NaN and does not count as a comparison.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    made = [place for place, p in enumerate(p_values) if not math.isnan(p)]
    corrected = [math.nan] * len(p_values)
    largest = 0.0
    for done, place in enumerate(sorted(made, key=lambda place: p_values[place])):
        largest = max(largest, min(1.0, p_values[place] * (len(made) - done)))
        corrected[place] = largest
    return corrected
