"""Counts worked by hand on a tiny log, and what must hold between fitting, updating, saving and loading."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.models import behaviour
from retrieval.models.behaviour import BACKWARD, NEIGHBOURS, STEP_DECAY, WINDOW, BehaviourCounts
from tasteline.types import Event
from tests.unit.retrieval.small_shop import event

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def log(*events: Event) -> list[tuple[int, Event]]:
    return list(enumerate(events, start=1))


def walk(user: str, *product_ids: str, kind: str = "view_item") -> list[Event]:
    return [event(user, product_id, kind, position=step) for step, product_id in enumerate(product_ids)]


def fit(*events: Event) -> BehaviourCounts:
    return BehaviourCounts.fit(log(*events))


def test_nothing_counted_gives_nothing() -> None:
    for counts in (BehaviourCounts(), fit(), fit(event(None, "a"), event("u", None, "search", query="a"))):
        assert list(counts.most_popular()) == []
        assert counts.followers("a") == {}
        assert counts.popularity(["a"]).tolist() == [0.0]
        assert counts.repeat_share == 0.0


def test_followers_by_hand() -> None:
    counts = fit(*walk("u", "a", "b", "c"), *walk("v", "a", "b"))
    forward = {"b": 2.0, "c": STEP_DECAY}
    assert counts.followers("a") == pytest.approx({to: n / (2 + STEP_DECAY) for to, n in forward.items()})
    assert counts.followers("b") == pytest.approx({"c": 1 / (1 + 2 * BACKWARD), "a": 2 * BACKWARD / (1 + 2 * BACKWARD)})


def test_what_follows_weighs_more_than_what_came_before() -> None:
    counts = fit(*walk("u", "a", "b", "c"))
    assert counts.followers("b")["c"] > counts.followers("b")["a"]


def test_a_step_further_counts_less_and_beyond_the_window_nothing() -> None:
    path = [f"p{i}" for i in range(WINDOW + 2)]
    followers = fit(*walk("u", *path)).followers("p0")
    assert list(followers) == sorted(followers, key=lambda p: -followers[p])
    assert set(followers) == set(path[1 : WINDOW + 1])


def test_one_product_in_a_row_is_one_step_and_follows_nothing_itself() -> None:
    once = fit(*walk("u", "a", "b"))
    thrice = fit(event("u", "a", position=0), event("u", "a", "add_to_cart", position=1), event("u", "b", position=2))
    assert thrice.followers("a") == once.followers("a") == {"b": 1.0}
    assert "a" not in fit(*walk("u", "a", "b", "a")).followers("a")


def test_people_do_not_run_into_each_other() -> None:
    counts = fit(event("u", "a", position=0), event("v", "b", position=1))
    assert counts.followers("a") == {}


def test_a_session_without_a_person_counts_as_one() -> None:
    counts = fit(event(None, "a", session_id="s", position=0), event(None, "b", session_id="s", position=1))
    assert counts.followers("a") == {"b": 1.0}


def test_time_orders_before_arrival_and_positions_may_start_at_nought() -> None:
    late_first = fit(event("u", "b", time=NOW), event("u", "a", time=NOW - timedelta(hours=1)), *walk("u"))
    assert late_first.followers("a") == {"b": 1.0}
    filler = [event("x", None, "search", query="q") for _ in range(9)]
    positions = fit(*filler, event("u", "a", position=0), event("u", "b", position=1), event("u", "c", position=2))
    assert positions.followers("a")["b"] > positions.followers("a")["c"]
    assert positions.followers("c") == pytest.approx({"b": 1 / 1.8, "a": 0.8 / 1.8})


def test_popularity_weighs_what_was_done_and_fades_with_time() -> None:
    counts = fit(
        event("u", "old", "purchase", time=NOW - timedelta(days=60)),
        event("u", "new", "view_item", time=NOW),
        event("v", "cart", "add_to_cart", time=NOW),
        event("v", "shown", "view_item_list", time=NOW),
    )
    assert counts.popularity(["old", "new", "cart", "shown", "none"]).tolist() == pytest.approx([1.5, 1, 2, 0, 0])
    assert list(counts.most_popular()) == ["cart", "old", "new"]


def test_without_a_clock_nothing_fades() -> None:
    counts = fit(*walk("u", "a", "b", "a"))
    assert counts.popularity(["a", "b"]).tolist() == [2, 1]
    mixed = fit(event("u", "timeless"), event("u", "timed", time=NOW))
    assert mixed.popularity(["timeless", "timed"]).tolist() == [1, 1]


def test_repeat_share_counts_purchases_of_the_same_by_the_same() -> None:
    counts = fit(
        *walk("u", "milk", "milk", "tent", kind="purchase"), *walk("v", "milk", kind="purchase"), *walk("v", "tent")
    )
    assert counts.repeat_share == pytest.approx(1 / 4)


def test_neighbours_are_bounded_to_the_strongest() -> None:
    events = []
    for i in range(NEIGHBOURS + 50):
        events += walk(f"u{i}", "hub", f"n{i}")
    for i in range(50):
        events += walk(f"again{i}", "hub", f"n{i}")
    followers = fit(*events).followers("hub")
    assert len(followers) <= NEIGHBOURS + 50  # ties at the edge stay
    assert max(followers, key=followers.__getitem__) in {f"n{i}" for i in range(50)}
    assert sum(followers.values()) == pytest.approx(1.0)


def test_an_update_moves_the_next_answer() -> None:
    counts = fit(*walk("u", "a", "b"))
    assert counts.update([(7, event("v", "a")), (8, event("v", "fresh")), (9, event("v", None, "search"))]) == 3
    assert counts.sequence == 9
    assert counts.followers("a") == {"b": 0.5, "fresh": 0.5}
    assert counts.popularity(["fresh"]).tolist() == [1.0]
    assert "fresh" in list(counts.most_popular())


def test_newer_events_are_worth_more_than_what_was_fitted() -> None:
    counts = fit(event("u", "a", time=NOW))
    counts.update([(2, event("u", "b", time=NOW + timedelta(days=60)))])
    assert counts.popularity(["a", "b"]).tolist() == pytest.approx([1, 2])


def test_many_new_products_fit_in() -> None:
    counts = fit(*walk("u", "a"))
    counts.update(log(*walk("v", *[f"p{i}" for i in range(1_000)])))
    assert counts.popularity([f"p{i}" for i in range(1_000)]).sum() == 1_000


steps = st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abcde")), max_size=30)


@settings(max_examples=50)
@given(steps, steps)
def test_updating_from_nothing_counts_as_fitting_does(
    first: Sequence[tuple[str, str]], later: Sequence[tuple[str, str]]
) -> None:
    """Where nobody's walk spans both parts; a walk that does loses only the pairs across the seam."""
    before = [event(f"{user}1", product_id) for user, product_id in first]
    after = [event(f"{user}2", product_id) for user, product_id in later]
    topped_up = fit(*before)
    topped_up.update(list(enumerate(after, start=len(before) + 1)))
    anew = fit(*before, *after)
    for product_id in "abcde":
        assert topped_up.followers(product_id) == pytest.approx(anew.followers(product_id), rel=1e-5)
    assert topped_up.popularity(list("abcde")) == pytest.approx(anew.popularity(list("abcde")))


