"""The search task: run systems over judged queries, measure them, say what is noise.

Takes a JudgedSearch and SearchSystems, gives a SearchReport. Knows nothing of how a system ranks or where a report
is kept (`eval.results`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eval.datasets import JudgedSearch
from eval.metrics import (
    bootstrap_interval,
    condensed_ndcg_at_k,
    holm,
    judged_at_k,
    judged_labels,
    labels_of,
    ndcg_at_k,
    padded,
    paired_randomisation_test,
    recall_at_k,
)
from eval.metrics.ranking import Labels

OURS = "tasteline"
RECALL_FROM = 2.0
"""Ratings that count as found: 2 (good) and 3 (exact) of 0-3."""
PROTOCOL = (
    "full catalogue; queries with a product rated 1 or better; nDCG with exponential gain, unjudged = 0; "
    "condensed nDCG ranks the judged products within the depth; recall counts ratings of 2 and better, over the "
    "queries that have one"
)

Values = NDArray[np.float64]
Metric = Callable[[Labels, Labels], Values]
"""(labels as ranked, labels of all judged) → one value for each query, NaN where undefined."""


class SearchSystem(Protocol):
    """Anything that ranks products for a text."""

    @property
    def name(self) -> str: ...
    def rank(self, queries: Sequence[str], k: int) -> list[list[str]]:
        """At most k product ids for each query, best first, none twice."""
        ...


@dataclass(frozen=True, slots=True)
class SystemResult:
    """What one system reached."""

    values: Mapping[str, Values]
    """metric → value of each query, in the order of `SearchReport.queries`."""
    intervals: Mapping[str, tuple[float, float]]
    """metric → bootstrap interval of its mean."""
    latencies: Values
    """Milliseconds for each query, asked alone, one after the other."""

    def means(self) -> dict[str, float]:
        """Mean over the queries for which a metric is defined; NaN where there is none."""
        return {metric: _mean(values) for metric, values in self.values.items()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours against one baseline on one metric."""

    baseline: str
    metric: str
    difference: float
    """Mean of ours minus theirs over the queries."""
    p: float
    """Two-sided, from the paired randomisation test."""
    p_corrected: float
    """The same after Holm's correction for all comparisons of the report."""


@dataclass(frozen=True, slots=True)
class SearchReport:
    dataset: str
    checksum: str
    queries: tuple[str, ...]
    systems: Mapping[str, SystemResult]
    comparisons: tuple[Comparison, ...]
    settings: Mapping[str, int | float | str | list[str]]
    seed: int
    seconds: float

    def as_mapping(self) -> dict[str, object]:
        """The shape of `eval search --json`; undefined numbers are null."""
        return {
            "task": "search",
            "dataset": self.dataset,
            "protocol": PROTOCOL,
            "systems": {name: _numbers(result.means()) for name, result in self.systems.items()},
            "intervals": {
                name: {metric: [_number(low), _number(high)] for metric, (low, high) in result.intervals.items()}
                for name, result in self.systems.items()
            },
            "comparisons": [_comparison_mapping(comparison) for comparison in self.comparisons],
            "latency_ms": {name: _latency(result.latencies) for name, result in self.systems.items()},
            "per_query": {
                "queries": list(self.queries),
                "systems": {
                    name: {metric: [_number(value) for value in values] for metric, values in result.values.items()}
                    for name, result in self.systems.items()
                },
            },
            "settings": dict(self.settings),
            "seed": self.seed,
            "checksum": self.checksum,
            "seconds": round(self.seconds, 3),
        }


def evaluate_search(
    dataset: JudgedSearch,
    systems: Sequence[SearchSystem],
    *,
    k: int = 10,
    depth: int = 100,
    resamples: int = 10_000,
    seed: int = 0,
) -> SearchReport:
    """Rank every judged query `depth` deep with every system, one query at a time, and measure.

    Only queries with a product rated 1 or better count. Recall of a query whose best rating is 1 is undefined and
    left out of that mean. Where a system is called "tasteline", it is compared with each of the others.
    Raises ValueError for an empty set of queries and for a system that ranks a product twice or too deep.
    """
    started = time.perf_counter()
    queries = dataset.judged_queries(rating=1.0)
    if not queries:
        raise ValueError(f"{dataset.name} has no query with a relevant product; there is nothing to measure")
    measured = _metrics(k, depth)
    results = {}
    for system in systems:
        values, latencies = _measure(system, dataset, queries, measured, depth)
        intervals = {name: bootstrap_interval(each, resamples=resamples, seed=seed) for name, each in values.items()}
        results[system.name] = SystemResult(values, intervals, latencies)
    return SearchReport(
        dataset=dataset.name,
        checksum=dataset.checksum,
        queries=queries,
        systems=results,
        comparisons=_compare(results, resamples, seed),
        settings={
            "k": k,
            "depth": depth,
            "recall_from": RECALL_FROM,
            "judgements": [path.name for path in dataset.judgements],
            "confidence": 0.95,
            "resamples": resamples,
        },
        seed=seed,
        seconds=time.perf_counter() - started,
    )


