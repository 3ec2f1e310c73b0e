"""The benchmark of the harness: its inputs, its guards, our side as a process of its own, a tiny run of all sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eval.bench import evaluation
from eval.bench.evaluation import RIVALS_PYTHON, Size, run, write_inputs
from eval.metrics import labels_of, recall_at_k
from tasteline.errors import NotFound, SetupError

TINY = Size(people=300, items=500, depth=100, queries=50, growth=(200, 400))


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    write_inputs(tmp_path, None, TINY, np.random.default_rng(0))
    return tmp_path


def test_without_the_rivals_it_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="make rivals"):
        run(None, tmp_path / "python")


def test_inputs_are_plausible_and_the_seed_makes_them(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    ranked, targets, scores = (np.load(inputs / f"{name}.npy") for name in ("ranked", "targets", "scores"))
    np.testing.assert_array_equal(ranked, np.argsort(-scores, axis=1, kind="stable")[:, :100])
    assert 0.05 < (ranked[:, :10] == targets).any(axis=1).mean() < 0.25
    documents, judged, grades = (
        np.load(inputs / f"{name}.npy") for name in ("run_documents", "judged_documents", "grades")
    )
    shown = labels_of(documents, judged, grades)
    assert (np.isfinite(shown).sum(axis=1) == 20).all()
    assert (grades.max(axis=1) >= 1).all()
    again = tmp_path_factory.mktemp("again")
    write_inputs(again, None, TINY, np.random.default_rng(0))
    np.testing.assert_array_equal(np.load(again / "ranked.npy"), ranked)


def test_popularity_and_people_come_from_train_and_valid(tmp_path: Path) -> None:
    rows = ["a,x,train", "a,y,valid", "a,z,test", "b,x,train", "b,x,valid", "b,y,test"]
    (tmp_path / "interactions.csv").write_text("\n".join(["user_id,item_id,split", *rows]) + "\n")
    counts, targets = evaluation._popularity(tmp_path)
    assert counts.tolist() == [2.5, 0.5, 0.5]
    assert targets.tolist() == [1, 0]
    with pytest.raises(NotFound, match=r"interactions\.csv"):
        evaluation._popularity(tmp_path / "nowhere")


def test_our_side_computes_the_metrics_and_says_what_it_took(inputs: Path) -> None:
    bench = evaluation.Sides(inputs, Path("unused"), threads=1)
    ranked, targets = np.load(inputs / "ranked.npy"), np.load(inputs / "targets.npy")
    ones = np.ones(targets.shape)
    turns = {task: bench.turn(("ours", task)) for task in ("rankings", "scores", "rankings_checked", "growth-300")}
    for turn in turns.values():
        assert turn["values"]["recall@10"] == pytest.approx(
            recall_at_k(labels_of(ranked, targets, ones), ones, 10).mean(), abs=1e-12
        )
        assert turn["values"] == pytest.approx(turns["rankings"]["values"], abs=1e-12)
        assert 0 < turn["imports_mib"] <= turn["inputs_mib"] <= turn["peak_mib"] < 500
        assert turn["seconds"] > 0
    assert bench.turn(("ours", "ranks"))["values"]["mrr@100"] == pytest.approx(
        turns["rankings"]["values"]["mrr@100"], abs=1e-12
    )
    with pytest.raises(RuntimeError, match="ours failed at nothing"):
        bench.turn(("ours", "nothing"))


def test_sides_that_measure_different_things_are_not_compared() -> None:
    evaluation._agree("theirs", {"mrr": 0.25}, {"mrr": 0.25 + 1e-9})
    for other in ({"mrr": 0.2501}, {"mrr": 0.25, "map": 0.1}, {"mrr": float("nan")}):
        with pytest.raises(RuntimeError, match="theirs measures something else"):
            evaluation._agree("theirs", {"mrr": 0.25}, other)


def test_a_ratio_is_the_median_over_turns_and_above_1_where_ours_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def turn(_: object, contender: tuple[str, str], *options: str) -> dict[str, object]:
        side, task = contender
        asked.append(f"{side} {task} {' '.join(options)}".strip())
        times = {"ours": [1.0, 2.0, 1.0]}.get(side, [5.0, 4.0, 90.0])  # ratios 5, 2, 90
        seconds = times[(asked.count(asked[-1]) - 1) % 3] * (10 if task == "growth-400" else 1)
        memory = {what: 40.0 if side == "ours" else 120.0 for what in ("imports_mib", "inputs_mib", "peak_mib")}
        return {"seconds": seconds, "cpu_seconds": seconds, **memory, "values": {"mrr": 0.5}}

    monkeypatch.setattr(evaluation.Sides, "turn", turn)
    result = run(None, Path(__file__), repeats=3, size=TINY)
    assert result["bench"] == "eval"
    timed = [name for rivals in evaluation.CONTESTS.values() for name in rivals]
    assert {name: result["ratios"][name] for name in timed} == dict.fromkeys(timed, 5.0)
    assert result["ratios"]["eval_rectools_memory"] == result["ratios"]["eval_ranx_memory"] == 3.0
    assert "eval_rectools_scores_memory" not in result["ratios"]
    assert result["ratios"]["eval_growth_per_person"] == pytest.approx((1 / 200) / (10 / 400))
    assert [each for each in asked if "--cold" in each] == [
        each for each in asked if "--cold" in each and "ranx" in each
    ]
    firsts = [each for each in asked if each in ("ours rankings", "with_ranx rankings_arrays")]
    assert firsts[:4] == ["ours rankings", "with_ranx rankings_arrays", "with_ranx rankings_arrays", "ours rankings"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not RIVALS_PYTHON.is_file(), reason="the rivals are not installed; make rivals")
def test_all_sides_agree_in_a_tiny_run() -> None:
    result = run(None, RIVALS_PYTHON, repeats=1, size=TINY)
    wanted = [name for rivals in evaluation.CONTESTS.values() for name in rivals]
    assert result["ratios"].keys() >= {*wanted, "eval_rectools_memory", "eval_ranx_memory", "eval_growth_per_person"}
    assert all(ratio > 0 for ratio in result["ratios"].values())
