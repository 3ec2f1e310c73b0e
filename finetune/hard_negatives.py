"""For each question the products that look like an answer and are none, taken from the shop's own indexes.

Takes questions, the catalogue's vectors and words, and what is known to answer each text; gives the questions with
their negatives. Candidates are the nearest by meaning and the best by words. Left out as perhaps an answer after all:

- what the maker of the query accepts, or what carries every word of it;
- what is nearly as near to the query as the positive: beyond a share of its cosine (positive-aware mining; Moreira et
  al., "NV-Retriever", 2024);
- what says nearly the same as the positive: the same thing in another colour or pack, or a second listing.

Knows nothing of training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from finetune.examples import Question
from retrieval.live import Indexes
from tasteline.ports import Embedder
from tasteline.types import Mask, Rows, Scores

BATCH = 256
"""Questions at once: their 2 * DEPTH candidates of 384 numbers are 40 MB."""
DEPTH = 50
"""Candidates from each side."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Mining:
    each: int = 4
    """Negatives for a question, at most; half of them by meaning, half by words where both sides have enough."""
    pool: int = 12
    """Of each side's hardest, from which they are drawn by chance: the very hardest are most often unlabelled answers
    (Qu et al., "RocketQA", NAACL 2021)."""
    share: float = 0.95
    """Of the positive's cosine to the query, above which a candidate is taken for an answer."""
    alike: float = 0.9
    """Cosine to the positive above which a candidate is taken for the same thing."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Mined:
    questions: tuple[Question, ...]
    passed_over: Mapping[str, int]
    """How many candidates were left out, by the first reason that held."""


def mine(
    questions: Sequence[Question],
    answers: Mapping[str, AbstractSet[str]],
    indexes: Indexes,
    embedder: Embedder,
    mining: Mining,
    usable: Callable[[str], bool] = lambda product_id: True,
    progress: Progress | None = None,
) -> Mined:
    """The questions in their order, hardest negative first; a question whose product is gone keeps those it had.

    Only products for whose id `usable` says yes become negatives.
    """
    miner = _Miner(answers, indexes, embedder, mining, _usable_rows(indexes, usable))
    made: list[Question] = []
    for start in range(0, len(questions), BATCH):
        made += miner.mine(questions[start : start + BATCH])
        if progress is not None:
            progress(len(made), len(questions))
    return Mined(tuple(made), miner.passed_over)


def _usable_rows(indexes: Indexes, usable: Callable[[str], bool]) -> Mask:
    mask = indexes.catalogue.alive.copy()
    alive = np.flatnonzero(mask)
    mask[alive] = [usable(indexes.catalogue.product(int(row)).id) for row in alive]
    return mask


class _Miner:
    def __init__(
        self,
        answers: Mapping[str, AbstractSet[str]],
        indexes: Indexes,
        embedder: Embedder,
        mining: Mining,
        usable: Mask,
    ) -> None:
        self._answers, self._indexes, self._embedder = answers, indexes, embedder
        self._mining, self._usable = mining, usable
        self._chance = np.random.default_rng(mining.seed)
        self.passed_over: dict[str, int] = {"answers": 0, "as near as the positive": 0, "like the positive": 0}

    def mine(self, batch: Sequence[Question]) -> Iterator[Question]:
        negatives = self._negatives([question for question in batch if question.positive in self._indexes.catalogue])
        for question in batch:
            known = question.positive in self._indexes.catalogue
            yield replace(question, negatives=next(negatives)) if known else question

    def _negatives(self, batch: Sequence[Question]) -> Iterator[tuple[str, ...]]:
        """Of each question; the products of all are there."""
        if not batch:
            return
        catalogue = self._indexes.catalogue
        positives = np.concatenate([catalogue.rows([question.positive]) for question in batch])
        rows, cosines = self._candidates(batch, positives)
        for of_one, near in zip(rows, cosines, strict=True):
            yield tuple(catalogue.product(int(row)).id for row in self._drawn(of_one, near))

    def _candidates(self, batch: Sequence[Question], positives: Rows) -> tuple[Rows, Scores]:
        """Shape (len(batch), 2 * DEPTH), meaning first, then words; -1 where there is none or it may be an answer."""
        texts = [question.query for question in batch]
        queries = self._embedder.encode(texts, "query")
        by_meaning, _ = self._indexes.vectors.search(queries, DEPTH, self._usable)
        rows = np.concatenate([by_meaning, self._by_words(texts)], axis=1)
        vectors = self._indexes.vectors.vectors(np.maximum(rows, 0).ravel()).reshape(*rows.shape, -1)
        positive = self._indexes.vectors.vectors(positives)
        cosines = np.matmul(vectors, queries[:, :, None])[:, :, 0]
        alike = np.matmul(vectors, positive[:, :, None])[:, :, 0]
        own = np.einsum("ij,ij->i", queries, positive)
        self._leave_out("answers", rows, self._are_answers(batch, positives, rows))
        self._leave_out("as near as the positive", rows, cosines > self._mining.share * own[:, None])
        self._leave_out("like the positive", rows, alike > self._mining.alike)
        return rows, cosines

    def _by_words(self, texts: Sequence[str]) -> Rows:
        rows = np.full((len(texts), DEPTH), -1, dtype=np.int64)
        for line, text in enumerate(texts):
            found, _ = self._indexes.lexical.search(text, DEPTH, self._usable)
            rows[line, : len(found)] = found
        return rows

    def _are_answers(self, batch: Sequence[Question], positives: Rows, rows: Rows) -> NDArray[np.bool_]:
        flags: NDArray[np.bool_] = np.equal(rows, positives[:, None])
        for line, question in enumerate(batch):
            accepted = self._indexes.catalogue.rows(self._answers.get(question.query, ()))
            carrying = self._indexes.lexical.containing(question.query)
            flags[line] |= np.isin(rows[line], np.concatenate([accepted, carrying]))
        return flags

    def _leave_out(self, reason: str, rows: Rows, flags: NDArray[np.bool_]) -> None:
        out = flags & (rows >= 0)
        self.passed_over[reason] += int(out.sum())
        rows[out] = -1

    def _drawn(self, rows: Rows, cosines: Scores) -> Rows:
        """Some of each side's hardest, hardest first; one side makes up for what the other lacks."""
        half = -(-self._mining.each // 2)
        sides = [self._shuffled_pool(side) for side in (rows[:DEPTH], rows[DEPTH:])]
        first = np.concatenate([side[:half] for side in sides] + [side[half:] for side in sides])
        _, places = np.unique(first, return_index=True)
        chosen = first[np.sort(places)][: self._mining.each]
        nearness = dict(zip(rows.tolist(), cosines.tolist(), strict=True))
        return np.array(sorted(chosen.tolist(), key=lambda row: (-nearness[row], row)), dtype=np.int64)

    def _shuffled_pool(self, side: Rows) -> Rows:
        pool = side[side >= 0][: self._mining.pool]
        return self._chance.permutation(pool)
