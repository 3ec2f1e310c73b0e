"""Words as a source of candidates: they add to what was done and narrow nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.models.sources import Wishes
from retrieval.recommend import RecommendationQuery, Recommender
from tasteline.errors import EngineFailed
from tasteline.ports import Need
from tasteline.types import Vectors
from tests.unit.retrieval.small_shop import DIMENSION, SmallShop, event, numbered, product

SHOP = SmallShop(
    [
        product("tent", "Dome Tent", "Camping"),
        product("tarp", "Tent Tarp", "Camping"),
        product("teapot", "Steel Teapot", "Kitchen"),
        product("cups", "Steel Cups", "Kitchen"),
        product("lamp", "Desk Lamp", "Office"),
    ],
    [event("anna", "tent", id="e1"), event("ben", "lamp"), event("ben", "lamp"), event("cara", "lamp")],
)
NOWHERE = Need(*([np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)] * 2), np.zeros(0, dtype=np.int64))  # type: ignore[arg-type]


class DeadEmbedder(HashingEmbedder):
    def encode(self, texts: Sequence[str], kind: Literal["query", "document"]) -> Vectors:
        raise EngineFailed("no answer")


def wishes(embedder: HashingEmbedder | None = None) -> Wishes:
    return Wishes(lambda: replace(SHOP.live.present, embedder=embedder) if embedder else SHOP.live.present)


def recommend(heard: bool = True, **fields: object) -> list[str]:
    ids = numbered()
    recommender = Recommender(
        SHOP.live,
        SHOP.store,
        SHOP.recommender._sources,
        SHOP.searcher,
        lambda: 0.0,
        lambda: next(ids),
        **({"wishes": wishes()} if heard else {}),
    )
    ranking = recommender.recommend(RecommendationQuery(**fields))  # type: ignore[arg-type]
    return [item.product.id for item in ranking.items]


def test_it_proposes_what_the_words_mean_best_first_within_what_is_allowed() -> None:
    source = wishes()("steel teapot")
    assert source is not None
    allowed = np.ones(5, dtype=np.bool_)
    rows, scores, because = source.propose(NOWHERE, 5, allowed)
    assert rows.tolist()[0] == 2
    assert np.all(np.diff(scores) <= 0)
    assert np.all(scores > 0)
    assert set(because.tolist()) <= {-1}
    allowed[2] = False
    assert 2 not in source.propose(NOWHERE, 5, allowed)[0].tolist()


def test_blank_words_and_a_dead_embedder_propose_nothing() -> None:
    assert wishes()("  ") is None
    assert wishes(DeadEmbedder(DIMENSION))("teapot") is None


def test_a_wish_adds_to_what_was_done_and_narrows_nothing() -> None:
    without, told = recommend(user_id="anna"), recommend(user_id="anna", wish="steel teapot")
    assert without[0] == "tarp"
    assert "teapot" in told
    assert set(told) >= set(without)
    assert set(recommend(user_id="anna", query="steel teapot")) < set(told)


def test_a_page_or_cart_does_not_hear_it_and_a_recommender_without_wishes_never() -> None:
    page = {"context": "product", "product_id": "tent"}
    assert recommend(**page) == recommend(**page, wish="steel teapot")
    assert recommend(heard=False, user_id="anna", wish="steel teapot") == recommend(user_id="anna")


def test_it_gives_its_reason() -> None:
    recommender = SHOP.recommender
    recommender._wishes = wishes()
    ranking = recommender.recommend(RecommendationQuery(user_id="anna", wish="steel teapot", limit=5))
    [reason] = next(item.reasons for item in ranking.items if item.product.id == "teapot")
    assert (reason.kind, reason.text) == ("meaning", "Close in meaning to what you look for")
    assert reason.evidence == ("teapot",)
