"""What came of an experiment so far: each arm's rates by person, their difference, and whether to stop.

Takes an experiment and what its rankings led to; gives a table. One metric decides, chosen before the start; the others
are there to be looked at. Knows no store and no service.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Final, Literal, get_args

import numpy as np

from eval.metrics.sequential import Comparison, Rate, compare, rate_of
from retrieval.experiment import Experiment, OnlineMetric
from tasteline.trials import Arm, TrialOutcome

METRICS: Final[tuple[OnlineMetric, ...]] = get_args(OnlineMetric)
EXPECTED: Final[Mapping[OnlineMetric, float]] = {"click": 0.02, "cart": 0.01, "purchase": 0.005}
"""Differences of rates per ranking that an experiment is made to find; fixed, so that nobody chooses them after."""
ALPHA: Final = 0.05
Verdict = Literal["go on", "B is better", "A is better"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric in both arms."""

    a: Rate
    b: Rate
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """An experiment at one look; looking more often costs nothing."""

    experiment: Experiment
    metrics: Mapping[OnlineMetric, Measured]

    @property
    def verdict(self) -> Verdict:
        """Stop where it is not "go on": the chance that it says so of equal models, ever, is at most `ALPHA`."""
        found = self.metrics[self.experiment.decides].comparison
        if found.p > ALPHA:
            return "go on"
        return "B is better" if found.difference > 0 else "A is better"

    def as_mapping(self) -> dict[str, object]:
        """For JSON: infinite ends of an interval become None."""
        return {
            "experiment": asdict(self.experiment),
            "verdict": self.verdict,
            "metrics": {name: _described(each) for name, each in self.metrics.items()},
        }


def report_of(experiment: Experiment, outcomes: Iterable[TrialOutcome]) -> ExperimentReport:
    """A ranking counts as acted on where an event quotes it; of several clicks on one, one."""
    counts: dict[Arm, defaultdict[str, list[int]]] = {"A": defaultdict(_nothing), "B": defaultdict(_nothing)}
    for outcome in outcomes:
        person = counts[outcome.arm][outcome.unit]
        for place, happened in enumerate((True, outcome.clicked, outcome.carted, outcome.bought)):
            person[place] += happened
    tables = {arm: np.array(list(people.values()), dtype=np.int64).reshape(-1, 4) for arm, people in counts.items()}
    metrics: dict[OnlineMetric, Measured] = {}
    for column, name in enumerate(METRICS, start=1):
        a, b = (rate_of(tables[arm][:, 0], tables[arm][:, column]) for arm in get_args(Arm))
        metrics[name] = Measured(a, b, compare(a, b, EXPECTED[name], ALPHA))
    return ExperimentReport(experiment, metrics)


def _nothing() -> list[int]:
    return [0] * 4


def _described(measured: Measured) -> dict[str, object]:
    arms = {
        arm: {**asdict(rate), "interval": _finite(rate.interval())}
        for arm, rate in (("A", measured.a), ("B", measured.b))
    }
    found = measured.comparison
    return {**arms, "difference": found.difference, "interval": _finite(found.interval), "p": found.p}


def _finite(ends: tuple[float, float]) -> list[float | None]:
    return [end if np.isfinite(end) else None for end in ends]
