"""The benchmark of training: the clock, when a side ends, what both are compared at, a tiny run of both."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from eval.bench import training
from eval.bench.rivals import curve
from eval.bench.rivals.curve import Curve, Over
from eval.bench.sides import RIVALS_PYTHON, Sides
from eval.bench.training import run
from tasteline.errors import SetupError


@pytest.fixture
def tick(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [0.0]

    def move(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(curve.time, "perf_counter", lambda: now[0])
    return move


def test_measuring_is_not_under_the_clock(tick: Callable[[float], None]) -> None:
    learned = Curve(budget=100, patience=5)
    for value in (0.1, 0.3):
        tick(10)
        learned.stop()
        tick(1000)
        learned.measured(value)
    assert learned.values() == {"seconds_1": 10, "ndcg_1": 0.1, "seconds_2": 20, "ndcg_2": 0.3}


@pytest.mark.parametrize(("budget", "patience", "epochs"), [(25, 9, 3), (1000, 2, 4)])
def test_a_side_ends_with_its_time_or_its_patience(
    tick: Callable[[float], None], budget: float, patience: int, epochs: int
) -> None:
    learned = Curve(budget, patience)
    values = [0.1, 0.3, 0.2, 0.25, 0.4]

    def learn() -> None:
        for value in values:
            tick(10)
            learned.stop()
            learned.measured(value)

    with pytest.raises(Over):
        learn()
    assert learned.reached == values[:epochs]


FOLDER = {
    "items.csv": ["item_id,asin,title,short_text,attributes", *(f"{n},a{n},Thing {n},,Acme|Box" for n in range(40))],
    "interactions.csv": [
        "user_id,raw_user_id,item_id,asin,position,gap_seconds,split",
        *(
            f"{user},u{user},{(user + step) % 40},a{(user + step) % 40},{step},0,{part}"
            for user in range(60)
            for step, part in enumerate(("train", "train", "train", "valid", "test"))
        ),
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, lines in FOLDER.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    return tmp_path


def _faked(curves: Mapping[str, Sequence[float]], seen: list[Mapping[str, object]]) -> object:
    def turn(sides: Sides, contender: tuple[str, str], *options: str) -> Mapping[str, object]:
        made = json.loads((sides.folder / "training.json").read_text())
        arrays = {each.stem: np.load(each).tolist() for each in sides.folder.glob("*.npy")}
        seen.append({**made, **arrays, "options": options})
        reached = curves[contender[0]]
        names = [(f"seconds_{n}", 10.0 * n) for n in range(1, len(reached) + 1)]
        return {"values": dict(names) | {f"ndcg_{n}": value for n, value in enumerate(reached, start=1)}}

    return turn


def _run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ours: Sequence[float], theirs: Sequence[float], **options: object
) -> tuple[dict[str, object], list[Mapping[str, object]]]:
    seen: list[Mapping[str, object]] = []
    monkeypatch.setattr(Sides, "turn", _faked({"ours_training": ours, "with_rectools_training": theirs}, seen))
    return run(folder, folder, Path(__file__), target=0.3, **options), seen  # type: ignore[arg-type]


def test_both_are_compared_at_what_both_have_reached(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = _run(folder, monkeypatch, ours=[0.1, 0.35], theirs=[0.1, 0.1, 0.2, 0.32, 0.5])
    assert result["ratios"] == {"train_next_item": 2.0}  # 40 s and 20 s to .3
    result, _ = _run(folder, monkeypatch, ours=[0.25, 0.35], theirs=[0.1, 0.2, 0.1])
    assert result["ratios"] == {"train_next_item": 2.0}  # their best is .2: 20 s and 10 s
    assert result["raw"]["rectools"]["seconds_to_target"] is None  # type: ignore[index]
    result, _ = _run(folder, monkeypatch, ours=[0.05], theirs=[0.1, 0.2])
    assert result["ratios"] == {}


def test_both_learn_from_train_and_are_asked_for_the_part(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, seen = _run(folder, monkeypatch, [0.1], [0.1], part="test", minutes=2)
    assert [each["options"] for each in seen] == [("--cold",)] * 2
    assert (seen[0]["seconds"], seen[0]["part"]) == (120, "test")
    starts, asked = seen[0]["train_starts"], seen[0]["asked_starts"]
    assert (np.diff(starts) == 3).all()  # type: ignore[call-overload]
    assert (np.diff(asked) == 4).all()  # type: ignore[call-overload]
    assert seen[0]["targets"][0] == seen[0]["asked_items"][3] + 1  # type: ignore[index]


def test_without_the_rivals_it_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="make rivals"):
        run(tmp_path, tmp_path, tmp_path / "python")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not RIVALS_PYTHON.is_file(), reason="the rivals are not installed; make rivals")
def test_both_sides_learn_in_a_tiny_run(folder: Path) -> None:
    raw = run(folder, folder / "home", part="valid", minutes=0.1)["raw"]
    for side in training.SIDES:
        assert raw[side]["epochs"] >= 1
        assert 0 <= raw[side]["best_ndcg@10"] <= 1
        assert raw[side]["curve"][0][0] > 0
