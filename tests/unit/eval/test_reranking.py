"""The rerank task: candidates in, orders out, by file and by system."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.baselines.popular import Popular
from eval.data.interactions import Histories
from eval.data.trec import read_qrels, read_run
from eval.recommending import Asked
from eval.rerank import by_lists, cut_half, reordered
from eval.reranking import Rerank, run_rerank
from eval.systems import ItemScores
from tasteline.errors import InvalidInput
from tasteline.settings import Settings
from tests.unit.eval.small_histories import write_histories


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_histories(tmp_path_factory.mktemp("data") / "glim")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"), embedder="hashing", language_model="none")


def quiet(name: str) -> None:
    pass


def rerank(folder: Path, settings: Settings, **options: Any) -> dict[str, Any]:
    asked = Asked(str(folder), systems=("popular", "cooccurrence"))
    return run_rerank(asked, Rerank(first="popular", depth=15, **options), settings, quiet)


def test_orders_go_out_and_come_in_again(folder: Path, settings: Settings, tmp_path: Path) -> None:
    first = rerank(folder, settings, out=tmp_path / "runs")
    systems = first["systems"]
    assert set(systems) == {"popular", "cooccurrence"}
    assert systems["cooccurrence"]["ndcg@10"] > systems["popular"]["ndcg@10"]
    assert (
        systems["cooccurrence"]["recall@100"]
        == systems["popular"]["recall@100"]
        == pytest.approx(first["candidate_recall"], abs=1e-6)
    )
    assert set(first["slices"]["history"]) == {"whole", "cut to 1–2"}

    run = read_run(tmp_path / "runs" / "cooccurrence.run")
    assert len(run) == len(read_qrels(tmp_path / "runs" / "qrels")) == 120
    assert len((tmp_path / "runs" / "histories").read_text().splitlines()) == 120
    given = rerank(
        folder,
        settings,
        candidates=tmp_path / "runs" / "popular.run",
        runs={"theirs": tmp_path / "runs" / "cooccurrence.run"},
    )
    assert given["systems"]["candidates"]["ndcg@10"] == systems["popular"]["ndcg@10"]
    assert given["systems"]["theirs"]["ndcg@10"] == systems["cooccurrence"]["ndcg@10"]


def test_a_run_that_names_what_is_not_sold_is_refused(folder: Path, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "wrong.run").write_text("U0 Q0 NOTHERE 1 1.0 wrong\n")
    with pytest.raises(InvalidInput, match="NOTHERE"):
        rerank(folder, settings, candidates=tmp_path / "wrong.run")


def test_scores_order_candidates_and_ties_keep_their_place() -> None:
    class Even(Popular):
        def score(self, histories: Histories) -> ItemScores:
            return np.tile(np.array([0.0, 1.0, 0.0, -np.inf], dtype=np.float32), (len(histories), 1))

    candidates = np.array([[2, 0, 3, 1, -1]], dtype=np.int32)
    ordered = reordered(Even(), Histories.of([[]]), candidates, 4, repeats=True)
    assert ordered.tolist() == [[1, 2, 0, 3, -1]]


def test_what_a_list_lacks_comes_last() -> None:
    candidates = np.array([[4, 5, 6], [1, 2, -1]], dtype=np.int32)
    lists = np.array([[6, -1], [-1, -1]], dtype=np.int32)
    assert by_lists(candidates, lists).tolist() == [[6, 4, 5], [1, 2, -1]]
    assert by_lists(candidates, np.zeros((2, 0), dtype=np.int32)).tolist() == candidates.tolist()


def test_half_of_the_people_are_cut() -> None:
    histories = Histories.of([[1, 2, 3, 4]] * 100)
    cut, short = cut_half(histories, seed=1)
    assert short.sum() == 50
    assert set(cut.lengths[short]) == {1, 2}
    assert set(cut.lengths[~short]) == {4}
    assert cut.of_case(int(np.flatnonzero(short)[0]))[-1] == 4, "the last ones stay"
