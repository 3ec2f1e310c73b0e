"""Advice about offers: what to offer whom and why, and how many of such people buy anyway or answer.

Takes deeds and topics, gives offers ranked by the number of people expected to respond. Without a response model that
expectation is a true count: of those who showed the same sign a month ago, the share who bought of the topic within the
month. With one (`retrieval.offers.response`) it is its probability. Neither says what an offer would bring that would
not have come anyway. No discount is named and no price made up: how much to give is the merchant's to decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import get_args

import polars as pl

from retrieval.offers import taste
from retrieval.offers.deeds import BOUGHT
from retrieval.offers.response import ResponseModel
from retrieval.offers.signs import CART_DAYS, LEAST_LOOKS, RECENT_DAYS, WITHOUT_PURCHASE, Sign, bought, signs
from tasteline.types import Product

HORIZON = 30
"""Days within which a response counts."""
PRIOR = 10.0
"""People with the rate of the sign, added to those of each topic: three people make no rate."""
LEAST_TRIED = 20
"""People who showed a sign a month ago; with fewer nothing is expected of it."""
NAMED_PEOPLE, NAMED_PRODUCTS = 20, 3
RULES = (
    f"counted: of those who showed the same sign {HORIZON} days earlier, the share who bought of the topic within "
    f"{HORIZON} days, with or without an offer"
)
SIGN_ORDER: Mapping[str, int] = {sign: place for place, sign in enumerate(get_args(Sign))}


@dataclass(frozen=True, slots=True)
class Offer:
    """One piece of advice. `expected` is None where nothing was counted yet."""

    sign: str
    topic: str
    products: tuple[Product, ...]
    """Of the topic, what it is about most; as the catalogue has them now."""
    whom: tuple[str, ...]
    """Likeliest first, at most NAMED_PEOPLE of them."""
    people: int
    why: str
    events: int
    """Rests on so many."""
    expected: float | None
    """Share of these people, 0 to 1, see `Advice.basis`."""


@dataclass(frozen=True, slots=True)
class Advice:
    offers: tuple[Offer, ...]
    basis: str
    """What `expected` means."""
    as_of: date | None
    """The first day of which nothing is known; None where no event has a time."""


@dataclass(frozen=True, slots=True)
class Expected:
    """How likely a response is, learned once for the whole shop and asked for anybody."""

    day: int
    rates: pl.DataFrame
    """sign, topic, rate, and of the whole sign with an empty topic."""
    model: ResponseModel | None
    reach: pl.DataFrame | None = None
    """What the model knows of all people, however few it is asked about: `taste.reach_of` their purchases."""

    @property
    def basis(self) -> str:
        if self.model is None:
            return RULES
        return (
            f"response model, learned from {self.model.learned_from}: the probability that an offer is taken up; a "
            "response, not what the offer brings, for nobody drew lots for who got one"
        )

    def of(self, found: pl.DataFrame, deeds: pl.DataFrame, topics: pl.DataFrame) -> pl.DataFrame:
        """`found` (rows of signs) with `expected`, null where nothing is known."""
        if self.model is not None:
            lines = deeds.filter(pl.col("kind") == BOUGHT)
            groups = topics.rename({"topic": "group"})
            asked = taste.features(found.select("person", group="topic"), lines, groups, self.day, self.reach)
            likely = self.model.probabilities(asked.select(taste.FEATURES).to_numpy())
            return found.with_columns(expected=pl.Series(likely, dtype=pl.Float64))
        of_sign = self.rates.filter(pl.col("topic") == "").select("sign", general="rate")
        rated = found.join(self.rates, on=["sign", "topic"], how="left", maintain_order="left")
        rated = rated.join(of_sign, on="sign", how="left", maintain_order="left")
        return rated.with_columns(expected=pl.coalesce("rate", "general")).drop("rate", "general")


def expectations(deeds: pl.DataFrame, topics: pl.DataFrame, day: int, model: ResponseModel | None = None) -> Expected:
    """What became of those who showed a sign HORIZON days before `day`."""
    earlier = signs(deeds, topics, day - HORIZON)
    came = bought(deeds, topics, day - HORIZON, day).with_columns(came=pl.lit(1.0))
    tried = earlier.join(came, on=["person", "topic"], how="left").with_columns(pl.col("came").fill_null(0.0))
    of_sign = (
        tried.group_by("sign").agg(general=pl.col("came").mean(), all=pl.len()).filter(pl.col("all") >= LEAST_TRIED)
    )
    rate = (pl.col("came").sum() + PRIOR * pl.col("general").first()) / (pl.len() + PRIOR)
    of_topic = tried.join(of_sign, on="sign").group_by("sign", "topic").agg(rate=rate)
    rates = pl.concat([of_topic, of_sign.select("sign", pl.lit("").alias("topic"), rate="general")])
    return Expected(day, rates, model, None if model is None else _reach(deeds, topics, day))


def _reach(deeds: pl.DataFrame, topics: pl.DataFrame, day: int) -> pl.DataFrame:
    return taste.reach_of(deeds.filter(pl.col("kind") == BOUGHT), topics.rename({"topic": "group"}), day)


def shop_advice(
    deeds: pl.DataFrame, topics: pl.DataFrame, expected: Expected, product: Callable[[str], Product | None], limit: int
) -> Advice:
    """The offers of the whole shop, most expected responses first."""
    found = expected.of(signs(deeds, topics, expected.day), deeds, topics)
    order = [pl.col("expected").fill_null(-1.0), "times", "person"]
    grouped = (
        found.sort(order, descending=[True, True, False])
        .group_by("sign", "topic", maintain_order=True)
        .agg(
            people=pl.len(),
            whom=pl.col("person").head(NAMED_PEOPLE),
            products=pl.col("product"),
            events=pl.col("times").sum(),
            expected=pl.col("expected").mean(),
        )
        .with_columns(responses=pl.col("people") * pl.col("expected").fill_null(0.0))
        .sort(["responses", "people", "topic", "sign"], descending=[True, True, False, False])
    )
    offers = tuple(
        Offer(
            row["sign"],
            row["topic"],
            _commonest(row["products"], product),
            tuple(row["whom"]),
            row["people"],
            _why_many(row["sign"], row["people"], row["topic"]),
            row["events"],
            row["expected"],
        )
        for row in grouped.head(limit).iter_rows(named=True)
    )
    return Advice(offers, expected.basis, _date(expected.day))


def personal_advice(
    deeds: pl.DataFrame, topics: pl.DataFrame, expected: Expected, product: Callable[[str], Product | None], limit: int
) -> Advice:
    """The offers for the one person whose deeds these are, likeliest first; what they did since all was read counts."""
    if not deeds.is_empty():
        expected = replace(expected, day=max(expected.day, int(deeds["day"].max()) + 1))  # type: ignore[arg-type]
    found = expected.of(signs(deeds, topics, expected.day), deeds, topics)
    rows = sorted(
        found.iter_rows(named=True),
        key=lambda row: (-(row["expected"] or 0.0), SIGN_ORDER[row["sign"]], -row["times"], row["topic"]),
    )
    offers = tuple(
        Offer(
            row["sign"],
            row["topic"],
            _commonest([row["product"]], product),
            (row["person"],),
            1,
            _why_one(row["sign"], row["topic"], row["times"], row["days"]),
            row["times"],
            row["expected"],
        )
        for row in rows[:limit]
    )
    return Advice(offers, expected.basis, _date(expected.day))


def _commonest(ids: Sequence[str], product: Callable[[str], Product | None]) -> tuple[Product, ...]:
    """Those that can be had, the most frequent first."""
    counted = sorted(set(ids), key=lambda each: (-ids.count(each), each)) if len(ids) < 100 else _counted(ids)
    there = (found for each in counted if (found := product(each)) is not None and found.stock != 0)
    return tuple(each for each, _ in zip(there, range(NAMED_PRODUCTS), strict=False))


def _counted(ids: Sequence[str]) -> list[str]:
    counts = pl.Series("id", ids).value_counts().sort(["count", "id"], descending=[True, False])
    return list(counts["id"].to_list())


def _why_many(sign: str, people: int, topic: str) -> str:
    who = "One person has" if people == 1 else f"{people:,} people have"
    return {
        "cart": f"{who} left {topic} in the cart within {CART_DAYS} days",
        "rising": f"{who} looked at {topic} {LEAST_LOOKS} times or more within {RECENT_DAYS} days, more than before, "
        f"and bought none for {WITHOUT_PURCHASE} days",
        "lapsed": f"{who} bought {topic} in a rhythm and are overdue by it"
        if people > 1
        else f"{who} bought {topic} in a rhythm and is overdue by it",
    }[sign]


def _why_one(sign: str, topic: str, times: int, days: int) -> str:
    ago = "today" if days == 0 else "yesterday" if days == 1 else f"{days} days ago"
    return {
        "cart": f"Left {topic} in the cart, last {ago}",
        "rising": f"Looked at {topic} {times} times within {RECENT_DAYS} days, more than before, and bought none",
        "lapsed": f"Bought {topic} on {times} days, the last {ago}: overdue by their own rhythm",
    }[sign]


def _date(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)
