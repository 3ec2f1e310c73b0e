"""What came of an experiment: counted by person, decided by one metric."""

from __future__ import annotations

import json
import math

import numpy as np

from eval.online import report_of
from retrieval.experiment import Experiment, OnlineMetric
from tasteline.trials import Arm, TrialOutcome
from tests.unit.retrieval.trained import START


def experiment(decides: OnlineMetric = "click") -> Experiment:
    return Experiment("x", "next-item", "a", "b", 0.5, "s", decides, START)


def outcomes(arm: Arm, people: int, clicks: float, buys: float = 0.0, seed: int = 0) -> list[TrialOutcome]:
    rng = np.random.default_rng(seed)
    return [
        TrialOutcome(arm, f"{arm}{person}", bool(rng.random() < clicks), False, bool(rng.random() < buys))
        for person in range(people)
        for _ in range(2)
    ]


def test_counts_are_of_rankings_and_people() -> None:
    found = [
        TrialOutcome("A", "ann", True, True, False),
        TrialOutcome("A", "ann", False, False, False),
        TrialOutcome("A", "bo", True, False, False),
        TrialOutcome("B", "cy", False, False, True),
    ]
    metrics = report_of(experiment(), found).metrics
    click = metrics["click"]
    assert (click.a.people, click.a.shown, click.a.acted) == (2, 3, 2)
    assert (click.b.people, click.b.shown, click.b.acted) == (1, 1, 0)
    assert metrics["cart"].a.acted == 1
    assert metrics["purchase"].b.acted == 1


def test_the_metric_that_was_chosen_decides() -> None:
    found = [*outcomes("A", 2_000, 0.10, 0.05), *outcomes("B", 2_000, 0.20, 0.05, seed=1)]
    assert report_of(experiment(), found).verdict == "B is better"
    assert report_of(experiment("purchase"), found).verdict == "go on"
    worse = [*outcomes("A", 2_000, 0.20), *outcomes("B", 2_000, 0.10, seed=1)]
    assert report_of(experiment(), worse).verdict == "A is better"
    assert report_of(experiment("cart"), worse).verdict == "go on"  # nobody ever did


def test_before_anybody_came_it_goes_on_and_is_still_json() -> None:
    report = report_of(experiment(), [])
    assert report.verdict == "go on"
    assert math.isnan(report.metrics["click"].a.value)
    said = report.as_mapping()
    assert said["metrics"]["click"]["interval"] == [None, None]  # type: ignore[index]
    json.dumps(said, default=str)
