"""Our side: integer arrays in, metrics out; see `turn` for the tasks' inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from eval.bench.rivals import turn
from eval.bench.rivals.turn import DEPTH, Array, K, Work
from eval.metrics import (
    average_precision_at_k,
    hit_rate_at_k,
    measured,
    measures,
    mrr_at_k,
    ndcg_at_k,
    ordered_by_score,
    over_chunks,
    precision_at_k,
    ranks_of,
    recall_at_k,
    top_k,
)
from eval.metrics.ranking import Labels, Values


def from_rankings(folder: Path) -> Work:
    ranked, targets = turn.rankings(folder)
    return lambda rows: _next_item(ranked[rows], targets[rows])


def from_rankings_checked(folder: Path) -> Work:
    """By name, with the check against the textbook loops that every run of the harness makes."""
    ranked, targets = turn.rankings(folder)
    names = (f"recall@{K}", f"ndcg@{K}", f"precision@{K}", f"hit_rate@{K}", f"mrr@{DEPTH}", f"map@{DEPTH}")

    def work(rows: slice) -> Mapping[str, float]:
        of = targets[rows]
        return _means(measured(measures(*names), ranked[rows], of, np.ones(of.shape)))

    return work


def from_scores(folder: Path) -> Work:
    scores, targets = turn.scores(folder)
    return lambda rows: _next_item(top_k(scores[rows], DEPTH)[0], targets[rows])


def best_only(folder: Path) -> Work:
    """The best of each row and nothing else, to tell what part of `from_scores` that is."""
    scores, _ = turn.scores(folder)
    return lambda rows: {"checksum": float(top_k(scores[rows], DEPTH)[0].sum(dtype=np.int64))}


def best_only_with_torch(folder: Path) -> Work:
    """The same with PyTorch, the fastest selection that many people have at hand; it says nothing of equal scores."""
    import torch

    scores, _ = turn.scores(folder)

    def work(rows: slice) -> Mapping[str, float]:
        total, chosen = 0, scores[rows]
        for start in range(0, len(chosen), 256):
            chunk = torch.from_numpy(np.array(chosen[start : start + 256]))
            total += int(torch.topk(chunk, DEPTH, dim=1).indices.sum())
        return {"checksum": float(total)}

    return work


def from_ranks(folder: Path) -> Work:
    """From scores without a list of the best: the rank of the one target says where it would stand in that list."""
    scores, targets = turn.scores(folder)

    def work(rows: slice) -> Mapping[str, float]:
        ranks = ranks_of(scores[rows], targets[rows, 0])
        people = np.flatnonzero(ranks <= DEPTH)
        ranked = np.full((len(ranks), DEPTH), np.nan)
        ranked[people, ranks[people].astype(np.int64) - 1] = 1.0
        return _means(_recommended(ranked, np.ones((len(ranks), 1))))

    return work


def from_judgements(folder: Path) -> Work:
    documents, scores, judged, grades = turn.judgements(folder)

    def work(rows: slice) -> Mapping[str, float]:
        ranked = ordered_by_score(documents[rows], scores[rows])
        return _means(over_chunks(_search, ranked, judged[rows], grades[rows]))

    return work


def _next_item(ranked: Array, targets: Array) -> Mapping[str, float]:
    return _means(over_chunks(_recommended, ranked, targets, np.ones(targets.shape)))


def _recommended(ranked: Labels, judged: Labels) -> Mapping[str, Values]:
    return {
        f"recall@{K}": recall_at_k(ranked, judged, K),
        f"ndcg@{K}": ndcg_at_k(ranked, judged, K),
        f"precision@{K}": precision_at_k(ranked, K),
        f"hit_rate@{K}": hit_rate_at_k(ranked, K),
        f"mrr@{DEPTH}": mrr_at_k(ranked, DEPTH),
        f"map@{DEPTH}": average_precision_at_k(ranked, judged, DEPTH),
    }


def _search(ranked: Labels, judged: Labels) -> Mapping[str, Values]:
    return {
        f"ndcg_cut_{K}": ndcg_at_k(ranked, judged, K, gain="linear"),
        f"recall_{K}": recall_at_k(ranked, judged, K),
        f"P_{K}": precision_at_k(ranked, K),
        f"success_{K}": hit_rate_at_k(ranked, K),
        "recip_rank": mrr_at_k(ranked, DEPTH),
        "map": average_precision_at_k(ranked, judged, DEPTH),
    }


def _means(values: Mapping[str, Values]) -> Mapping[str, float]:
    return {name: float(np.nanmean(each)) for name, each in values.items()}


def growth(people: int) -> turn.Task:
    """Task over so many people: the rankings that are there, over and over, laid out in memory before the clock."""

    def task(folder: Path) -> Work:
        ranked, targets = turn.rankings(folder)
        repeated = np.arange(people) % len(ranked)
        many, of = ranked[repeated], targets[repeated]
        return lambda rows: _next_item(many[rows], of[rows])

    return task


class _Growth(dict[str, turn.Task]):
    """Names like growth-10000."""

    def __missing__(self, name: str) -> turn.Task:
        return growth(int(name.removeprefix("growth-")))


if __name__ == "__main__":
    turn.main(
        _Growth(
            rankings=from_rankings,
            rankings_checked=from_rankings_checked,
            scores=from_scores,
            best=best_only,
            best_torch=best_only_with_torch,
            ranks=from_ranks,
            judgements=from_judgements,
        )
    )
