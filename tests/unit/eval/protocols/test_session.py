"""Sessions cut, divided by time, and asked about step by step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eval import asking
from eval.baselines.cooccurrence import LAST_ITEM, MARKOV, Cooccurrence
from eval.baselines.popular import Popular
from eval.data.interactions import TYPES, Catalogue, Codes, Dataset, Histories, Interactions
from eval.next_category import Categories, evaluate, pooled
from eval.next_item import groups_of
from eval.protocols.checks import LeakError, check_split
from eval.protocols.session import GAP, by_session, session_split
from eval.protocols.split import Split
from eval.protocols.temporal import Moments, by_share
from eval.systems import Learning
from tasteline.errors import InvalidInput
from tasteline.types import EventType
from tests.unit.eval.protocols.toy_shop import dataset_of

VIEW, CART, BUY = (TYPES.index(each) for each in (EventType.VIEW_ITEM, EventType.ADD_TO_CART, EventType.PURCHASE))


def shop(events: list[tuple[int, int, int, int]], sessions: list[int] | None = None, items: int = 6) -> Dataset:
    """(person, item, second, type) each, in order of person and time."""
    users, products, order, types = zip(*events, strict=True)
    paths = tuple(("home", "lamps") if item < 3 else ("camp", "tents") if item < 5 else () for item in range(items))
    return Dataset(
        "toy",
        "c0ffee",
        Catalogue(tuple(map(str, range(items))), ("",) * items, ("",) * items, paths),
        tuple(f"u{user}" for user in range(max(users) + 1)),
        Interactions.of(users, products, order, types),
        timed=True,
        sessions=None if sessions is None else np.array(sessions, dtype=np.int32),
    )


EVENTS = [
    (0, 0, 10, VIEW), (0, 1, 20, VIEW), (0, 1, 21, CART), (0, 1, 22, VIEW), (0, 2, 30, VIEW),  # over before 100
    (0, 3, 90, VIEW), (0, 4, 110, VIEW), (0, 3, 120, VIEW),  # straddles 100
    (1, 0, 95, VIEW), (1, 1, 101, VIEW), (1, 1, 102, BUY), (1, 2, 205, VIEW), (1, 5, 210, VIEW),  # straddles both
    (2, 4, 220, VIEW), (2, 3, 230, VIEW),
]  # fmt: skip
SESSIONS = [7, 7, 7, 7, 7, 3, 3, 3, 3, 3, 3, 3, 3, 9, 9]
"""Two people share the id 3."""
MOMENTS = Moments(valid=100, test=200)


def split() -> tuple[Dataset, Split]:
    visits = by_session(shop(EVENTS, SESSIONS))
    return visits, session_split(visits, MOMENTS)


def test_sessions_of_the_files_are_cut_within_each_person() -> None:
    visits, _ = split()
    assert len(visits.user_ids) == 4
    items = [visits.interactions.histories(np.array([user])).items.tolist() for user in range(4)]
    assert sorted(items) == [[0, 1, 1, 1, 2], [0, 1, 1, 2, 5], [3, 4, 3], [4, 3]]
    assert {name.split()[0] for name in visits.user_ids} == {"u0", "u1", "u2"}


def test_sessions_that_run_side_by_side_are_not_mixed() -> None:
    visits = by_session(shop([(0, 0, 1, VIEW), (0, 3, 2, VIEW), (0, 1, 3, VIEW), (0, 4, 4, VIEW)], [0, 1, 0, 1]))
    assert visits.interactions.items.tolist() == [0, 1, 3, 4]
    assert visits.interactions.users.tolist() == [0, 0, 1, 1]


def test_half_an_hour_ends_a_session_where_none_is_named() -> None:
    visits = by_session(
        shop([(0, 0, 0, VIEW), (0, 1, GAP - 1, VIEW), (0, 2, 2 * GAP - 1, VIEW), (1, 0, 2 * GAP, VIEW)])
    )
    assert visits.interactions.users.tolist() == [0, 0, 1, 2]
    assert visits.user_ids == ("u0 1", "u0 2", "u1 1")
    later = by_session(shop([(0, 0, 0, VIEW), (0, 1, 1, VIEW), (1, 0, 500, VIEW), (1, 1, 501, VIEW)]))
    assert "half an hour" in session_split(later, MOMENTS).protocol.description
    assert "that the files name" in split()[1].protocol.description


def test_train_is_over_before_anything_is_asked() -> None:
    visits, made = split()
    check_split(made, visits)
    assert made.train.items.tolist() == [0, 1, 2], "the beginnings of sessions that straddle are not learned from"
    assert made.train.order.max() < 100 <= made.valid.histories.order.max()
    assert made.leak.train_after_target == 0


def test_a_step_of_several_events_is_one_row_of_the_firmest_type() -> None:
    _, made = split()
    assert made.train.order.tolist() == [10, 20, 30]
    assert made.train.types.tolist() == [VIEW, CART, VIEW]


def test_every_step_from_the_second_on_is_a_case() -> None:
    _, made = split()
    valid = {(tuple(made.valid.histories.of_case(n)), int(made.valid.targets.items[n])) for n in range(len(made.valid))}
    assert valid == {((3,), 4), ((3, 4), 3), ((0,), 1)}
    test = {(tuple(made.test.histories.of_case(n)), int(made.test.targets.items[n])) for n in range(len(made.test))}
    assert test == {((0, 1, 1), 2), ((0, 1, 1, 2), 5), ((4,), 3)}, "of a session that straddles, the later steps"
    bought = np.flatnonzero(made.test.histories.types == BUY)
    assert len(bought) == 2, "what was done with a product stays in the history"


def test_a_later_row_in_train_is_found() -> None:
    visits, made = split()
    late = replace(made, train=visits.interactions.where(visits.interactions.order < 105))
    with pytest.raises(LeakError):
        check_split(late, visits)


def test_all_but_the_product_at_hand_are_candidates() -> None:
    _, made = split()
    system = Popular()
    system.fit(Learning.of(made, "toy", "toy"))
    ranked = asking.rank(system, Histories.of([[0, 1], [1, 0], []]), 6, 6, repeats=made.protocol.repeats)
    assert [sorted(row[row >= 0].tolist()) for row in ranked] == [[0, 2, 3, 4, 5], [1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]]


def test_cases_of_a_session_hang_together() -> None:
    _, made = split()
    groups = groups_of(made.valid)
    assert groups is not None
    assert groups.tolist() == made.valid.users.tolist()
    assert groups_of(made.valid.take(np.array([0]))) is None


def test_only_timed_sets() -> None:
    with pytest.raises(InvalidInput, match="no times"):
        by_session(dataset_of([[0, 1]]))


def test_what_follows_the_last_item_and_nothing_else() -> None:
    sequences = [[0, 1, 2], [0, 1, 2], [3, 1, 4]]
    visits = by_session(dataset_of(sequences, [[1, 2, 3], [4, 5, 6], [7, 8, 9]]))
    learning = Learning.of(session_split(_with_later(visits), Moments(50, 60)), "toy", "toy")
    chain = Cooccurrence(MARKOV, "markov")
    chain.fit(learning)
    one, other = chain.score(Histories.of([[3, 1], [0, 1]]))
    np.testing.assert_array_equal(one, other)
    assert (one[2], one[4]) == (2, 1)
    assert one[0] < 0, "it came before, never after"
    last = Cooccurrence(LAST_ITEM, "last_item")
    last.fit(learning)
    np.testing.assert_array_equal(*last.score(Histories.of([[3, 1], [0, 1]])))


def _with_later(visits: Dataset) -> Dataset:
    """With a session for valid and one for test."""
    rows = visits.interactions
    people = len(visits.user_ids)
    return replace(
        visits,
        user_ids=(*visits.user_ids, "v", "w"),
        interactions=Interactions.of(
            [*rows.users, people, people, people + 1, people + 1],
            [*rows.items, 1, 2, 0, 1],
            [*rows.order, 51, 52, 61, 62],
        ),
    )


CATEGORIES = Categories(("lamps", "tents"), np.array([0, 0, 1, 1, -1], dtype=np.int32))


def test_products_are_pooled_into_categories() -> None:
    scores = np.array([[0.5, -np.inf, 0.4, 0.3, 9.0]], dtype=np.float32)
    np.testing.assert_allclose(pooled(scores, CATEGORIES, "best"), [[0.5, 0.4]])
    np.testing.assert_allclose(pooled(scores, CATEGORIES, "sum"), [[0.5, 0.7]])
    powers = np.exp(np.array([0.5, 0.4, 0.3]) - 9)
    np.testing.assert_allclose(pooled(scores, CATEGORIES, "softmax"), [[powers[0], powers[1:].sum()]], rtol=1e-5)
    np.testing.assert_allclose(pooled(scores, CATEGORIES, "ranks"), [[1 / 12, 1 / 13 + 1 / 14]], rtol=1e-6)


def test_staying_in_the_category_is_a_system_and_a_slice() -> None:
    visits, made = split()
    learning = Learning.of(made, "toy", "toy")
    popular = Popular()
    popular.fit(learning)
    found = evaluate(visits, made, [popular], learning, made.test)
    assert found.cases == tuple(visits.user_ids[user] for user in made.test.users[made.test.targets.items != 5])
    assert found.systems["same_category"].values["recall@1"].tolist() == [1.0, 1.0]
    assert set(found.systems) == {"same_category", "category_markov", "popular"}
    assert [each.name for each in found.slices] == ["category", "history length"]


def test_a_real_size_set_by_share() -> None:
    rng = np.random.default_rng(0)
    times = [np.sort(rng.integers(0, 100_000, size=20)).tolist() for _ in range(50)]
    visits = by_session(dataset_of([rng.integers(10, size=20).tolist() for _ in range(50)], times))
    made = session_split(visits, by_share(visits))
    check_split(made, visits)
    assert made.train.order.max() < made.valid.histories.order.max()
    assert len(made.valid) > 20


class Lists:
    """A service that lists everything in order of number, the product at hand too."""

    name = "lists"

    def fit(self, learning: Learning) -> None:
        return None

    def rank(self, histories: Histories, k: int) -> Codes:
        return np.tile(np.arange(k, dtype=np.int32), (len(histories), 1))


def test_the_product_at_hand_is_left_out_of_given_lists_too() -> None:
    ranked = asking.rank(Lists(), Histories.of([[2, 1], [], [5, 4]]), 6, 3, repeats="earlier")
    assert ranked.tolist() == [[0, 2, 3], [0, 1, 2], [0, 1, 2]]
