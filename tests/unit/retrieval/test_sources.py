"""Each way to propose products: what comes first, because of what, and never what is not allowed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.live import Indexes
from retrieval.models import sources
from retrieval.models.behaviour import BehaviourCounts
from retrieval.models.sources import (
    CooccurrenceSource,
    HabitSource,
    LikenessSource,
    NewSource,
    PopularSource,
    RatedSource,
)
from tasteline.ports import CandidateSource, Need
from tasteline.types import Mask, Product
from tests.unit.retrieval.small_shop import SmallShop, event, product

PRODUCTS = [
    product("tent", "Family Tent Green", "Tents", rating=4.0),
    product("tent2", "Family Tent Blue", "Tents", rating=4.9),
    product("bag", "Down Sleeping Bag", "Bags"),
    product("stove", "Camping Gas Stove", "Stoves", rating=4.5),
    product("kettle", "Enamel Kettle", "Kettles", rating=3.0),
]
ROWS = {p.id: row for row, p in enumerate(PRODUCTS)}
EVENTS = [
    *[event(f"u{i}", p, position=step) for i in range(3) for step, p in enumerate(("tent", "stove", "gone"))],
    event("v", "tent", position=0),
    event("v", "kettle", position=1),
]
SHOP = SmallShop(PRODUCTS, EVENTS)


def indexes() -> Indexes:
    return SHOP.live.present


def counts() -> BehaviourCounts:
    return SHOP.counts


def need(**weights: float) -> Need:
    """`tent=0.5`: recent and lasting alike, the most recent last."""
    rows = np.array([ROWS[product_id] for product_id in weights], dtype=np.int64)
    shares = np.array(list(weights.values()), dtype=np.float32)
    return Need(rows, shares, rows, shares, np.zeros(0, dtype=np.int64))


def anchored(*product_ids: str) -> Need:
    none, no_weight = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    return Need(none, no_weight, none, no_weight, np.array([ROWS[p] for p in product_ids], dtype=np.int64))


def allowed(*without: str) -> Mask:
    mask = np.ones(len(PRODUCTS), dtype=np.bool_)
    mask[[ROWS[product_id] for product_id in without]] = False
    return mask


def proposed(source: CandidateSource, of: Need, mask: Mask | None = None, k: int = 10) -> dict[str, str | None]:
    rows, scores, because = source.propose(of, k, allowed() if mask is None else mask)
    assert len(rows) == len(scores) == len(because) <= k
    assert list(scores) == sorted(scores, reverse=True)
    names = {row: product_id for product_id, row in ROWS.items()}
    return {names[int(row)]: names.get(int(why)) for row, why in zip(rows, because, strict=True)}


def test_what_others_turned_to_next_and_after_what() -> None:
    source = CooccurrenceSource(counts, indexes)
    assert proposed(source, anchored("tent")) == {"stove": "tent", "kettle": "tent"}
    assert proposed(source, need(kettle=0.1, tent=0.9))["stove"] == "tent"
    assert proposed(source, anchored("bag")) == {}
    assert proposed(source, anchored("tent"), allowed("stove")) == {"kettle": "tent"}


def test_alike_in_words_nearest_first() -> None:
    source = LikenessSource(indexes)
    assert next(iter(proposed(source, anchored("tent")).items())) == ("tent2", "tent")
    assert "tent" not in proposed(source, anchored("tent"))
    assert proposed(source, need()) == {}
    assert "tent2" not in proposed(source, anchored("tent"), allowed("tent2"))


def test_popular_first_and_only_what_exists_and_was_touched() -> None:
    assert list(proposed(PopularSource(counts, indexes), need())) == ["tent", "stove", "kettle"]
    assert list(proposed(PopularSource(BehaviourCounts, indexes), need())) == []
    assert list(proposed(PopularSource(counts, indexes), need(), allowed("tent"), k=1)) == ["stove"]


def test_best_rated_first_and_nothing_unrated() -> None:
    assert list(proposed(RatedSource(indexes), need())) == ["tent2", "stove", "tent", "kettle"]
    assert list(proposed(RatedSource(indexes), need(), allowed("tent2"), k=1)) == ["stove"]


@pytest.mark.parametrize("lots", [False, True])
def test_the_popular_and_the_rated_are_those_of_a_sort_of_everything(
    lots: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was kept from the request before: products come and go, events come, masks let few or most pass."""
    monkeypatch.setattr(sources, "LEADING", 1_000 if lots else 5)
    monkeypatch.setattr(sources, "SORTED_ANEW", 1_000 if lots else 3)
    rng = np.random.default_rng(0)

    def some(first: int, last: int) -> list[Product]:
        return [product(f"q{i}", f"Thing {i}", rating=rng.choice([None, 3.0, 4.0, 5.0])) for i in range(first, last)]

    shop = SmallShop(some(0, 20), [event("u", f"q{item}") for item in rng.integers(0, 30, 60)])
    popular = PopularSource(lambda: shop.counts, lambda: shop.live.present)
    rated = RatedSource(lambda: shop.live.present)
    for step in range(12):
        catalogue = shop.live.present.catalogue
        mask = catalogue.alive & (rng.random(len(catalogue)) < (0.2 if step % 3 == 0 else 0.9))
        rows = [int(row) for row in np.flatnonzero(mask)]
        worth = dict(zip(rows, shop.counts.popularity([catalogue.product(row).id for row in rows]), strict=True))
        by_worth = sorted((row for row in rows if worth[row] > 0), key=lambda row: (-worth[row], row))
        stars = {row: float(catalogue.ratings[row]) for row in rows if not np.isnan(catalogue.ratings[row])}
        found, scores, because = popular.propose(need(), 40, mask)
        assert found.tolist() == by_worth
        np.testing.assert_allclose(scores, [worth[row] for row in by_worth], rtol=1e-6)
        assert (because == -1).all()
        best = sorted(stars, key=lambda row: (-stars[row], row))[:6]
        assert rated.propose(need(), 6, mask)[0].tolist() == best
        np.testing.assert_allclose(rated.propose(need(), 6, mask)[1], 1 / np.arange(1, len(best) + 1), rtol=1e-6)
        shop.put(*some(20 + step, 21 + step), *some(step, step + 1))
        shop.delete(f"q{step + 3}")
        shop.counts.update([(1_000 + step, event("v", f"q{rng.integers(30)}"))])


