"""A sample of people whose last purchase is to be guessed: leave one out, ranked by the service's own recommender.

Takes a folder with `items.csv` and `interactions.csv` (split = train, valid or test) and settings; gives people, each
with the history that may be known, the target that is not, and what the service would show. What the whole shop has
counted are the `train` rows only: the rows of the sampled people in `valid` and `test` reach it as steps of a session,
and only those before the target. All products are candidates but those of the history. The shop is kept by the
checksum of the data, so that a second run imports and embeds nothing; rankings are made anew by the code of the day.

A target that is not among the `depth` products shown counts as missed; numbers are to be compared with rankings
against all items, never with those against a hundred drawn ones.
"""

from __future__ import annotations

import csv
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from app.shop import Shop
from eval.datasets import checksum_of
from eval.metrics import judged_labels, labels_of, mrr_at_k, ndcg_at_k, padded, recall_at_k
from eval.metrics.ranking import Values
from eval.served import served
from retrieval.recommend import RecommendationQuery, Recommender
from tasteline.errors import InvalidInput, NotFound
from tasteline.settings import Settings
from tasteline.types import Event, EventType, Product, Ranking

Split = Literal["valid", "test"]
ITEMS_FILE, INTERACTIONS_FILE = "items.csv", "interactions.csv"
COLUMNS = ("raw_user_id", "asin", "position", "split")
PROTOCOL = (
    "leave one out: the last purchase is the test target, the one before it the validation target; history is all "
    "before the target; ranked against all products but those of the history; counts are fitted on train rows only"
)


@dataclass(frozen=True, slots=True)
class Case:
    """One person as the files have them; ids only."""

    user_id: str
    history: tuple[str, ...]
    """Product ids, oldest first."""
    target_id: str


@dataclass(frozen=True, slots=True)
class Person:
    """A case, and what the service would show."""

    user_id: str
    history: tuple[Product, ...]
    """Oldest first; products that the catalogue does not have are left out."""
    target_id: str
    ranking: Ranking
    """At most `depth` products with scores and reasons."""


@contextmanager
def train_shop(data: Path, settings: Settings) -> Iterator[Shop]:
    """The service over all products of `data` and its `train` rows, kept under `settings.home`.

    Raises NotFound where a file is missing.
    """
    files = tuple(data / name for name in (ITEMS_FILE, INTERACTIONS_FILE))
    for path in files:
        if not path.is_file():
            raise NotFound(f"{path} does not exist; a next-item set has {ITEMS_FILE} and {INTERACTIONS_FILE}")
    checksum = checksum_of(files)
    feed = settings.home / "eval" / checksum[:16] / "train"
    _write_train_rows(data, feed)
    with served([feed], checksum, settings) as shop:
        yield shop


def sample(
    data: Path,
    settings: Settings,
    *,
    people: int = 500,
    seed: int = 0,
    split: Split = "test",
    history: int | None = None,
    depth: int = 20,
) -> list[Person]:
    """`people` drawn persons (all, where there are fewer) with the rankings of the service. See `cases`, `ranked`."""
    with train_shop(data, settings) as shop:
        drawn = cases(data, people=people, seed=seed, split=split, history=history)
        return [ranked(case, shop, depth=depth) for case in drawn]


def cases(
    data: Path, *, people: int = 500, seed: int = 0, split: Split = "test", history: int | None = None
) -> list[Case]:
    """Drawn with equal chance; a smaller sample with the same seed is the beginning of a larger one.

    The two splits draw different people. `history` cuts to the last so many purchases: such a person is new here, and
    what was bought before is neither known nor left out of the ranking. Raises InvalidInput for a bad row.
    """
    if split not in get_args(Split):
        raise InvalidInput(f"The split is {split!r}; it is one of {', '.join(get_args(Split))}.", field="split")
    if history is not None and history < 0:
        raise InvalidInput(f"The history is cut to {history} purchases; that is 0 or more.", field="history")
    known = ("train",) if split == "valid" else ("train", "valid")
    before: dict[str, list[tuple[int, str]]] = {}
    targets: dict[str, str] = {}
    for user_id, product_id, position, part in _rows(data / INTERACTIONS_FILE):
        if part == split:
            targets[user_id] = product_id
        elif part in known:
            before.setdefault(user_id, []).append((position, product_id))
    users = sorted(targets)
    random.Random(f"{seed} {split}").shuffle(users)
    return [Case(user, _last(before.get(user, []), history), targets[user]) for user in users[:people]]


