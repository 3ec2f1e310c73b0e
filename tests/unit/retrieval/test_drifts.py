"""When somebody turned."""

import numpy as np
import pytest
from scipy.stats import fisher_exact

from retrieval.change_points import Sureness
from retrieval.drifts import MOST_VISITS, Drift, chance, drifts_of
from retrieval.steps import Steps, steps_of
from retrieval.topics import Topic
from retrieval.turning import drifts_in
from tasteline.types import Event
from tests.unit.retrieval.small_shop import event
from tests.unit.retrieval.test_timeline import TOPICS
from tests.unit.retrieval.turns import turned, visit


def found(history: list[Event]) -> tuple[Drift, ...]:
    return drifts_in(steps_of(history), TOPICS)


def test_a_turn_is_placed_named_and_shown() -> None:
    history = turned(before=8, after=5)
    (drift,) = found(history)
    assert (drift.before, drift.after) == (("Kitchen",), ("Outdoor",))
    assert drift.since == history[16].time
    assert drift.step == 17
    ids = [e.id for e in history]
    assert drift.evidence == tuple(ids[11:21])
    assert 0.5 <= drift.confidence <= 1


def test_it_is_said_within_a_few_visits_and_never_before() -> None:
    history = turned(before=8, after=5)
    said = [bool(found(history[: 2 * visits])) for visits in range(1, 14)]
    assert not any(said[:8])
    assert said.index(True) <= 10
    assert all(said[said.index(True) :])


def test_a_glance_aside_is_no_turn() -> None:
    history = turned(before=8, after=0) + visit(30, "tent", "tent", "tent", "tent", "stove", "stove")
    assert found(history) == ()


def test_ten_clicks_of_one_visit_are_one_observation() -> None:
    few, many = turned(before=8, after=4), turned(before=8, after=3) + visit(33, *["tent"] * 30)
    assert len(found(few)) == len(found(many)) == 1
    once = turned(before=3, after=0) + visit(25, *["tent"] * 50)
    assert found(once) == ()


def test_there_and_back_again_is_two_turns() -> None:
    back = [e for number in range(8) for e in visit(100 + 3 * number, "pan", "kettle")]
    drifts = found(turned(before=8, after=8) + back)
    assert [(d.before, d.after) for d in drifts] == [(("Kitchen",), ("Outdoor",)), (("Outdoor",), ("Kitchen",))]


def test_a_steady_mixture_seldom_looks_like_a_turn() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(50):
        ids = rng.choice(["tent", "kettle", "lamp"], size=30, p=[0.5, 0.3, 0.2])
        alarms += bool(found([e for number, pid in enumerate(ids) for e in visit(float(number), pid)]))
    assert alarms <= 5


def test_without_times_and_without_known_products() -> None:
    history = [event("anna", pid) for pid in ["pan"] * 9 + ["tent"] * 9]
    (drift,) = found(history)
    assert drift.since is None
    assert drift.step == 10
    assert found([event("anna", "gone") for _ in range(9)]) == ()
    assert found([]) == ()


def long_history(visits: int) -> Steps:
    return steps_of([e for n in range(visits) for e in visit(float(n), "pan" if n < visits // 2 else "tent")])


@pytest.mark.parametrize("visits", [MOST_VISITS, MOST_VISITS + 1, 2 * MOST_VISITS + 17])
def test_long_histories_are_looked_at_in_parts(visits: int) -> None:
    steps = long_history(visits)
    (drift,) = drifts_of(steps, steps.products, steps.product_ids)
    assert abs(drift.step - 1 - visits // 2) <= visits // MOST_VISITS + 1


def test_a_stricter_setting_says_less() -> None:
    steps = steps_of(turned(before=4, after=3))
    assert drifts_in(steps, TOPICS, Sureness(log_odds=-30.0)) == ()
    assert drifts_in(steps, TOPICS, Sureness(least_shift=1.1)) == ()


def test_what_came_up_long_after_a_turn_is_not_what_it_was_to() -> None:
    later = [e for number in range(3) for e in visit(200 + 3 * number, "lamp", "rug")]
    to_outdoor, to_home = found(turned(before=8, after=4) + later)
    assert to_outdoor.after == ("Outdoor",)
    assert (to_home.before, to_home.after) == (("Outdoor",), ("Home",))


def test_a_thing_among_thirty_others_is_seen_when_it_comes_for_good() -> None:
    history, topics = baskets(begins=25)
    (drift,) = drifts_in(steps_of(history), topics)
    assert drift.after == ("new",)
    assert drift.before == ("old",)
    assert abs(int(steps_of(history).visits[drift.step - 1]) - 25) <= 2


def test_a_thing_among_thirty_others_that_comes_twice_is_none() -> None:
    history, topics = baskets(begins=48)
    assert drifts_in(steps_of(history), topics) == ()


def baskets(begins: int) -> tuple[list[Event], dict[str, Topic]]:
    """Fifty baskets of five out of thirty shelves, with one thing until one of them and another from then on."""
    rng = np.random.default_rng(0)
    shelves = [f"shelf {number}" for number in range(30)]
    contents = [[*rng.choice(shelves, 5, replace=False), "old" if number < begins else "new"] for number in range(50)]
    history = [e for number, each in enumerate(contents) for e in visit(float(number), *map(str, each))]
    return history, {name: Topic(name, name) for name in [*shelves, "old", "new"]}


def test_chance_is_fishers() -> None:
    for here, visits_here, there, visits_there in ((3, 3, 0, 5), (7, 11, 4, 30), (0, 4, 2, 9), (5, 5, 6, 6)):
        table = [[here, visits_here - here], [there, visits_there - there]]
        expected = fisher_exact(table, alternative="greater").pvalue
        assert chance(here, visits_here, there, visits_there) == pytest.approx(expected)
