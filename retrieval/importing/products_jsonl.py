"""The format `products-jsonl`: one product a line as a JSON object, columns by any of the usual names."""

from __future__ import annotations

from retrieval.importing.feed import Feed
from retrieval.importing.json_rows import json_rows
from retrieval.importing.product_rows import product_records
from retrieval.importing.records import Records


def read_products_jsonl(feed: Feed) -> Records:
    """Product or Reject for every line that is not blank."""
    return product_records(feed, json_rows(feed))
