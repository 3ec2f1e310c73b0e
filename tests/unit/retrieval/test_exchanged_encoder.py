"""The encoder of the indexes exchanged under their readers: never two at once, nothing lost, and back again."""

import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import pytest

from retrieval import live as live_module
from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.live import LiveIndex
from retrieval.meaning import Meaning
from retrieval.search import SearchQuery
from retrieval.text import product_text
from tasteline.errors import EngineFailed
from tasteline.types import Product, Vectors
from tests.unit.retrieval.small_shop import DIMENSION, SmallShop, product

PRODUCTS = [product(f"p{i}", f"{name} {i}", "Home") for i, name in enumerate(["Kettle", "Lamp", "Tent", "Bag"] * 5)]
NARROW = HashingEmbedder(64)


class Counting(HashingEmbedder):
    """Says how many texts it was given; waits or breaks when told to."""

    def __init__(self, dimension: int = 64) -> None:
        super().__init__(dimension)
        self.texts = 0
        self.before: list[object] = []
        self.error: Exception | None = None

    @property
    def name(self) -> str:
        return f"counting/{self.dimension}"

    def encode(self, texts: Sequence[str], kind: Literal["query", "document"]) -> Vectors:
        if self.error:
            raise self.error
        self.texts += len(texts)
        return super().encode(texts, kind)


@pytest.fixture
def shop() -> SmallShop:
    return SmallShop(PRODUCTS)


def of_one_another(live: LiveIndex) -> bool:
    """Is every living row the vector of its own text, by each encoder that has vectors here?"""
    with live.read() as indexes:
        rows = np.flatnonzero(indexes.catalogue.alive)
        texts = [product_text(indexes.catalogue.product(int(row))) for row in rows]
        for each in indexes.all_vectors():
            assert len(each.vectors) == len(indexes.catalogue)
            expected = each.embedder.encode(texts, "document")
            np.testing.assert_allclose(each.vectors.vectors(rows), expected, atol=1e-6)
    return True


def test_all_vectors_change_at_once_and_the_rows_stay(shop: SmallShop) -> None:
    before = shop.live.present
    told: list[tuple[int, int]] = []
    shop.live.adopt(NARROW, lambda done, total: told.append((done, total)))
    after = shop.live.present
    assert (after.embedder, after.vectors.vectors(np.arange(1)).shape[1]) == (NARROW, 64)
    assert (after.catalogue, after.lexical, after.revision) == (before.catalogue, before.lexical, before.revision)
    assert told == [(20, 20)]
    assert of_one_another(shop.live)
    assert shop.searcher.search([SearchQuery("tent")])[0].items[0].product.title.startswith("Tent")


def test_what_changes_later_is_known_by_both(shop: SmallShop) -> None:
    shop.live.adopt(NARROW)
    shop.put(product("p0", "Steel Kettle"), product("new", "Paper Kite"))
    shop.delete("p1")
    assert set(shop.live.present.beside) == {HashingEmbedder(DIMENSION).name}
    assert of_one_another(shop.live)
    assert shop.searcher.search([SearchQuery("paper kite")])[0].items[0].product.id == "new"


def test_the_way_back_embeds_nothing_until_the_old_vectors_are_let_go() -> None:
    shop = SmallShop(PRODUCTS)
    first, second = Counting(32), Counting(48)
    shop.live.adopt(first)
    shop.live.adopt(second)
    first.texts = second.texts = 0
    for _ in range(5):
        shop.live.adopt(first)
        shop.live.adopt(second)
    assert (first.texts, second.texts) == (0, 0)
    assert set(shop.live.present.beside) == {"hashing/256", "counting/32"}
    shop.live.keep_only({"hashing/256"})
    assert set(shop.live.present.beside) == {"hashing/256"}
    shop.live.adopt(first)
    assert first.texts == 20
    assert of_one_another(shop.live)


def test_one_that_is_there_already_is_not_embedded_again(shop: SmallShop) -> None:
    same = Counting(DIMENSION)
    shop.live.adopt(same)
    same.texts = 0
    shop.live.adopt(same)
    shop.live.keep(same)
    assert same.texts == 0


def test_a_model_may_have_vectors_of_its_own_beside(shop: SmallShop) -> None:
    shop.live.keep(NARROW)
    indexes = shop.live.present
    assert indexes.embedder.name == "hashing/256"
    assert indexes.vectors_by("hashing/256") is indexes.vectors
    assert indexes.vectors_by("hashing/64") is indexes.beside["hashing/64"].vectors
    with pytest.raises(KeyError):
        indexes.vectors_by("another")
    shop.put(product("new", "Paper Kite"))
    assert of_one_another(shop.live)


def test_one_that_breaks_changes_nothing(shop: SmallShop) -> None:
    broken = Counting()
    broken.error = EngineFailed("half a file")
    before = shop.live.present
    with pytest.raises(EngineFailed):
        shop.live.adopt(broken)
    assert shop.live.present is before
    shop.put(product("new", "Paper Kite"))
    assert of_one_another(shop.live)


def test_a_request_that_was_embedded_before_is_embedded_again(shop: SmallShop) -> None:
    meaning = Meaning(["lamp"], shop.live.embedder)
    old = shop.live.embedder
    shop.live.adopt(NARROW)
    assert meaning.by(shop.live.embedder).shape == (1, 64)
    np.testing.assert_array_equal(meaning.by(shop.live.embedder), NARROW.encode(["lamp"], "query"))
    assert meaning.by(old).shape == (1, DIMENSION)


def test_a_catalogue_that_changes_and_is_compacted_meanwhile(shop: SmallShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "EMBEDDED_AT_ONCE", 4)
    monkeypatch.setattr(live_module, "FEW_ROWS", 2)

    def meanwhile(done: int, total: int) -> None:
        if done == 8:
            shop.put(product("new", "Paper Kite"))
        if done == 12:
            shop.delete(*(f"p{i}" for i in range(14)))

    shop.live.adopt(NARROW, meanwhile)
    assert len(shop.live.present.catalogue) == 7, "compacted"
    assert of_one_another(shop.live)
    assert shop.searcher.search([SearchQuery("paper kite")])[0].items[0].product.id == "new"


def _asked(shop: SmallShop, query: str) -> list[str]:
    found = shop.searcher.search([SearchQuery(query, limit=3)])[0]
    return [item.product.title.casefold() for item in found.items]


def test_readers_never_see_two_encoders_mixed() -> None:
    """Searches, updates and exchanges at once: every search finds its products, by whatever encoder."""
    shop = SmallShop(PRODUCTS)
    stop = threading.Event()
    answers: list[tuple[str, list[str]]] = []

    def ask() -> None:
        while not stop.is_set():
            answers.extend((query, _asked(shop, query)) for query in ("kettle", "lamp", "tent", "bag"))

    def put() -> None:
        for number in itertools.takewhile(lambda _: not stop.is_set(), itertools.count()):
            shop.store.put_products([Product(f"extra{number % 7}", f"Umbrella {number}")])
            shop.live.sync()

    with ThreadPoolExecutor(3) as pool:
        working = [pool.submit(work) for work in (ask, ask, put)]
        for dimension in (32, 48, 96, 32, 256, 48) * 3:
            shop.live.adopt(HashingEmbedder(dimension))
            shop.live.keep_only({"hashing/256"})
        stop.set()
        for work in working:
            work.result()
    assert len(answers) > 8
    assert [said for said in answers if len(said[1]) != 3 or not all(said[0] in title for title in said[1])] == []
    assert of_one_another(shop.live)
