"""What rankings do besides being right: how much of the catalogue they show, how popular, new and varied it is.

Takes rankings as item numbers, shape (users, k), -1 being an empty place and no item standing twice in one ranking;
cut them with `rankings[:, :k]`. Gives one value for each user where a user's list has one (NaN for a list too short
to have it), so that it can be bootstrapped and sliced, and a float for what only all lists together have.
Items are numbered 0 to n - 1; knows nothing of ids, and not whether a ranking is right except in `serendipity`.

>>> rankings = np.array([[0, 1], [0, 2], [0, -1]])
>>> catalogue_coverage(rankings, items=6)
0.5
>>> average_popularity(rankings, counts=np.array([10, 4, 0, 1, 1, 1]))
array([ 7.,  5., 10.])
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.metrics.labels import EMPTY, Items
from eval.metrics.ranking import Labels, Values

CHUNK_BYTES = 32_000_000
"""Vectors looked at together in `vector_diversity`, whatever the number of users."""


def catalogue_coverage(rankings: Items, items: int) -> float:
    """Share of the catalogue's `items` that at least one user is shown (RecTools: CatalogCoverage(normalize=True)).

    In [0, 1]; NaN for an empty catalogue. Raises ValueError for an item number that is not in the catalogue.

    >>> catalogue_coverage(np.array([[1, 2], [2, -1]]), items=4)
    0.5
    """
    return float((_shown_counts(rankings, items) > 0).mean()) if items else float("nan")


def gini(rankings: Items, items: int) -> float:
    """How unequally the catalogue's `items` are shown: 0, all equally often; towards 1, one takes all.

        G = sum over items of (2 i - n - 1) x_i / (n sum x),   x_1 <= … <= x_n how often each is shown

    (Gini, 1912; for recommendations Fleder and Hosanagar, 2009.) Items that nobody is shown count. NaN where nothing
    is shown. Raises ValueError for an item number that is not in the catalogue.

    >>> gini(np.array([[0, 1], [2, 3]]), items=4), gini(np.array([[0], [0]]), items=4)
    (0.0, 0.75)
    """
    shown = np.sort(_shown_counts(rankings, items)).astype(np.float64)
    if not shown.sum():
        return float("nan")
    return float((2 * np.arange(1, items + 1) - items - 1) @ shown / (items * shown.sum()))


def personalisation(rankings: Items) -> float:
    """1 - mean overlap of the lists of two users, over all pairs of users with a list: 1, no two share an item.

        overlap of u and v = |L_u ∩ L_v| / sqrt(|L_u| |L_v|),   with full lists |L_u ∩ L_v| / k

    Exact, and linear in users: an item shown to the users U adds (sum over U of w)² - (sum over U of w²) to twice
    the sum over pairs, w being 1 / sqrt(|L_u|). NaN with fewer than two lists.

    >>> round(personalisation(np.array([[0, 1], [1, 2], [3, 4]])), 4)  # overlaps 1/2, 0, 0
    0.8333
    """
    users, ranks = np.nonzero(rankings != EMPTY)
    lengths = np.bincount(users, minlength=len(rankings))
    lists = int((lengths > 0).sum())
    if lists < 2:
        return float("nan")
    sums = np.bincount(rankings[users, ranks], 1 / np.sqrt(lengths[users]))
    twice = float(sums @ sums) - lists  # over the items of a list, w² adds up to 1
    return 1 - twice / (lists * (lists - 1))


def average_popularity(rankings: Items, counts: NDArray[np.number]) -> Values:
    """Mean popularity of each user's list: the popularity bias of recommendations (RecTools: AvgRecPopularity).

    `counts` (items,): events of each item in train; shares of all events instead give RecTools' normalised form.
    (users, k) → (users,); NaN for an empty list.

    >>> average_popularity(np.array([[0, 1], [-1, -1]]), np.array([3, 1]))
    array([ 2., nan])
    """
    return _mean_of(rankings, np.asarray(counts, dtype=np.float64))


def novelty(rankings: Items, counts: NDArray[np.number], total: float) -> Values:
    """Mean self-information of each user's list, in bits: how surprising it is to meet such items.

        novelty = mean over the list of -log2(max(counts_i, 1) / total)

    With events of each item and the number of all events, it is the mean self-information of Zhou et al. (PNAS 2010);
    with users of each item and the number of all users, mean inverse user frequency (RecTools: MeanInvUserFreq).
    An item that train does not know counts as one that was met once. (users, k) → (users,); NaN for an empty list.

    >>> novelty(np.array([[0, 1]]), np.array([4, 0]), total=8)  # 1 bit and 3 bits
    array([2.])
    """
    return _mean_of(rankings, np.log2(total) - np.log2(np.maximum(counts, 1)))


def serendipity(rankings: Items, ranked: Labels, counts: NDArray[np.number], *, relevant_from: float = 1.0) -> Values:
    """How much of each user's list is right and not what everybody is shown (RecTools: Serendipity).

        mean over the list of max(p_user - p_any, 0) where the item is relevant, else 0
        p_user = (n + 1 - rank) / n,   p_any = (n + 1 - popularity rank) / n, or 0 where train does not know the item

    with n the number of items. The most frequent items have popularity rank 1, the next frequent ones 2, and so on:
    equal counts share a rank and no rank is left out. `ranked` are the labels of `rankings`, see `labels_of`;
    `counts` (items,) as in `average_popularity`. (users, k) → (users,), in [0, 1]; NaN for an empty list.

    >>> serendipity(np.array([[2, 0]]), np.array([[1.0, 1.0]]), np.array([5, 3, 1]))  # (1 - 1/3) / 2, popular: 0
    array([0.33333333])
    """
    if ranked.shape != rankings.shape:
        raise ValueError(f"labels have shape {ranked.shape}, rankings {rankings.shape}; give the label of each place")
    items = len(counts)
    frequencies = np.unique(counts[counts > 0])
    popularity_rank = len(frequencies) - np.searchsorted(frequencies, counts)
    anyone = np.where(counts > 0, (items + 1 - popularity_rank) / items, 0.0)
    user = (items - np.arange(rankings.shape[1])) / items
    gains = np.maximum(user - anyone[rankings], 0.0) * (np.isfinite(ranked) & (ranked >= relevant_from))
    return _row_mean(gains, rankings != EMPTY)


def category_diversity(rankings: Items, categories: NDArray[np.integer]) -> Values:
    """Share of the pairs of a user's list that lie in different categories: intra-list diversity by category.

    `categories` (items,): a number from 0 on for each item. (users, k) → (users,), in [0, 1]; NaN for a list of
    fewer than two. It is RecTools' IntraListDiversity under the Hamming distance of one feature, which gives 0 for
    such lists. Pairs are counted from how often each category stands in the list, not looked at.

    >>> category_diversity(np.array([[0, 1, 2], [0, -1, -1]]), np.array([7, 7, 3]))  # 2 of 3 pairs differ
    array([0.66666667,        nan])
    """
    users, ranks = np.nonzero(rankings != EMPTY)
    kinds = int(categories.max(initial=0)) + 1
    found, times = np.unique(users * kinds + categories[rankings[users, ranks]], return_counts=True)
    same = np.bincount(found // kinds, times * (times - 1), minlength=len(rankings))
    return 1 - _over_pairs(same, np.bincount(users, minlength=len(rankings)))


def vector_diversity(rankings: Items, vectors: NDArray[np.floating]) -> Values:
    """Mean cosine distance (1 - cosine) of the pairs of a user's list: intra-list diversity (Ziegler et al., WWW 2005).

    `vectors` (items, d), of any length; a vector of zeros has cosine 0 with all. (users, k) → (users,), in [0, 2];
    NaN for a list of fewer than two. The cosines of all pairs come from the length of the sum of the unit vectors,
    |v_1 + … + v_k|² = k + 2 * (cosines of the pairs), some thousand users at a time: memory does not grow with them.

    >>> vector_diversity(np.array([[0, 1], [1, 2]]), np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 1.0]]))
    array([1., 0.])
    """
    lengths = np.sqrt(np.einsum("id,id->i", vectors, vectors, dtype=np.float64))
    weights = np.where(rankings == EMPTY, 0.0, _divide(np.ones(len(lengths)), lengths, otherwise=0.0)[rankings])
    cosines = np.empty(len(rankings))
    row_bytes = max(1, rankings.shape[1] * vectors.shape[1]) * np.dtype(np.float64).itemsize
    step = max(1, CHUNK_BYTES // row_bytes)
    for start in range(0, len(rankings), step):
        rows = slice(start, start + step)
        chosen = vectors[rankings[rows]].astype(np.float64, copy=False)
        total = (weights[rows, None, :] @ chosen)[:, 0]
        cosines[rows] = (total * total).sum(axis=1) - (weights[rows] > 0).sum(axis=1)
    return 1 - _over_pairs(cosines, (rankings != EMPTY).sum(axis=1))


def _shown_counts(rankings: Items, items: int) -> NDArray[np.int64]:
    shown = np.bincount(rankings[rankings != EMPTY], minlength=items)
    if len(shown) > items:
        raise ValueError(f"item {len(shown) - 1} is ranked; the catalogue has {items}")
    return shown


def _mean_of(rankings: Items, values: Values) -> Values:
    return _row_mean(values[rankings], rankings != EMPTY)


def _row_mean(values: Values, there: NDArray[np.bool_]) -> Values:
    return _divide(np.where(there, values, 0.0).sum(axis=1), there.sum(axis=1))


def _over_pairs(doubled: NDArray[np.number], lengths: NDArray[np.int64]) -> Values:
    """A sum over ordered pairs, divided by the number of pairs; NaN where there is none."""
    return _divide(doubled, lengths * (lengths - 1))


def _divide(numerator: NDArray[np.number], denominator: NDArray[np.number], otherwise: float = float("nan")) -> Values:
    result = np.full(len(numerator), otherwise)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result
