"""The cache between texts and an embedder: what is computed, what is kept, what passes by."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval import embedding
from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.embedding import CachedEmbedder, EmbeddingCache
from tasteline.errors import SetupError
from tasteline.types import Vectors


class CountingEmbedder(HashingEmbedder):
    """Says which texts it was really asked for."""

    def __init__(self, name: str = "counting") -> None:
        super().__init__(64)
        self._label = name
        self.asked: list[str] = []

    @property
    def name(self) -> str:
        return self._label

    def encode(self, texts: Sequence[str], kind: Literal["query", "document"]) -> Vectors:
        self.asked.extend(texts)
        return super().encode(texts, kind)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[EmbeddingCache]:
    opened = EmbeddingCache(tmp_path / "new" / "embeddings.db")
    yield opened
    opened.close()


def test_only_unknown_texts_are_computed(cache: EmbeddingCache) -> None:
    inner = CountingEmbedder()
    embedder = CachedEmbedder(inner, cache)
    first = embedder.encode(["red shoe", "kettle", "red shoe"], "document")
    second = embedder.encode(["kettle", "lamp", "red shoe"], "document")
    assert inner.asked == ["red shoe", "kettle", "lamp"]
    assert (cache.hits, cache.misses) == (2, 3)
    np.testing.assert_array_equal(first[[0, 1]], second[[2, 0]])


def test_a_cached_vector_is_the_embedders_own(cache: EmbeddingCache) -> None:
    texts = [f"product number {number} in colour {number % 7}" for number in range(50)]
    plain = HashingEmbedder(64).encode(texts, "document")
    cached = CachedEmbedder(CountingEmbedder(), cache)
    for _ in range(2):
        vectors = cached.encode(texts, "document")
        np.testing.assert_allclose(vectors, plain, atol=1e-3)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_it_survives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "embeddings.db"
    cache = EmbeddingCache(path)
    CachedEmbedder(CountingEmbedder(), cache).encode(["kettle"], "document")
    cache.close()
    inner = CountingEmbedder()
    again = EmbeddingCache(path)
    CachedEmbedder(inner, again).encode(["kettle"], "document")
    again.close()
    assert inner.asked == []


def test_another_embedder_finds_nothing(cache: EmbeddingCache) -> None:
    CachedEmbedder(CountingEmbedder("one"), cache).encode(["kettle"], "document")
    other = CountingEmbedder("two")
    CachedEmbedder(other, cache).encode(["kettle"], "document")
    assert other.asked == ["kettle"]


def test_queries_pass_by(cache: EmbeddingCache) -> None:
    inner = CountingEmbedder()
    embedder = CachedEmbedder(inner, cache)
    for _ in range(2):
        embedder.encode(["kettle"], "query")
    assert inner.asked == ["kettle", "kettle"]
    assert (cache.hits, cache.misses) == (0, 0)


def test_progress_is_told_by_window_and_ends_at_all(cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "WINDOW_TEXTS", 4)
    told: list[tuple[int, int]] = []
    CachedEmbedder(CountingEmbedder(), cache).encode_documents(
        [f"text {number}" for number in range(10)], lambda done, total: told.append((done, total))
    )
    assert told == [(4, 10), (8, 10), (10, 10)]


def test_what_was_computed_before_a_failure_is_kept(cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "WINDOW_TEXTS", 2)

    def fail_at_the_second(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        CachedEmbedder(CountingEmbedder(), cache).encode_documents(["a", "b", "c"], fail_at_the_second)
    inner = CountingEmbedder()
    CachedEmbedder(inner, cache).encode(["a", "b", "c"], "document")
    assert inner.asked == ["c"]


def test_more_texts_than_one_statement_can_ask_for(cache: EmbeddingCache) -> None:
    texts = [f"text {number}" for number in range(2000)]
    CachedEmbedder(CountingEmbedder(), cache).encode(texts, "document")
    assert len(cache.get("counting", texts)) == 2000


def test_threads_share_one_cache(cache: EmbeddingCache) -> None:
    embedder = CachedEmbedder(CountingEmbedder(), cache)
    texts = [f"text {number}" for number in range(200)]
    expected = embedder.encode(texts, "document")

    def some(seed: int) -> bool:
        order = np.random.default_rng(seed).permutation(len(texts))
        return np.array_equal(embedder.encode([texts[row] for row in order], "document"), expected[order])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(some, range(32)))


def test_two_processes_may_open_one_file(tmp_path: Path) -> None:
    one, two = EmbeddingCache(tmp_path / "e.db"), EmbeddingCache(tmp_path / "e.db")
    CachedEmbedder(CountingEmbedder(), one).encode(["kettle"], "document")
    assert list(two.get("counting", ["kettle"])) == ["kettle"]
    one.close()
    two.close()


def test_a_damaged_file_names_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "embeddings.db"
    path.write_bytes(b"this is not a database " * 100)
    with pytest.raises(SetupError, match="Run: rm "):
        EmbeddingCache(path)


def test_the_file_holds_no_text(tmp_path: Path) -> None:
    path = tmp_path / "embeddings.db"
    cache = EmbeddingCache(path)
    CachedEmbedder(CountingEmbedder(), cache).encode(["a very particular kettle"], "document")
    cache.close()
    rows = sqlite3.connect(path)
    (embedder, key, vector), *rest = rows.execute("SELECT * FROM vectors").fetchall()
    rows.close()
    assert (embedder, len(key), len(vector), rest) == ("counting", 32, 64 * 2, [])
    assert b"particular" not in path.read_bytes()


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["", "  ", "kettle", "red shoe", "lamp", "\ud800"]), max_size=30))
def test_any_list_of_texts_keeps_its_shape(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    cache = EmbeddingCache(tmp_path_factory.mktemp("cache") / "e.db")
    vectors = CachedEmbedder(CountingEmbedder(), cache).encode(texts, "document")
    cache.close()
    assert vectors.shape == (len(texts), 64)
    assert vectors.dtype == np.float32
    for text, vector in zip(texts, vectors, strict=True):
        assert bool(vector.any()) == any(character.isalnum() for character in text)
