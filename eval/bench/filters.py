"""What a filter costs and what it loses: recall@10 against exact search, and latency beside the same unfiltered.

Takes products, puts an attribute on them that keeps 50 %, 10 %, 1 % and 0.1 %, and searches under it: by the vector
index, by the lexical index and by the whole Searcher. Exact is worked out here from first principles: every cosine by
NumPy, and the hits of the unfiltered lexical index gone through until there are enough that the filter keeps. A smaller
catalogue is repeated up to `size`; what is equal to the tenth best answer counts as right, since copies tie.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import Any

import numpy as np

from app.engines import new_vectors, open_embedder, open_store
from eval.bench.search import distinct_queries
from retrieval.adapters.lexical_tantivy import TantivyLexicalIndex
from retrieval.fusion import fuse
from retrieval.live import Indexes, LiveIndex
from retrieval.models.behaviour import BehaviourCounts
from retrieval.search import DEPTH, MEANING_FLOOR, WORDS_WEIGHT, Searcher, SearchQuery
from tasteline.ports import LexicalIndex
from tasteline.settings import Settings
from tasteline.types import AttributeFilter, Filters, Mask, Product, Rows, Scores, Understood, Vectors

SHARES = {"50%": 0.5, "10%": 0.1, "1%": 0.01, "0.1%": 0.001}
ATTRIBUTE = "bench kept share"
K = 10
SIZE = 20_000
QUERIES = 100
WARM_UP = 10
NEARLY = 1e-4
"""Scores nearer than this are equal: the parts are computed in another order here than there."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The queries with their vectors."""

    texts: Sequence[str]
    vectors: Vectors


def run(products: Sequence[Product], home: Path, size: int = SIZE, queries: int = QUERIES) -> dict[str, Any]:
    """`{"bench": "filters", "ratios": {"recall@10_1%": …, "speed_1%": …, …}, "raw": …}`.

    Recalls are the lowest over vectors, words and the whole search: 1 is exact. Speeds are unfiltered over filtered
    p50 of the whole search, so above 1 the filter makes it faster. `home` keeps embeddings from run to run.
    """
    settings = Settings(home=home)
    embedder = open_embedder(settings)
    texts = distinct_queries(products)[:queries]
    asked = Asked(texts, embedder.encode(texts, "query"))
    with closing(open_store(settings.model_copy(update={"database_url": "sqlite://"}))) as store:
        store.put_products(marked(products, size))
        live = LiveIndex(store, embedder, lambda width: new_vectors(settings, width), TantivyLexicalIndex)
        live.sync()
        searcher = Searcher(live, _as_it_stands, BehaviourCounts, lambda: "bench")
        with live.read() as indexes:
            unfiltered = _latencies(indexes, searcher, asked, None)
            by_share = {name: _under_filter(indexes, searcher, asked, name) for name in SHARES}
    ratios: dict[str, float] = {}
    for name, measured in by_share.items():
        ratios[f"recall@{K}_{name}"] = min(measured["recall"].values())
        ratios[f"speed_{name}"] = unfiltered["search"] / measured["p50_ms"]["search"]
    raw = {"products": size, "queries": len(texts), "unfiltered_p50_ms": unfiltered, "filtered": by_share}
    return {"bench": "filters", "ratios": ratios, "raw": raw}


def marked(products: Sequence[Product], size: int, seed: int = 0) -> list[Product]:
    """`size` products, repeated under new ids where there are fewer; each carries the names of the shares it is in."""
    chance = random.Random(seed)
    places = list(range(size))
    kept = {name: set(chance.sample(places, max(1, round(share * size)))) for name, share in SHARES.items()}
    return [
        replace(
            product,
            id=f"{product.id}#{place // len(products)}",
            attributes={**product.attributes, ATTRIBUTE: tuple(name for name in SHARES if place in kept[name])},
        )
        for place, product in enumerate(islice(cycle(products), size))
    ]


def _as_it_stands(text: str, _: object) -> Understood:
    return Understood(text, text)  # a limit read out of the text would be a second filter


def _filters(name: str) -> Filters:
    return Filters(attributes=(AttributeFilter(ATTRIBUTE, (name,)),))


