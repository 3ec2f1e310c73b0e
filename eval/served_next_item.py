"""This service's own recommendations as a system of the next-item task: imported, indexed and asked as in production.

Takes settings and the feed of the products, gives a Ranker called "tasteline". What the shop has counted are the train
rows and nothing else; the history of a case reaches it as the steps of a session. Knows no target and no metric.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

import numpy as np

from app.shop import Shop
from eval.data.interactions import TYPES, Catalogue, Codes, Histories
from eval.learned import Learned, card_of
from eval.measured import OURS
from eval.served import Progress, served
from eval.systems import Learning
from retrieval.models.ranker_files import write_ranker
from retrieval.recommend import RecommendationQuery
from retrieval.registry import Registry
from retrieval.welcome import Welcome
from tasteline.settings import Settings
from tasteline.types import Choice, Event, Rows

VECTORS_FILE = "embeddings.db"


class ServedNextItem:
    """What the home page shows a person with that history, as a session; strangers get what it shows strangers.

    `products`: the feed to import; None writes one out of the catalogue's texts. `learned`: the ranker that is live in
    it; None leaves the shop without one. Close it when done.
    """

    name = OURS

    def __init__(
        self,
        settings: Settings,
        products: Path | None = None,
        progress: Progress | None = None,
        learned: Learned | None = None,
    ) -> None:
        self._settings = settings
        self._products = products
        self._progress = progress
        self._learned = learned
        self._open = ExitStack()
        self._fitted: tuple[Shop, Learning] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def fit(self, learning: Learning) -> None:
        """Import products and train rows into a home of their own, kept by the checksum of data and split."""
        homes = self._settings.home / "eval"
        home = homes / learning.checksum[:16]
        start_from_known_vectors(homes, home)
        feed = home / "feed"
        _written(feed / "events.jsonl", _event_lines(learning))
        products = self._products or _written(feed / "products.jsonl", _product_lines(learning.catalogue))
        shop = served([products, feed / "events.jsonl"], learning.checksum, self._settings, self._progress)
        self._fitted = self._open.enter_context(shop), learning
        if self._learned is not None:
            self._learned.fit(learning)
            _make_live(self._learned, self._fitted[0], learning)

    def rank(self, histories: Histories, k: int) -> Codes:
        """Every history asked for itself, as a request would; products that the catalogue lacks are left out."""
        return self._ranked(histories, k, "home", [""] * len(histories))

    def rank_sentences(self, sentences: Sequence[str], k: int) -> Codes:
        """What a stranger is welcomed with who says this and has done nothing."""
        nobody = Histories.of([[] for _ in sentences])
        return self._ranked(nobody, k, "welcome", sentences)

    def rank_answers(self, answers: Sequence[Sequence[Choice]], k: int) -> Codes:
        """What a stranger is welcomed with who has answered that; the same answers are asked for once."""
        distinct = list(dict.fromkeys(map(tuple, answers)))
        queries = [RecommendationQuery(context="welcome", answers=each, limit=k) for each in distinct]
        place = {each: number for number, each in enumerate(distinct)}
        ranked: Codes = self._asked(queries, k, len(queries))[[place[tuple(each)] for each in answers]]
        return ranked

    def welcome(self) -> tuple[Welcome, Rows]:
        """The shop's questions, and the row in them of each item of the catalogue, -1 for what the shop lacks."""
        shop, learning = self._opened()
        with shop.live.read() as indexes:
            questions = shop.newcomers.questions(indexes)
            rows = [indexes.catalogue.row(product_id) for product_id in learning.catalogue.ids]
        if questions is None:
            raise RuntimeError("a shop that has just been opened knows its questions")
        return questions, np.array([-1 if row is None else row for row in rows], dtype=np.int64)

    def _ranked(
        self, histories: Histories, k: int, context: Literal["home", "welcome"], wishes: Sequence[str]
    ) -> Codes:
        _, learning = self._opened()
        return self._asked(
            (
                RecommendationQuery(
                    session=steps(histories, case, learning), context=context, wish=wish, limit=k, exclude_seen=True
                )
                for case, wish in enumerate(wishes)
            ),
            k,
            len(wishes),
        )

    def _opened(self) -> tuple[Shop, Learning]:
        if self._fitted is None:
            raise RuntimeError("fit() opens the shop; call it first")
        return self._fitted

    def _asked(self, queries: Iterable[RecommendationQuery], k: int, number: int) -> Codes:
        """(number, k), one after the other, as requests would come."""
        shop, learning = self._opened()
        numbers = {product_id: item for item, product_id in enumerate(learning.catalogue.ids)}
        ranked = np.full((number, k), -1, dtype=np.int32)
        for case, query in enumerate(queries):
            items = shop.recommender.recommend(query).items
            found = [numbers[item.product.id] for item in items if item.product.id in numbers]
            ranked[case, : len(found)] = found
        return ranked


def _make_live(learned: Learned, shop: Shop, learning: Learning) -> None:
    """Register the ranker in the shop's own home, as `tasteline train` does, and let the shop take it up."""
    assert learned.stored is not None
    stored = learned.stored
    shutil.rmtree(shop.settings.home / "models" / "registry", ignore_errors=True)  # of an earlier run, another seed
    registry = Registry(shop.settings.home)
    entry = registry.register(card_of(learned, learning, {}, "valid"), lambda folder: write_ranker(stored, folder))
    registry.promote(entry.id)
    shop.follower.tick()
    if problem := next((each.problem for each in shop.trained if each.problem), None):
        raise RuntimeError(problem)


def steps(histories: Histories, case: int, learning: Learning) -> tuple[Event, ...]:
    """A history as the service's events."""
    span = slice(int(histories.starts[case]), int(histories.starts[case + 1]))
    columns = (histories.items[span], histories.order[span], histories.types[span])
    return tuple(
        Event(
            f"case:{place}",
            TYPES[kind],
            "case",
            product_id=learning.catalogue.ids[item],
            position=None if learning.timed else order,
            time=datetime.fromtimestamp(order, UTC) if learning.timed else None,
        )
        for place, (item, order, kind) in enumerate(zip(*(column.tolist() for column in columns), strict=True))
    )


def _event_lines(learning: Learning) -> Iterator[dict[str, object]]:
    train, ids = learning.train, learning.catalogue.ids
    columns = (train.users, train.items, train.order, train.types, train.rows)
    for user, item, order, kind, row in zip(*(column.tolist() for column in columns), strict=True):
        when = {"time": datetime.fromtimestamp(order, UTC).isoformat()} if learning.timed else {"position": order}
        yield {"id": str(row), "type": TYPES[kind].value, "user_id": f"u{user}", "product_id": ids[item], **when}


def _product_lines(catalogue: Catalogue) -> Iterator[dict[str, object]]:
    for product_id, text, category in zip(catalogue.ids, catalogue.texts, catalogue.categories, strict=True):
        title = " ".join(text.split())[:300] or category or f"Product {product_id}"
        yield {"id": product_id, "title": title, **({"categories": [category]} if category else {})}


def _written(path: Path, lines: Iterator[dict[str, object]]) -> Path:
    """Written once, whole or not at all."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_name(f".{path.name}.{os.getpid()}")
    with writing.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    os.replace(writing, path)
    return path


def start_from_known_vectors(homes: Path, home: Path) -> None:
    """Another split of the same set has the same products: their vectors are not computed twice."""
    others = sorted(homes.glob(f"*/{VECTORS_FILE}"), key=lambda path: path.stat().st_size)
    if others and not (home / VECTORS_FILE).exists():
        home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(others[-1], home / VECTORS_FILE)
