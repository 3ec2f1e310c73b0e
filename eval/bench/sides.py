"""Two sides of a comparison as processes of their own: how a turn is started, and what its turns say together.

Takes the folder of their inputs and the interpreter of `make rivals`; a side is a module of `eval.bench.rivals`. Ours
runs in the project's environment, the others in theirs, all under one limit of threads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tasteline.errors import SetupError

CHECKOUT = Path(__file__).resolve().parents[2]
RIVALS_PYTHON = CHECKOUT / ".venv-rivals" / "bin" / "python"
PATIENCE_SECONDS = 900
AT_HOME = ("ours", "with_transformers")
"""Beginnings of the sides that run in the project's environment: ours, and what is written with its own libraries."""

Turn = Mapping[str, Any]
"""What `eval.bench.rivals.turn` says of one process."""
Contender = tuple[str, str]
"""A module of `eval.bench.rivals` and one of its tasks."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Where inputs lie and how a side is started."""

    folder: Path
    rivals_python: Path
    threads: int
    patience: float = PATIENCE_SECONDS
    """Seconds that a turn may take."""

    def turn(self, contender: Contender, *options: str) -> Turn:
        side, task = contender
        python = sys.executable if side.startswith(AT_HOME) else str(self.rivals_python)
        limits = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA", "POLARS", "RAYON")
        environment = {f"{library}_NUM_THREADS": str(self.threads) for library in limits}
        environment["NUMBA_CACHE_DIR"] = str(self.folder / "compiled")  # empty at first, so that compiling is seen
        done = subprocess.run(
            [python, "-W", "ignore", "-m", f"eval.bench.rivals.{side}", task, str(self.folder), *options],
            cwd=CHECKOUT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=self.patience,
            check=False,
        )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            if "ModuleNotFoundError" in reason:
                raise SetupError(f"{python}: {reason}.", remedy="make rivals")
            raise RuntimeError(f"{side} failed at {task}: {reason}")
        turn: Turn = json.loads(done.stdout.splitlines()[-1])
        return turn


def ratio_of(what: str, ours: Sequence[Turn], theirs: Sequence[Turn]) -> float:
    return float(median(their[what] / our[what] for our, their in zip(ours, theirs, strict=True)))


def summary_of(turns: Sequence[Turn]) -> dict[str, Any]:
    memory = {
        what: round(median(turn[what] for turn in turns), 1) for what in ("imports_mib", "inputs_mib", "peak_mib")
    }
    seconds = {what: [round(turn[what], 4) for turn in turns] for what in ("seconds", "cpu_seconds")}
    return {**seconds, **memory, "values": turns[0]["values"]}