def _metrics(k: int, depth: int) -> dict[str, Metric]:
    """The metrics of the task, by the name that they have in results and tables."""
    return {
        f"ndcg@{k}": lambda ranked, judged: ndcg_at_k(ranked, judged, k),
        f"condensed_ndcg@{k}": lambda ranked, judged: condensed_ndcg_at_k(ranked, judged, k),
        f"recall@{depth}": lambda ranked, judged: recall_at_k(ranked, judged, depth, relevant_from=RECALL_FROM),
        f"judged@{k}": lambda ranked, judged: judged_at_k(ranked, k),
    }


def _measure(
    system: SearchSystem, dataset: JudgedSearch, queries: Sequence[str], metrics: Mapping[str, Metric], depth: int
) -> tuple[dict[str, Values], Values]:
    rankings, latencies = _rank_one_by_one(system, queries, depth)
    ranked, judged = _labels(rankings, [dataset.qrels[query] for query in queries], depth)
    return {name: metric(ranked, judged) for name, metric in metrics.items()}, latencies


def _rank_one_by_one(system: SearchSystem, queries: Sequence[str], depth: int) -> tuple[list[list[str]], Values]:
    system.rank(queries[:1], depth)  # the first call loads and compiles; it is nobody's latency
    rankings, latencies = [], []
    for query in queries:
        started = time.perf_counter()
        ranking = system.rank([query], depth)[0]
        latencies.append((time.perf_counter() - started) * 1000)
        if len(ranking) > depth or len(set(ranking)) < len(ranking):
            raise ValueError(f"{system.name} ranked {len(ranking)} products for {query!r}, some twice or over {depth}")
        rankings.append(ranking)
    return rankings, np.array(latencies)


def _labels(
    rankings: Sequence[Sequence[str]], qrels: Sequence[Mapping[str, float]], depth: int
) -> tuple[Labels, Labels]:
    numbers: dict[str, int] = {}

    def number(product_id: str) -> int:
        return numbers.setdefault(product_id, len(numbers))

    items, judged = judged_labels([{number(each): rating for each, rating in rated.items()} for rated in qrels])
    ranked = padded([[number(each) for each in ranking] for ranking in rankings], width=depth)
    return labels_of(ranked, items, judged), judged


def _compare(results: Mapping[str, SystemResult], resamples: int, seed: int) -> tuple[Comparison, ...]:
    if OURS not in results:
        return ()
    ours = results[OURS].values
    pairs = [(name, metric) for name in results if name != OURS for metric in ours if not metric.startswith("judged@")]
    p_values = [
        paired_randomisation_test(ours[metric], results[name].values[metric], permutations=resamples, seed=seed)
        for name, metric in pairs
    ]
    return tuple(
        Comparison(name, metric, _mean(ours[metric] - results[name].values[metric]), p, corrected)
        for (name, metric), p, corrected in zip(pairs, p_values, holm(p_values), strict=True)
    )


def _comparison_mapping(comparison: Comparison) -> dict[str, object]:
    return {
        "baseline": comparison.baseline,
        "metric": comparison.metric,
        "difference": _number(comparison.difference),
        "p": _number(comparison.p),
        "p_corrected": _number(comparison.p_corrected),
    }


def _latency(milliseconds: Values) -> dict[str, float | None]:
    return {f"p{share}": _number(float(np.percentile(milliseconds, share))) for share in (50, 95)}


def _mean(values: Values) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float) -> float | None:
    """Six digits are beyond what any query set can tell apart, and keep result files readable."""
    return round(float(value), 6) if math.isfinite(value) else None
