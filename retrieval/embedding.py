"""Vectors that are already known are not computed again: a cache between product texts and an Embedder.

Takes texts, gives unit vectors; kept in one SQLite file, keyed by embedder name and SHA-256 of the text, so another
model or a changed text is simply not found. Queries pass by it: they rarely repeat and must not grow a file.
Safe between threads and between processes. Knows nothing of products; losing the file costs time and nothing else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasteline.errors import SetupError
from tasteline.ports import Embedder
from tasteline.types import Vectors

Progress = Callable[[int, int], None]
"""Called with (texts done, texts in all)."""

WINDOW_TEXTS = 2048
"""Stored together: what a broken-off run loses at most, and how often progress is told."""

_LOOKUP_KEYS = 900
"""SQLite's oldest limit on parameters is 999."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
    embedder TEXT NOT NULL, text_sha256 BLOB NOT NULL, vector BLOB NOT NULL,
    PRIMARY KEY (embedder, text_sha256)
) WITHOUT ROWID
"""

_Half = NDArray[np.float16]


class EmbeddingCache:
    """One SQLite file of vectors in half precision, which moves no ranking and halves the file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = Lock()
        self.hits = 0
        """Texts found since this object was made."""
        self.misses = 0
        self._connection = sqlite3.connect(path, timeout=30, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            # Losing the last vectors in a power cut costs only their computing; the file itself stays whole.
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise SetupError(f"The embedding cache '{path}' cannot be read: {error}.", remedy=f"rm {path}") from error

    def get(self, embedder: str, texts: Sequence[str]) -> dict[str, _Half]:
        """The known ones among `texts`."""
        text_of = {_key(text): text for text in texts}
        found: dict[str, _Half] = {}
        with self._lock:
            for keys in _chunks(text_of, _LOOKUP_KEYS):
                marks = ",".join("?" * len(keys))
                query = f"SELECT text_sha256, vector FROM vectors WHERE embedder = ? AND text_sha256 IN ({marks})"
                for key, vector in self._connection.execute(query, (embedder, *keys)):
                    found[text_of[key]] = np.frombuffer(vector, dtype=np.float16)
            self.hits += len(found)
            self.misses += len(text_of) - len(found)
        return found

    def put(self, embedder: str, vectors: Mapping[str, _Half]) -> None:
        """Committed when it returns; what is there already is replaced."""
        rows = [(embedder, _key(text), vector.tobytes()) for text, vector in vectors.items()]
        with self._lock, self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        with self._lock:
            self._connection.close()


class CachedEmbedder:
    """An Embedder that remembers the documents of another one."""

    def __init__(self, embedder: Embedder, cache: EmbeddingCache) -> None:
        self._embedder = embedder
        self._cache = cache

    @property
    def name(self) -> str:
        return self._embedder.name

    @property
    def dimension(self) -> int:
        return self._embedder.dimension

    def encode(self, texts: Sequence[str], kind: Literal["query", "document"]) -> Vectors:
        """As the embedder underneath; a document gets the same vector whether it was known or not."""
        return self._embedder.encode(texts, kind) if kind == "query" else self.encode_documents(texts, None)

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Shape (len(texts), dimension). What is computed is kept window by window, so that a run can be broken off."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), WINDOW_TEXTS):
            window = texts[start : start + WINDOW_TEXTS]
            known = self._known_or_computed(window)
            rows = [row for row, text in enumerate(window, start) if text.strip()]
            if rows:
                vectors[rows] = _unit(np.stack([known[texts[row]] for row in rows]))
            if progress is not None:
                progress(start + len(window), len(texts))
        return vectors

    def _known_or_computed(self, texts: Sequence[str]) -> dict[str, _Half]:
        distinct = [text for text in dict.fromkeys(texts) if text.strip()]
        known = self._cache.get(self.name, distinct)
        missing = [text for text in distinct if text not in known]
        if missing:
            computed = self._embedder.encode(missing, "document").astype(np.float16)
            fresh = dict(zip(missing, computed, strict=True))
            self._cache.put(self.name, fresh)
            known.update(fresh)
        return known


def _unit(half: _Half) -> Vectors:
    vectors = half.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return vectors


def _key(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _chunks(keys: Mapping[bytes, str], size: int) -> Iterator[list[bytes]]:
    remaining = iter(keys)
    while chunk := list(islice(remaining, size)):
        yield chunk
