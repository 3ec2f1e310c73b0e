"""Signs that an offer would be welcome: a cart that was left, a growing interest without a purchase, a repeat purchase
that is overdue.

Takes deeds (`retrieval.offers.deeds`) and topics (product, topic) as of a day, gives one row for each person, topic and
sign, with the figures that it rests on. Nothing on or after the day goes in, so that the same function says what would
have been advised a month ago, and what became of it. Knows no price and no words.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from retrieval.offers.deeds import BOUGHT, CARTED, LOOKED, TAKEN_OUT

Sign = Literal["cart", "rising", "lapsed"]
CART_DAYS = 14
"""Who has left a cart for longer has forgotten it."""
RECENT_DAYS, EARLIER_DAYS = 14, 90
LEAST_LOOKS = 3
"""Once or twice is chance."""
RISES = 1.5
"""Share of a person's attention within RECENT_DAYS over that of EARLIER_DAYS before, as in `retrieval.interests`."""
WITHOUT_PURCHASE = 30
LEAST_PURCHASES = 3
"""Days with a purchase of the topic: two make no habit."""
LATE, LOST = 1.5, 6.0
"""Times the usual time between two purchases: from here on overdue, from there on gone for good."""
LEAST_GAP, MOST_GAP = 3.0, 120.0
COLUMNS = ("person", "topic", "sign", "product", "times", "days")
"""`product`: of the topic, what it was about most; `times`: events it rests on; `days`: from the last of
them to the last day that is known, 0 on that day itself."""


def signs(deeds: pl.DataFrame, topics: pl.DataFrame, day: int) -> pl.DataFrame:
    """COLUMNS, sorted by person, topic and sign; empty where nothing shows."""
    known = deeds.filter(pl.col("day") < day).join(topics, on="product", maintain_order="left")
    found = pl.concat([_carts(known, day), _rising(known, day), _lapsed(known, day)])
    return found.select(COLUMNS).sort("person", "topic", "sign")


def bought(deeds: pl.DataFrame, topics: pl.DataFrame, start: int, stop: int) -> pl.DataFrame:
    """(person, topic) with a purchase from day `start` up to, but without, `stop`: what became of it."""
    inside = deeds.filter((pl.col("kind") == BOUGHT) & pl.col("day").is_between(start, stop, closed="left"))
    return inside.join(topics, on="product").select("person", "topic").unique()


def _carts(known: pl.DataFrame, day: int) -> pl.DataFrame:
    """What was put in the cart last of all that was done with it there."""
    moves = known.filter(pl.col("kind").is_in([CARTED, TAKEN_OUT, BOUGHT]))
    last = moves.group_by("person", "topic", "product", maintain_order=True).agg(pl.col("kind", "day").last())
    left = last.filter((pl.col("kind") == CARTED) & (pl.col("day") >= day - CART_DAYS))
    return _signed(left.group_by("person", "topic").agg(**_told(day)), left, "cart")


def _rising(known: pl.DataFrame, day: int) -> pl.DataFrame:
    """Looks at a topic that take more of the person's attention than before, without a purchase."""
    looks = known.filter(pl.col("kind").is_in([LOOKED, CARTED]) & (pl.col("day") >= day - RECENT_DAYS - EARLIER_DAYS))
    recent = pl.col("day") >= day - RECENT_DAYS
    mine = looks.group_by("person").agg(now=recent.sum(), before=(~recent).sum())
    of_topic = looks.group_by("person", "topic").agg(now_here=recent.sum(), before_here=(~recent).sum(), **_told(day))
    share_now = pl.col("now_here") / pl.max_horizontal(pl.col("now"), 1)
    share_before = pl.col("before_here") / pl.max_horizontal(pl.col("before"), 1)
    grown = of_topic.join(mine, on="person").filter(
        (pl.col("now_here") >= LEAST_LOOKS) & (share_now >= RISES * share_before)
    )
    recently = known.filter((pl.col("kind") == BOUGHT) & (pl.col("day") >= day - WITHOUT_PURCHASE))
    unbought = grown.join(recently, on=["person", "topic"], how="anti").with_columns(times="now_here")
    return _signed(unbought, looks.filter(recent), "rising")


def _lapsed(known: pl.DataFrame, day: int) -> pl.DataFrame:
    """Purchases that came in a rhythm and are overdue by it."""
    purchases = known.filter(pl.col("kind") == BOUGHT)
    habit = purchases.group_by("person", "topic").agg(
        visits=pl.col("day").n_unique(), first=pl.col("day").min(), last=pl.col("day").max(), **_told(day)
    )
    gap = (pl.col("last") - pl.col("first")) / (pl.col("visits") - 1)
    since = day - pl.col("last")
    overdue = habit.filter(pl.col("visits") >= LEAST_PURCHASES).filter(
        gap.is_between(LEAST_GAP, MOST_GAP) & since.is_between(LATE * gap, LOST * gap)
    )
    return _signed(overdue.with_columns(times="visits"), purchases, "lapsed")


def _told(day: int) -> dict[str, pl.Expr]:
    return {"times": pl.len(), "days": day - 1 - pl.col("day").max()}


def _signed(found: pl.DataFrame, rows: pl.DataFrame, sign: Sign) -> pl.DataFrame:
    """`found` with the sign and the product that stands most often in its `rows`; of equals the first by id."""
    keys = ["person", "topic"]
    about = (
        rows.join(found.select(keys), on=keys, how="semi")
        .group_by(*keys, "product")
        .agg(rows=pl.len())
        .sort("rows", "product", descending=[True, False])
        .unique(keys, keep="first", maintain_order=True)
    )
    figures = [pl.col(name).cast(pl.Int64) for name in ("times", "days")]
    return found.select(*keys, *figures, sign=pl.lit(sign)).join(about, on=keys).select(COLUMNS)
