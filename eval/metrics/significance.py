"""Is a difference more than luck? Bootstrap intervals, paired randomisation tests and Holm's correction.

Takes one value per query (or person), gives numbers; the seed is the caller's, so a run can be repeated to the bit.
The functions over matrices, one column for each metric, draw once for all columns: each resample is a row of counts
(each permutation a row of signs), and many of them times the matrix of values is one product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
"""Shape (queries,)."""
Columns = NDArray[np.float64]
"""Shape (queries, metrics)."""
Groups = NDArray[np.integer]
"""Shape (queries,): queries with one code (of one person, of one session) are not independent and stay together."""

NORMAL_FROM = 100_000
"""Above so many values nothing is redrawn: the mean's distribution is normal to within a hundredth of its width."""

_CHUNK_VALUES = 4_000_000  # drawn at a time: 32 MB of float64, whatever the number of queries


def bootstrap_interval(
    values: Values,
    *,
    groups: Groups | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of the mean when queries are redrawn with replacement (Efron, 1979).

    NaN values are left out first. One value or equal values give an interval of width 0, none gives (nan, nan).
    `groups` and more than `NORMAL_FROM` values: see `bootstrap_intervals`.

    >>> low, high = bootstrap_interval(np.array([0.0, 1.0, 1.0, 1.0]))
    >>> low <= 0.75 <= high
    True
    """
    column = values[:, None]
    low, high = bootstrap_intervals(column, groups=groups, confidence=confidence, resamples=resamples, seed=seed)[0]
    return float(low), float(high)


def bootstrap_intervals(
    values: Columns,
    *,
    groups: Groups | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Columns:
    """`bootstrap_interval` of each column from the same redrawn queries: shape (n, m) → (m, 2), low and high.

    A NaN has weight 0 wherever its query is drawn; queries without any value are left out first. A column without a
    value gives (nan, nan). A column of more than `NORMAL_FROM` values gets the normal approximation

        mean ± z · sd / sqrt(n)        (z = 1.96 for 95 %)

    instead, to which the bootstrap comes as n grows. Needs some 100 MB beside the values.

    With `groups`, whole groups are redrawn (the cluster bootstrap; Davison and Hinkley, 1997, section 3.8) and the mean
    is still over queries, so that a group counts by its size; always drawn, however many there are.

    >>> bootstrap_intervals(np.array([[0.0, 2.0], [1.0, 2.0], [1.0, np.nan]])).tolist()
    [[0.0, 1.0], [2.0, 2.0]]
    >>> bootstrap_intervals(np.array([[0.0], [1.0]]), groups=np.array([7, 7])).tolist()  # one group: nothing to redraw
    [[0.5, 0.5]]
    """
    _check(values)
    if groups is not None:
        known = _grouped((~np.isnan(values)).astype(np.float64), groups).any(axis=1)
        kept = np.isin(groups, np.unique(groups)[known])
        return _bounds(_means(values[kept], groups[kept], resamples, seed), confidence)

    def resampled(columns: Columns) -> Columns:
        return _bounds(_means(columns, None, resamples, seed), confidence)

    def normal(column: Values) -> Values:
        half = NormalDist().inv_cdf((1 + confidence) / 2) * column.std() / math.sqrt(len(column))
        return np.array([column.mean() - half, column.mean() + half])

    return _by_size(values, ~np.isnan(values), resampled, normal, np.full((values.shape[1], 2), np.nan))


def difference_interval(
    ours: Values, theirs: Values, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval of the mean of ours - theirs over the same queries, whose pairs stay together.

    Narrower than two intervals side by side suggest, because what is hard for one system is hard for the other.
    Pairs with a NaN are left out. For many metrics: `bootstrap_intervals(ours - theirs)`.

    >>> difference_interval(np.array([0.5, 1.0, 0.75]), np.array([0.25, 0.75, 0.5]))  # always a quarter better
    (0.25, 0.25)
    """
    _check_pairs(ours, theirs)
    return bootstrap_interval(ours - theirs, confidence=confidence, resamples=resamples, seed=seed)


def relative_gains(
    ours: Columns,
    theirs: Columns,
    *,
    groups: Groups | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Columns:
    """mean(ours) / mean(theirs) - 1 of each column with its bootstrap interval: (n, m), (n, m) → (m, 3).

    Both means come from the same redrawn queries (or groups), so that pairs stay together. Pairs with a NaN are left
    out. NaN where theirs is 0; a resample in which theirs is 0 has no ratio and does not count.

    >>> relative_gains(np.array([[0.5], [1.0]]), np.array([[0.25], [0.5]])).tolist()  # always twice as good
    [[1.0, 1.0, 1.0]]
    """
    _check_pairs(ours, theirs)
    _check(ours)
    paired = ~(np.isnan(ours) | np.isnan(theirs))
    both = np.concatenate((np.where(paired, ours, np.nan), np.where(paired, theirs, np.nan)), axis=1)
    total = np.where(paired.any(axis=0), np.nansum(both, axis=0).reshape(2, -1), np.nan)
    means = _means(both, groups, resamples, seed)
    ratios = _ratio(means[:, : ours.shape[1]], means[:, ours.shape[1] :])
    return np.column_stack((_ratio(total[:1], total[1:])[0], _bounds(ratios, confidence)))


def paired_randomisation_test(ours: Values, theirs: Values, *, permutations: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of the mean difference when each query's pair is swapped at random (Fisher, 1935).

        p = (1 + #{|mean of swapped differences| >= |observed mean|}) / (1 + permutations)

    Recommended for retrieval by Smucker, Allan and Carterette, CIKM 2007. Pairs with a NaN are left out; no pairs
    give NaN, equal systems 1. More than `NORMAL_FROM` pairs that differ: see `paired_randomisation_tests`.

    >>> paired_randomisation_test(np.array([0.5, 0.2]), np.array([0.5, 0.2]))
    1.0
    """
    _check_pairs(ours, theirs)
    return float(paired_randomisation_tests(ours[:, None], theirs[:, None], permutations=permutations, seed=seed)[0])


def paired_randomisation_tests(
    ours: Columns, theirs: Columns, *, groups: Groups | None = None, permutations: int = 10_000, seed: int = 0
) -> Values:
    """`paired_randomisation_test` of each column under the same swaps: shapes (n, m), (n, m) → (m,).

    Swapping equal values changes nothing, so only queries with a difference in some column count towards the time.
    A column with more than `NORMAL_FROM` differing pairs gets the normal approximation of the swapped sum,
    p = erfc(|sum of d| / sqrt(2 · sum of d²)), no smaller than drawing could have made it, 1 / (1 + permutations).
    With `groups`, all pairs of a group are swapped together.

    >>> paired_randomisation_tests(np.array([[0.5, 1.0], [0.2, 1.0]]), np.array([[0.5, np.nan], [0.2, np.nan]]))
    array([ 1., nan])
    """
    _check_pairs(ours, theirs)
    differences = ours - theirs
    _check(differences)
    paired = ~np.isnan(differences)
    differences[~paired] = 0.0
    if groups is not None:  # the mean of all pairs moves with the sums of the groups
        differences = _grouped(differences, groups)

    def swapped(columns: Columns) -> Values:
        return _swapped(columns, permutations, seed)

    def normal(column: Values) -> Values:
        p = math.erfc(abs(column.sum()) / math.sqrt(2 * float(column @ column)))
        return np.array(max(p, 1 / (1 + permutations)))

    p_values = _by_size(differences, differences != 0, swapped, normal, np.ones(differences.shape[1]))
    p_values[~paired.any(axis=0)] = np.nan
    return p_values


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


def _by_size(
    values: Columns,
    counting: NDArray[np.bool_],
    drawn: Callable[[Columns], NDArray[np.float64]],
    normal: Callable[[Values], NDArray[np.float64]],
    result: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Fill `result`, a row for each column: by `normal` where more values count than are redrawn, else by `drawn`.

    Columns go to `drawn` together; among too many queries, one at a time with the few that count for it.
    """
    sizes = counting.sum(axis=0)
    for column in np.flatnonzero(sizes > NORMAL_FROM):
        result[column] = normal(values[counting[:, column], column])
    few = np.flatnonzero((sizes > 0) & (sizes <= NORMAL_FROM))
    queries = counting[:, few].any(axis=1)
    groups = [few] if int(queries.sum()) <= NORMAL_FROM else few[:, None]
    for group in groups:
        if len(group):
            result[group] = drawn(values[np.ix_(counting[:, group].any(axis=1), group)])
    return result


def _means(values: Columns, groups: Groups | None, resamples: int, seed: int) -> Columns:
    """(resamples, metrics) means over redrawn queries or groups; NaN where a resample has no value of a column."""
    if not len(values):
        return np.full((resamples, values.shape[1]), np.nan)
    lowest = np.nan_to_num(np.fmin.reduce(values, axis=0))  # taken off: equal values then give 0, no rounding error
    known = ~np.isnan(values)
    above, known_of = np.where(known, values - lowest, 0.0), known.astype(np.float64)
    if groups is not None:
        above, known_of = _grouped(above, groups), _grouped(known_of, groups)
    units, all_known = len(above), groups is None and bool(known.all())
    patterns, pattern = np.unique(known_of, axis=1, return_inverse=True)
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    step = max(1, _CHUNK_VALUES // units)
    for start in range(0, resamples, step):
        counts = np.empty((min(step, resamples - start), units))
        for row in counts:
            row[:] = np.bincount(rng.integers(units, size=units), minlength=units)
        drawn = np.full((len(counts), 1), float(units)) if all_known else counts @ patterns
        sums = counts @ above
        weight = drawn[:, pattern.ravel()]
        means[start : start + step] = np.divide(sums, weight, out=np.full_like(sums, np.nan), where=weight > 0)
    shifted: Columns = means + lowest
    return shifted


def _ratio(ours: Columns, theirs: Columns) -> Columns:
    ratios: Columns = np.divide(ours, theirs, out=np.full_like(ours, np.nan), where=theirs > 0) - 1
    return ratios


def _bounds(means: Columns, confidence: float) -> Columns:
    """(metrics, 2) from (resamples, metrics)."""
    bounds = np.full((means.shape[1], 2), np.nan)
    defined = ~np.isnan(means).all(axis=0)
    if defined.any():
        # a resample that missed all of the few values of a column has no mean
        quantile = np.nanquantile if np.isnan(means).any() else np.quantile
        bounds[defined] = quantile(means[:, defined], [(1 - confidence) / 2, (1 + confidence) / 2], axis=0).T
    return bounds


def _grouped(columns: Columns, groups: Groups) -> Columns:
    """Sums of each column over each group: (queries, m) → (groups, m), groups by code."""
    codes, place = np.unique(groups, return_inverse=True)
    sums = [np.bincount(place, column, minlength=len(codes)) for column in columns.T]
    return np.stack(sums, axis=1) if sums else np.zeros((len(codes), 0))


def _swapped(differences: Columns, permutations: int, seed: int) -> Values:
    queries = len(differences)
    total = differences.sum(axis=0)
    # sums differ in the last bits between orders of addition; equal ones must count as equal
    observed = np.abs(total) - 1e-12 * queries
    rng = np.random.default_rng(seed)
    as_large = np.zeros(differences.shape[1], dtype=np.int64)
    step = max(1, _CHUNK_VALUES // queries)
    for start in range(0, permutations, step):
        rows = min(step, permutations - start)
        drawn = np.frombuffer(rng.bytes(-(-rows * queries // 8)), dtype=np.uint8)
        kept = np.unpackbits(drawn, count=rows * queries).reshape(rows, queries).astype(np.float64)
        # kept ones plus, the others minus: kept - (total - kept)
        as_large += (np.abs(2 * (kept @ differences) - total) >= observed).sum(axis=0)
    p_values: Values = (1 + as_large) / (1 + permutations)
    return p_values


def _check(values: Columns) -> None:
    if values.ndim != 2:
        raise ValueError(f"values have shape {values.shape}; give (queries, metrics)")


def _check_pairs(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> None:
    if ours.shape != theirs.shape:
        raise ValueError(
            f"{ours.shape} and {theirs.shape} values cannot be paired; both systems answer the same queries"
        )
