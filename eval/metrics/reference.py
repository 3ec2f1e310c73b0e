"""The ranking metrics once more, as a textbook would write them: one query, plain Python, nothing clever.

Slow on purpose. Tests compare every metric over arrays with its loop here, and `self_check` does so in every run of
the harness on a sample of its cases, so that an array metric that breaks cannot go on giving numbers.
Takes a ranking (item numbers, best first) and judgements {item: label}; shares no line with `eval.metrics.ranking`
or `eval.metrics.labels`. Options mean what they mean there; NaN is a value that is not defined.

>>> ranking, judgements = [7, 5, 9], {5: 2.0, 9: 1.0, 4: 0.0}
>>> round(ndcg(ranking, judgements, k=3), 4), round(average_precision(ranking, judgements, k=3), 4)
(0.659, 0.5833)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

Ranking = Sequence[int]
Judgements = Mapping[int, float]
Values = NDArray[np.float64]

EMPTY = -1
NAN = math.nan


class MetricsDisagree(RuntimeError):
    """A metric over arrays and its textbook loop differ: one of them is wrong, and no number of the run can stand."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric written twice."""

    name: str
    """As it stands in results: ndcg@10."""
    arrays: Callable[[Values, Values], Values]
    """(labels as ranked, labels of all judged), see `eval.metrics.ranking` → one value for each query."""
    textbook: Callable[[Ranking, Judgements], float]
    """One query the slow way."""


def self_check(
    values: Mapping[str, Values],
    measures: Sequence[Measure],
    ranked: NDArray[np.integer],
    items: NDArray[np.integer],
    labels: Values,
    *,
    sample: int = 200,
    seed: int = 0,
    tolerance: float = 1e-9,
) -> None:
    """Compute `sample` random cases again by the textbook; raise MetricsDisagree where a value is off by `tolerance`.

    `values[measure.name]` (n,) is what the arrays gave; `ranked` (n, ranks), `items` and `labels` (n, judgements) are
    what `labels_of` takes, so that the look-up of labels is checked with the metric. Up to half of the sample are
    cases in which something judged was ranked: where hits are rare, most others would agree on 0 by accident. A value
    that is NaN on one side only is a difference.

    >>> exact = Measure("mrr", lambda ranked, judged: np.array([0.5]), mrr)
    >>> case = {"ranked": np.array([[7, 5]]), "items": np.array([[5]]), "labels": np.array([[1.0]])}
    >>> self_check({"mrr": np.array([0.5])}, [exact], **case)
    >>> self_check({"mrr": np.array([1.0])}, [exact], **case)
    Traceback (most recent call last):
    eval.metrics.reference.MetricsDisagree: mrr of case 0 is 1.0 over arrays and 0.5 by the textbook
    """
    for case in _sample(ranked, items, sample, seed):
        ranking, judgements = _ranking(ranked[case]), _judgements(items[case], labels[case])
        for measure in measures:
            fast, slow = float(values[measure.name][case]), float(measure.textbook(ranking, judgements))
            if math.isnan(fast) != math.isnan(slow) or abs(fast - slow) > tolerance:
                raise MetricsDisagree(f"{measure.name} of case {case} is {fast} over arrays and {slow} by the textbook")


