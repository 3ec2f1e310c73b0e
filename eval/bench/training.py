"""Speed of training: seconds until a next-item model has learned so much, beside RecTools' SASRec on the same people.

Takes a folder of histories, gives how long each side learns until it finds the next item with an nDCG@10 of `target`,
and until its own best. Both learn from the train part and are measured on the same targets after every epoch, which is
not under the clock; a side ends when PATIENCE epochs brought nothing better, or when its time is over. Nothing is
chosen by what is measured here.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from eval.bench.sides import RIVALS_PYTHON, Sides, Turn
from eval.data.interactions import Histories
from eval.data.loading import load
from eval.recommending import split_of
from tasteline.errors import SetupError

TARGET = 0.058
"""What a text-initialised SASRec reached on Beauty before this project had one."""
PATIENCE = 4
MINUTES = 20.0
SIDES = {"tasteline": ("ours_training", "transformer"), "rectools": ("with_rectools_training", "sasrec")}


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """The curve of one side."""

    seconds: tuple[float, ...]
    """Of learning, up to the end of each epoch."""
    ndcg: tuple[float, ...]

    @classmethod
    def of(cls, turn: Turn) -> LearningCurve:
        values: Mapping[str, float] = turn["values"]
        epochs = range(1, len(values) // 2 + 1)
        return cls(
            tuple(values[f"seconds_{each}"] for each in epochs), tuple(values[f"ndcg_{each}"] for each in epochs)
        )

    def until(self, target: float) -> float | None:
        """Seconds until `target` was reached, None where it never was.

        >>> curve = LearningCurve((10.0, 20.0, 30.0), (0.1, 0.3, 0.2))
        >>> curve.until(0.2), curve.until(0.4), curve.best
        (20.0, None, (20.0, 0.3))
        """
        return next((at for at, value in zip(self.seconds, self.ndcg, strict=True) if value >= target), None)

    @property
    def best(self) -> tuple[float, float]:
        """Seconds until the best epoch, and its nDCG@10."""
        at = int(np.argmax(self.ndcg))
        return self.seconds[at], self.ndcg[at]

    def report(self, target: float) -> dict[str, object]:
        seconds, ndcg = self.best
        until = self.until(target)
        return {
            "seconds_to_target": None if until is None else round(until, 1),
            "seconds_to_best": round(seconds, 1),
            "best_ndcg@10": round(ndcg, 4),
            "epochs": len(self.ndcg),
            "curve": [[round(at, 1), round(value, 4)] for at, value in zip(self.seconds, self.ndcg, strict=True)],
        }


def run(
    data: Path,
    home: Path,
    rivals_python: Path = RIVALS_PYTHON,
    *,
    part: Literal["test", "valid"] = "test",
    target: float = TARGET,
    minutes: float = MINUTES,
    threads: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """`{"bench": "train", "ratios": …, "raw": …}`.

    `train_next_item` is the seconds of RecTools to what both have reached (`target`, or its own best where that is
    less) over ours to the same; above 1 ours is faster. It is left out where ours does not get there. `minutes`: of
    learning, at most, for each side. `home`: where vectors of texts are kept. Raises SetupError where RecTools is not
    installed, NotFound for a folder without data, RuntimeError where a side fails.
    """
    if not rivals_python.is_file():
        raise SetupError(f"{rivals_python} is missing: there is nothing to compare with.", remedy="make rivals")
    threads = threads or len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="bench-train-") as name:
        folder = Path(name)
        _write(folder, data, home, part, minutes, seed)
        sides = Sides(folder, rivals_python, threads, patience=120 * minutes + 600)
        learned = {side: LearningCurve.of(sides.turn(contender, "--cold")) for side, contender in SIDES.items()}
    common = min(target, learned["rectools"].best[1])
    ours, theirs = (learned[side].until(common) for side in SIDES)
    return {
        "bench": "train",
        "ratios": {"train_next_item": theirs / ours} if ours and theirs else {},
        "raw": {
            "machine": platform.machine(),
            "threads": threads,
            "part": part,
            "target": target,
            "compared_at": round(common, 4),
            "minutes": minutes,
            **{side: curve.report(target) for side, curve in learned.items()},
        },
    }


def _write(folder: Path, data: Path, home: Path, part: str, minutes: float, seed: int) -> None:
    split = split_of(load(data), "leave-one-out")
    cases = split.test if part == "test" else split.valid
    _write_histories(folder, "train", split.train.histories(np.unique(split.train.users)))
    _write_histories(folder, "asked", cases.histories)
    np.save(folder / "targets.npy", cases.targets.items[cases.targets.starts[:-1]].astype(np.int64))
    made = {"data": str(data.resolve()), "home": str(home.resolve()), "part": part, "seed": seed}
    (folder / "training.json").write_text(json.dumps({**made, "seconds": 60 * minutes, "patience": PATIENCE}))


def _write_histories(folder: Path, name: str, histories: Histories) -> None:
    np.save(folder / f"{name}_starts.npy", histories.starts)
    np.save(folder / f"{name}_items.npy", histories.items)
