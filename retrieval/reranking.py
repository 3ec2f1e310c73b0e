"""The top of a ranking in a better order: each product read together with the request by a cross-encoder.

Takes rankings with what each was asked for in words; gives the same products, once each. Only the first few move,
within the range of scores that they had, so that scores still fall along the list. A reranker that is late, or breaks,
leaves the order as it was and its name in `degraded`. Knows nothing of indexes, and not which reranker is live.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog

from retrieval.text import product_text
from tasteline.errors import TransientError
from tasteline.ports import Reranker
from tasteline.trials import Trial
from tasteline.types import RankedProduct, Ranking, Scores

RERANKER_WEIGHT = 0.2
"""Of the cross-encoder's say beside the first stage's, both scaled to the list. One of 22M parameters that had learned
from 1,200 questions took .010 at .2 and .032 at .5 from nDCG@10 .592 on 360 queries of kept products (20 read):
one that knows more may say more, one that knows less must not spoil much. docs/adr/0020."""
STAGE = "reranker"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ToRerank:
    """A ranking that is longer than what is shown of it."""

    ranking: Ranking
    need: str
    """The request in words; blank where nothing is to be read."""
    shown: int
    deadline: float | None = None
    """In `time.monotonic()`."""
    user_id: str | None = None
    """For whom; nobody is in an experiment without a name."""


Trying = Callable[[str | None], tuple[Trial, Reranker] | None]
"""A person → which arm of an experiment they are in, and its reranker; None where they are in none."""


class Reranking:
    """`reranker()` is the live one, None while there is none. `depth`: how many products are read, 0 for none.

    `seconds`: the most that all requests of one batch wait for it; those at the end of a long line go without.
    """

    def __init__(
        self,
        reranker: Callable[[], Reranker | None],
        depth: int,
        seconds: float,
        weight: float = RERANKER_WEIGHT,
        clock: Callable[[], float] = time.monotonic,
        trying: Trying = lambda user_id: None,
    ) -> None:
        self._reranker = reranker
        self._depth = depth
        self._seconds = seconds
        self._weight = weight
        self._clock = clock
        self._trying = trying

    def waiting(self, seconds: float) -> Reranking:
        """The same, which is waited for so long."""
        return Reranking(self._reranker, self._depth, seconds, self._weight, self._clock, self._trying)

    @property
    def depth(self) -> int:
        """How long a list is wanted before it is cut to what is shown; 0 while nobody reranks."""
        return self._depth if self._reranker() is not None else 0

    def order(self, asked: Sequence[ToRerank]) -> list[Ranking]:
        """Each ranking in its new order, as long as it is shown."""
        end = self._clock() + self._seconds
        return [self._one(each, end) for each in asked]

    def _one(self, asked: ToRerank, end: float) -> Ranking:
        ranking = asked.ranking
        top, tried = ranking.items[: self._depth], self._trying(asked.user_id)
        reranker = tried[1] if tried else self._reranker()
        if reranker is not None and asked.need.strip() and len(top) > 1:
            # Late or broken, it counts for its arm all the same: an arm of the quick ones alone would flatter.
            ranking = replace(ranking, trial=tried[0] if tried else ranking.trial)
            try:
                moved = self._moved(reranker, asked.need, top, min(end, asked.deadline or end))
                ranking = replace(ranking, items=(*moved, *ranking.items[len(top) :]))
            except TransientError as error:
                log.warning("reranker_skipped", error=type(error).__name__)
                ranking = replace(ranking, degraded=(*ranking.degraded, STAGE))
        return replace(ranking, items=ranking.items[: asked.shown])

    def _moved(self, reranker: Reranker, need: str, top: Sequence[RankedProduct], end: float) -> list[RankedProduct]:
        texts = [product_text(item.product) for item in top]
        judged = reranker.score([need] * len(top), texts, timeout=max(0.0, end - self._clock()))
        first = np.array([item.score for item in top], dtype=np.float32)
        scores = rescored(first, judged, self._weight)
        return [replace(top[place], score=float(scores[place])) for place in np.argsort(-scores, kind="stable")]


def rescored(first: Scores, judged: Scores, weight: float) -> Scores:
    """New scores of a list, within the range of `first`: both sides scaled to [0, 1], `weight` of it the judge's.

    Logits have no range of their own, so a list's own least and best are its 0 and 1. A judge that sees no difference
    changes nothing.

    >>> first, judged = np.array([0.9, 0.8, 0.5], np.float32), np.array([-1.0, 3.0, 1.0], np.float32)
    >>> rescored(first, judged, weight=0.5).astype(float).round(3).tolist()
    [0.7, 0.85, 0.6]
    >>> rescored(first, judged[:1].repeat(3), weight=1.0).astype(float).round(3).tolist()
    [0.9, 0.8, 0.5]
    """
    spread = float(judged.max() - judged.min())
    if spread <= 0:
        return first
    least, best = float(first.min()), float(first.max())
    kept = (first - least) / (best - least) if best > least else np.zeros_like(first)
    fused = (1 - weight) * kept + weight * (judged - judged.min()) / spread
    # All equal at first: there is no range to stay in, and the order alone can tell.
    scaled = least + (best - least) * fused if best > least else best * (1 - 1e-6 * (1 - fused))
    return np.asarray(scaled, dtype=np.float32)
