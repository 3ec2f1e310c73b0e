"""ranx's side, in each of the ways in which `ranx.evaluate` takes its input.

`Qrels` and `Run` are what its documentation shows and prefers. Plain dictionaries are hashed instead of sorted into
typed ones, which is faster. Three-dimensional arrays of (number, score) pairs are named in the signature only:
fastest of all, but they know no ids, and every query needs as many judgements as the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import ranx  # type: ignore[import-not-found,unused-ignore]

from eval.bench.rivals import turn
from eval.bench.rivals.turn import DEPTH, Array, K, Work

METRICS = [f"recall@{K}", f"ndcg@{K}", f"precision@{K}", f"hit_rate@{K}", f"mrr@{DEPTH}", f"map@{DEPTH}"]

Evaluate = Callable[[Array, Array], Mapping[str, float]]


def by_objects(ranked: Array, targets: Array) -> Mapping[str, float]:
    wanted, found = _dictionaries(ranked, targets)
    return _evaluated(ranx.Qrels(wanted), ranx.Run(found))


def by_dictionaries(ranked: Array, targets: Array) -> Mapping[str, float]:
    return _evaluated(*_dictionaries(ranked, targets))


def by_arrays(ranked: Array, targets: Array) -> Mapping[str, float]:
    falling = np.broadcast_to(np.arange(ranked.shape[1], 0, -1.0), ranked.shape)
    wanted = np.stack([targets.astype(np.float64), np.ones(targets.shape)], axis=2)
    return _evaluated(wanted, np.stack([ranked.astype(np.float64), falling], axis=2))


def from_rankings(evaluate: Evaluate) -> turn.Task:
    def task(folder: Path) -> Work:
        ranked, targets = turn.rankings(folder)
        return lambda rows: evaluate(ranked[rows], targets[rows])

    return task


def from_scores(evaluate: Evaluate) -> turn.Task:
    def task(folder: Path) -> Work:
        scores, targets = turn.scores(folder)
        return lambda rows: evaluate(turn.partitioned(scores[rows]), targets[rows])

    return task


def _dictionaries(ranked: Array, targets: Array) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """{person: {item: 1}} and {person: {item: score}}; every id is made into a string once."""
    names = np.array([str(item) for item in range(int(max(ranked.max(), targets.max())) + 1)], dtype=object)
    falling = np.arange(ranked.shape[1], 0, -1.0).tolist()
    wanted = {str(person): {item: 1} for person, item in enumerate(names[targets.ravel()].tolist())}
    found = {str(person): dict(zip(row, falling, strict=True)) for person, row in enumerate(names[ranked].tolist())}
    return wanted, found


def _evaluated(wanted: Any, found: Any) -> Mapping[str, float]:
    values: Mapping[str, float] = ranx.evaluate(wanted, found, METRICS)
    return values


if __name__ == "__main__":
    turn.main(
        {
            "rankings": from_rankings(by_dictionaries),
            "rankings_objects": from_rankings(by_objects),
            "rankings_arrays": from_rankings(by_arrays),
            "scores": from_scores(by_dictionaries),
            "scores_arrays": from_scores(by_arrays),
        }
    )
