"""A history in columns."""

from datetime import timedelta

import numpy as np
import pytest

from retrieval.interests import touched_products
from retrieval.steps import steps_of
from tests.unit.retrieval.small_shop import event
from tests.unit.retrieval.turns import START, visit


def test_nothing_is_empty_columns() -> None:
    assert len(steps_of([])) == 0
    assert len(steps_of([event("anna", None, "search", query="tent"), event("anna", "tent", "view_item_list")])) == 0


def test_what_is_taken_back_counts_as_a_view() -> None:
    history = [event("anna", "tent", kind) for kind in ("add_to_cart", "purchase", "refund", "view_item")]
    assert steps_of(history).weights.tolist() == [3.0, 1.0, 1.0]


@pytest.mark.parametrize("kinds", [("purchase", "refund", "purchase"), ("add_to_cart", "remove_from_cart", "purchase")])
def test_weights_are_those_of_the_interests(kinds: tuple[str, ...]) -> None:
    history = [event("anna", "tent", kind, time=START) for kind in kinds]
    (touched,) = touched_products(history)
    assert steps_of(history).weights.sum() == pytest.approx(touched.long)


def test_visits_are_sessions_or_what_a_silence_divides() -> None:
    assert steps_of(visit(0, "tent", "stove") + visit(0.001, "pan")).visits.tolist() == [0, 0, 1]
    times = [START + timedelta(minutes=minute) for minute in (0, 10, 90)]
    assert steps_of([event("anna", "tent", time=time) for time in times]).visits.tolist() == [0, 0, 1]
    assert steps_of([event("anna", "tent"), event("anna", "pan")]).visits.tolist() == [0, 1]


def test_an_event_without_a_time_happened_with_the_one_before_it() -> None:
    steps = steps_of([event("anna", "tent"), *visit(1, "pan"), event("anna", "tent")])
    assert steps.timed
    assert np.ptp(steps.times) == 0
    assert not steps_of([event("anna", "tent")]).timed
