"""`tasteline eval interests`: forecasts of the next 30 days on real times, by category, by product, and of anything.

Takes a data set by name or folder, gives one result for each level. The systems are those of `eval.baselines.habits`;
a learned forecast is one more `Candidate` in `candidates`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from eval.baselines.habits import habits
from eval.data.loading import load
from eval.forecast import Candidate, Level, measure
from eval.protocols.looks import Look, record
from eval.results import commit_of
from tasteline.settings import Settings

LEVELS: tuple[Level, ...] = get_args(Level)


def candidates(level: Level) -> Sequence[Candidate]:
    """Everything that is measured at a level."""
    return habits(level)


def run(
    data: str, settings: Settings, seed: int, told: Callable[[str], None], levels: Sequence[Level] = LEVELS
) -> dict[str, dict[str, object]]:
    """level → result; each is one look at the test window, written down. Raises InvalidInput for an untimed set."""
    dataset, commit = load(data), commit_of(Path(__file__).parent)
    reports = {}
    for level in levels:
        names = [candidate.name for candidate in candidates(level)]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        sha = commit.sha if commit else None
        look = Look(dataset.name, dataset.checksum, f"interests-{level}", names, {"seed": seed}, sha, now)
        looks = record(settings.home / "eval", look)
        measured = measure(dataset, level, candidates(level), seed=seed, told=told)
        reports[level] = replace(measured, more={"part": "test", "test_looks": looks}).as_mapping()
    return {str(level): report for level, report in reports.items()}
