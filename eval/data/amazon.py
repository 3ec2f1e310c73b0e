"""The layout of the next-item papers: `items.csv` and `interactions.csv` of a review history.

Takes a folder, gives a Dataset whose `split` is the one of the file (leave-one-out: each person's last review is test,
the last but one valid). Reviews stand for purchases; there are no times, `position` orders. Ids are `asin` and
`raw_user_id`, as in the store, because the numbers count from 1 anew in each such folder.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from eval.data.interactions import Dataset
from eval.data.tables import NO_USERS, SPLITS, Frames, Table, dataset_of, read_table
from eval.datasets import checksum_of

ITEMS_FILE, INTERACTIONS_FILE = "items.csv", "interactions.csv"
_ITEM_COLUMNS = ("asin", "title", "short_text", "attributes")
_INTERACTION_COLUMNS = ("raw_user_id", "asin", "position", "split")


def read_amazon(folder: Path) -> Dataset:
    """Read `items.csv` and `interactions.csv` of `folder`.

    `attributes` is "brand|category|subcategory|…" with the brand left out (or "Unknown") where nobody knew it. A first
    part is taken for a category if it stands second somewhere in the file. The text of an item is title, short text
    and attributes; its category is the broadest one, "" where there is none. Raises NotFound for a missing file and
    InvalidInput with file and line for an empty id, a position that is no whole number, a split other than train,
    valid or test, an item that is there twice or is not in `items.csv`.
    """
    items = read_table(folder / ITEMS_FILE, _ITEM_COLUMNS)
    rows = read_table(folder / INTERACTIONS_FILE, _INTERACTION_COLUMNS)
    described = _described(items)
    return dataset_of(
        Frames(_events(rows, items), described, NO_USERS),
        name=folder.resolve().name,
        checksum=checksum_of((items.path, rows.path)),
        timed=False,
        folder=folder,
        source=rows.path,
    )


def raw_ids(folder: Path) -> dict[str, str]:
    """`user_id` → `raw_user_id` of `interactions.csv`, the one that the data set names people by. Raises as the reader
    does."""
    rows = read_table(folder / INTERACTIONS_FILE, ("user_id", "raw_user_id"))
    return dict(rows.cells.select("user_id", "raw_user_id").unique().iter_rows())


def _described(items: Table) -> pl.DataFrame:
    items.require_filled(["asin"])
    items.require_unique("asin")
    parts = items.cells["attributes"].str.split("|")
    first, second = parts.list.get(0, null_on_oob=True), parts.list.get(1, null_on_oob=True).fill_null("")
    unbranded = first.is_in(second.unique().implode()) & (first != "")
    words = items.cells["attributes"].str.replace(r"^Unknown(\||$)", "").str.replace_all("|", ", ", literal=True)
    return pl.DataFrame(
        {
            "item_id": items.cells["asin"],
            "text": _joined([items.cells["title"], items.cells["short_text"], words]),
            "category": pl.select(pl.when(unbranded).then(first).otherwise(second)).to_series(),
        }
    )


def _joined(parts: list[pl.Series]) -> pl.Series:
    """The filled ones of each row, as sentences."""
    filled = [pl.when(part.str.strip_chars() != "").then(part.str.strip_chars()) for part in parts]
    return pl.select(pl.concat_str(filled, separator=". ", ignore_nulls=True)).to_series()


def _events(rows: Table, items: Table) -> pl.DataFrame:
    rows.require_filled(["raw_user_id", "asin"])
    asins = rows.cells["asin"]
    rows.require(
        asins.is_in(items.cells["asin"].implode()), lambda row: f"asin {asins[row]!r} is not in {items.path.name}"
    )
    positions = rows.cells["position"]
    order = positions.cast(pl.Int64, strict=False)
    rows.require(order.is_not_null(), lambda row: f"position is {positions[row]!r}, not a whole number")
    return pl.DataFrame(
        {
            "user_id": rows.cells["raw_user_id"],
            "item_id": asins,
            "order": order,
            "split": rows.codes("split", SPLITS),
        }
    )
