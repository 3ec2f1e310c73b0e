"""The search task: run systems over judged queries, measure them, say what is noise.

Takes a JudgedSearch and SearchSystems, gives a Measured. Knows nothing of how a system ranks or where a result is kept
(`eval.results`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from eval.datasets import JudgedSearch
from eval.measured import OURS, Measured, Slice, SystemResult, Values, binned
from eval.metrics import Rule, judged_labels, measured, measures, padded

__all__ = ["OURS", "RECALL_FROM", "SearchSystem", "evaluate_search", "rank_one_by_one", "values_of"]

RECALL_FROM = 2.0
"""Ratings that count as found: 2 (good) and 3 (exact) of 0-3."""
PROTOCOL = (
    "full catalogue; queries with a product rated 1 or better; nDCG with exponential gain, unjudged = 0; "
    "condensed nDCG ranks the judged products within the depth; recall counts ratings of 2 and better, over the "
    "queries that have one"
)
WORDS = [("1 word", 1), ("2 words", 2), ("3 words", 3), ("4 and more", 4)]
RELEVANT = [("1–4", 1), ("5–9", 5), ("10–19", 10), ("20+", 20)]


class SearchSystem(Protocol):
    """Anything that ranks products for a text."""

    @property
    def name(self) -> str: ...
    def rank(self, queries: Sequence[str], k: int) -> list[list[str]]:
        """At most k product ids for each query, best first, none twice."""
        ...


def evaluate_search(
    dataset: JudgedSearch,
    systems: Iterable[SearchSystem],
    *,
    k: int = 10,
    depth: int = 100,
    resamples: int = 10_000,
    seed: int = 0,
) -> Measured:
    """Rank every judged query `depth` deep with every system, one query at a time, and measure.

    Each system is measured before the next one is drawn. Only queries with a product rated 1 or better count. Recall of
    a query whose best rating is 1 is undefined and left out of that mean. Where a system is called "tasteline", it is
    compared with each of the others. Raises ValueError for an empty set of queries and for a system that ranks a
    product twice or too deep.
    """
    started = time.perf_counter()
    queries = dataset.judged_queries(rating=1.0)
    if not queries:
        raise ValueError(f"{dataset.name} has no query with a relevant product; there is nothing to measure")
    qrels = [dataset.qrels[query] for query in queries]
    results = {}
    for system in systems:
        rankings, latencies = rank_one_by_one(system, queries, depth)
        results[system.name] = SystemResult(values_of(rankings, qrels, k, depth), latencies=latencies)
    return Measured(
        task="search",
        dataset=dataset.name,
        checksum=dataset.checksum,
        protocol=PROTOCOL,
        cases=queries,
        systems=results,
        slices=slices(queries, qrels),
        settings={
            "k": k,
            "depth": depth,
            "recall_from": RECALL_FROM,
            "judgements": [path.name for path in dataset.judgements],
        },
        seed=seed,
        seconds=time.perf_counter() - started,
        resamples=resamples,
    )


def values_of(
    rankings: Sequence[Sequence[str]], qrels: Sequence[Mapping[str, float]], k: int, depth: int
) -> dict[str, Values]:
    """The metrics of the task for each query, by the name that they have in results and tables."""
    numbers: dict[str, int] = {}

    def number(product_id: str) -> int:
        return numbers.setdefault(product_id, len(numbers))

    items, judged = judged_labels([{number(each): rating for each, rating in rated.items()} for rated in qrels])
    ranked = padded([[number(each) for each in ranking] for ranking in rankings], width=depth)
    chosen = (
        *measures(f"ndcg@{k}", f"condensed_ndcg@{k}"),
        *measures(f"recall@{depth}", rule=Rule(relevant_from=RECALL_FROM)),
        *measures(f"judged@{k}"),
    )
    return measured(chosen, ranked, items, judged)


def slices(queries: Sequence[str], qrels: Sequence[Mapping[str, float]]) -> list[Slice]:
    """By length of the query in words, and by how many products were found relevant for it."""
    relevant = [sum(rating >= 1 for rating in rated.values()) for rated in qrels]
    return [
        binned("query length", np.array([len(query.split()) for query in queries]), WORDS),
        binned("relevant products", np.array(relevant), RELEVANT),
    ]


def rank_one_by_one(system: SearchSystem, queries: Sequence[str], depth: int) -> tuple[list[list[str]], Values]:
    """The lists, and the milliseconds that each took. Raises ValueError as `evaluate_search`."""
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
