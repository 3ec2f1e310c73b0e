"""What a shop's people did with its products, as one frame: for questions about all of them at once.

Takes the log of deeds or one person's history, gives a frame with the columns of SCHEMA. What has no time or
no product is left out: nothing here can be said of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from retrieval import deed_log
from retrieval.deed_log import Deeds
from retrieval.shop_purchases import not_given_back
from tasteline.clock import latest_moment
from tasteline.types import Event, EventType

LOOKED, CARTED, TAKEN_OUT, BOUGHT = range(4)
KINDS: dict[str, int] = {
    EventType.SELECT_ITEM: LOOKED,
    EventType.VIEW_ITEM: LOOKED,
    EventType.ADD_TO_WISHLIST: LOOKED,
    EventType.ADD_TO_CART: CARTED,
    EventType.REMOVE_FROM_CART: TAKEN_OUT,
    EventType.PURCHASE: BOUGHT,
}
_OF_KIND = np.array([*(KINDS.get(kind, -1) for kind in deed_log.KINDS), -1], dtype=np.int8)
"""By the log's number of the kind; the last one is of what it does not know."""
DAY = 86_400_000_000
"""Microseconds."""
SCHEMA = {"person": pl.String, "product": pl.String, "kind": pl.Int8, "moment": pl.Int64, "day": pl.Int32}
"""`moment` counts microseconds since 1970, `day` days."""


def deeds_of(deeds: Deeds) -> pl.DataFrame:
    """By person and moment; what happened in one moment in the order of arrival."""
    kinds = _OF_KIND[deeds.kind]
    said = np.flatnonzero((kinds >= 0) & (deeds.product >= 0) & (deeds.moment >= 0))
    people = pl.Series(deeds.people, dtype=pl.String)
    place = people.rank("ordinal").to_numpy()  # by numbers: a million strings take their time and room to sort
    rows = said[np.lexsort((deeds.moment[said], place[deeds.person[said]]))]
    return pl.DataFrame(
        {
            "person": people.gather(deeds.person[rows]),
            "product": pl.Series(deeds.products, dtype=pl.String).gather(deeds.product[rows]),
            "kind": kinds[rows],
            "moment": deeds.moment[rows],
            "day": (deeds.moment[rows] // DAY).astype(np.int32),
        },
        schema=SCHEMA,
    )


def deeds_in(history: Sequence[Event], person: str) -> pl.DataFrame:
    """The same of one person's events, oldest first; what is dated in the future has not happened."""
    latest = latest_moment()
    rows = [
        (person, event.product_id, str(event.type), round(event.time.timestamp() * 1_000_000) if event.time else None)
        for event in not_given_back(history)
        if event.time is None or event.time <= latest
    ]
    return _in_order(_frame(rows))


def _frame(rows: Sequence[tuple[str, str | None, str, int | None]]) -> pl.DataFrame:
    names = {"person": pl.String, "product": pl.String, "type": pl.String, "moment": pl.Int64}
    told = pl.DataFrame(rows, schema=names, orient="row").drop_nulls(["product", "moment"])
    return (
        told.with_columns(
            kind=pl.col("type").replace_strict(KINDS, default=None, return_dtype=pl.Int8),
            day=(pl.col("moment") // DAY).cast(pl.Int32),
        )
        .drop_nulls("kind")
        .select(*SCHEMA)
    )


def _in_order(deeds: pl.DataFrame) -> pl.DataFrame:
    return deeds.sort("person", "moment", maintain_order=True)