@pytest.mark.parametrize("sorted_anew", [0, 2, 1_000])
def test_the_most_popular_stay_in_order_while_events_come(sorted_anew: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behaviour, "SORTED_ANEW", sorted_anew)
    rng = np.random.default_rng(0)
    counts = fit(*(event("u", f"p{item}") for item in rng.integers(0, 40, 60)))
    for sequence in range(100, 140):
        counts.update([(sequence, event("v", f"p{rng.integers(50)}"))])
        ids = counts._ids
        worth = dict(zip(ids, counts.popularity(ids), strict=True))
        assert list(counts.most_popular()) == sorted(ids, key=lambda each: (-worth[each], ids.index(each)))
    assert counts.popularity(["none", "p1"])[0] == 0


def test_saved_and_loaded_answers_alike(tmp_path: Path) -> None:
    counts = BehaviourCounts.fit(log(*walk("u", "a", "b", "a", kind="purchase"), *walk("ü", "b", "ç")), erasures=3)
    counts.save(tmp_path / "models" / "counts.npz")
    loaded = BehaviourCounts.load(tmp_path / "models" / "counts.npz")
    assert (loaded.sequence, loaded.erasures, loaded.repeat_share) == (5, 3, counts.repeat_share)
    assert list(loaded.most_popular()) == list(counts.most_popular())
    for product_id in ("a", "b", "ç", "none"):
        assert loaded.followers(product_id) == counts.followers(product_id)
    loaded.update([(6, event("x", "a")), (7, event("x", "new"))])
    assert loaded.followers("a")["new"] > 0


def test_an_empty_shop_is_saved_and_loaded(tmp_path: Path) -> None:
    fit().save(tmp_path / "c.npz")
    assert list(BehaviourCounts.load(tmp_path / "c.npz").most_popular()) == []


def test_counts_with_updates_are_not_saved(tmp_path: Path) -> None:
    counts = fit(*walk("u", "a", "b"))
    counts.update(log(*walk("v", "b", "a")))
    with pytest.raises(ValueError, match="fitted"):
        counts.save(tmp_path / "c.npz")


@pytest.mark.parametrize("keep", [0, 10, 200, 0.5, 0.99])
def test_a_damaged_file_is_a_value_error(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "c.npz"
    fit(*walk("u", "a", "b")).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep if keep > 1 else keep * len(whole))])
    with pytest.raises((ValueError, KeyError)):
        BehaviourCounts.load(path)


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    fit(*walk("u", "a", "b")).save(path)
    whole = bytearray(path.read_bytes())
    place = bytes(whole).index(np.float64(1.0).tobytes())
    whole[place] ^= 0xFF
    path.write_bytes(bytes(whole))
    with pytest.raises(ValueError, match="damaged"):
        BehaviourCounts.load(path)
