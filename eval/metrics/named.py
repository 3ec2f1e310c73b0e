"""Metrics by the names that they have in results: "ndcg@10", "recall@100", "mrr". Each is written twice.

Takes names and what counts as relevant, gives `Measure`s: the metric over arrays (`eval.metrics.ranking`) beside its
textbook loop (`eval.metrics.reference`). `measured` computes them and checks the one with the other. To add a metric,
write both functions and one entry of `FAMILIES`: the tests of invariants and of agreement then run on it, and so
does the check in every run.

>>> ranked, bought = np.array([[4, 7], [7, 4], [1, 2]]), np.array([[4], [4], [4]])
>>> values = measured(measures("hit_rate@1", "mrr"), ranked, bought, np.ones((3, 1)))
>>> {name: each.tolist() for name, each in values.items()}
{'hit_rate@1': [1.0, 0.0, 0.0], 'mrr': [1.0, 0.5, 0.0]}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.metrics import ranking as fast
from eval.metrics import reference as slow
from eval.metrics.labels import Items, over_chunks
from eval.metrics.ranking import Gain, Labels, Values
from eval.metrics.reference import Judgements, Measure, Ranking, self_check


@dataclass(frozen=True, slots=True)
class Rule:
    """How judgements are read."""

    relevant_from: float = 1.0
    """Labels from here on are relevant, for every metric that knows only yes and no."""
    gain: Gain = "exponential"


Family = tuple[
    Callable[[Labels, Labels, int | None, Rule], Values],
    Callable[[Ranking, Judgements, int | None, Rule], float],
]
"""A metric over arrays, and its textbook loop; the third argument is the cut-off, None for the whole ranking."""

FAMILIES: Mapping[str, Family] = {
    "ndcg": (
        lambda ranked, judged, k, rule: fast.ndcg_at_k(ranked, judged, k, gain=rule.gain),
        lambda ranking, judgements, k, rule: slow.ndcg(ranking, judgements, k, gain=rule.gain),
    ),
    "condensed_ndcg": (
        lambda ranked, judged, k, rule: fast.condensed_ndcg_at_k(ranked, judged, k, gain=rule.gain),
        lambda ranking, judgements, k, rule: slow.condensed_ndcg(ranking, judgements, k, gain=rule.gain),
    ),
    "recall": (
        lambda ranked, judged, k, rule: fast.recall_at_k(ranked, judged, k, relevant_from=rule.relevant_from),
        lambda ranking, judgements, k, rule: slow.recall(ranking, judgements, k, relevant_from=rule.relevant_from),
    ),
    "hit_rate": (
        lambda ranked, judged, k, rule: fast.hit_rate_at_k(ranked, k, relevant_from=rule.relevant_from, judged=judged),
        lambda ranking, judgements, k, rule: slow.hit_rate(ranking, judgements, k, relevant_from=rule.relevant_from),
    ),
    "precision": (
        lambda ranked, judged, k, rule: fast.precision_at_k(ranked, k, relevant_from=rule.relevant_from, judged=judged),
        lambda ranking, judgements, k, rule: slow.precision(ranking, judgements, k, relevant_from=rule.relevant_from),
    ),
    "r_precision": (
        lambda ranked, judged, k, rule: fast.r_precision(ranked, judged, relevant_from=rule.relevant_from),
        lambda ranking, judgements, k, rule: slow.r_precision(ranking, judgements, relevant_from=rule.relevant_from),
    ),
    "f1": (
        lambda ranked, judged, k, rule: fast.f1_at_k(ranked, judged, _given(k), relevant_from=rule.relevant_from),
        lambda ranking, judgements, k, rule: slow.f1(ranking, judgements, _given(k), relevant_from=rule.relevant_from),
    ),
    "map": (
        lambda ranked, judged, k, rule: fast.average_precision_at_k(
            ranked, judged, k, relevant_from=rule.relevant_from
        ),
        lambda ranking, judgements, k, rule: slow.average_precision(
            ranking, judgements, k, relevant_from=rule.relevant_from
        ),
    ),
    "mrr": (
        lambda ranked, judged, k, rule: fast.mrr_at_k(ranked, k, relevant_from=rule.relevant_from, judged=judged),
        lambda ranking, judgements, k, rule: slow.mrr(ranking, judgements, k, relevant_from=rule.relevant_from),
    ),
    "partial_auc": (
        lambda ranked, judged, k, rule: fast.partial_auc_at_k(
            ranked, judged, _given(k), relevant_from=rule.relevant_from
        ),
        lambda ranking, judgements, k, rule: slow.partial_auc(
            ranking, judgements, _given(k), relevant_from=rule.relevant_from
        ),
    ),
    "judged": (
        lambda ranked, judged, k, rule: fast.judged_at_k(ranked, k),
        lambda ranking, judgements, k, rule: slow.judged(ranking, judgements, k),
    ),
}
"""name without cut-off → the metric, twice."""


def measures(*names: str, rule: Rule | None = None) -> tuple[Measure, ...]:
    """The metrics of these names; "recall@10" looks at 10 ranks, "mrr" at the whole ranking.

    Raises ValueError for a metric that does not exist, a cut-off that is no number from 1 on, and for "f1" and
    "partial_auc" without one (when they are computed).

    >>> [measure.name for measure in measures("ndcg@10", "r_precision")]
    ['ndcg@10', 'r_precision']
    >>> measures("precison@10")
    Traceback (most recent call last):
    ValueError: precison@10 is no metric; there are ndcg, condensed_ndcg, recall, hit_rate, precision, r_precision, \
f1, map, mrr, partial_auc, judged, with a cut-off behind an @
    """
    return tuple(_measure(name, rule or Rule()) for name in names)


def measured(
    chosen: Sequence[Measure],
    ranked: Items,
    items: Items,
    labels: Labels,
    *,
    sample: int = 200,
    seed: int = 0,
) -> dict[str, Values]:
    """Values of every metric for every query, `sample` of them computed again by the textbook.

    `ranked` (n, ranks), `items` and `labels` (n, judgements): what `labels_of` takes. Gives {name: (n,)}, NaN where a
    metric is not defined. Raises MetricsDisagree where a metric and its loop differ, and what `labels_of` raises.
    """

    def by_name(found: Labels, judged: Labels) -> dict[str, NDArray[np.float64]]:
        return {measure.name: measure.arrays(found, judged) for measure in chosen}

    values = over_chunks(by_name, ranked, items, labels)
    self_check(values, chosen, ranked, items, labels, sample=sample, seed=seed)
    return values


def _measure(name: str, rule: Rule) -> Measure:
    family, at, cut = name.partition("@")
    if family not in FAMILIES or (at and not (cut.isdecimal() and int(cut))):
        raise ValueError(f"{name} is no metric; there are {', '.join(FAMILIES)}, with a cut-off behind an @")
    arrays, textbook = FAMILIES[family]
    k = int(cut) if at else None
    return Measure(
        name,
        lambda ranked, judged: arrays(ranked, judged, k, rule),
        lambda ranking, judgements: textbook(ranking, judgements, k, rule),
    )


def _given(k: int | None) -> int:
    if k is None:
        raise ValueError("this metric needs a cut-off, as in f1@10")
    return k
