"""The indexes follow the store, agree with each other at every moment, and answer as if built at once."""

import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval import live as live_module
from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.adapters.lexical_tantivy import TantivyLexicalIndex
from retrieval.adapters.store_sql import SqlStore
from retrieval.adapters.vectors_faiss import FaissVectorIndex
from retrieval.live import Indexes, LiveIndex, fingerprint
from retrieval.text import product_text
from tasteline.errors import EngineFailed
from tasteline.types import Product
from tests.unit.retrieval.small_shop import DIMENSION, new_live, product

EMBEDDER = HashingEmbedder(DIMENSION)
WORDS = ["tent", "kettle", "stove", "lamp"]


def answers(live: LiveIndex) -> dict[str, object]:
    """By words, by meaning and by what may be shown: id → score for each query."""
    found: dict[str, object] = {}
    with live.read() as indexes:
        catalogue, alive = indexes.catalogue, indexes.catalogue.alive
        found["all"] = sorted(p.id for p in catalogue.products())
        for query in WORDS:
            rows, _ = indexes.lexical.search(query, 100, alive)
            found[f"words {query}"] = sorted(catalogue.product(int(row)).id for row in rows)
            near, cosines = indexes.vectors.search(EMBEDDER.encode([query], "query"), 100, alive)
            found[f"meaning {query}"] = sorted(
                (catalogue.product(int(row)).id, round(float(cosine), 4))
                for row, cosine in zip(near[0], cosines[0], strict=True)
                if row >= 0
            )
    return found


def disagreement(indexes: Indexes) -> str:
    """What is wrong between the three, if anything."""
    lengths = {len(indexes.catalogue), len(indexes.vectors), len(indexes.lexical)}
    if len(lengths) != 1:
        return f"lengths {lengths}"
    rows = np.flatnonzero(indexes.catalogue.alive)
    for row in rows[-20:]:
        known = indexes.catalogue.product(int(row))
        vector = EMBEDDER.encode([product_text(known)], "document")[0]
        if not np.allclose(indexes.vectors.vectors(np.array([row]))[0], vector, atol=1e-5):
            return f"row {row} holds another product's vector"
        if known.title and row not in indexes.lexical.search(known.title, len(indexes.catalogue))[0]:
            return f"row {row} is not found by its words"
    return ""


def test_sync_applies_what_changed_and_says_how_much() -> None:
    store = SqlStore("sqlite://")
    live = new_live(store)
    assert (live.sync(), live.behind) == (0, False)
    store.put_products([product("a", "tent"), product("b", "kettle")])
    assert live.behind
    told: list[tuple[int, int]] = []
    assert live.sync(lambda done, total: told.append((done, total))) == 2
    assert told == [(2, 2)]
    assert (live.behind, live.revision) == (False, store.revision())
    store.put_products([product("a", "tent")])
    assert live.sync() == 0


def test_changed_and_deleted_products_are_found_no_more() -> None:
    store = SqlStore("sqlite://")
    live = new_live(store)
    store.put_products([product("a", "tent"), product("b", "kettle")])
    live.sync()
    store.put_products([product("a", "stove")])
    store.delete_products(["b"])
    live.sync()
    found = answers(live)
    assert (found["all"], found["words tent"], found["words kettle"], found["words stove"]) == (["a"], [], [], ["a"])


def test_a_large_change_comes_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "BATCH", 3)
    store = SqlStore("sqlite://")
    store.put_products([product(f"p{i}", f"tent {i}") for i in range(8)])
    live, told = new_live(store), []
    assert live.sync(lambda done, total: told.append((done, total))) == 8
    assert told == [(3, 8), (6, 8), (8, 8)]


def test_compaction_drops_the_dead_and_keeps_every_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqlStore("sqlite://")
    live = new_live(store)
    for generation in range(4):
        store.put_products([product(f"p{i}", f"{WORDS[i % 4]} {generation}") for i in range(12)])
        live.sync()
    before = answers(live)
    assert len(live.present.catalogue) == 48
    monkeypatch.setattr(live_module, "FEW_ROWS", 10)
    assert live.sync() == 0
    assert len(live.present.catalogue) == live.present.catalogue.size == 12
    assert answers(live) == before
    assert disagreement(live.present) == ""
    store.put_products([product("later", "lamp")])
    live.sync()
    assert "later" in str(answers(live)["words lamp"])


