"""A shop to time recommendations in: real parts, products and histories of a data set or made up, weights at random.

Takes a size or a folder, gives a recommender whose learned ranker is laid on the catalogue as in the service. Nothing
is trained: what a forward pass takes does not depend on what its weights say. The catalogue's store and the words are
stand-ins, because a recommendation asks neither; the events lie in the service's own store on disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from typing import Literal
from zlib import crc32

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy import sparse

from eval.served import products_of
from retrieval.adapters.store_sql import SqlStore
from retrieval.adapters.vectors_faiss import FaissVectorIndex
from retrieval.live import Indexes, LiveIndex
from retrieval.models.behaviour import BehaviourCounts
from retrieval.models.following import Following, FollowingSettings, largest
from retrieval.models.item_features import Description, ItemFeatures, Vocabulary
from retrieval.models.learned import LearnedSource
from retrieval.models.network import Encoder, NextItemNetwork, Shape
from retrieval.models.ranker import FROM_EACH, Fusion, feature_names
from retrieval.models.ranker_files import StoredRanker, read_ranker, write_ranker
from retrieval.models.sequences import KINDS, Numbers, Sequences
from retrieval.models.sources import untrained
from retrieval.recommend import Recommender
from retrieval.search import Searcher
from retrieval.text import product_text
from retrieval.understanding import Vocabulary as Words
from retrieval.understanding import understand
from tasteline.errors import NotFound
from tasteline.ports import Change, Written
from tasteline.types import Event, EventType, Mask, Price, Product, Rows, Scores, Vectors

LIKES_COMPARED = 100_000
"""Items up to which likes are found, as a training does; the graph that finds them among more takes long to build."""
KIND_SIZE = 60
"""Products of a made-up category."""
EVENTS_AT_ONCE = 5_000
COUNTED = 50_000
"""People whose events the behaviour is counted from: a million events, some seconds."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a made-up shop is, and its ranker."""

    items: int = 12_101
    """Like `people` those of amazon-beauty."""
    people: int = 22_363
    dimension: int = 384
    """Of the vectors of texts: MiniLM's."""
    width: int = 128
    encoders: tuple[Encoder, ...] = ("transformer", "gru")
    """The networks of the recipe."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Products, and histories in their numbers."""

    name: str
    products: Sequence[Product]
    histories: Sequences