def _sample(ranked: NDArray[np.integer], items: NDArray[np.integer], sample: int, seed: int) -> list[int]:
    drawn = np.random.default_rng(seed).permutation(len(ranked))[: 20 * sample].tolist()
    with_hits = (case for case in drawn if set(_ranking(ranked[case])) & set(_ranking(items[case])))
    hits = list(islice(with_hits, sample // 2))
    chosen = set(hits)
    return hits + [case for case in drawn if case not in chosen][: sample - len(hits)]


def _ranking(row: NDArray[np.integer]) -> list[int]:
    return [item for item in row.tolist() if item != EMPTY]


def _judgements(items: NDArray[np.integer], labels: Values) -> dict[int, float]:
    return {int(item): float(label) for item, label in zip(items, labels, strict=True) if item != EMPTY}


def ndcg(
    ranking: Ranking, judgements: Judgements, k: int | None = None, *, gain: str = "exponential", ideal: str = "judged"
) -> float:
    best = sorted(judgements.values(), reverse=True)
    if ideal == "full":
        best = [max(best, default=0.0)] * (k or 0)
    possible = _dcg(best[:k], gain)
    return _dcg([judgements.get(item, 0.0) for item in ranking[:k]], gain) / possible if possible > 0 else NAN


def _dcg(labels: Sequence[float], gain: str) -> float:
    total = 0.0
    for rank, label in enumerate(labels, start=1):
        if label > 0:
            total += (2**label - 1 if gain == "exponential" else label) / math.log2(rank + 1)
    return total


def condensed_ndcg(
    ranking: Ranking, judgements: Judgements, k: int | None = None, *, gain: str = "exponential"
) -> float:
    return ndcg([item for item in ranking if item in judgements], judgements, k, gain=gain)


def recall(
    ranking: Ranking,
    judgements: Judgements,
    k: int | None = None,
    *,
    relevant_from: float = 1.0,
    capped: bool = False,
) -> float:
    relevant = _relevant(judgements, relevant_from)
    if not relevant:
        return NAN
    found = sum(item in relevant for item in ranking[:k])
    return found / (min(k, len(relevant)) if capped and k else len(relevant))


def r_precision(ranking: Ranking, judgements: Judgements, *, relevant_from: float = 1.0) -> float:
    relevant = _relevant(judgements, relevant_from)
    return sum(item in relevant for item in ranking[: len(relevant)]) / len(relevant) if relevant else NAN


def precision(
    ranking: Ranking,
    judgements: Judgements,
    k: int | None = None,
    *,
    relevant_from: float = 1.0,
    short: bool = False,
) -> float:
    relevant = _relevant(judgements, relevant_from)
    if not relevant:
        return NAN
    top = ranking[:k]
    divisor = len(top) if k is None or short else k
    return sum(item in relevant for item in top) / divisor if top else 0.0


def hit_rate(ranking: Ranking, judgements: Judgements, k: int | None = None, *, relevant_from: float = 1.0) -> float:
    relevant = _relevant(judgements, relevant_from)
    if not relevant:
        return NAN
    return 1.0 if any(item in relevant for item in ranking[:k]) else 0.0


def f1(ranking: Ranking, judgements: Judgements, k: int, *, relevant_from: float = 1.0, beta: float = 1.0) -> float:
    p = precision(ranking, judgements, k, relevant_from=relevant_from)
    r = recall(ranking, judgements, k, relevant_from=relevant_from)
    if math.isnan(r) or p + r == 0:
        return r
    return (1 + beta**2) * p * r / (beta**2 * p + r)


def average_precision(
    ranking: Ranking,
    judgements: Judgements,
    k: int | None = None,
    *,
    relevant_from: float = 1.0,
    divisor: str = "relevant",
) -> float:
    relevant = _relevant(judgements, relevant_from)
    if not relevant:
        return NAN
    found, total = 0, 0.0
    for rank, item in enumerate(ranking[:k], start=1):
        if item in relevant:
            found += 1
            total += found / rank
    if divisor == "k":
        return total / (k or 1)
    return total / (min(k, len(relevant)) if divisor == "reachable" and k else len(relevant))


def mrr(ranking: Ranking, judgements: Judgements, k: int | None = None, *, relevant_from: float = 1.0) -> float:
    relevant = _relevant(judgements, relevant_from)
    if not relevant:
        return NAN
    return next((1 / rank for rank, item in enumerate(ranking[:k], start=1) if item in relevant), 0.0)


def partial_auc(
    ranking: Ranking, judgements: Judgements, k: int, *, relevant_from: float = 1.0, capped: bool = False
) -> float:
    relevant = _relevant(judgements, relevant_from)
    if not relevant:
        return NAN
    positives = [item for item in ranking if item in relevant]
    negatives = [item for item in ranking if item not in relevant][:k]
    counted = min(k, len(relevant)) if capped else len(relevant)
    right = 0
    for item in positives[:counted]:
        beaten = sum(ranking.index(item) < ranking.index(other) for other in negatives)
        right += beaten + (k - len(negatives))  # negatives that the list did not reach come after it
    return right / (k * counted)


def judged(ranking: Ranking, judgements: Judgements, k: int | None = None) -> float:
    top = ranking[:k]
    return sum(item in judgements for item in top) / len(top) if top else NAN


def _relevant(judgements: Judgements, relevant_from: float) -> set[int]:
    return {item for item, label in judgements.items() if label >= relevant_from}
