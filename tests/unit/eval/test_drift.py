"""What drift evaluation counts as a change, as found and as false."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest

from eval import drift
from eval.demo_shop import Phase, Shopper
from eval.drift import Change, Person, Prefix, Said, by_rule, judged
from retrieval.steps import Steps, steps_of
from retrieval.topics import Topic
from tests.unit.retrieval.turns import turned, visit

TOPICS = {pid: Topic(pid, pid) for pid in ("pan", "kettle", "tent", "stove")}


def person(changes: Sequence[Change], visits: int = 12, every: float = 30.0) -> Person:
    steps = steps_of([e for number in range(visits) for e in visit(number * every, "pan", "tent")])
    return Person("7/anna", tuple(Prefix(steps, TOPICS) for _ in range(visits)), tuple(changes))


def said(at: int, visit_: int, *topics: str) -> Said:
    return Said(at, visit_, frozenset(topics))


CHANGE = Change(5, True, frozenset({"tent"}))


def test_a_drift_near_a_change_finds_it_and_its_delay_is_counted() -> None:
    found = judged(person([CHANGE]), [said(7, 6, "tent")])
    assert (found.found, found.delay_visits, found.delay_events) == (1.0, 2.0, 6.0)
    assert found.delay_days == pytest.approx(60, abs=0.1)
    assert (found.right_topic, found.false_alarms) == (1.0, 0)


def test_one_that_is_far_from_every_change_is_false() -> None:
    found = judged(person([CHANGE]), [said(9, 8, "tent")])
    assert (found.found, found.false_alarms) == (0.0, 1)
    assert np.isnan(found.delay_visits)


def test_a_change_that_nobody_could_find_is_neither_missed_nor_a_false_alarm() -> None:
    found = judged(person([Change(5, False, frozenset())]), [said(6, 5, "pan")])
    assert np.isnan(found.found)
    assert found.false_alarms == 0


def test_what_is_said_before_a_change_does_not_find_it() -> None:
    assert judged(person([CHANGE]), [said(4, 4, "tent")]).found == 0.0


def test_the_rule_speaks_after_so_many_visits_in_a_row_and_again_once_it_has_calmed() -> None:
    high, low = {"tent": (0.9, 0.2)}, {"tent": (0.1, 0.2)}
    shares = [low, high, high, high, low, high, low, high, high]
    assert [each.at for each in by_rule(shares, 0.5, 2.0, 1)] == [1, 5, 7]
    assert [(each.at, each.visit) for each in by_rule(shares, 0.5, 2.0, 2)] == [(2, 1), (8, 7)]
    assert by_rule(shares, 0.95, 2.0, 1) == []


def shopper(*phases: Phase) -> Shopper:
    return Shopper("anna", "Anna", "", phases, "women", 10, -365, 1.0, 0)


def changes_of(*phases: Phase, steps: Steps) -> list[Change]:
    return list(drift._changes(shopper(*phases), steps))


def test_changes_come_from_the_plan() -> None:
    begin = (drift.END - timedelta(days=130)).timestamp()
    plain = steps_of([e for number in range(12) for e in visit(number * 10, "pan")])
    steps = Steps(
        plain.events,
        plain.product_ids,
        plain.products,
        plain.weights,
        begin + plain.times - plain.times[0],
        plain.visits,
        True,
    )
    tea = Phase(-365, 0, (), 1.0, "tea")
    espresso = Phase(-72, 0, (), 3.0, "espresso")
    (change,) = changes_of(tea, espresso, steps=steps)
    assert change.visit == 6
    assert change.findable
    assert "Coffee Grinders" in change.gained or "Coffee & Tea" in change.gained
    assert changes_of(tea, steps=steps) == []
    (late,) = changes_of(tea, Phase(-32, 0, (), 3.0, "espresso"), steps=steps)
    assert not late.findable


def test_a_turn_is_said_once() -> None:
    history = turned(before=8, after=6)
    topics = {
        pid: Topic(place, place)
        for pid, place in (("pan", "Kitchen"), ("kettle", "Kitchen"), ("tent", "Outdoor"), ("stove", "Outdoor"))
    }
    prefixes = tuple(Prefix(steps_of(history[: 2 * visits]), topics) for visits in range(1, 15))
    told = drift._said(Person("7/anna", prefixes, ()), drift.Sureness())
    assert [(each.visit, each.topics) for each in told] == [(8, {"Outdoor"})]
    assert 8 <= told[0].at <= 11