def made_up(size: Size, seed: int = 0) -> Contents:
    """Some nine steps a person, most of them within a few categories, popular products first."""
    rng = np.random.default_rng(seed)
    kinds = max(1, size.items // KIND_SIZE)
    lengths = np.minimum(3 + rng.geometric(1 / 6, size.people), 50)
    starts = np.concatenate(([0], np.cumsum(lengths)))
    steps = int(starts[-1])
    favourites = _falling(rng, kinds, (size.people, 3))
    own = favourites[np.repeat(np.arange(size.people), lengths), rng.integers(0, 3, steps)]
    kind = np.where(rng.random(steps) < 0.8, own, _falling(rng, kinds, steps))
    items = np.minimum(kind + kinds * _falling(rng, -(-size.items // kinds), steps), size.items - 1)
    moments = np.cumsum(rng.exponential(86_400.0, steps)) + 1.6e9
    bought = np.full(steps, 3, dtype=np.int8)
    return Contents("made up", _products(size.items, kinds), Sequences(starts, items, bought, moments))


def of_folder(data: Path) -> Contents:
    """The products of an items.csv and the train rows of an interactions.csv; no valid or test row is looked at."""
    path = data / "interactions.csv"
    if not path.is_file():
        raise NotFound(f"{path} does not exist; give a folder with items.csv and interactions.csv")
    products = products_of(data)
    numbers = {product.id: number for number, product in enumerate(products)}
    rows = pl.read_csv(path, columns=["raw_user_id", "asin", "position", "split"]).filter(pl.col("split") == "train")
    rows = rows.filter(pl.col("asin").is_in(list(numbers))).sort("raw_user_id", "position", maintain_order=True)
    items = rows["asin"].replace_strict(numbers, return_dtype=pl.Int64).to_numpy()
    lengths = rows.group_by("raw_user_id", maintain_order=True).len()["len"].to_numpy()
    starts = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    bought = np.full(len(items), KINDS[EventType.PURCHASE], dtype=np.int8)
    return Contents(data.name, products, Sequences(starts, items, bought, np.full(len(items), np.nan)))


def _falling(rng: np.random.Generator, below: int, shape: int | tuple[int, int]) -> Numbers:
    """Numbers below a bound, small ones far more often: a head and a long tail."""
    numbers: Numbers = (below * rng.random(shape) ** 3).astype(np.int64)
    return numbers


def _products(items: int, kinds: int) -> list[Product]:
    return [
        Product(
            f"p{item}",
            f"Brand{item % 997} thing{item % kinds} number{item}",
            brand=f"Brand{item % 997}",
            categories=(f"Department {item % kinds % 20}", f"Kind {item % kinds}"),
            price=Price(500 + 37 * (item % 400), "USD"),
            rating=3.0 + (item * 7919 % 20) / 10,
        )
        for item in range(items)
    ]


class WordVectors:
    """The embedder of the bench: a word has a vector drawn by its letters, a text is the sum. Microseconds a text."""

    name = "words"

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._table = np.random.default_rng(1).normal(size=(4_096, dimension)).astype(np.float32)

    def encode(self, texts: Sequence[str], kind: Literal["query", "document"]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for line, text in enumerate(texts):
            codes = [crc32(word.encode()) % len(self._table) for word in text.split()[:12]]
            vectors[line] = self._table[codes].sum(axis=0)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, lengths, out=vectors, where=lengths > 0)
        return vectors


class PutOnce:
    """A catalogue store of what is there from the beginning."""

    def __init__(self, products: Sequence[Product]) -> None:
        self._products = products

    def revision(self) -> int:
        return len(self._products)

    def changes(self, since: int) -> Iterator[Change]:
        for number in range(since, len(self._products)):
            yield Change(number + 1, self._products[number].id, self._products[number])

    def put_products(self, products: Sequence[Product]) -> Written:
        raise NotImplementedError("the products of a bench do not change")

    def delete_products(self, ids: Sequence[str]) -> int:
        raise NotImplementedError("the products of a bench do not change")


class NoWords:
    """A lexical index that finds nothing."""

    def __init__(self) -> None:
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, products: Sequence[Product | None]) -> None:
        self._rows += len(products)

    def search(self, query: str, k: int, allowed: Mask | None = None) -> tuple[Rows, Scores]:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)

    def containing(self, term: str) -> Rows:
        return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class BenchShop:
    """Everything wired; `close()` when done."""

    recommender: Recommender
    source: LearnedSource
    stored: StoredRanker
    live: LiveIndex
    store: SqlStore
    users: tuple[str, ...]
    """Those whose events are in the store, in the order of `histories`."""
    histories: Sequences
    """In catalogue rows, which are the numbers of the contents."""

    def close(self) -> None:
        self.store.close()


def open_bench_shop(contents: Contents, size: Size, folder: Path, people: Numbers, seed: int = 0) -> BenchShop:
    """A shop with the events of these `people`; what was made before in `folder` (store, ranker) is taken from there.

    Counts are those of the first COUNTED people.
    """
    embedder = WordVectors(size.dimension)
    live = LiveIndex(
        PutOnce(contents.products),
        embedder,
        lambda width: FaissVectorIndex(width, exact_up_to=2**40),  # looked up, never searched: a graph is for naught
        NoWords,
    )
    live.sync()
    stored = _kept_ranker(contents, live, size, folder / "ranker", seed)
    store = _filled_store(contents, people, folder / "bench.db")
    counted = np.arange(min(len(contents.histories), COUNTED))
    counts = BehaviourCounts.fit(enumerate(_events(contents, counted), start=1))
    ids = count()

    def indexes() -> Indexes:
        return live.present

    source = LearnedSource(lambda: stored, indexes, FaissVectorIndex)
    searcher = Searcher(
        live,
        lambda text, ignore: understand(text, Words.from_products([]), ignore),
        lambda: counts,
        lambda: f"s{next(ids)}",
    )
    recommender = Recommender(
        live,
        store,
        [source, *untrained(lambda: counts, indexes)],
        searcher,
        lambda: 0.0,
        lambda: f"r{next(ids)}",
        is_learned=lambda: True,
    )
    with live.read():
        source.lay(stored)
    users = tuple(f"u{person}" for person in people)
    return BenchShop(recommender, source, stored, live, store, users, contents.histories.take(people))


def _kept_ranker(contents: Contents, live: LiveIndex, size: Size, folder: Path, seed: int) -> StoredRanker:
    if not folder.is_dir():
        texts = live.present.vectors.vectors(np.arange(len(contents.products)))
        folder.mkdir()
        write_ranker(random_ranker(contents, texts, size, seed), folder)
    return read_ranker(folder)


def _filled_store(contents: Contents, people: Numbers, path: Path) -> SqlStore:
    new = not path.is_file()
    store = SqlStore(f"sqlite:///{path}")
    events = _events(contents, people)
    while new and (batch := list(islice(events, EVENTS_AT_ONCE))):
        store.append_events(batch)
    return store


def _events(contents: Contents, people: Numbers) -> Iterator[Event]:
    histories = contents.histories
    for person in people.tolist():
        for step in range(int(histories.starts[person]), int(histories.starts[person + 1])):
            moment = histories.moments[step]
            yield Event(
                f"e{step}",
                EventType.PURCHASE,
                user_id=f"u{person}",
                product_id=contents.products[histories.items[step]].id,
                time=None if np.isnan(moment) else datetime.fromtimestamp(moment, UTC),
                position=step,
            )


def random_ranker(contents: Contents, texts: Vectors, size: Size, seed: int) -> StoredRanker:
    """Of the recipe's shape, untrained; what follows what is counted from the histories."""
    described = [Description.of(product, product_text(product)) for product in contents.products]
    vocabulary = Vocabulary.of(described)
    torch.manual_seed(seed)
    nothing = ItemFeatures(np.zeros((0, size.dimension), np.float32), vocabulary.codes([]))
    networks: dict[str, NextItemNetwork] = {
        encoder: NextItemNetwork(nothing, vocabulary.sizes, Shape(encoder, width=size.width)).eval()
        for encoder in size.encoders
    }
    rng = np.random.default_rng(seed)
    fusion = Fusion(len(feature_names(len(networks)))).eval()
    return StoredRanker(
        item_ids=tuple(product.id for product in contents.products),
        vocabulary=vocabulary,
        codes=vocabulary.codes(described),
        networks=networks,
        vectors={name: _projected(texts, size.width, rng) for name in networks},
        fusion=fusion,
        following=following_of(contents.histories, texts),
        repeats=False,
        from_each=FROM_EACH,
        embedder=WordVectors.name,
    )


def _projected(texts: Vectors, width: int, rng: np.random.Generator) -> Vectors:
    """Items of a kind near one another, as learned ones are: a graph of pure noise would be walked for longer."""
    onto = rng.normal(size=(texts.shape[1], width)).astype(np.float32)
    return np.asarray(texts @ onto, dtype=np.float32)


def following_of(histories: Sequences, texts: Vectors) -> Following:
    """As counted in a training; beyond LIKES_COMPARED items ten likes are drawn for each instead of found."""
    settings = FollowingSettings()
    if len(texts) <= LIKES_COMPARED:
        return Following.fit(histories, texts, settings)
    counted = Following.fit(histories, texts, replace(settings, alike=0))
    likes = _drawn_likes(len(texts), settings)
    return replace(counted, settings=settings, smoothed=largest(counted.counted + likes, settings.kept))


def _drawn_likes(items: int, settings: FollowingSettings) -> sparse.csr_matrix:
    each = 10
    near: NDArray[np.int64] = np.random.default_rng(0).integers(0, items, (items, each))
    weights = np.full(items * each, settings.plain_likeness / each, dtype=np.float32)
    lines = np.repeat(np.arange(items), each)
    return sparse.csr_matrix((weights, (lines, near.ravel())), shape=(items, items))
