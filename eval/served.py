"""This service as it would serve a data set: imported, indexed and wired as in production, for the harness to question.

Takes a folder and settings, gives a running shop in a home of its own, kept by the checksum of the data so that a
second run embeds nothing. Knows no metric.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from app.bootstrap import open_shop
from app.encoders import MERGED
from app.engines import encoder_in, open_reranker, open_store
from app.indexing import build_index
from app.shop import Shop
from eval.baselines.bm25 import Bm25
from eval.baselines.dense import Dense
from eval.baselines.fusion import Fusion
from eval.datasets import JudgedSearch, load_judged_search
from eval.measured import OURS, Measured
from eval.search import SearchSystem, evaluate_search
from retrieval.adapters.lexical_tantivy import TantivyLexicalIndex
from retrieval.adapters.store_sql import SqlStore
from retrieval.embedding import CachedEmbedder, EmbeddingCache
from retrieval.importing.run import import_paths
from retrieval.registry import Registry
from retrieval.reranking import Reranking
from retrieval.search import Searcher, SearchQuery
from tasteline.settings import Settings
from tasteline.types import Product

NO_CURRENCY = "XXX"
"""ISO 4217 for "no currency": evaluation sets do not say theirs, and no metric depends on it."""

NEVER = 86_400.0
"""Seconds: while it is measured, a reranker is waited for."""

Progress = Callable[[int, int], None]


class Served:
    """The endpoint's search, asked directly. What is read as a limit limits, as it would for a shopper."""

    def __init__(self, searcher: Searcher, name: str = OURS) -> None:
        self.name = name
        self._searcher = searcher

    def rank(self, queries: Sequence[str], k: int) -> list[list[str]]:
        rankings = self._searcher.search([SearchQuery(query, limit=k) for query in queries])
        return [[item.product.id for item in ranking.items] for ranking in rankings]


@contextmanager
def served(
    feeds: Sequence[Path], checksum: str, settings: Settings, progress: Progress | None = None
) -> Iterator[Shop]:
    """A shop over `feeds`, imported in that order; templates only, since a voice changes no ranking."""
    home = settings.home / "eval" / checksum[:16]
    chosen = settings.model_copy(update={"home": home, "language_model": "none", "database_url": None})
    store = open_store(chosen)
    try:
        if not store.revision():
            import_paths(feeds, store, rejects_file=home / "rejects.jsonl", currency=NO_CURRENCY)
    finally:
        store.close()
    build_index(chosen, progress)
    shop = open_shop(chosen)
    try:
        yield shop
    finally:
        shop.close()


def products_of(data: Path) -> list[Product]:
    """The products of a feed or folder, read as an import reads them; nothing is kept."""
    store = SqlStore("sqlite://")
    with TemporaryDirectory() as folder:
        import_paths([data], store, rejects_file=Path(folder) / "rejects.jsonl", currency=NO_CURRENCY)
    found = [change.product for change in store.changes(0) if change.product is not None]
    store.close()
    return found


@dataclass(frozen=True, slots=True)
class Tuned:
    """Models to measure beside the published ones: ids of the registry of this home, or folders."""

    encoder: str | None = None
    reranker: str | None = None


def run_search(
    folder: Path,
    settings: Settings,
    progress: Progress | None = None,
    tuned: Tuned | None = None,
    judgements: Sequence[str] | None = None,
) -> Measured:
    """`tasteline eval search`: the served system beside words alone, meaning alone and their plain fusion.

    Then it with the tuned models. `judgements`: names of files in the folder; None: all. Raises NotFound for a model
    that is not there.
    """
    dataset: JudgedSearch = load_judged_search(folder, judgements)
    with served([dataset.products], dataset.checksum, settings, progress) as shop:
        systems = itertools.chain(systems_of(shop), _with_tuned(shop, tuned or Tuned(), settings, progress))
        return evaluate_search(dataset, systems)


def _with_tuned(shop: Shop, tuned: Tuned, settings: Settings, progress: Progress | None) -> Iterator[SearchSystem]:
    """Drawn one by one: with the encoder the indexes of `shop` change."""
    plain = shop.searcher.reranked(None)
    reranked = plain
    if tuned.reranker is not None:
        reranked = plain.reranked(reranking_by(folder_of(tuned.reranker, settings), settings))
        yield Served(reranked, f"{OURS} + reranker")
    if tuned.encoder is not None:
        adopt(shop, folder_of(tuned.encoder, settings), settings, progress)
        yield dense_of(shop, "tuned encoder")
        yield Served(plain, f"{OURS} + encoder")
        if tuned.reranker is not None:
            yield Served(reranked, f"{OURS} + both")


def adopt(shop: Shop, folder: Path, settings: Settings, progress: Progress | None = None) -> None:
    """From now on the indexes of `shop` are those of the encoder in `folder`; its vectors are kept in the home."""
    embedder = encoder_in(str(folder / MERGED), settings)
    shop.live.adopt(CachedEmbedder(embedder, EmbeddingCache(settings.home / "embeddings.db")), progress)


def reranking_by(folder: Path, settings: Settings) -> Reranking:
    """By the cross-encoder in `folder`, which is waited for."""
    reranker = open_reranker(str(folder / MERGED), folder.name, settings)
    return Reranking(lambda: reranker, settings.reranked_products, NEVER)


def folder_of(name: str, settings: Settings) -> Path:
    return Path(name) if Path(name).is_dir() else Registry(settings.home).find(name).folder


def systems_of(shop: Shop, *, patient: bool = False) -> list[SearchSystem]:
    """Baselines over the shop's own catalogue and vectors, then the shop itself; `patient`: its reranker is waited for,
    if it has one."""
    products, searcher = _products(shop), shop.searcher.patient(NEVER) if patient else shop.searcher
    bm25, dense = Bm25(TantivyLexicalIndex(coordination=False), products), dense_of(shop)
    return [bm25, dense, Fusion([bm25, dense], [0.5, 0.5]), Served(searcher)]


def dense_of(shop: Shop, name: str = Dense.name) -> Dense:
    """Meaning alone, by the encoder of the shop's indexes at this moment."""
    with shop.live.read() as indexes:
        rows = np.flatnonzero(indexes.catalogue.alive)
        ids = [indexes.catalogue.product(int(row)).id for row in rows]
        return Dense(indexes.embedder, ids, indexes.vectors.vectors(rows), name)


def _products(shop: Shop) -> list[Product]:
    with shop.live.read() as indexes:
        return list(indexes.catalogue.products())
