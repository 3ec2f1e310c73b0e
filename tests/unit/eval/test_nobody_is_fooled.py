"""Three ways of fooling oneself, each caught by the harness: a broken metric, a leaked label, a peek at test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from eval import next_item, recommending
from eval.baselines.popular import Popular
from eval.data.interactions import Dataset, Histories
from eval.data.loading import load
from eval.metrics import MetricsDisagree, ranking
from eval.protocols.checks import LeakError
from eval.protocols.leave_one_out import leave_one_out
from eval.protocols.split import Split
from eval.recommending import BASELINES, Asked, run_next_item
from eval.systems import ItemScores, Learning
from tasteline.settings import Settings
from tests.unit.eval.small_histories import write_histories


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_histories(tmp_path / "glim")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", embedder="hashing", language_model="none")


def quiet(name: str) -> None:
    pass


def test_a_broken_metric_gives_no_result(folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(labels: ranking.Labels, k: int | None, gain: str) -> ranking.Values:
        top = np.nan_to_num(labels[:, :k], nan=0.0, neginf=0.0)
        return np.asarray(top @ (1 / np.log2(np.arange(3, top.shape[1] + 3))))  # one rank too deep

    run_next_item(Asked(str(folder), systems=("popular",)), settings, quiet)
    monkeypatch.setattr(ranking, "_dcg", shifted)
    with pytest.raises(MetricsDisagree, match="ndcg@10"):
        run_next_item(Asked(str(folder), systems=("popular", "cooccurrence")), settings, quiet)


def test_a_leaked_label_gives_no_result(folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_targets(dataset: Dataset, *, repeats: bool) -> Split:
        honest = leave_one_out(dataset, repeats=repeats)
        return replace(honest, train=dataset.interactions)

    monkeypatch.setattr(recommending, "leave_one_out", with_targets)
    with pytest.raises(LeakError, match="train"):
        run_next_item(Asked(str(folder), systems=("popular",)), settings, quiet)


class Peeker:
    """Reads the file that it should not: the last row of each person."""

    name = "peeker"

    def __init__(self, dataset: Dataset) -> None:
        assert dataset.folder is not None
        rows = pl.read_csv(dataset.folder / "interactions.csv").filter(pl.col("split") == "test")
        number = {item: place for place, item in enumerate(dataset.catalogue.ids)}
        asked = leave_one_out(dataset).test
        known = dict(zip(rows["raw_user_id"], rows["asin"], strict=True))
        histories = [tuple(asked.histories.of_case(case).tolist()) for case in range(len(asked))]
        people = [dataset.user_ids[user] for user in asked.users]
        self._next = {history: number[known[person]] for history, person in zip(histories, people, strict=True)}

    def fit(self, learning: Learning) -> None:
        self._items = len(learning.catalogue)

    def score(self, histories: Histories) -> ItemScores:
        scores = np.zeros((len(histories), self._items), dtype=np.float32)
        for case in range(len(histories)):
            known = self._next.get(tuple(histories.of_case(case).tolist()))
            if known is not None:
                scores[case, known] = 1.0
        return scores


def test_a_baseline_that_peeks_at_test_is_caught(
    folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        recommending,
        "BASELINES",
        {**BASELINES, "popular": lambda bench: Popular(), "peeker": lambda bench: Peeker(bench.dataset)},
    )
    result = run_next_item(Asked(str(folder), systems=("popular", "peeker"), audit=True), settings, quiet)
    assert result["systems"]["peeker"]["ndcg@10"] > 0.9  # type: ignore[index]
    audits = result["audit"]
    assert audits["peeker"]["caught"] is True  # type: ignore[index]
    assert audits["popular"]["caught"] is False  # type: ignore[index]


def test_each_look_at_test_is_counted_and_valid_is_none(folder: Path, settings: Settings) -> None:
    asked = Asked(str(folder), systems=("popular",))
    assert run_next_item(replace(asked, part="valid"), settings, quiet)["test_looks"] is None
    assert [run_next_item(asked, settings, quiet)["test_looks"] for _ in range(2)] == [0, 1]


def test_a_system_that_breaks_its_word_is_refused(folder: Path) -> None:
    class Nonsense(Popular):
        def score(self, histories: Histories) -> ItemScores:
            return np.full((len(histories), 40), np.nan, dtype=np.float32)

    dataset = load(folder)
    split = leave_one_out(dataset)
    with pytest.raises(ValueError, match="NaN"):
        next_item.evaluate(dataset, split, [Nonsense()], Learning.of(split, dataset.name, "none"))
