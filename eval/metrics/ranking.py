"""How good a ranking is, from the labels of what was ranked: nDCG, recall, reciprocal rank, share judged.

Takes arrays of labels (see `eval.metrics.labels`), gives one float64 for each query; the caller averages. Knows
nothing of ids, texts or systems. The order of the ranking is taken as given: ties were broken by whoever ranked.

One convention holds everywhere. `ranked[q, r]` is the label of what query q has at rank r (0 is best):
a number is a judgement, NaN is a product that nobody judged, -inf is a place past the end of a short list.
`judged[q]` holds all judgements of the query in any order, filled up with -inf.
A query for which a metric is undefined (nothing relevant) gets NaN, so that `numpy.nanmean` skips it.

>>> ranked = np.array([[3.0, np.nan, 0.0, 2.0]])
>>> judged = np.array([[3.0, 2.0, 0.0]])
>>> ndcg_at_k(ranked, judged, k=3).round(3)
array([0.787])
>>> condensed_ndcg_at_k(ranked, judged, k=3).round(3)
array([0.956])
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.float64]
"""Shape (queries, ranks) or (queries, judgements): label, NaN (not judged) or -inf (nothing there)."""
Values = NDArray[np.float64]
"""Shape (queries,)."""
Gain = Literal["exponential", "linear"]

PAST_THE_END = -np.inf


def ndcg_at_k(ranked: Labels, judged: Labels, k: int, *, gain: Gain = "exponential") -> Values:
    """Normalised discounted cumulative gain of the first k ranks; unjudged products gain nothing.

        nDCG@k = DCG@k / IDCG@k,   DCG@k = sum over r = 1..k of g(label_r) / log2(r + 1)

    with g(x) = 2^x - 1 ("exponential"; Burges et al., ICML 2005) or g(x) = x ("linear"; Järvelin and Kekäläinen,
    TOIS 2002), and IDCG@k the DCG@k of the query's own judgements, best first. Labels below 0 gain nothing.

    Shapes (n, ranks), (n, judgements) → (n,), in [0, 1] as long as no product is ranked twice. An empty ranking
    gives 0, a query without a positive judgement NaN. Raises ValueError for k < 1 or arrays that do not fit.

    >>> ndcg_at_k(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]), k=2).round(4)
    array([0.6309])
    >>> ndcg_at_k(np.array([[1.0, 2.0]]), np.array([[2.0, 1.0]]), k=2, gain="linear").round(4)
    array([0.8597])
    """
    _check(ranked, k, judged)
    ideal = -np.sort(-np.nan_to_num(judged, nan=PAST_THE_END, neginf=PAST_THE_END), axis=1)
    return _divide(_dcg(ranked, k, gain), _dcg(ideal, k, gain))


def condensed_ndcg_at_k(ranked: Labels, judged: Labels, k: int, *, gain: Gain = "exponential") -> Values:
    """nDCG@k of the ranking with its unjudged products taken out (Sakai, SIGIR 2007).

    Fair to a system that finds good products which nobody had judged, blind to bad ones. Only judged products
    within `ranked` can move up, so rank deep (a hundred and more) before condensing.
    Shapes, range and edge cases as `ndcg_at_k`; with complete judgements the two are equal.

    >>> condensed_ndcg_at_k(np.array([[np.nan, np.nan, 1.0]]), np.array([[1.0]]), k=1)
    array([1.])
    """
    _check(ranked, k, judged)
    unjudged_last = np.argsort(np.isnan(ranked), axis=1, kind="stable")
    condensed = np.take_along_axis(ranked, unjudged_last, axis=1)
    return ndcg_at_k(np.nan_to_num(condensed, nan=PAST_THE_END, neginf=PAST_THE_END), judged, k, gain=gain)


def recall_at_k(ranked: Labels, judged: Labels, k: int, *, relevant_from: float = 1.0, capped: bool = False) -> Values:
    """Share of the query's relevant products (label >= `relevant_from`) that stand in the first k ranks.

        R@k = |relevant in the first k| / |relevant|,   capped: … / min(k, |relevant|)

    (Manning, Raghavan and Schütze, Introduction to Information Retrieval, chapter 8.) Capped, a perfect ranking
    reaches 1 even where more than k products are relevant. Shapes as `ndcg_at_k`; an empty ranking gives 0, a query
    without a relevant judgement NaN.

    >>> recall_at_k(np.array([[2.0, 0.0, np.nan]]), np.array([[2.0, 3.0, 0.0]]), k=3, relevant_from=2)
    array([0.5])
    >>> recall_at_k(np.array([[1.0, 1.0]]), np.array([[1.0, 1.0, 1.0]]), k=1, capped=True)
    array([1.])
    """
    _check(ranked, k, judged)
    relevant = _at_least(judged, relevant_from).sum(axis=1)
    found = _at_least(ranked[:, :k], relevant_from).sum(axis=1)
    return _divide(found, np.minimum(relevant, k) if capped else relevant)


def judged_at_k(ranked: Labels, k: int) -> Values:
    """Share of the first k ranked products that have a judgement, whatever it says; empty places do not count.

    Tells how far nDCG can be believed: an unjudged product counts as wrong there. An empty ranking gives NaN.

    >>> judged_at_k(np.array([[0.0, np.nan, 3.0, np.nan]]), k=4)
    array([0.5])
    """
    _check(ranked, k)
    top = ranked[:, :k]
    return _divide(np.isfinite(top).sum(axis=1), (top != PAST_THE_END).sum(axis=1))


def mrr_at_k(ranked: Labels, k: int, *, relevant_from: float = 1.0) -> Values:
    """Reciprocal rank of the first relevant product within k, else 0; its mean over queries is MRR (TREC-8 QA track).

    Shape (n, ranks) → (n,), in [0, 1]. An empty ranking gives 0: whether the query has anything relevant at all is
    not seen here, so leave such queries out beforehand.

    >>> mrr_at_k(np.array([[0.0, np.nan, 2.0], [0.0, 0.0, 0.0]]), k=3).round(3)
    array([0.333, 0.   ])
    """
    _check(ranked, k)
    relevant = _at_least(ranked[:, :k], relevant_from)
    if not relevant.shape[1]:
        return np.zeros(len(ranked))
    return np.where(relevant.any(axis=1), 1.0 / (relevant.argmax(axis=1) + 1.0), 0.0)


def _dcg(labels: Labels, k: int, gain: Gain) -> Values:
    top = np.maximum(np.nan_to_num(labels[:, :k], nan=0.0, neginf=0.0), 0.0)
    gains = np.exp2(top) - 1.0 if gain == "exponential" else top
    discounts = 1.0 / np.log2(np.arange(2, top.shape[1] + 2))
    return np.asarray(gains @ discounts, dtype=np.float64)


def _at_least(labels: Labels, threshold: float) -> NDArray[np.bool_]:
    return np.isfinite(labels) & (labels >= threshold)


def _divide(numerator: NDArray[np.number], denominator: NDArray[np.number]) -> Values:
    result = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def _check(ranked: Labels, k: int, judged: Labels | None = None) -> None:
    if k < 1:
        raise ValueError(f"k is {k}; a cut-off is 1 or more")
    if ranked.ndim != 2:
        raise ValueError(f"ranked has shape {ranked.shape}; give (queries, ranks)")
    if judged is not None and (judged.ndim != 2 or len(judged) != len(ranked)):
        raise ValueError(f"judged has shape {judged.shape}; give (queries, judgements) with {len(ranked)} queries")
