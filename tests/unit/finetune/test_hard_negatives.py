"""Negatives look like the answer and are none: what may be one is passed over, and says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from finetune.catalogue_queries import Made, catalogue_queries
from finetune.examples import Question
from finetune.hard_negatives import Mined, Mining, mine
from finetune.splitting import product_part
from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.live import Indexes
from retrieval.text import product_text
from tests.unit.finetune.small_catalogue import catalogue
from tests.unit.retrieval.small_shop import DIMENSION, SmallShop, product

EMBEDDER = HashingEmbedder(DIMENSION)
PRODUCTS = catalogue()
OPEN = Mining(share=2.0, alike=2.0)
"""Only known answers are passed over."""


@pytest.fixture(scope="module")
def indexes() -> Indexes:
    return SmallShop(PRODUCTS).live.present


@pytest.fixture(scope="module")
def made() -> Made:
    return catalogue_queries(PRODUCTS, each=2, seed=0)


@pytest.fixture(scope="module")
def mined(indexes: Indexes, made: Made) -> Mined:
    return mine(made.questions, made.answers, indexes, EMBEDDER, Mining(seed=3))


def test_questions_keep_their_order_and_their_rest(mined: Mined, made: Made) -> None:
    assert [replace(row, negatives=()) for row in mined.questions] == list(made.questions)
    assert max(len(row.negatives) for row in mined.questions) == Mining().each


def test_no_negative_is_an_answer_or_twice_there(mined: Mined, made: Made) -> None:
    for row in mined.questions:
        assert not set(row.negatives) & made.answers[row.query]
        assert row.positive not in row.negatives
        assert len(set(row.negatives)) == len(row.negatives)


def test_what_carries_every_word_is_taken_for_an_answer_though_nobody_said_so(indexes: Indexes) -> None:
    row = Question(query="copper grinder", positive="p3", origin="written")
    copper = {each.id for each in PRODUCTS if "copper" in each.description and "grinder" in each.title}
    mined = mine([row], {}, indexes, EMBEDDER, replace(OPEN, each=40, pool=50))
    negatives = set(mined.questions[0].negatives)
    assert negatives
    assert not negatives & copper
    assert mined.passed_over["answers"] > 0


def test_negatives_are_nearer_than_chance_and_further_than_the_positive(mined: Mined) -> None:
    texts = {each.id: product_text(each) for each in PRODUCTS}
    vectors = dict(zip(texts, EMBEDDER.encode(list(texts.values()), "document"), strict=True))
    for row in [row for row in mined.questions if row.negatives][:60]:
        query = EMBEDDER.encode([row.query], "query")[0]
        near = [float(query @ vectors[each]) for each in row.negatives]
        assert near == sorted(near, reverse=True)
        assert near[0] <= 0.95 * float(query @ vectors[row.positive]) + 1e-5
        assert max(float(vectors[row.positive] @ vectors[each]) for each in row.negatives) <= 0.9 + 1e-5
    drawn = [row for row in mined.questions if row.origin == "brand_kind" and row.negatives]
    near = [EMBEDDER.encode([row.query], "query")[0] @ vectors[each] for row in drawn for each in row.negatives]
    all_near = [EMBEDDER.encode([row.query], "query")[0] @ np.stack(list(vectors.values())).T for row in drawn]
    assert np.mean(near) > np.mean(all_near)


def test_a_second_listing_of_the_positive_is_none() -> None:
    shop = SmallShop(
        [
            product("p1", "Aurora steel kettle with thermometer"),
            product("p2", "Aurora steel kettle with a thermometer"),
            product("p3", "Copper kettle for the camp fire"),
        ]
    )
    row = Question(query="aurora kettle thermal", positive="p1", origin="fragment")
    careful = mine([row], {}, shop.live.present, EMBEDDER, Mining(share=2.0, alike=0.8))
    assert careful.questions[0].negatives == ("p3",)
    assert careful.passed_over["like the positive"] == 2  # by meaning and by words
    assert set(mine([row], {}, shop.live.present, EMBEDDER, OPEN).questions[0].negatives) == {"p2", "p3"}


def test_only_usable_products_become_negatives(indexes: Indexes, made: Made) -> None:
    mined = mine(made.questions, made.answers, indexes, EMBEDDER, OPEN, lambda each: product_part(each) == "train")
    assert {product_part(each) for row in mined.questions for each in row.negatives} == {"train"}


def test_the_same_seed_draws_the_same(indexes: Indexes, made: Made, mined: Mined) -> None:
    assert mine(made.questions, made.answers, indexes, EMBEDDER, Mining(seed=3)) == mined
    assert mine(made.questions, made.answers, indexes, EMBEDDER, Mining(seed=4)) != mined


def test_what_is_gone_has_no_negatives_and_harms_nobody(indexes: Indexes) -> None:
    rows = [Question(query="lamp", positive=each, origin="written") for each in ("gone", "p1")]
    mined = mine(rows, {}, indexes, EMBEDDER, OPEN)
    assert mined.questions[0] == rows[0]
    assert mined.questions[1].negatives
    assert mine(rows[:1], {}, indexes, EMBEDDER, OPEN).questions == (rows[0],)
    assert mine([], {}, indexes, EMBEDDER, OPEN).questions == ()
