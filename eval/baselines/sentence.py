"""A person who is only a sentence: what they would type, made out of their history, and plain ways to answer it.

`Sentences` takes histories and the catalogue, never a target, and gives English; `SpokenDense` and `SpokenBm25` take
sentences and give items of the whole catalogue. They know no history, so what the person has is ranked too: whoever
asks leaves it out.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from zlib import crc32

import numpy as np

from eval.baselines.content import text_vectors
from eval.data.interactions import Catalogue, Codes, Histories
from eval.metrics import top_k
from tasteline.ports import Embedder, LexicalIndex
from tasteline.types import Product

CATEGORIES = 2
WORDS = 3
RAREST = 5
"""Items that must have a word: nobody types a model number that they have not seen yet."""
TEMPLATES = (
    "I am looking for {things}, ideally {words}.",
    "Can you recommend {things}? I like {words}.",
    "Show me {things} for someone who likes {words}.",
    "I would like {things}, something like {words}.",
)
WITHOUT_WORDS = "I am looking for {things}."

_WORD = re.compile(r"[^\W\d_]{3,}")
_NO_WORDS = frozenset(
    _WORD.findall("and are for from her his its new not off out set that the their this with without you your")
)
_SENTENCES_AT_ONCE = 1_000  # times 20,000 items: 80 MB of scores


class SpokenSystem(Protocol):
    """Ranks the catalogue for what somebody typed."""

    @property
    def name(self) -> str: ...
    def rank_sentences(self, sentences: Sequence[str], k: int) -> Codes:
        """(sentences, k) items, best first, none twice, -1 past the end; nothing for a blank sentence."""
        ...


class Sentences:
    """What a newcomer with such a history would type: its most frequent categories and its most telling words.

    A word tells as much as items of the history have it, times log(items / items of the catalogue that have it). The
    same history gives the same sentence, whatever stands beside it; `seed` turns the choice of the template. A history
    that is empty, or without categories and words, gives "".

    >>> shelf = ("red nail polish", "blue nail polish", "hair brush") * 5
    >>> catalogue = Catalogue(tuple(map(str, range(15))), shelf, ("Nails", "Nails", "Hair") * 5)
    >>> Sentences(catalogue).of(Histories.of([[0, 1, 0], []]))
    ['I am looking for nails, ideally blue, red and nail.', '']
    """

    def __init__(self, catalogue: Catalogue, seed: int = 0) -> None:
        self._categories = catalogue.categories
        self._words = [_words(text) for text in catalogue.texts]
        self._items_with = Counter(word for words in self._words for word in words)
        self._seed = seed

    def of(self, histories: Histories) -> list[str]:
        return [self._sentence(histories.of_case(case)) for case in range(len(histories))]

    def _sentence(self, history: Codes) -> str:
        items = sorted(set(history.tolist()))
        named = _most(Counter(self._categories[item].lower() for item in items if self._categories[item]), CATEGORIES)
        words = _most(self._telling(items, _words(" ".join(named))), WORDS)
        if not words:
            return WITHOUT_WORDS.format(things=_listed(named)) if named else ""
        template = TEMPLATES[crc32(np.array([self._seed, *history], dtype=np.int64).tobytes()) % len(TEMPLATES)]
        return template.format(things=_listed(named) or "something", words=_listed(words))

    def _telling(self, items: Sequence[int], said: frozenset[str]) -> dict[str, float]:
        counts = Counter(word for item in items for word in self._words[item] - said)
        known = {word: count for word, count in counts.items() if self._items_with[word] >= RAREST}
        return {word: count * math.log(len(self._words) / self._items_with[word]) for word, count in known.items()}


class SpokenDense:
    """Cosine of the sentence's vector and each item's text vector, exact; equal scores by item number."""

    name = "dense"

    def __init__(self, embedder: Embedder, catalogue: Catalogue, cache: Path | None = None) -> None:
        """Embeds the catalogue, or reads its vectors from `cache`."""
        self._embedder = embedder
        self._vectors = text_vectors(embedder, catalogue.texts, cache)

    def rank_sentences(self, sentences: Sequence[str], k: int) -> Codes:
        parts = [np.zeros((0, k), dtype=np.int32)]
        for start in range(0, len(sentences), _SENTENCES_AT_ONCE):
            queries = self._embedder.encode(sentences[start : start + _SENTENCES_AT_ONCE], kind="query")
            scores = queries @ self._vectors.T
            scores[~queries.any(axis=1)] = -np.inf
            parts.append(top_k(scores, k)[0])
        return np.concatenate(parts)


class SpokenBm25:
    """BM25 over the items' texts and categories, as the given index ranks them; any word may match."""

    name = "bm25"

    def __init__(self, index: LexicalIndex, catalogue: Catalogue) -> None:
        """`index` must be empty: it is filled here."""
        if len(index):
            raise ValueError(f"the index already holds {len(index)} products; a baseline fills its own")
        self._index = index
        index.add([_product(*each) for each in zip(catalogue.ids, catalogue.texts, catalogue.categories, strict=True)])

    def rank_sentences(self, sentences: Sequence[str], k: int) -> Codes:
        ranked = np.full((len(sentences), k), -1, dtype=np.int32)
        for place, sentence in enumerate(sentences):
            rows, _ = self._index.search(sentence, k)
            ranked[place, : len(rows)] = rows
        return ranked


def _product(identity: str, text: str, category: str) -> Product:
    return Product(identity, text, categories=(category,) if category else ())


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower())) - _NO_WORDS


def _most(values: Counter[str] | dict[str, float], most: int) -> list[str]:
    """The largest positive ones; equal ones by alphabet, the same in every process."""
    return sorted((each for each in values if values[each] > 0), key=lambda each: (-values[each], each))[:most]


def _listed(words: Sequence[str]) -> str:
    *first, last = words or [""]
    return f"{', '.join(first)} and {last}" if first else last