def steps(user_id: str, product_ids: Sequence[str]) -> tuple[Event, ...]:
    """Purchases in that order, as a session sends them."""
    return tuple(
        Event(f"{user_id}:{place}", EventType.PURCHASE, user_id, product_id=product_id, position=place)
        for place, product_id in enumerate(product_ids)
    )


def recommended(recommender: Recommender, case: Case, *, query: str = "", depth: int = 20) -> Ranking:
    """What the service shows the person of `case` on its home page; `query` narrows it as a request would."""
    return recommender.recommend(
        RecommendationQuery(
            session=steps(case.user_id, case.history), context="home", query=query, limit=depth, exclude_seen=True
        )
    )


def ranked(case: Case, shop: Shop, *, depth: int = 20) -> Person:
    with shop.live.read() as indexes:
        rows = indexes.catalogue.rows(case.history)
        history = tuple(indexes.catalogue.product(int(row)) for row in rows)
    return Person(case.user_id, history, case.target_id, recommended(shop.recommender, case, depth=depth))


def measure(people: Sequence[Person], rankings: Sequence[Ranking], *, k: int = 10) -> dict[str, Values]:
    """metric → value of each person, for one ranking each: `ndcg@k`, `recall@k`, and `mrr` over all that is shown.

    >>> person = Person("ann", (), "p2", Ranking("r", (), 0))
    >>> {name: value.tolist() for name, value in measure([person], [person.ranking]).items()}
    {'ndcg@10': [0.0], 'recall@10': [0.0], 'mrr': [0.0]}
    """
    numbers: dict[str, int] = {}

    def number(product_id: str) -> int:
        return numbers.setdefault(product_id, len(numbers))

    items, judged = judged_labels([{number(person.target_id): 1.0} for person in people])
    depth = max((len(ranking.items) for ranking in rankings), default=0)
    lists = [[number(item.product.id) for item in ranking.items] for ranking in rankings]
    labels = labels_of(padded(lists, width=depth), items, judged)
    return {
        f"ndcg@{k}": ndcg_at_k(labels, judged, k),
        f"recall@{k}": recall_at_k(labels, judged, k),
        "mrr": mrr_at_k(labels, max(depth, 1)),
    }


def means(values: dict[str, Values]) -> dict[str, float]:
    return {metric: float(np.mean(each)) for metric, each in values.items()}


def _last(before: list[tuple[int, str]], history: int | None) -> tuple[str, ...]:
    in_order = [product_id for _, product_id in sorted(before)]
    return tuple(in_order if history is None else in_order[max(0, len(in_order) - history) :])


def _rows(path: Path) -> Iterator[tuple[str, str, int, str]]:
    """(user id, product id, position, split) of every row."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise InvalidInput(f"{path}: the columns are {reader.fieldnames}; {', '.join(COLUMNS)} are needed")
        for row in reader:
            user_id, product_id, position, part = (row[column] or "" for column in COLUMNS)
            if not user_id or not product_id or not position.isdigit():
                raise InvalidInput(f"{path}, line {reader.line_num}: user, product or position is missing")
            yield user_id, product_id, int(position), part


def _write_train_rows(data: Path, feed: Path) -> None:
    """The set as a shop would have known it: every product, and the `train` rows. Written once, whole or not at all."""
    done = feed / INTERACTIONS_FILE
    if done.exists():
        return
    feed.mkdir(parents=True, exist_ok=True)
    (feed / ITEMS_FILE).write_bytes((data / ITEMS_FILE).read_bytes())
    writing = feed / ".writing"
    with (
        (data / INTERACTIONS_FILE).open(newline="", encoding="utf-8-sig") as stream,
        writing.open("w", newline="", encoding="utf-8") as out,
    ):
        reader = csv.DictReader(stream)
        writer = csv.DictWriter(out, reader.fieldnames or COLUMNS)
        writer.writeheader()
        writer.writerows(row for row in reader if row.get("split") == "train")
    os.replace(writing, done)
