"""Somebody who has done nothing here: what they say and answer, turned into sources of candidates, and what to ask.

Takes words, gives products by what the words mean: words and meaning fused as a search does it, and a prior for
what many turn to. A sentence is a wish: it orders and narrows nothing, except where it sets a limit ("under $20").
Takes answers to the questions of `retrieval.welcome`, gives products by how likely they are chosen next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from retrieval.fusion import Fused, fuse
from retrieval.interests import topic_of
from retrieval.live import Indexes, LiveIndex
from retrieval.meaning import Meaning
from retrieval.models.behaviour import BehaviourCounts
from retrieval.search import Understand, by_words_and_meaning, match_reasons, telling_words
from retrieval.understanding import merge
from retrieval.welcome import Question, Welcome
from tasteline.ports import CandidateSource, Need
from tasteline.types import Choice, Constraint, Filters, Mask, Reason, Relaxation, Rows, Scores, Understood

DEPTH = 1_000
"""Taken from each side: deeper than a search looks, because the prior lifts what is popular and only near."""
PRIOR = 0.3
"""Weight of the logarithm of popularity beside what words and meaning weigh together. On valid of Beauty's newcomers
of one sentence nDCG@10 goes from .0175 without it over .0206 (.1) and .0231 (.2) to .0241 (.3), and is as good at .5:
the smallest of the best, because what was said should lead. Popularity within a category instead did no better."""
LIMITS = frozenset({"price", "rating", "stock", "without"})
"""First parts of the constraints that a wish does set: shoppers say a limit as a limit. What it names (a category, a
brand, a color) only ranks: "something like" such a thing is not that and nothing else."""

NO_FILTERS = Filters()
Counts = Callable[[], BehaviourCounts]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a newcomer told us, as sources beside all others; `understood` is None where nothing was said in words."""

    wanted: str
    """Whose line of weights it is, in `retrieval.recommend`."""
    sources: tuple[CandidateSource, ...]
    understood: Understood | None = None

    @property
    def limits(self) -> tuple[Constraint, ...]:
        return self.understood.constraints if self.understood else ()

    def relaxations(self, indexes: Indexes, filters: Filters) -> tuple[Relaxation, ...]:
        """Each limit without which something would fit beside `filters`, for when nothing does."""
        found = []
        for left_out in self.limits:
            others = [limit for limit in self.limits if limit is not left_out]
            mask = indexes.catalogue.mask(merge(filters, others), indexes.lexical.containing)
            found.append(Relaxation(left_out, int(mask.sum())))
        return tuple(relaxation for relaxation in found if relaxation.would_match)


@runtime_checkable
class Explaining(CandidateSource, Protocol):
    """A source that gives the reasons for what it proposed itself."""

    def reason(self, row: int) -> Reason: ...


class Newcomers:
    """Hears words and answers; `guide` gives the questions of the present catalogue, None where there are none yet."""

    def __init__(
        self,
        live: LiveIndex,
        understand: Understand,
        counts: Counts,
        guide: Callable[[Indexes], Welcome | None],
    ) -> None:
        self._live = live
        self._understand = understand
        self._counts = counts
        self._guide = guide

    @property
    def questions(self) -> Callable[[Indexes], Welcome | None]:
        return self._guide

    def hear(self, wish: str, answers: Sequence[Choice] = ()) -> Heard | None:
        """None where nothing was said. Embeds: call it before the indexes are held. Raises NotFound: see `question`.

        An embedder that does not answer leaves the words.
        """
        answered = self._answered(answers)
        if not wish.strip():
            return Heard("answered", (answered,)) if answered else None
        understood = wished(wish, self._understand)
        meaning = Meaning([understood.query], self._live.embedder)
        spoken = SpokenSource(understood, meaning, lambda: self._live.present, self._counts)
        return Heard("spoken", (spoken, *([answered] if answered else ())), understood)

    def question(self, answers: Sequence[Choice], filters: Filters = NO_FILTERS) -> Question | None:
        """What to ask next, about what `filters` let through. Raises NotFound for answers to what nobody asked."""
        with self._live.read() as indexes:
            welcome = self._guide(indexes)
            if welcome is None:
                return None
            mask = indexes.catalogue.mask(filters, indexes.lexical.containing)[: len(welcome)]
            return welcome.question(welcome.heard(answers), mask)

    def known(self, answers: Sequence[Choice]) -> tuple[Choice, ...]:
        """Those that still mean something here: the catalogue may have changed since."""
        with self._live.read() as indexes:
            welcome = self._guide(indexes) if answers else None
        return tuple(answer for answer in answers if welcome is not None and welcome.knows(answer))

    def _answered(self, answers: Sequence[Choice]) -> AnsweredSource | None:
        """None where every answer was "anything", and for the moment in which there are no questions."""
        with self._live.read() as indexes:
            welcome = self._guide(indexes) if answers else None
        if welcome is None or not welcome.tells(heard := welcome.heard(answers)):
            return None
        return AnsweredSource(welcome, heard, lambda: self._live.present, self._counts)


