"""Natural-language search: words and meaning fused, within hard limits read out of the text.

Takes requests in batches (one encode and one scan for all), gives rankings with reasons; when nothing fits, says which
limit stood in the way. Knows nothing of HTTP or conversations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from retrieval.fusion import Fused, fuse
from retrieval.live import Indexes, LiveIndex
from retrieval.meaning import Meaning
from retrieval.models.behaviour import BehaviourCounts
from retrieval.reranking import Reranking, ToRerank
from retrieval.understanding import merge
from retrieval.understanding.words_en import STOP_WORDS
from tasteline.types import (
    Constraint,
    Filters,
    Mask,
    RankedProduct,
    Ranking,
    Reason,
    Relaxation,
    Rows,
    Scores,
    Sort,
    Understood,
    Vectors,
)

DEPTH = 200
"""Candidates taken from each side before fusion."""
WORDS_WEIGHT = 0.4
"""Chosen on queries made from the catalogues themselves (`eval.known_item`); flat from .4 to .55."""
MEANING_FLOOR = 0.25
"""Cosine below which a product with no word in common has nothing to do with the request (MiniLM)."""
SORTABLE_SHARE = 0.75
"""Of the best fused score: what is below is not relevant enough to be sorted to the top by price."""
ADDS_UP = {"without"}
"""Kinds of constraint that join what was said before; of the others the last one said holds."""
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class SearchQuery:
    text: str
    filters: Filters = Filters()
    limit: int = 10
    ignore: frozenset[str] = frozenset()
    """Keys of understood constraints that the shopper took back ("color:blue"), or their first parts ("color")."""
    further: tuple[str, ...] = ()
    """What was said after `text` to narrow or turn it: "in blue", "but under $60"."""
    limits: tuple[Constraint, ...] = ()
    """Understood elsewhere; they replace what the texts say of the same thing."""
    soft: tuple[str, ...] = ()
    """Understood elsewhere: adds to what the request means, so it ranks; no product needs to carry the words."""
    floor: float = 0.0
    """Share of the best score below which a product is left out: few good ones rather than many."""
    deadline: float | None = None
    """In `time.monotonic()`: what would not be done by then and can be left out is left out."""
    user_id: str | None = None
    """Who asks; says no more than which arm of an experiment they are in."""


Understand = Callable[[str, Collection[str]], Understood]
"""(text, keys taken back) → what it was taken to mean by itself."""
Near = tuple[Vectors, Rows, Scores]
"""The request's vector, and rows and cosines by meaning, best first, padded with -1."""