def test_a_reader_inside_a_reader_does_not_lock_up() -> None:
    live = new_live(SqlStore("sqlite://"))
    with live.read() as outer, live.read() as inner:
        assert outer is inner is live.present


class FailingWords(TantivyLexicalIndex):
    """Breaks once, in the middle of an update."""

    fail = False

    def add(self, products: Sequence[Product | None]) -> None:
        if self.fail:
            self.fail = False
            raise EngineFailed("the disk is full")
        super().add(products)


def test_an_engine_that_fails_half_way_leaves_the_indexes_in_step() -> None:
    store, words = SqlStore("sqlite://"), FailingWords()
    live = LiveIndex(store, EMBEDDER, FaissVectorIndex, lambda: words)
    store.put_products([product("a", "tent")])
    live.sync()
    store.put_products([product("b", "kettle")])
    words.fail = True
    with pytest.raises(EngineFailed):
        live.sync()
    assert disagreement(live.present) == ""
    assert live.sync() == 1
    assert disagreement(live.present) == ""
    assert answers(live)["words kettle"] == ["b"]


def test_a_failing_embedder_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqlStore("sqlite://")
    live = new_live(store)
    store.put_products([product("a", "tent")])

    def broken(*_: object) -> None:
        raise EngineFailed("out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(HashingEmbedder, "encode", broken)
        with pytest.raises(EngineFailed):
            live.sync()
    assert (live.revision, len(live.present.catalogue)) == (0, 0)
    assert live.sync() == 1


def test_readers_never_see_the_three_disagree() -> None:
    store = SqlStore("sqlite://")
    live = new_live(store)
    stop, reads = threading.Event(), 0
    wrong: list[str] = []

    def change() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            store.put_products([product(f"p{(turn + i) % 40}", f"{WORDS[i % 4]} {turn}") for i in range(10)])
            store.delete_products([f"p{turn % 40}"])
            live.sync()

    writers = [threading.Thread(target=change) for _ in range(2)]
    for writer in writers:
        writer.start()
    until = time.monotonic() + 1.0
    while time.monotonic() < until and not wrong:
        with live.read() as indexes:
            wrong += [found] if (found := disagreement(indexes)) else []
        reads += 1
        time.sleep(0.001)
    stop.set()
    for writer in writers:
        writer.join()
    live.sync()
    assert wrong == []
    assert reads > 3
    assert answers(live) == answers(fresh(store))


def fresh(store: SqlStore) -> LiveIndex:
    live = new_live(store)
    live.sync()
    return live


products = st.builds(
    lambda number, words: product(f"p{number}", " ".join(words)),
    st.integers(0, 5),
    st.lists(st.sampled_from(WORDS), max_size=3),
)
actions = st.lists(
    st.one_of(
        st.lists(products, min_size=1, max_size=4),
        st.integers(0, 5).map(lambda number: f"p{number}"),
        st.just(None),
    ),
    max_size=12,
)


@settings(max_examples=20, deadline=None)
@given(actions)
def test_any_way_there_gives_the_answers_of_a_fresh_build(done: list[list[Product] | str | None]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(live_module, "FEW_ROWS", 4)
        store = SqlStore("sqlite://")
        live = new_live(store)
        for action in done:
            if action is None:
                live.sync()
            elif isinstance(action, str):
                store.delete_products([action])
            else:
                store.put_products(action)
        live.sync()
        assert answers(live) == answers(fresh(store))
        assert disagreement(live.present) == ""
        store.close()


def test_a_fingerprint_tells_versions_apart_and_outlives_the_store() -> None:
    one = product("a", "tent", "Outdoor", price=100, attributes={"size": ("L",)})
    store = SqlStore("sqlite://")
    store.put_products([one])
    [change] = store.changes(0)
    assert change.product is not None
    assert fingerprint(change.product) == fingerprint(one)
    assert fingerprint(product("a", "tent", "Outdoor", price=101, attributes={"size": ("L",)})) != fingerprint(one)
