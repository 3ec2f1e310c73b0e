"""The format `google-tsv`: a Google Merchant Center product feed, tab-separated.

The columns are those of every product table; what is Google's own is that colours and materials are joined by "/"
("Red/Green") and that the price carries its currency ("19.99 USD"), which the shared rows understand anyway.
Specification: https://support.google.com/merchants/answer/7052112.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from retrieval.importing.feed import Feed
from retrieval.importing.products_csv import read_products_csv
from retrieval.importing.records import Records, Reject
from tasteline.types import Event, Product

_JOINED = ("color", "material")
GOOGLE_COLUMNS = frozenset(
    [
        "availability",
        "image_link",
        "link",
        "condition",
        "gtin",
        "mpn",
        "google_product_category",
        "item_group_id",
        "age_group",
        "gender",
    ]
)
"""Two of these beside `id` and `title` make a table a Merchant feed."""


def read_google_tsv(feed: Feed) -> Records:
    """Product or Reject for every row."""
    return _part_joined(read_products_csv(feed))


def _part_joined(records: Iterable[Product | Event | Reject]) -> Iterator[Product | Event | Reject]:
    for record in records:
        yield _parted(record) if isinstance(record, Product) else record


def _parted(product: Product) -> Product:
    parted = {
        name: tuple(part.strip() for value in product.attributes[name] for part in value.split("/") if part.strip())
        for name in _JOINED
        if any("/" in value for value in product.attributes.get(name, ()))
    }
    return replace(product, attributes={**product.attributes, **parted}) if parted else product