class Searcher:
    """`understand(text, ignore)` reads the limits; `new_id()` names each ranking."""

    def __init__(
        self,
        live: LiveIndex,
        understand: Understand,
        counts: Callable[[], BehaviourCounts],
        new_id: Callable[[], str],
        reranking: Reranking | None = None,
    ) -> None:
        self._live = live
        self._understand = understand
        self._counts = counts
        self._new_id = new_id
        self._reranking = reranking

    def reranked(self, reranking: Reranking | None) -> Searcher:
        """The same search with another hand at the top of its lists, or none."""
        return Searcher(self._live, self._understand, self._counts, self._new_id, reranking)

    def patient(self, seconds: float) -> Searcher:
        """The same search, which waits so long for its reranker: for measuring, where a late one would flatter."""
        return self.reranked(self._reranking.waiting(seconds)) if self._reranking else self

    def search(self, queries: Sequence[SearchQuery]) -> list[Ranking]:
        """One ranking for each query, in order."""
        meanings = [understood(query, self._understand) for query in queries]
        texts = [_meant(*of_one) for of_one in zip(queries, meanings, strict=True)]
        meaning = Meaning(texts, self._live.embedder)
        with self._live.read() as indexes:
            vectors = meaning.by(indexes.embedder)
            masks = [self._mask(indexes, query, meant) for query, meant in zip(queries, meanings, strict=True)]
            nearest = self._nearest(indexes, vectors, masks)
            depth = self._reranking.depth if self._reranking else 0
            longer = [replace(query, limit=max(query.limit, depth)) for query in queries] if depth else queries
            rankings = [self._rank(indexes, *of_one) for of_one in zip(longer, meanings, masks, nearest, strict=True)]
        if depth and self._reranking:  # outside the indexes, which must not be held so long
            rankings = self._reranking.order(list(map(_to_rerank, queries, meanings, rankings)))
        if vectors.any() or not queries:
            return rankings
        return [replace(ranking, degraded=("meaning", *ranking.degraded)) for ranking in rankings]

    def _mask(self, indexes: Indexes, query: SearchQuery, understood: Understood) -> Mask | None:
        """None where everything may be shown: such queries are scanned together."""
        filters = merge(query.filters, understood.constraints)
        if filters == Filters() and indexes.catalogue.size == len(indexes.catalogue):
            return None
        return indexes.catalogue.mask(filters, indexes.lexical.containing)

    def _nearest(self, indexes: Indexes, vectors: Vectors, masks: Sequence[Mask | None]) -> list[Near]:
        """Rows by meaning for each query; one scan for all that have no mask."""
        free = [line for line, mask in enumerate(masks) if mask is None]
        found: dict[int, Near] = {}
        if free:
            rows, cosines = indexes.vectors.search(vectors[free], DEPTH)
            found = {line: (vectors[line], rows[i], cosines[i]) for i, line in enumerate(free)}
        for line, mask in enumerate(masks):
            if mask is not None:
                rows, cosines = indexes.vectors.search(vectors[line : line + 1], DEPTH, mask)
                found[line] = (vectors[line], rows[0], cosines[0])
        return [found[line] for line in range(len(masks))]

    def _rank(
        self, indexes: Indexes, query: SearchQuery, understood: Understood, mask: Mask | None, near: Near
    ) -> Ranking:
        passing = indexes.catalogue.size if mask is None else int(mask.sum())
        # Only as many as are shown, where nothing but the score decides.
        limit = query.limit if understood.sort == "relevance" else None
        fused = self._fused(indexes, query, understood, mask, near, limit) if passing else []
        if fused and query.floor and _meant(query, understood):
            fused = [candidate for candidate in fused if candidate.score >= query.floor * fused[0].score]
        sought = telling_words(understood)
        carrying = indexes.lexical.containing(understood.query) if understood.query and fused else None
        exact = None if carrying is None else frozenset(carrying.tolist())
        items = tuple(
            RankedProduct(
                indexes.catalogue.product(candidate.row),
                candidate.score,
                match_reasons(indexes, candidate, understood, sought),
                close=exact is not None and candidate.row not in exact,
            )
            for candidate in self._sorted(indexes, fused, understood)[: query.limit]
        )
        total = _total(carrying, mask, passing) if items else 0
        relaxations = () if total else self._relaxations(indexes, query, understood)
        return Ranking(self._new_id(), items, total, understood, relaxations)

    def _fused(
        self,
        indexes: Indexes,
        query: SearchQuery,
        understood: Understood,
        mask: Mask | None,
        near: Near,
        limit: int | None,
    ) -> list[Fused]:
        if not _meant(query, understood):
            return self._by_popularity(indexes, mask)
        return fuse(by_words_and_meaning(indexes, understood.query, near, mask), limit)

    def _by_popularity(self, indexes: Indexes, mask: Mask | None) -> list[Fused]:
        """For a request that only sets limits: what most people turn to, then the best rated."""
        catalogue = indexes.catalogue
        rows = np.flatnonzero(catalogue.alive if mask is None else mask)
        popularity = self._counts().popularity([catalogue.product(int(row)).id for row in rows])
        ratings = np.nan_to_num(catalogue.ratings[rows], nan=0.0)
        order = np.lexsort((rows, -ratings, -popularity))[:DEPTH]
        return [Fused(int(rows[place]), 1.0 / (1 + rank), {"popular": 1.0}) for rank, place in enumerate(order)]

    def _sorted(self, indexes: Indexes, fused: list[Fused], understood: Understood) -> list[Fused]:
        if understood.sort == "relevance" or not fused:
            return fused
        if understood.query:
            fused = [candidate for candidate in fused if candidate.score >= SORTABLE_SHARE * fused[0].score]
        prices, ratings = indexes.catalogue.prices, np.nan_to_num(indexes.catalogue.ratings, nan=0.0)
        if understood.sort == "price_asc":
            return sorted(fused, key=lambda c: (prices[c.row] < 0, prices[c.row]))
        if understood.sort == "price_desc":
            return sorted(fused, key=lambda c: -prices[c.row])
        if understood.sort == "rating":
            return sorted(fused, key=lambda c: -ratings[c.row])
        popularity = self._counts().popularity([indexes.catalogue.product(c.row).id for c in fused])
        return [fused[place] for place in np.argsort(-popularity, kind="stable")]

    def _relaxations(self, indexes: Indexes, query: SearchQuery, understood: Understood) -> tuple[Relaxation, ...]:
        """Each constraint without which something would fit, the most promising first."""
        found = []
        carrying = indexes.lexical.containing(understood.query) if understood.query else None
        for left_out in understood.constraints:
            others = [constraint for constraint in understood.constraints if constraint is not left_out]
            mask = indexes.catalogue.mask(merge(query.filters, others), indexes.lexical.containing)
            if count := int(mask.sum() if carrying is None else mask[carrying].sum()):
                found.append(Relaxation(left_out, count))
        return tuple(sorted(found, key=lambda relaxation: -relaxation.would_match))