def _under_filter(indexes: Indexes, searcher: Searcher, asked: Asked, name: str) -> dict[str, Any]:
    mask = indexes.catalogue.mask(_filters(name), indexes.lexical.containing)
    recalls: dict[str, list[float]] = {"vectors": [], "words": [], "search": []}
    matrix = indexes.vectors.vectors(np.arange(len(indexes.vectors)))
    for text, vector in zip(asked.texts, asked.vectors, strict=True):
        cosines = matrix @ vector
        exact_meaning = _best(np.flatnonzero(mask), cosines[mask])
        exact_words = _words_to_depth(indexes.lexical, text, mask)
        rows, scores = indexes.vectors.search(vector[None], K, mask)
        recalls["vectors"].append(recall(rows[0], scores[0], exact_meaning))
        recalls["words"].append(recall(*indexes.lexical.search(text, K, mask), exact_words))
        ranking = searcher.search([SearchQuery(text, _filters(name), limit=K)])[0]
        found = indexes.catalogue.rows(item.product.id for item in ranking.items)
        found_scores = np.array([item.score for item in ranking.items], dtype=np.float32)
        recalls["search"].append(recall(found, found_scores, _fused(exact_words, exact_meaning, cosines)))
    return {
        "kept": int(mask.sum()),
        "recall": {part: mean(values) for part, values in recalls.items()},
        "p50_ms": _latencies(indexes, searcher, asked, name),
    }


def _words_to_depth(index: LexicalIndex, text: str, mask: Mask) -> tuple[Rows, Scores]:
    """The first DEPTH allowed hits without a filter: so many are asked for that just so many are among them.

    The index looks at so many hits before it weighs how many of the words each has, with a filter or without; all hits
    of the unfiltered index would be another question.
    """
    depths = range(DEPTH, len(mask) + 1)
    enough = bisect_left(depths, DEPTH, key=lambda depth: int(mask[index.search(text, depth)[0]].sum()))
    rows, scores = index.search(text, depths[min(enough, len(depths) - 1)])
    return _best(rows[mask[rows]], scores[mask[rows]])


def _best(rows: Rows, scores: Scores) -> tuple[Rows, Scores]:
    order = np.lexsort((rows, -scores))
    return rows[order], scores[order]


def _fused(words: tuple[Rows, Scores], meaning: tuple[Rows, Scores], cosines: Scores) -> tuple[Rows, Scores]:
    """The whole search as it is defined: the best of each side, their cosines known, fused."""
    by_words, word_scores = words[0][:DEPTH], words[1][:DEPTH]
    near = meaning[0][:DEPTH][meaning[1][:DEPTH] > MEANING_FLOOR]
    rows = np.union1d(by_words, near)
    close = np.maximum(cosines[rows], 0.0)
    best = fuse([("words", WORDS_WEIGHT, by_words, word_scores), ("meaning", 1.0 - WORDS_WEIGHT, rows, close)])
    return np.array([each.row for each in best], dtype=np.int64), np.array([each.score for each in best], np.float32)


def recall(rows: Rows, scores: Scores, exact: tuple[Rows, Scores], k: int = K) -> float:
    """Share of the exact top k that `rows` has, where what scores as the k-th best is as good as that; 1 for none."""
    wanted = min(k, len(exact[0]))
    if wanted == 0:
        return 1.0
    score_of = dict(zip(exact[0].tolist(), exact[1].tolist(), strict=True))
    bar = float(exact[1][wanted - 1]) - NEARLY
    kept = rows[scores > -np.inf][:k]
    return min(1.0, len({row for row in kept.tolist() if score_of.get(row, -np.inf) >= bar}) / wanted)


def _latencies(indexes: Indexes, searcher: Searcher, asked: Asked, name: str | None) -> dict[str, float]:
    """p50 in ms of one query at a time, making the mask not counted for the two indexes."""
    filters = _filters(name) if name else Filters()
    mask = indexes.catalogue.mask(filters, indexes.lexical.containing) if name else None
    queries = list(zip(asked.texts, asked.vectors, strict=True))
    return {
        "vectors": _p50_ms(queries, lambda query: indexes.vectors.search(query[1][None], K, mask)),
        "words": _p50_ms(queries, lambda query: indexes.lexical.search(query[0], K, mask)),
        "search": _p50_ms(queries, lambda query: searcher.search([SearchQuery(query[0], filters, limit=K)])),
    }


def _p50_ms(queries: Sequence[tuple[str, Vectors]], search: Callable[[tuple[str, Vectors]], object]) -> float:
    for query in queries[:WARM_UP]:
        search(query)
    taken = []
    for query in queries:
        began = perf_counter()
        search(query)
        taken.append(1000 * (perf_counter() - began))
    return median(taken)
