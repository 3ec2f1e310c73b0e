"""The top of a search re-ordered by a cross-encoder: only the top, in time, and never at the cost of an answer."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.reranking import Reranking, rescored
from retrieval.search import Searcher, SearchQuery
from tasteline.errors import DeadlineExceeded, EngineFailed
from tasteline.ports import Reranker
from tasteline.trials import Trial
from tasteline.types import Ranking, Scores
from tests.unit.retrieval.small_shop import SmallShop, product

LAMPS = [product(f"lamp-{i}", f"Brass Lamp {i}", "Home", "Lamps", price=1_000 + i) for i in range(8)]
SHOP = SmallShop(LAMPS)


class ByNumber:
    """Likes what has a high number in its title; says what it was asked and for how long."""

    name = "fake/by-number"

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[Sequence[str], Sequence[str]]] = []
        self.timeouts: list[float | None] = []
        self.error = error

    def score(self, queries: Sequence[str], documents: Sequence[str], *, timeout: float | None = None) -> Scores:
        self.asked.append((queries, documents))
        self.timeouts.append(timeout)
        if self.error:
            raise self.error
        return np.array([float(text.split("Lamp ")[1][0]) for text in documents], dtype=np.float32)


def searcher(reranker: Reranker | None, depth: int = 5, seconds: float = 10.0, weight: float = 1.0) -> Searcher:
    made = SmallShop(LAMPS).searcher
    made._reranking = Reranking(lambda: reranker, depth, seconds, weight)
    return made


def ids(ranking: Ranking) -> list[str]:
    return [item.product.id for item in ranking.items]


def plain(query: SearchQuery) -> Ranking:
    return SHOP.searcher.search([query])[0]


BRASS = SearchQuery("brass lamp", limit=8)


def test_only_the_top_moves_and_scores_still_fall() -> None:
    before, after = plain(BRASS), searcher(ByNumber()).search([BRASS])[0]
    assert ids(after) == [*sorted(ids(before)[:5], reverse=True), *ids(before)[5:]] != ids(before)
    scores = [item.score for item in after.items]
    assert scores == sorted(scores, reverse=True)
    assert [item.reasons for item in after.items] == [item.reasons for item in after.items]
    assert (after.total, after.degraded, after.understood) == (before.total, (), before.understood)


def test_more_is_read_than_is_shown() -> None:
    reranker = ByNumber()
    shown = searcher(reranker).search([replace(BRASS, limit=2)])[0]
    assert len(reranker.asked[0][1]) == 5
    assert ids(shown) == sorted(ids(plain(BRASS))[:5], reverse=True)[:2]


def test_what_is_read_is_the_request_and_the_text_that_is_embedded() -> None:
    reranker = ByNumber()
    searcher(reranker).search([SearchQuery("brass lamp under $9,000")])
    queries, documents = reranker.asked[0]
    assert queries == ["brass lamp"] * 5
    assert all(re.fullmatch(r"Brass Lamp \d\. Home, Lamps", text) for text in documents)


@pytest.mark.parametrize("depth", [0, 5])
@pytest.mark.parametrize(
    "query", [BRASS, SearchQuery("lamp under $10.04", limit=3), SearchQuery("zzzz"), SearchQuery("")]
)
def test_with_none_live_nothing_changes(query: SearchQuery, depth: int) -> None:
    without = searcher(None, depth).search([query])[0]
    assert repr(replace(without, id="")) == repr(replace(plain(query), id=""))


@pytest.mark.parametrize(
    "query", [SearchQuery("lamp, cheapest first", limit=8), SearchQuery("under $10.04"), SearchQuery("zzzz")]
)
def test_a_chosen_order_and_a_request_without_words_are_left_alone(query: SearchQuery) -> None:
    reranker = ByNumber()
    left = searcher(reranker).search([query])[0]
    assert ids(left) == ids(plain(query))
    assert reranker.asked == []


@pytest.mark.parametrize("error", [DeadlineExceeded("late"), EngineFailed("broken")])
def test_a_reranker_that_fails_is_named_and_the_list_stays(error: Exception) -> None:
    after = searcher(ByNumber(error)).search([BRASS])[0]
    assert ids(after) == ids(plain(BRASS))
    assert after.degraded == ("reranker",)


def test_what_is_left_of_a_request_bounds_it() -> None:
    reranker, now = ByNumber(), 100.0
    reranking = Reranking(lambda: reranker, 5, 2.0, clock=lambda: now)
    made = SmallShop(LAMPS).searcher
    made._reranking = reranking
    made.search([replace(BRASS, deadline=deadline) for deadline in (None, 101.5, 500.0, 90.0)])
    assert reranker.timeouts == [2.0, 1.5, 2.0, 0.0]


def test_the_live_one_may_go_at_any_moment() -> None:
    answers = [ByNumber(), None]
    made = SmallShop(LAMPS).searcher
    made._reranking = Reranking(lambda: answers.pop(0), 5, 2.0)
    assert ids(made.search([replace(BRASS, limit=3)])[0]) == ids(plain(BRASS))[:3]


numbers = st.floats(-50, 50, width=32)


@given(st.lists(st.tuples(st.floats(0, 1, width=32), numbers), min_size=1, max_size=12), st.floats(0, 1))
def test_scores_stay_in_their_range(pairs: list[tuple[float, float]], weight: float) -> None:
    first, judged = (np.array(side, dtype=np.float32) for side in zip(*pairs, strict=True))
    scores = rescored(first, judged, weight)
    assert scores.min() >= first.min() * (1 - 2e-6) - 1e-6
    assert scores.max() <= first.max() + 1e-6
    both = (first[:, None] > first) & (judged[:, None] > judged)
    assert (scores[:, None] >= scores)[both].all(), "better on both sides never falls behind"


def test_an_arm_of_an_experiment_has_its_own_reranker_and_says_so() -> None:
    trial = Trial("x", "B", "anna's")
    by_number, broken = ByNumber(), ByNumber(EngineFailed("gone"))
    made = SmallShop(LAMPS).searcher

    def found(user_id: str | None, other: Reranker) -> Ranking:
        trying = {"anna": (trial, other)}
        made._reranking = Reranking(lambda: by_number, 5, 10.0, 1.0, trying=lambda user: trying.get(user or ""))
        return made.search([replace(BRASS, user_id=user_id)])[0]

    assert found(None, broken).trial is None
    assert not by_number.error
    assert found("anna", by_number).trial == trial
    late = found("anna", broken)
    assert (late.trial, late.degraded) == (trial, ("reranker",))
    assert found("bo", broken).degraded == ()