def test_habit_is_the_persons_own() -> None:
    assert proposed(HabitSource(), need(tent=0.2, kettle=0.8)) == {"kettle": "kettle", "tent": "tent"}
    assert proposed(HabitSource(), need(tent=0.2, kettle=0.8), allowed("kettle")) == {"tent": "tent"}


def test_new_is_what_came_last_and_nobody_touched() -> None:
    assert list(proposed(NewSource(counts, indexes), need())) == ["bag", "tent2"]
    assert list(proposed(NewSource(BehaviourCounts, indexes), need(), k=2)) == ["kettle", "stove"]


ALL = [
    CooccurrenceSource(counts, indexes),
    LikenessSource(indexes),
    PopularSource(counts, indexes),
    RatedSource(indexes),
    HabitSource(),
    NewSource(counts, indexes),
]


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.name)
@settings(max_examples=25)
@given(
    st.dictionaries(st.sampled_from(list(ROWS)), st.floats(0.0625, 1, width=32)),
    st.lists(st.booleans(), min_size=len(ROWS), max_size=len(ROWS)),
    st.integers(0, 6),
)
def test_never_what_is_not_allowed_nor_more_than_asked(
    source: CandidateSource, weights: dict[str, float], flags: list[bool], k: int
) -> None:
    rows, scores, because = source.propose(need(**weights), k, np.array(flags))
    assert len(rows) == len(scores) == len(because) <= k
    assert all(flags[row] for row in rows)
    assert len(set(rows.tolist())) == len(rows)
    assert (scores >= 0).all()
    assert set(because.tolist()) <= {-1, *(ROWS[p] for p in weights)}


@pytest.mark.parametrize("source_type", [CooccurrenceSource, PopularSource, NewSource])
def test_an_empty_catalogue(source_type: type) -> None:
    empty = SmallShop()
    source = source_type(BehaviourCounts, lambda: empty.live.present)
    assert len(source.propose(need(), 5, np.zeros(0, dtype=np.bool_))[0]) == 0
