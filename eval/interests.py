"""`tasteline eval interests`: forecasts of the next 30 days on real times, by category, by product, and of anything.

Takes a data set by name or folder, gives one result for each level. The systems are those of `eval.baselines.habits`
and the learned forecast (`eval.learned_forecast`), which is trained once for all levels.
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
from eval.learned_forecast import Forecasts
from eval.protocols.looks import Look, record
from eval.results import commit_of
from tasteline.errors import InvalidInput
from tasteline.settings import Settings

LEVELS: tuple[Level, ...] = get_args(Level)


def candidates(level: Level, forecasts: Forecasts) -> Sequence[Candidate]:
    """Everything that is measured at a level."""
    return (*habits(level), forecasts.candidate(level))


def levels_of(text: str | None) -> Sequence[Level]:
    """Names with commas between, in the order of `LEVELS`; all where nothing is said. Raises InvalidInput."""
    wanted = {name.strip() for name in text.split(",")} if text else set(LEVELS)
    if unknown := wanted - set(LEVELS):
        raise InvalidInput(f"no level is called {', '.join(sorted(unknown))}; there are {', '.join(LEVELS)}")
    return [level for level in LEVELS if level in wanted]


def run(
    data: str, settings: Settings, seed: int, told: Callable[[str], None], levels: Sequence[Level] = LEVELS
) -> dict[str, dict[str, object]]:
    """level → result; each is one look at the test window, written down. Raises InvalidInput for an untimed set."""
    dataset, commit = load(data), commit_of(Path(__file__).parent)
    reports: dict[str, dict[str, object]] = {}
    forecasts = Forecasts.of(dataset, seed=seed, cache=settings.home / "eval" / "cache")
    for level in levels:
        systems = candidates(level, forecasts)
        names = [candidate.name for candidate in systems]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        sha = commit.sha if commit else None
        look = Look(dataset.name, dataset.checksum, f"interests-{level}", names, {"seed": seed}, sha, now)
        looks = record(settings.home / "eval", look)
        measured = measure(dataset, level, systems, seed=seed, told=told)
        reports[level] = replace(measured, more={"part": "test", "test_looks": looks}).as_mapping()
    return reports