def by_words_and_meaning(
    indexes: Indexes, text: str, near: Near, mask: Mask | None, depth: int = DEPTH
) -> list[tuple[str, float, Rows, Scores]]:
    """The two lists that `fuse` makes one of: rows that carry words of `text`, and those of `near` in meaning."""
    words, word_scores = indexes.lexical.search(text, depth, mask)
    vector, rows, cosines = near
    by_words = np.zeros(len(indexes.catalogue), dtype=np.bool_)
    by_words[words] = True
    # The padding row -1 reads the last flag, but its cosine is far below the floor.
    close = (cosines > MEANING_FLOOR) & ~by_words[rows]
    # A product found by its words has a meaning too: counting that as nothing cost 7 points of recall@100.
    rows = np.concatenate([words, rows[close]])
    meaning = np.concatenate([indexes.vectors.vectors(words) @ vector, cosines[close]])
    return [
        ("words", WORDS_WEIGHT, words, word_scores),
        ("meaning", 1.0 - WORDS_WEIGHT, rows, np.maximum(meaning, 0.0)),
    ]


def understood(query: SearchQuery, understand: Understand) -> Understood:
    """All that was said, the later over the earlier: "in blue" takes the place of "in red"."""
    parts = [understand(text, query.ignore) for text in (query.text, *query.further)]
    constraints: dict[str, Constraint] = {}
    for constraint in (*(c for part in parts for c in part.constraints), *query.limits):
        field = constraint.key.partition(":")[0]
        if constraint.key in query.ignore or field in query.ignore:
            continue
        for key in [key for key in constraints if key.partition(":")[0] == field and field not in ADDS_UP]:
            if constraints[key] not in parts[-1].constraints:
                del constraints[key]
        constraints[constraint.key] = constraint
    words = " ".join(dict.fromkeys(" ".join([parts[0].query, *map(_new_words, parts[1:])]).split()))
    sort: Sort = next((part.sort for part in reversed(parts) if part.sort != "relevance"), "relevance")
    return Understood(query.text, words if query.further else parts[0].query, tuple(constraints.values()), sort)


def _meant(query: SearchQuery, understood: Understood) -> str:
    """What is embedded: the words left to match, and the soft ones after them."""
    return " ".join((understood.query, *query.soft)).strip()


def _to_rerank(query: SearchQuery, understood: Understood, ranking: Ranking) -> ToRerank:
    """An order that the shopper chose is left alone."""
    need = _meant(query, understood) if understood.sort == "relevance" else ""
    return ToRerank(ranking, need, query.limit, query.deadline, query.user_id)


Sought = Sequence[tuple[str, str]]
"""Words of a request that are worth naming, each with its stem."""


def telling_words(understood: Understood) -> Sought:
    words = dict.fromkeys(WORD.findall(understood.query.casefold()))
    return [(word, _stem(word)) for word in words if len(word) > 2 and word not in STOP_WORDS]


def _total(carrying: Rows | None, mask: Mask | None, passing: int) -> int:
    """Products within the limits that carry every word of the request; all of them where no word was left."""
    if carrying is None:
        return passing
    return len(carrying) if mask is None else int(mask[carrying].sum())


def match_reasons(indexes: Indexes, candidate: Fused, understood: Understood, sought: Sought) -> tuple[Reason, ...]:
    """Which words of the request the product carries, and which limits it keeps."""
    product = indexes.catalogue.product(candidate.row)
    reasons = []
    values = (value for values in product.attributes.values() for value in values)
    text = " ".join((product.title, product.brand or "", *product.categories, product.description, *values)).casefold()
    hits = [word for word, stem in sought if _carries(text, stem)]
    if hits:
        quoted = ", ".join(f"“{word}”" for word in hits[:4])
        reasons.append(Reason("match", f"Matches {quoted}", (product.id,)))
    elif "meaning" in candidate.parts:
        reasons.append(Reason("meaning", "Close in meaning to what you asked for", (product.id,)))
    elif "popular" in candidate.parts:
        reasons.append(Reason("popular", "Among the most popular that fit", (product.id,)))
    if understood.constraints:
        kept = ", ".join(constraint.label for constraint in understood.constraints)
        reasons.append(Reason("constraint", f"Fits: {kept}", (product.id,)))
    return tuple(reasons)


def _new_words(refinement: Understood) -> str:
    """What a refinement adds to the words of the request: "in blue" limits, and "blue" need not be looked for."""
    limiting = set(WORD.findall(" ".join(c.label for c in refinement.constraints).casefold()))
    return " ".join(word for word in refinement.query.split() if word.casefold() not in limiting)


def _stem(word: str) -> str:
    """Enough to see "jackets" in "jacket"; the index has its own, proper stemmer."""
    return word.removesuffix("s") if len(word) > 3 else word


def _carries(text: str, stem: str) -> bool:
    """Is `stem`, with or without an "s", a whole word of `text`? Faster than taking a long text apart into words.

    >>> _carries("two rain jackets", "jacket"), _carries("a jacketed cable", "jacket")
    (True, False)
    """
    start = text.find(stem)
    while start >= 0:
        end = start + len(stem)
        after = end + text.startswith("s", end)
        if not _in_word(text[start - 1 : start]) and not _in_word(text[after : after + 1]):
            return True
        start = text.find(stem, end)
    return False


def _in_word(character: str) -> bool:
    """As `\\w` has it; no for the empty string beyond either end."""
    return character.isalnum() or character == "_"
