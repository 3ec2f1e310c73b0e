"""A shop's click-stream in the layout of the REES46 sets: `events.csv` with real times, views, carts and purchases.

Takes a folder (or the file), gives a Dataset of people, or of visits when asked. Products come from the events: there
is no feed beside them.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import polars as pl

from eval.data.interactions import TYPES, Dataset
from eval.data.tables import NO_USERS, Frames, Table, dataset_of, read_table
from eval.datasets import checksum_of
from tasteline.types import EventType

EVENTS_FILE = "events.csv"
COLUMNS = ("event_time", "event_type", "product_id", "category_code", "brand", "user_id", "user_session")
CUT_OFF = "an unfinished last line"

_TYPES = {
    "view": EventType.VIEW_ITEM,
    "cart": EventType.ADD_TO_CART,
    "remove_from_cart": EventType.REMOVE_FROM_CART,
    "purchase": EventType.PURCHASE,
}


def read_rees46(
    folder: Path, *, person: Literal["user_id", "user_session"] = "user_id", left_out: Counter[str] | None = None
) -> Dataset:
    """Read `events.csv` (or the file itself). With `person="user_session"` each visit is somebody of its own.

    A last line that was cut off is left out and counted in `left_out`. Repeated rows are kept, as found; `sessions` are
    those of `user_session`. An item's text is its brand and the levels of its category, narrowest first; its category
    is the broadest level, "" where none is given, its path all of them (the first row of an item that gives one
    counts). Raises NotFound, and InvalidInput with the line for an empty
    id, a time other than "2019-10-01 00:00:00 UTC" or a type that is not known.
    """
    table = read_table(folder if folder.is_file() else folder / EVENTS_FILE, COLUMNS, may_be_cut=True)
    if left_out is not None and table.cut_off:
        left_out[CUT_OFF] += table.cut_off
    name = table.path.parent.resolve().name
    return dataset_of(
        Frames(_events(table, person), _described(table), NO_USERS),
        name=name if person == "user_id" else f"{name} by visit",
        checksum=checksum_of((table.path,)),
        timed=True,
        folder=table.path.parent,
        source=table.path,
    )


def _events(table: Table, person: str) -> pl.DataFrame:
    table.require_filled([person, "product_id"])
    times = table.cells["event_time"]
    moments = times.str.to_datetime("%Y-%m-%d %H:%M:%S UTC", strict=False)
    table.require(moments.is_not_null(), lambda row: f"event_time is {times[row]!r}, not like 2019-10-01 00:00:00 UTC")
    kinds = pl.Series([TYPES.index(kind) for kind in _TYPES.values()], dtype=pl.Int8)
    return pl.DataFrame(
        {
            "user_id": table.cells[person],
            "item_id": table.cells["product_id"],
            "order": moments.dt.epoch("s"),
            "type": kinds.gather(table.codes("event_type", tuple(_TYPES))),
            "session": table.cells["user_session"],
        }
    )


def _described(table: Table) -> pl.DataFrame:
    first = {name: pl.col(name).filter(pl.col(name) != "").first().fill_null("") for name in ("brand", "category_code")}
    products = table.cells.group_by("product_id", maintain_order=True).agg(**first)
    readable = pl.col("category_code").str.replace_all("_", " ")
    levels = readable.str.split(".")
    words = pl.concat_list(pl.col("brand"), levels.list.reverse())
    return products.select(
        item_id="product_id",
        text=words.list.eval(pl.element().filter(pl.element() != "")).list.join(", "),
        category=levels.list.first(),
        path=pl.when(readable != "").then(levels).otherwise(pl.lit([], dtype=pl.List(pl.String))),
    )
