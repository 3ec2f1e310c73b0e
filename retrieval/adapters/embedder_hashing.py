"""An embedder without a model: words and letter trigrams hashed into a fixed number of signed buckets.

The Embedder of tests and of the smallest installations: it needs no weights, answers in microseconds and is the same on
every machine and in every process. Texts that share words or word stems are near each other; synonyms are not.
The hashing trick with signs: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal
from zlib import crc32

import numpy as np

from tasteline.types import Vectors

_WORD = re.compile(r"\w+")
_TRIGRAM_WEIGHT = 0.3
"""A shared stem counts, but a shared word (about five trigrams) counts for more."""


class HashingEmbedder:
    """`dimension` buckets; queries and documents are treated alike."""

    def __init__(self, dimension: int = 256) -> None:
        if dimension < 1:
            raise ValueError(f"dimension must be positive, not {dimension}")
        self._dimension = dimension

    @property
    def name(self) -> str:
        return f"hashing/{self._dimension}"

    @property
    def dimension(self) -> int:
        return self._dimension

    def encode(self, texts: Sequence[str], kind: Literal["query", "document"]) -> Vectors:
        """Shape (len(texts), dimension), unit length; zeros for a text without a word."""
        del kind
        vectors = np.zeros((len(texts), self._dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for feature, weight in _features(text):
                digest = crc32(feature.encode())  # stable between processes, unlike hash()
                # The lowest bit gives the sign, the rest the bucket, so that the two are independent.
                vectors[row, (digest >> 1) % self._dimension] += weight if digest & 1 else -weight
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, lengths, out=vectors, where=lengths > 0)
        return vectors


def _features(text: str) -> Iterator[tuple[str, float]]:
    for word in _WORD.findall(text.casefold()):
        yield word, 1.0
        marked = f"^{word}$"
        for start in range(len(marked) - 2):
            yield f"#{marked[start : start + 3]}", _TRIGRAM_WEIGHT
