"""pytrec_eval's side: dictionaries of a search run and its judgements into `RelevanceEvaluator`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytrec_eval  # type: ignore[import-not-found,unused-ignore]

from eval.bench.rivals import turn
from eval.bench.rivals.turn import Array, K, Work

MEASURES = {f"ndcg_cut.{K}", f"recall.{K}", f"P.{K}", f"success.{K}", "recip_rank", "map"}


def from_judgements(folder: Path) -> Work:
    documents, scores, judged, grades = turn.judgements(folder)

    def work(rows: slice) -> Mapping[str, float]:
        evaluator, run = _built(documents[rows], scores[rows], judged[rows], grades[rows])
        return _evaluated(evaluator, run)

    return work


def from_dictionaries(folder: Path) -> Work:
    """The same with evaluator and run built before the clock starts."""
    evaluator, run = _built(*turn.judgements(folder))

    def work(rows: slice) -> Mapping[str, float]:
        return _evaluated(evaluator, run if rows.stop is None else {query: run[query] for query in list(run)[rows]})

    return work


def _built(documents: Array, scores: Array, judged: Array, grades: Array) -> tuple[Any, dict[str, dict[str, float]]]:
    names = np.array([str(each) for each in range(int(max(documents.max(), judged.max())) + 1)], dtype=object)
    run = {
        str(query): dict(zip(row, of, strict=True))
        for query, (row, of) in enumerate(zip(names[documents].tolist(), scores.tolist(), strict=True))
    }
    wanted = {
        str(query): dict(zip(row, of, strict=True))
        for query, (row, of) in enumerate(zip(names[judged].tolist(), grades.astype(int).tolist(), strict=True))
    }
    return pytrec_eval.RelevanceEvaluator(wanted, MEASURES), run


def _evaluated(evaluator: Any, run: dict[str, dict[str, float]]) -> Mapping[str, float]:
    queries = list(evaluator.evaluate(run).values())
    return {name: sum(each[name] for each in queries) / len(queries) for name in queries[0]}


if __name__ == "__main__":
    turn.main({"judgements": from_judgements, "judgements_prebuilt": from_dictionaries})
