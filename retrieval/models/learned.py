"""The trained ranker at work in the service: its items laid on the catalogue's rows, as a source of candidates.

Takes a stored ranker and the live indexes, gives a `CandidateSource`. A product that came after the training has a
place at once, see `retrieval.models.laying`. Runs inside `LiveIndex.read()`, so that rows are of one generation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from retrieval.live import Indexes
from retrieval.models.sequences import KINDS, Sequences
from tasteline.ports import Need, VectorIndex
from tasteline.types import EventType, Mask, Rows, Scores

if TYPE_CHECKING:
    from retrieval.models.laying import Laid
    from retrieval.models.ranker import NextItemRanker
    from retrieval.models.ranker_files import StoredRanker

LEAST_SHARE = 1e-6
"""Of the best: what was ranked stays above what merely fills the page."""


class LearnedSource:
    """What people like this one turn to next, learned. `stored()` is the live ranker, None while there is none."""

    name = "learned"

    def __init__(
        self,
        stored: Callable[[], StoredRanker | None],
        indexes: Callable[[], Indexes],
        new_vectors: Callable[[int], VectorIndex],
    ) -> None:
        """`new_vectors`: dimension → an empty index."""
        self._stored = stored
        self._indexes = indexes
        self._new_vectors = new_vectors
        self._laid: tuple[StoredRanker, Laid] | None = None

    def ready(self) -> bool:
        """Is there a ranker to ask?"""
        return self._stored() is not None

    def propose(self, need: Need, k: int, allowed: Mask) -> tuple[Rows, Scores, Rows]:
        """Scores are probabilities among the candidates; empty while there is no ranker."""
        stored = self._stored()
        if stored is None:
            nothing = np.zeros(0, dtype=np.int64)
            return nothing, np.zeros(0, dtype=np.float32), nothing
        items, scores = self.lay(stored).rank(steps_of(need), k, repeats=stored.repeats, allowed=allowed)
        rows = items[0][items[0] >= 0]
        return rows, _probabilities(scores)[0, : len(rows)], np.full(len(rows), -1, dtype=np.int64)

    def led_to(self, need: Need, rows: Rows) -> Rows:
        """The step of the person, or the product of the page, that speaks most for each row."""
        stored = self._stored()
        if stored is None:
            return np.full(len(rows), -1, dtype=np.int64)
        from retrieval.models.laying import because

        led = Sequences.of([need.anchor.tolist()]) if len(need.anchor) else steps_of(need)
        return because(self.lay(stored).shelf, led, rows)

    def propose_all(self, histories: Sequences, k: int, allowed: Mask) -> tuple[Rows, Scores]:
        """The same for many people, (m, k) each: rows, -1 past the end, and probabilities. Ask while it is `ready`."""
        stored = self._stored()
        if stored is None:
            return np.full((len(histories), k), -1, dtype=np.int64), np.zeros((len(histories), k), dtype=np.float32)
        rows, scores = self.lay(stored).rank(histories, k, repeats=stored.repeats, allowed=allowed)
        return rows, _probabilities(scores)

    def lay(self, stored: StoredRanker) -> NextItemRanker:
        """The ranker on the rows of this moment; what was laid already is extended."""
        from retrieval.models.laying import extended, lay  # PyTorch comes with the first ranker, not before

        indexes = self._indexes()
        if self._laid is not None and self._laid[0] is stored and self._laid[1].catalogue is indexes.catalogue:
            laid = self._laid[1]
            if laid.rows < len(indexes.catalogue):
                laid = extended(laid, stored, indexes)
                self._laid = (stored, laid)
            return laid.ranker
        laid = lay(stored, indexes, self._new_vectors)
        self._laid = (stored, laid)
        return laid.ranker


def _probabilities(scores: Scores) -> Scores:
    """(m, k) log-odds, best first, -inf past the end, as shares of each line; none so small that it is nothing."""
    odds = np.exp(scores - np.maximum(scores.max(axis=1, initial=-np.inf, keepdims=True), -1e9))
    odds = odds + np.where(
        scores > -np.inf, LEAST_SHARE * (1 - np.arange(scores.shape[1]) / max(scores.shape[1], 1)), 0
    )
    return np.asarray(odds / np.maximum(odds.sum(axis=1, keepdims=True), 1e-9), dtype=np.float32)


def steps_of(need: Need) -> Sequences:
    """The need as one history in rows: what the person did, and the page or cart as steps after it."""
    anchors = len(need.anchor)
    rows = np.concatenate((need.steps, need.anchor))
    kinds = np.concatenate((need.kinds, np.full(anchors, KINDS[EventType.VIEW_ITEM], dtype=np.int8)))
    moments = np.concatenate((need.moments, np.full(anchors, np.nan)))
    return Sequences(np.array([0, len(rows)]), rows.astype(np.int64), kinds, moments)
