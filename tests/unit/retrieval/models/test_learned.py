"""The trained ranker in a shop: on the catalogue's rows, with products that came and went since the training."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch

from finetune.next_item import Corpus, FusionSettings, NetworkSettings, Recipe, item_vectors, train_ranker
from finetune.training import Schedule
from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.adapters.vectors_numpy import NumpyVectorIndex
from retrieval.models.item_features import Description, ItemFeatures, Vocabulary
from retrieval.models.learned import LearnedSource, steps_of
from retrieval.models.network import Shape
from retrieval.models.ranker_files import StoredRanker
from retrieval.models.sequences import Sequences
from retrieval.recommend import RecommendationQuery, Recommender
from retrieval.text import product_text
from tasteline.ports import Need
from tasteline.types import Filters, Price
from tests.unit.retrieval.small_shop import DIMENSION, SmallShop, event, product

KINDS = ("kettle", "tent", "scarf", "lamp", "drill", "novel")
PRODUCTS = [
    product(f"p{n}", f"{KINDS[n % 6]} number {n}", "Shop", KINDS[n % 6], price=100 * n + 100) for n in range(30)
]
"""People go from a kettle to a tent to a scarf …, always on to the next product."""


def walks(people: int = 600) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [((rng.integers(30) + np.arange(rng.integers(3, 7))) % 30).tolist() for _ in range(people)]


@pytest.fixture(scope="module")
def stored() -> StoredRanker:
    described = [Description.of(each, product_text(each)) for each in PRODUCTS]
    vocabulary = Vocabulary.of(described)
    texts = HashingEmbedder(DIMENSION).encode([each.text for each in described], "document")
    features = ItemFeatures(texts, vocabulary.codes(described))
    histories = Sequences.of(walks())
    corpus = Corpus(histories, features, vocabulary.sizes, Sequences.of([]), np.zeros(0, int))
    network = NetworkSettings(Shape("transformer", width=16, dropout=0.1, number_dropout=0.2), negatives=20, batch=32)
    schedule = Schedule(blind_epochs=20, learning_rate=5e-3, average=0.9)
    recipe = Recipe({"small": network}, schedule, fusion=FusionSettings(epochs=15, batch=16))
    trained = train_ranker(corpus, recipe, seed=0)
    return StoredRanker(
        item_ids=tuple(each.id for each in PRODUCTS),
        vocabulary=vocabulary,
        codes=features.codes,
        networks=trained.networks,
        vectors={name: item_vectors(each, corpus.touched) for name, each in trained.networks.items()},
        fusion=trained.fusion,
        following=trained.following,
        repeats=False,
        from_each=20,
        embedder="hashing/256",
    )


class LearnedShop(SmallShop):
    """A small shop that ranks by a trained ranker."""

    def rank_by(self, stored: Callable[[], StoredRanker | None]) -> LearnedSource:
        source = LearnedSource(stored, self._indexes, NumpyVectorIndex)
        ids = count()
        self.recommender = Recommender(
            self.live,
            self.store,
            [source, *self.recommender._sources],
            self.searcher,
            lambda: self.repeat_share,
            lambda: f"id-{next(ids)}",
            is_learned=source.ready,
        )
        return source

    def ids(self, **asked: object) -> list[str]:
        ranking = self.recommender.recommend(RecommendationQuery(**asked))  # type: ignore[arg-type]
        return [item.product.id for item in ranking.items]


@pytest.fixture
def shop(stored: StoredRanker) -> LearnedShop:
    made = LearnedShop([*reversed(PRODUCTS)], [event("ann", "p3"), event("ann", "p4"), event("ann", "p5")])
    made.rank_by(lambda: stored)
    return made


def test_the_home_page_shows_what_comes_next(shop: LearnedShop) -> None:
    assert shop.ids(user_id="ann", limit=3)[0] == "p6"


def test_the_very_next_answer_knows_a_new_step(shop: LearnedShop) -> None:
    shop.store.append_events([event("ann", "p20"), event("ann", "p21")])
    assert "p22" in shop.ids(user_id="ann", limit=2)


def test_a_session_without_a_person_goes_the_same_way(shop: LearnedShop) -> None:
    session = (event(None, "p10"), event(None, "p11"))
    assert shop.ids(session=session, limit=3)[0] == "p12"


def test_a_reason_names_a_product_that_was_touched(shop: LearnedShop) -> None:
    item = shop.recommender.recommend(RecommendationQuery(user_id="ann", limit=1)).items[0]
    (reason,) = item.reasons
    assert reason.kind == "history"
    assert any(f"number {n}" in reason.text for n in (3, 4, 5))
    assert set(reason.evidence) & {"p3", "p4", "p5"}


def test_a_product_page_gets_what_goes_with_it_because_of_it(shop: LearnedShop) -> None:
    ranking = shop.recommender.recommend(RecommendationQuery(context="cart", cart=("p14",), limit=3))
    assert ranking.items[0].product.id == "p15"
    assert ranking.items[0].reasons[0].evidence == ("p14",)


def test_another_encoder_for_requests_changes_nothing_for_a_ranker_that_knows_texts_by_the_old_one(
    shop: LearnedShop, stored: StoredRanker
) -> None:
    before = shop.recommender.recommend(RecommendationQuery(user_id="ann", limit=8))
    shop.live.adopt(HashingEmbedder(64))
    shop.live.keep_only({stored.embedder})
    for ranks in (lambda: None, lambda: shop.rank_by(lambda: stored)):  # laid before the exchange, and laid anew
        ranks()
        after = shop.recommender.recommend(RecommendationQuery(user_id="ann", limit=8))
        assert [(item.product.id, item.reasons) for item in after.items] == [
            (item.product.id, item.reasons) for item in before.items
        ]
    shop.put(product("fresh", "kettle number 6 again", "Shop", "kettle", price=700))
    assert "fresh" in shop.ids(user_id="ann", limit=10)
    assert len(shop.live.present.vectors_by(stored.embedder)) == len(shop.live.present.catalogue)


def test_limits_hold(shop: LearnedShop) -> None:
    found = shop.ids(user_id="ann", filters=Filters(price_max=400), limit=10)
    assert set(found) <= {"p0", "p1", "p2", "p3"}
    assert found


def test_a_product_put_after_the_training_can_be_recommended_at_once(shop: LearnedShop, stored: StoredRanker) -> None:
    source = shop.rank_by(lambda: stored)
    shop.ids(user_id="ann")
    shop.put(product("fresh", "kettle number 6 again", "Shop", "kettle", price=700))  # as p6, which comes next
    assert "fresh" in shop.ids(user_id="ann", limit=10)
    with shop.live.read() as indexes:
        row = indexes.catalogue.row("fresh")
        ranker = source.lay(stored)
        assert len(ranker.shelf) == len(indexes.catalogue)
        with torch.inference_mode():
            vector = ranker.shelf.vectors[0].vectors(np.array([row]))
    assert np.abs(vector).sum() > 0
    shop.append(event("bob", "fresh"))
    first = shop.recommender.recommend(RecommendationQuery(user_id="bob", limit=1)).items[0]
    assert first.product.categories == ("Shop", "tent")  # a history of nothing but a new kettle is understood


def test_laying_on_afresh_and_extending_give_the_same(shop: LearnedShop, stored: StoredRanker) -> None:
    source = shop.rank_by(lambda: stored)
    shop.ids(user_id="ann")
    shop.delete("p20")
    shop.put(product("fresh", "kettle number 6 again", "Shop", "kettle"), replace(PRODUCTS[8], title="scarf renamed"))
    shop.put(replace(PRODUCTS[8], title="scarf renamed again"), replace(PRODUCTS[12], brand="Late"))
    with shop.live.read():
        extended = source.lay(stored).shelf
        laid = shop.rank_by(lambda: stored).lay(stored).shelf
    rows = np.flatnonzero(shop.live.present.catalogue.alive)
    np.testing.assert_array_equal(extended.codes[rows], laid.codes[rows])
    np.testing.assert_array_equal(extended.following.popularity[rows], laid.following.popularity[rows])
    for one, other in zip(extended.vectors, laid.vectors, strict=True):
        np.testing.assert_allclose(one.vectors(rows), other.vectors(rows), atol=1e-5)
    for name in ("forward", "backward", "counted", "smoothed"):
        one, other = (getattr(shelf.following, name).toarray()[np.ix_(rows, rows)] for shelf in (extended, laid))
        np.testing.assert_allclose(one, other, atol=1e-6, err_msg=name)


def test_a_new_price_changes_nothing_in_what_was_learned(shop: LearnedShop) -> None:
    before = shop.ids(user_id="ann", limit=10)
    shop.put(*(replace(each, price=Price(7, "USD")) for each in PRODUCTS[::2]))
    assert shop.ids(user_id="ann", limit=10) == before


def test_after_compaction_it_ranks_as_before(shop: LearnedShop, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shop.ids(user_id="ann", limit=10)
    monkeypatch.setattr("retrieval.live.FEW_ROWS", 10)
    catalogue = shop.live.present.catalogue
    for amount in (5, 6):
        shop.put(*(replace(each, price=Price(amount, "USD")) for each in PRODUCTS))
    assert shop.live.present.catalogue is not catalogue
    assert shop.ids(user_id="ann", limit=10) == before


def test_a_product_that_comes_back_is_known_again(shop: LearnedShop, stored: StoredRanker) -> None:
    source = shop.rank_by(lambda: stored)
    shop.delete("p6")
    assert "p6" not in shop.ids(user_id="ann", limit=10)
    shop.put(PRODUCTS[6])
    assert shop.ids(user_id="ann", limit=3)[0] == "p6"
    with shop.live.read() as indexes:
        vectors = source.lay(stored).shelf.vectors[0].vectors(indexes.catalogue.rows(["p6"]))
    np.testing.assert_array_equal(vectors[0], stored.vectors["small"][6])


def test_a_shop_without_products_recommends_nothing(stored: StoredRanker) -> None:
    empty = LearnedShop([], [event("ann", "p3")])
    source = empty.rank_by(lambda: stored)
    nothing = np.zeros(0, dtype=np.int64)
    with empty.live.read():
        nobody = Need(nothing, np.zeros(0, np.float32), nothing, np.zeros(0, np.float32), nothing)
        rows, scores, because = source.propose(nobody, 5, np.zeros(0, dtype=np.bool_))
    assert len(rows) == len(scores) == len(because) == 0
    assert empty.ids(user_id="ann") == []


def test_more_is_asked_for_than_there_is(shop: LearnedShop) -> None:
    events = tuple(event(None, f"p{n % 30}") for n in range(90))  # everything, and more steps than are looked at
    assert shop.ids(session=events, limit=100, exclude_seen=True) == []
    assert 0 < len(shop.ids(session=events[:3], limit=1_000)) <= 30


def test_readers_and_writers_at_once_do_not_disturb_the_ranker(shop: LearnedShop, stored: StoredRanker) -> None:
    source = shop.rank_by(lambda: stored)

    def put(number: int) -> None:
        shop.store.put_products([replace(PRODUCTS[number % 30], title=f"kettle renamed {number}")])
        shop.live.sync()
        with shop.live.read():
            source.lay(stored)

    def ask(number: int) -> int:
        return len(shop.ids(session=(event(None, f"p{number % 30}"),), limit=5))

    with ThreadPoolExecutor(4) as pool:
        writes = pool.map(put, range(20))
        assert list(pool.map(ask, range(60))) == [5] * 60
        list(writes)
    with shop.live.read() as indexes:
        assert len(source.lay(stored).shelf) == len(indexes.catalogue)


def test_a_product_that_is_gone_is_not_shown(shop: LearnedShop) -> None:
    shop.ids(user_id="ann")
    shop.delete("p6", "p7")
    assert not {"p6", "p7"} & set(shop.ids(user_id="ann", limit=10))


def test_without_a_ranker_the_other_sources_answer(stored: StoredRanker) -> None:
    live: list[StoredRanker | None] = [None]
    shop = LearnedShop(PRODUCTS, [event("ann", "p3"), event("bob", "p3"), event("bob", "p9")])
    source = shop.rank_by(lambda: live[0])
    assert not source.ready()
    assert shop.ids(user_id="ann", limit=1) == ["p9"]
    live[0] = stored
    assert "p4" in shop.ids(user_id="ann", limit=2)


def test_nobody_known_and_nothing_allowed_are_fine(shop: LearnedShop, stored: StoredRanker) -> None:
    source = shop.rank_by(lambda: stored)
    nothing = np.zeros(0, dtype=np.int64)
    nobody = Need(nothing, np.zeros(0, np.float32), nothing, np.zeros(0, np.float32), nothing)
    assert not len(steps_of(nobody).items)
    with shop.live.read():
        rows, scores, because = source.propose(nobody, 5, np.ones(30, dtype=np.bool_))
        assert len(rows) == len(scores) == len(because) > 0
        assert (because == -1).all()
        assert (source.led_to(nobody, rows) == -1).all()
        assert not len(source.propose(nobody, 5, np.zeros(30, dtype=np.bool_))[0])
