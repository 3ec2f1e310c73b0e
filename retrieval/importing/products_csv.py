"""The format `products-csv`: a header line and one product a row; the delimiter is that of the feed.

A column that occurs twice adds its values where it is an attribute and is refused where it is not (two titles).
"""

from __future__ import annotations

from collections.abc import Iterator

from retrieval.importing.feed import Feed
from retrieval.importing.product_rows import ProductRow, is_single, product_records
from retrieval.importing.records import Records, Reject
from retrieval.importing.tables import Table
from tasteline.errors import InvalidInput


def read_products_csv(feed: Feed) -> Records:
    """Product or Reject for every row. Raises InvalidInput when the header is unreadable or names a column twice."""
    table = Table(feed)
    return product_records(feed, _named_rows(table, _repeatable(table)))


def _repeatable(table: Table) -> frozenset[str]:
    twice = frozenset(name for name in table.header if table.header.count(name) > 1)
    for name in twice:
        if is_single(name):
            raise InvalidInput(f"{table.feed.path}: the header names column {name!r} twice", field="header")
    return twice


def _named_rows(table: Table, repeatable: frozenset[str]) -> Iterator[ProductRow | Reject]:
    for row in table.rows():
        if isinstance(row, Reject):
            yield row
            continue
        line, cells, raw = row
        values: dict[str, object] = {
            name: cell for name, cell in zip(table.header, cells, strict=True) if name and cell
        }
        for name in repeatable:
            values[name] = [cell for other, cell in zip(table.header, cells, strict=True) if other == name and cell]
        yield line, values, raw
