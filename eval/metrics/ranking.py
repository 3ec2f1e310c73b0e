"""How good a ranking is, from the labels of what was ranked: nDCG, recall, precision, average precision, and so on.

Takes arrays of labels (see `eval.metrics.labels`), gives one float64 for each query; the caller averages. Knows
nothing of ids, texts or systems. The order of the ranking is taken as given: ties were broken by whoever ranked
(`eval.metrics.ties` breaks them as other libraries do).

One convention holds everywhere. `ranked[q, r]` is the label of what query q has at rank r (0 is best):
a number is a judgement, NaN is a product that nobody judged, -inf is a place past the end of a short list.
`judged[q]` holds all judgements of the query in any order, filled up with -inf.
A query for which a metric is undefined (nothing relevant) gets NaN, so that `numpy.nanmean` skips it. Metrics that
need no look at the judgements (hit rate, precision, MRR) take `judged` as an option, only to know those queries.
A cut-off of None, where it is allowed, is the whole ranking.

Others disagree about details; each detail is an option, and tests compare every row with the library to 1e-9:

    ours                                      trec_eval, pytrec_eval, ir_measures   RecTools
    ndcg_at_k(gain="linear")                  ndcg_cut_k, nDCG@k
    ndcg_at_k (exponential)                   nDCG(gains={2: 3, 3: 7})@k
    ndcg_at_k(ideal="judged") on labels 0, 1  ndcg_cut_k, nDCG@k                    NDCG(divide_by_achievable=True)
    ndcg_at_k(ideal="full") on labels 0, 1                                          NDCG (its log base cancels out)
    condensed_ndcg_at_k(gain="linear")        nDCG(judged_only=True)@k
    judged_at_k                               Judged@k
    recall_at_k                               recall_k, R@k                         Recall
    recall_at_k(capped=True)                                                        Precision(r_precision=True)
    r_precision                               Rprec
    hit_rate_at_k                             success_k, Success@k                  HitRate
    precision_at_k                            P_k, P@k                              Precision
    precision_at_k(None)                      set_P, SetP
    f1_at_k                                                                         F1Beta
    average_precision_at_k                    map, map_cut_k, AP@k                  MAP
    average_precision_at_k(divisor="k")                                             MAP(divide_by_k=True)
    mrr_at_k                                  recip_rank (k=None), RR@k             MRR
    partial_auc_at_k                                                                PartialAUC
    partial_auc_at_k(capped=True)                                                   PAP

    nothing relevant: NaN                     0 (pytrec_eval), left out             left out
    ties: by who ranked                       larger id first; Judged and RR@k:     by who ranked
                                              smaller id first

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
Ideal = Literal["judged", "full"]
Divisor = Literal["relevant", "reachable", "k"]

PAST_THE_END = -np.inf


def ndcg_at_k(
    ranked: Labels, judged: Labels, k: int | None, *, gain: Gain = "exponential", ideal: Ideal = "judged"
) -> Values:
    """Normalised discounted cumulative gain of the first k ranks; unjudged products gain nothing.

        nDCG@k = DCG@k / IDCG@k,   DCG@k = sum over r = 1..k of g(label_r) / log2(r + 1)

    with g(x) = 2^x - 1 ("exponential"; Burges et al., ICML 2005) or g(x) = x ("linear"; Järvelin and Kekäläinen,
    TOIS 2002), and IDCG@k the DCG@k of the query's own judgements, best first. Labels below 0 gain nothing.
    With `ideal="full"` (RecTools' default) the ideal is k products of the query's best label, whether or not so many
    were judged: a person with one target and k = 10 can then reach 0.22 at most. It needs a number for k.

    Shapes (n, ranks), (n, judgements) → (n,), in [0, 1] as long as no product is ranked twice. An empty ranking
    gives 0, a query without a positive judgement NaN. Raises ValueError for k < 1 or arrays that do not fit.

    >>> ndcg_at_k(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]), k=2).round(4)
    array([0.6309])
    >>> ndcg_at_k(np.array([[1.0, 2.0]]), np.array([[2.0, 1.0]]), k=2, gain="linear").round(4)
    array([0.8597])
    >>> ndcg_at_k(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]), k=2, ideal="full").round(4)
    array([0.3869])
    """
    _check(ranked, k, judged)
    best = -np.sort(-np.nan_to_num(judged, nan=PAST_THE_END, neginf=PAST_THE_END), axis=1)
    if ideal == "full":
        if k is None:
            raise ValueError("a full ideal needs a cut-off; give k")
        best = np.repeat(best[:, :1], k, axis=1)
    return _divide(_dcg(ranked, k, gain), _dcg(best, k, gain))


def condensed_ndcg_at_k(ranked: Labels, judged: Labels, k: int | None, *, gain: Gain = "exponential") -> Values:
    """nDCG@k of the ranking with its unjudged products taken out (Sakai, SIGIR 2007).

    Fair to a system that finds good products which nobody had judged, blind to bad ones. Only judged products
    within `ranked` can move up, so rank deep (a hundred and more) before condensing.
    Shapes, range and edge cases as `ndcg_at_k`; with complete judgements the two are equal.

    >>> condensed_ndcg_at_k(np.array([[np.nan, np.nan, 1.0]]), np.array([[1.0]]), k=1)
    array([1.])
    """
    _check(ranked, k, judged)
    return ndcg_at_k(condensed(ranked, k), judged, k, gain=gain)


def condensed(ranked: Labels, k: int | None = None) -> Labels:
    """The rankings without their unjudged products: judged ones move up, -inf fills the end.

    (n, ranks) → the same shape, or the first k ranks of it. Any metric of it is the condensed one (ir_measures:
    `judged_only=True`).

    >>> condensed(np.array([[np.nan, 2.0, np.nan, 0.0]]))
    array([[  2.,   0., -inf, -inf]])
    """
    _check(ranked, k)
    judged = np.isfinite(ranked)
    places = np.cumsum(judged, axis=1, dtype=np.int32) - 1
    width = ranked.shape[1] if k is None else min(k, ranked.shape[1])
    result = np.full((len(ranked), width), PAST_THE_END)
    queries, ranks = np.nonzero(judged & (places < width))
    result[queries, places[queries, ranks]] = ranked[queries, ranks]
    return result


def recall_at_k(
    ranked: Labels, judged: Labels, k: int | None, *, relevant_from: float = 1.0, capped: bool = False
) -> Values:
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
    relevant = _relevant(judged, relevant_from)
    return _divide(_relevant(ranked[:, :k], relevant_from), np.minimum(relevant, k) if capped and k else relevant)


def r_precision(ranked: Labels, judged: Labels, *, relevant_from: float = 1.0) -> Values:
    """Precision (and recall) at rank R, R being the number of the query's relevant products: trec_eval's Rprec.

    Shapes as `ndcg_at_k`, in [0, 1]; an empty ranking gives 0, a query without a relevant judgement NaN. What
    RecTools calls r_precision is `recall_at_k(capped=True)`.

    >>> r_precision(np.array([[1.0, 0.0, 1.0]]), np.array([[1.0, 1.0, 0.0]]))
    array([0.5])
    """
    _check(ranked, None, judged)
    relevant = _relevant(judged, relevant_from)
    in_time = np.arange(ranked.shape[1]) < relevant[:, None]
    return _divide((_at_least(ranked, relevant_from) & in_time).sum(axis=1), relevant)


def precision_at_k(
    ranked: Labels, k: int | None, *, relevant_from: float = 1.0, judged: Labels | None = None, short: bool = False
) -> Values:
    """Share of the first k ranks that hold a relevant product (label >= `relevant_from`).

        P@k = |relevant in the first k| / k,   short or k = None: … / |products in the first k|

    Shape (n, ranks) → (n,), in [0, 1]. The plain form counts the empty places of a short list as wrong. An empty
    ranking gives 0. With `judged` (n, judgements), a query without a relevant judgement gives NaN.

    >>> ranked = np.array([[1.0, np.nan, -np.inf, -np.inf]])
    >>> precision_at_k(ranked, k=4), precision_at_k(ranked, k=4, short=True)
    (array([0.25]), array([0.5]))
    """
    _check(ranked, k, judged)
    found = _relevant(ranked[:, :k], relevant_from)
    if k is None or short:
        shown = (ranked[:, :k] != PAST_THE_END).sum(axis=1)
        return _where_defined(found / np.maximum(shown, 1), judged, relevant_from)
    return _where_defined(found / k, judged, relevant_from)


def hit_rate_at_k(ranked: Labels, k: int | None, *, relevant_from: float = 1.0, judged: Labels | None = None) -> Values:
    """1 where any of the first k ranks holds a relevant product, else 0; trec_eval's success, RecTools' HitRate.

    Shape (n, ranks) → (n,). With one relevant product for each query it equals recall. An empty ranking gives 0.
    With `judged` (n, judgements), a query without a relevant judgement gives NaN.

    >>> hit_rate_at_k(np.array([[0.0, 1.0], [0.0, np.nan]]), k=2)
    array([1., 0.])
    """
    _check(ranked, k, judged)
    found = _relevant(ranked[:, :k], relevant_from) > 0
    return _where_defined(found.astype(np.float64), judged, relevant_from)


def f1_at_k(ranked: Labels, judged: Labels, k: int, *, relevant_from: float = 1.0, beta: float = 1.0) -> Values:
    """Weighted harmonic mean of P@k and R@k; `beta` above 1 leans to recall (van Rijsbergen, 1979).

        F@k = (1 + b²) P R / (b² P + R) = (1 + b²) |relevant in the first k| / (b² |relevant| + k)

    Shapes as `ndcg_at_k`, in [0, 1]; an empty ranking gives 0, a query without a relevant judgement NaN.

    >>> f1_at_k(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0, 1.0]]), k=2)  # P = 1/2, R = 1/3
    array([0.4])
    """
    _check(ranked, k, judged)
    found, relevant = _relevant(ranked[:, :k], relevant_from), _relevant(judged, relevant_from)
    values = (1 + beta**2) * found / (beta**2 * relevant + k)
    return _where_defined(values, judged, relevant_from)


def average_precision_at_k(
    ranked: Labels, judged: Labels, k: int | None, *, relevant_from: float = 1.0, divisor: Divisor = "relevant"
) -> Values:
    """Mean of the precisions at the ranks of the relevant products; its mean over queries is MAP.

        AP@k = sum over ranks r <= k of a relevant product of P@r, divided by
               |relevant| ("relevant": trec_eval's map_cut, RecTools' default), min(k, |relevant|) ("reachable": a
               perfect ranking gives 1 even where more than k are relevant) or k ("k": RecTools' divide_by_k)

    Shapes as `ndcg_at_k`, in [0, 1]; an empty ranking gives 0, a query without a relevant judgement NaN. With k None
    it is trec_eval's map.

    >>> ranked, judged = np.array([[1.0, 0.0, 1.0]]), np.array([[1.0, 1.0, 1.0, 1.0]])
    >>> for divisor in ("relevant", "reachable", "k"):  # (1/1 + 2/3) divided by 4, 3 and 3
    ...     average_precision_at_k(ranked, judged, k=3, divisor=divisor).round(4)
    array([0.4167])
    array([0.5556])
    array([0.5556])
    """
    _check(ranked, k, judged)
    if k is None and divisor == "k":
        raise ValueError("to divide by k, give k")
    queries, ranks = np.nonzero(_at_least(ranked[:, :k], relevant_from))
    total = np.bincount(queries, _number_within(queries) / (ranks + 1), minlength=len(ranked))
    relevant = _relevant(judged, relevant_from)
    if divisor == "k":
        return _where_defined(total / (k or 1), judged, relevant_from)
    return _divide(total, relevant if k is None or divisor == "relevant" else np.minimum(relevant, k))


def mrr_at_k(ranked: Labels, k: int | None, *, relevant_from: float = 1.0, judged: Labels | None = None) -> Values:
    """Reciprocal rank of the first relevant product within k, else 0; its mean over queries is MRR (TREC-8 QA track).

    Shape (n, ranks) → (n,), in [0, 1]. An empty ranking gives 0. Whether the query has anything relevant at all is
    seen only with `judged` (n, judgements): such queries then give NaN; without it, leave them out beforehand.

    >>> mrr_at_k(np.array([[0.0, np.nan, 2.0], [0.0, 0.0, 0.0]]), k=3).round(3)
    array([0.333, 0.   ])
    """
    _check(ranked, k, judged)
    relevant = _at_least(ranked[:, :k], relevant_from)
    if not relevant.shape[1]:
        return _where_defined(np.zeros(len(ranked)), judged, relevant_from)
    reciprocal = np.where(relevant.any(axis=1), 1.0 / (relevant.argmax(axis=1) + 1.0), 0.0)
    return _where_defined(reciprocal, judged, relevant_from)


def partial_auc_at_k(
    ranked: Labels, judged: Labels, k: int, *, relevant_from: float = 1.0, capped: bool = False
) -> Values:
    """Area under the ROC curve over the first k products that are not relevant (RecTools' PartialAUC).

        pAUC@k = sum over relevant products of max(k - |not relevant ranked before it|, 0) / (k |relevant|)

    Everything ranked that is not known as relevant counts as not relevant, unjudged products too; a relevant product
    that is not ranked stands below all k. With k = the number of all such products and a full ranking it is the AUC.
    Capped, only the first min(k, |relevant|) relevant products count (pAp@k, Budhiraja et al., 2020). Rank at least
    k + |relevant| deep, else values come out too low.
    Shapes as `ndcg_at_k`, in [0, 1]; an empty ranking gives 0, a query without a relevant judgement NaN.

    >>> partial_auc_at_k(np.array([[1.0, 0.0, 1.0, 0.0]]), np.array([[1.0, 1.0]]), k=2)  # (2 + 1) of 2 * 2 pairs
    array([0.75])
    """
    _check(ranked, k, judged)
    queries, ranks = np.nonzero(_at_least(ranked, relevant_from))
    number = _number_within(queries)
    before = np.maximum(k - (ranks + 1 - number), 0)  # ranks are filled from the top: what is not a hit is a miss
    if capped:
        before[number > k] = 0
    relevant = _relevant(judged, relevant_from)
    total = np.bincount(queries, before, minlength=len(ranked))
    return _divide(total, k * (np.minimum(relevant, k) if capped else relevant))


def judged_at_k(ranked: Labels, k: int | None) -> Values:
    """Share of the first k ranked products that have a judgement, whatever it says; empty places do not count.

    Tells how far nDCG can be believed: an unjudged product counts as wrong there. An empty ranking gives NaN.

    >>> judged_at_k(np.array([[0.0, np.nan, 3.0, np.nan]]), k=4)
    array([0.5])
    """
    _check(ranked, k)
    top = ranked[:, :k]
    return _divide(np.isfinite(top).sum(axis=1), (top != PAST_THE_END).sum(axis=1))


def _dcg(labels: Labels, k: int | None, gain: Gain) -> Values:
    top = np.maximum(np.nan_to_num(labels[:, :k], nan=0.0, neginf=0.0), 0.0)
    gains = np.exp2(top) - 1.0 if gain == "exponential" else top
    discounts = 1.0 / np.log2(np.arange(2, top.shape[1] + 2))
    return np.asarray(gains @ discounts, dtype=np.float64)


def _at_least(labels: Labels, threshold: float) -> NDArray[np.bool_]:
    return labels >= threshold  # neither NaN nor -inf is


def _relevant(labels: Labels, threshold: float) -> NDArray[np.int64]:
    """How many labels of each query reach the threshold."""
    return np.asarray(_at_least(labels, threshold).sum(axis=1), dtype=np.int64)


def _number_within(queries: NDArray[np.int64]) -> NDArray[np.int64]:
    """1, 2, 3, … within each run of equal numbers of an ascending array."""
    return np.arange(1, len(queries) + 1) - np.searchsorted(queries, queries)


def _where_defined(values: Values, judged: Labels | None, relevant_from: float) -> Values:
    """NaN for the queries without anything relevant, where the judgements are known."""
    if judged is None:
        return values
    return np.where(_at_least(judged, relevant_from).any(axis=1), values, np.nan)


def _divide(numerator: NDArray[np.number], denominator: NDArray[np.number]) -> Values:
    result = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def _check(ranked: Labels, k: int | None, judged: Labels | None = None) -> None:
    if k is not None and k < 1:
        raise ValueError(f"k is {k}; a cut-off is 1 or more")
    if ranked.ndim != 2:
        raise ValueError(f"ranked has shape {ranked.shape}; give (queries, ranks)")
    if judged is not None and (judged.ndim != 2 or len(judged) != len(ranked)):
        raise ValueError(f"judged has shape {judged.shape}; give (queries, judgements) with {len(ranked)} queries")
