"""Cart add-ons: one product of a later basket is hidden, and the rest of the basket asks for it.

Takes deeds and the kind of each product, gives a Measured. The last month is test, the month before it is where
settings were chosen; rules are counted on what lies before. Baskets are what one person bought on one day. Knows
nothing of how rules are made (`retrieval.offers.baskets`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from eval.measured import OURS, Measured, SystemResult, Values, binned
from retrieval.offers.baskets import BasketRules
from retrieval.offers.deeds import BOUGHT
from tasteline.errors import InvalidInput

Part = Literal["valid", "test"]
DAYS = 30
LEAST = 3
"""Products of a basket that is asked about: two are left to ask with."""
BASKETS = 2_000
K = 10
AT_ONCE = 100
SIZES = [("2–4", 2), ("5–9", 5), ("10–19", 10), ("20+", 20)]


@dataclass(frozen=True, slots=True)
class Question:
    """A basket without one of its products."""

    person: str
    cart: tuple[str, ...]
    hidden: str


class Ranker(Protocol):
    def __call__(self, questions: Sequence[Question]) -> list[list[str]]:
        """The first K for each, best first, none of its cart."""
        ...


Fit = Callable[[pl.DataFrame], Ranker]
"""From what may be counted."""


def divided(deeds: pl.DataFrame, part: Part) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(what may be counted, what is asked about). Raises InvalidInput for less than three months."""
    last = int(deeds["day"].max()) + 1  # type: ignore[arg-type]
    start = last - DAYS * (1 if part == "test" else 2)
    if int(deeds["day"].min()) > start - DAYS:  # type: ignore[arg-type]
        raise InvalidInput("baskets must reach over three months: a month to count, one to choose and one to measure")
    return deeds.filter(pl.col("day") < start), deeds.filter(pl.col("day").is_between(start, start + DAYS, "left"))


def questions_of(asked: pl.DataFrame, seed: int, most: int = BASKETS) -> list[Question]:
    """At most `most` baskets, drawn with equal chance, each with one product drawn out of it."""
    baskets = (
        asked.filter(pl.col("kind") == BOUGHT)
        .group_by("person", "day")
        .agg(pl.col("product").unique().sort())
        .filter(pl.col("product").list.len() >= LEAST)
        .sort("person", "day")
    )
    chance = np.random.default_rng(seed)
    drawn = np.sort(chance.choice(len(baskets), min(most, len(baskets)), replace=False))
    questions = []
    for person, _, products in baskets[drawn].iter_rows():
        place = int(chance.integers(len(products)))
        questions.append(Question(person, (*products[:place], *products[place + 1 :]), products[place]))
    return questions


def measure(
    deeds: pl.DataFrame,
    kinds: dict[str, str],
    dataset: str,
    checksum: str,
    *,
    part: Part = "test",
    seed: int = 0,
    told: Callable[[str], None] = lambda name: None,
    more: Mapping[str, Fit] | None = None,
) -> Measured:
    """`more`: systems to measure beside those of `systems`."""
    started = time.perf_counter()
    known, asked = divided(deeds, part)
    questions = questions_of(asked, seed)
    if not questions:
        raise InvalidInput(f"{dataset}: no basket of {LEAST} products to ask about")
    results = {}
    for name, fit in {**systems(kinds), **(more or {})}.items():
        told(name)
        begun = time.perf_counter()
        ranker = fit(known)
        fitted = time.perf_counter() - begun
        results[name] = SystemResult(_values(questions, ranker(questions)), fit_seconds=fitted)
    people = sorted({question.person for question in questions})
    return Measured(
        task="offers",
        dataset=dataset,
        checksum=checksum,
        protocol=f"temporal: rules counted on all but the last {DAYS if part == 'test' else 2 * DAYS} days; of each of "
        f"{len(questions):,} later baskets (a person's day, {LEAST} products or more) one product is hidden and asked "
        "for by the rest; nothing is known of whose basket it is; every product ever bought is a candidate",
        cases=tuple(f"{place}/{question.person}" for place, question in enumerate(questions)),
        systems=results,
        slices=[binned("cart", np.array([len(question.cart) for question in questions]), SIZES)],
        settings={"k": K, "days": DAYS, "part": part},
        seed=seed,
        seconds=time.perf_counter() - started,
        resamples=2_000,
        groups=np.array([people.index(question.person) for question in questions]),
    )


def systems(kinds: dict[str, str]) -> dict[str, Fit]:
    """Ours is what the service answers; beside it the same with substitutes, plain counts of pairs, and the popular."""
    return {
        OURS: lambda known: _rules(known, kinds),
        "with_substitutes": lambda known: _rules(known, None),
        "cooccurrence": lambda known: _Counted(known, pairs=True),
        "popular": lambda known: _Counted(known, pairs=False),
    }


def _rules(known: pl.DataFrame, kinds: dict[str, str] | None) -> Ranker:
    fitted = BasketRules.fit(known, kinds)
    return lambda questions: [[each.rule.other for each in fitted.add_ons(asked.cart, K)] for asked in questions]


class _Counted:
    """By the number of baskets that have both, summed over the cart; or by the number of baskets alone."""

    def __init__(self, known: pl.DataFrame, *, pairs: bool) -> None:
        lines = known.filter(pl.col("kind") == BOUGHT).select("person", "day", "product").unique()
        rows = lines.select(pl.struct("person", "day").rank("dense") - 1).to_series().to_numpy().astype(np.int64)
        self._ids = lines["product"].unique().sort().to_list()
        self._codes = {product: place for place, product in enumerate(self._ids)}
        columns = np.array([self._codes[product] for product in lines["product"].to_list()], dtype=np.int64)
        ones = np.ones(len(rows), dtype=np.float32)
        self._table = sparse.csr_matrix((ones, (rows, columns)))
        self._counts = np.asarray(self._table.sum(axis=0), dtype=np.float32).ravel()
        self._pairs = pairs

    def __call__(self, questions: Sequence[Question]) -> list[list[str]]:
        ranked: list[list[str]] = []
        for start in range(0, len(questions), AT_ONCE):
            ranked += self._some(questions[start : start + AT_ONCE])
        return ranked

    def _some(self, questions: Sequence[Question]) -> list[list[str]]:
        carts = [[self._codes[each] for each in question.cart if each in self._codes] for question in questions]
        asked = sparse.csr_matrix(
            (
                np.ones(sum(map(len, carts)), dtype=np.float32),
                (np.repeat(np.arange(len(carts)), [len(cart) for cart in carts]), [c for cart in carts for c in cart]),
            ),
            shape=(len(carts), len(self._ids)),
        )
        if self._pairs:
            scores: NDArray[np.float32] = ((asked @ self._table.T.tocsr()) @ self._table).toarray()
        else:
            scores = np.tile(self._counts, (len(carts), 1))
        scores[asked.nonzero()] = -1
        order = np.argsort(-scores, axis=1, kind="stable")[:, :K]
        return [[self._ids[place] for place in row] for row in order.tolist()]


def _values(questions: Sequence[Question], rankings: Sequence[Sequence[str]]) -> dict[str, Values]:
    """One product is right: recall is whether it is there, nDCG how high."""
    places = [
        row.index(question.hidden) if question.hidden in row else -1
        for question, row in zip(questions, rankings, strict=True)
    ]
    found = np.array(places)
    gained = np.where(found >= 0, 1 / np.log2(np.maximum(found, 0) + 2), 0.0)
    return {f"recall@{K}": (found >= 0).astype(np.float64), f"ndcg@{K}": gained}
