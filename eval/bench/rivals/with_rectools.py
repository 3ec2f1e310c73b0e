"""RecTools' side: tables of recommendations and interactions into `calc_metrics`, with the options that make it ours.

nDCG is divided by what one target can reach (RecTools divides by that of k targets unless told). From scores, the best
are taken with RecTools' own `recommend_from_scores`, one person at a time; measured, that takes as long as
`numpy.argpartition` of many rows at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped,unused-ignore]
from rectools import Columns  # type: ignore[import-not-found,unused-ignore]
from rectools.metrics import (  # type: ignore[import-not-found,unused-ignore]
    MAP,
    MRR,
    NDCG,
    HitRate,
    Precision,
    Recall,
    calc_metrics,
)
from rectools.models.utils import recommend_from_scores  # type: ignore[import-not-found,unused-ignore]

from eval.bench.rivals import turn
from eval.bench.rivals.turn import DEPTH, Array, K, Work

METRICS = {
    f"recall@{K}": Recall(k=K),
    f"ndcg@{K}": NDCG(k=K, divide_by_achievable=True),
    f"precision@{K}": Precision(k=K),
    f"hit_rate@{K}": HitRate(k=K),
    f"mrr@{DEPTH}": MRR(k=DEPTH),
    f"map@{DEPTH}": MAP(k=DEPTH),
}


def from_rankings(folder: Path) -> Work:
    ranked, targets = turn.rankings(folder)
    return lambda rows: _calculated(ranked[rows], targets[rows])


def from_scores(folder: Path) -> Work:
    scores, targets = turn.scores(folder)

    def work(rows: slice) -> Mapping[str, float]:
        ranked = np.stack([recommend_from_scores(row, DEPTH)[0] for row in scores[rows]])
        return _calculated(ranked, targets[rows])

    return work


def _calculated(ranked: Array, targets: Array) -> Mapping[str, float]:
    people = np.arange(len(ranked))
    recommended = pd.DataFrame(
        {
            Columns.User: np.repeat(people, ranked.shape[1]),
            Columns.Item: ranked.ravel(),
            Columns.Rank: np.tile(np.arange(1, ranked.shape[1] + 1), len(ranked)),
        }
    )
    interactions = pd.DataFrame({Columns.User: people, Columns.Item: targets.ravel()})
    values: Mapping[str, float] = calc_metrics(METRICS, recommended, interactions)
    return values


if __name__ == "__main__":
    turn.main({"rankings": from_rankings, "scores": from_scores})
