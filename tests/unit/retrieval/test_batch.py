"""Everybody's recommendations: the lists of single requests, and nobody forgotten."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval import batch
from retrieval.batch import Everybody, ForOne, recommend_everybody
from retrieval.models.ranker_files import StoredRanker
from retrieval.models.sequences import KINDS, Sequences
from tasteline.types import EventType
from tests.unit.retrieval.models.test_learned import PRODUCTS, LearnedShop, stored
from tests.unit.retrieval.small_shop import event

__all__ = ["stored"]  # the fixture of a trained ranker
RNG = np.random.default_rng(0)
best = batch._best
WALKS = {f"u{n}": [f"p{item}" for item in (RNG.integers(30) + np.arange(RNG.integers(1, 8))) % 30] for n in range(20)}


def walked() -> LearnedShop:
    walks = [
        event(user, product_id, ("view_item", "purchase")[step % 2], position=step)
        for user, walk in WALKS.items()
        for step, product_id in reversed(list(enumerate(walk)))
    ]
    return LearnedShop(PRODUCTS, [*walks, event("searcher", None, "search"), event("late", "gone")])


@pytest.fixture
def shop(stored: StoredRanker) -> LearnedShop:
    made = walked()
    made.rank_by(lambda: stored)
    return made


def everybody(shop: LearnedShop, limit: int = 5) -> dict[str, ForOne]:
    return {each.user_id: each for each in recommend_everybody(shop.live, shop.store, shop.recommender, limit)}


@pytest.mark.parametrize("at_once", [3, 512])
def test_everybody_gets_what_they_would_get_alone(
    shop: LearnedShop, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "AT_ONCE", at_once)
    found = everybody(shop)
    assert set(found) == {*WALKS, "searcher", "late"}
    for user, each in found.items():
        alone = shop.ids(user_id=user, limit=5)
        assert each.product_ids[:2] == tuple(alone[:2])
        assert len(set(each.product_ids) & set(alone)) >= 4
        assert not set(each.product_ids) & set(WALKS.get(user, ()))
        assert list(each.scores) == sorted(each.scores, reverse=True)


def test_where_people_buy_again_nothing_is_left_out_and_within_nothing_the_same_again(shop: LearnedShop) -> None:
    shop.delete(*(f"p{n}" for n in range(30) if f"p{n}" not in WALKS["u0"]))
    assert set(everybody(shop)["u0"].product_ids) <= set(WALKS["u0"])


def test_without_a_ranker_everybody_is_asked_for_alone() -> None:
    shop = walked()
    found = everybody(shop)
    assert all(each.product_ids == tuple(shop.ids(user_id=user, limit=5)) for user, each in found.items())


def test_histories_are_those_of_the_store(shop: LearnedShop) -> None:
    shop.store.append_events([event("u3", f"p{n % 30}", "view_item", position=100 + n) for n in range(1100)])
    everybody = Everybody.of(shop.store)
    with shop.live.read() as indexes:
        histories = everybody.take(slice(None), indexes)
        for place, user_id in enumerate(everybody.user_ids):
            of_user = slice(histories.starts[place], histories.starts[place + 1])
            done = [each for each in shop.store.history(user_id) if each.type in KINDS and each.product_id != "gone"]
            assert histories.items[of_user].tolist() == [indexes.catalogue.row(str(each.product_id)) for each in done]
            assert histories.kinds[of_user].tolist() == [KINDS[each.type] for each in done]
    assert histories.lengths[list(everybody.user_ids).index("u3")] == 1000


def test_what_was_bought_and_the_last_that_were_touched_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "JUST_TOUCHED", 2)
    viewed, bought = KINDS[EventType.VIEW_ITEM], KINDS[EventType.PURCHASE]
    walks = Sequences.of([[1, 2, 3, 2, 3, 3], [], [5, 6, 7, 5], [9]])
    kinds = np.array([bought, *[viewed] * 10], dtype=np.int8)
    had = batch._had(Sequences(walks.starts, walks.items, kinds, walks.moments))
    assert [set(had.items[first:last].tolist()) for first, last in zip(had.starts, had.starts[1:], strict=False)] == [
        {1, 2, 3}, set(), {7, 5}, {9}
    ]  # fmt: skip


def test_it_says_how_far_it_is(shop: LearnedShop) -> None:
    told: list[tuple[int, int]] = []
    list(recommend_everybody(shop.live, shop.store, shop.recommender, 3, lambda *at: told.append(at)))
    assert told == [(22, 22)]


def test_the_short_way_gives_what_the_fusion_would(shop: LearnedShop, monkeypatch: pytest.MonkeyPatch) -> None:
    fused = []
    monkeypatch.setattr(batch, "_best", lambda *given: fused.append(given) or best(*given))
    short = everybody(shop)
    assert len(fused) < len(WALKS), "some went the short way"
    monkeypatch.setattr(batch, "LEARNED_WEIGHTS", {"home": {"learned": 1.0, "popular": 1e-7, "rated": 1e-8, "no": 2.0}})
    fused.clear()
    for user, each in everybody(shop).items():
        assert each.product_ids == short[user].product_ids
        np.testing.assert_allclose(each.scores, short[user].scores, atol=2e-7)
    assert len(fused) == len(WALKS)