class SpokenSource:
    """Products by what somebody said, best first; what nobody turned to yet comes by its words and meaning alone."""

    name = "spoken"

    def __init__(
        self, understood: Understood, meaning: Meaning, indexes: Callable[[], Indexes], counts: Counts
    ) -> None:
        self._understood = understood
        self._meaning = meaning
        self._indexes = indexes
        self._counts = counts

    def propose(self, need: Need, k: int, allowed: Mask) -> tuple[Rows, Scores, Rows]:
        indexes = self._indexes()
        vector = self._meaning.by(indexes.embedder)
        near, cosines = indexes.vectors.search(vector, DEPTH, allowed)
        lists = by_words_and_meaning(indexes, self._understood.query, (vector[0], near[0], cosines[0]), allowed, DEPTH)
        rows = np.unique(np.concatenate([rows for _, _, rows, _ in lists]))
        popularity = self._counts().popularity([indexes.catalogue.product(row).id for row in rows.tolist()])
        said = sum(weight for _, weight, _, scores in lists if scores.any())
        fused = fuse([*lists, ("popular", PRIOR * said, rows, np.log1p(popularity).astype(np.float32))], k)
        found = np.array([candidate.row for candidate in fused], dtype=np.int64)
        scores = np.array([candidate.score for candidate in fused], dtype=np.float32)
        return found, scores, np.full(len(found), -1, dtype=np.int64)

    def reason(self, row: int) -> Reason:
        """Which of the words the product carries; else that it is near to them."""
        meant = Understood(self._understood.text, self._understood.query)
        return match_reasons(self._indexes(), Fused(row, 1.0, {"meaning": 1.0}), meant, telling_words(meant))[0]


class AnsweredSource:
    """Products by how likely somebody with these answers turns to them next."""

    name = "answered"

    def __init__(
        self, welcome: Welcome, answers: Sequence[Choice], indexes: Callable[[], Indexes], counts: Counts
    ) -> None:
        self._welcome = welcome
        self._answers = answers
        self._indexes = indexes
        self._counts = counts

    def propose(self, need: Need, k: int, allowed: Mask) -> tuple[Rows, Scores, Rows]:
        known = min(len(self._welcome), len(allowed))
        if len(self._welcome) > known:  # the rows were numbered anew in between
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.int64)
        belief = self._welcome.belief(self._answers, allowed[:known])
        rows = np.argsort(-belief, kind="stable")[:k]
        rows = rows[belief[rows] > 0]
        return rows, belief[rows].astype(np.float32), np.full(len(rows), -1, dtype=np.int64)

    def reason(self, row: int) -> Reason:
        """Which of the answers the product bears out; of none, that many turn to it."""
        product = self._indexes().catalogue.product(row)
        if chosen := self._welcome.chosen(self._answers, row):
            return Reason("match", f"You chose {', '.join(chosen)}", (product.id,))
        if self._counts().popularity([product.id])[0] > 0:
            where = f" in {topic_of(product)}" if product.categories else ""
            return Reason("popular", f"Popular{where}", (product.id,))
        return Reason("varied", "Something different", (product.id,))


def wished(wish: str, understand: Understand) -> Understood:
    """A wish read as a request, with only `LIMITS` kept as limits; the words of all others stay to be matched."""
    named = [c.key for c in understand(wish, ()).constraints if c.key.partition(":")[0] not in LIMITS]
    return understand(wish, named)
