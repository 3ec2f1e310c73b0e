"""On a real catalogue with judgements: limits read out of real queries must not remove what people found relevant."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from retrieval.understanding import Vocabulary, merge, understand
from tasteline.types import Filters, Price, Product

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "chorus-electronics"


@cache
def catalogue() -> tuple[Product, ...]:
    if not FOLDER.is_dir():
        pytest.skip(f"The data set of this test is not there: {FOLDER}")
    return tuple(_products())


@cache
def vocabulary() -> Vocabulary:
    return Vocabulary.from_products(catalogue())


def _products() -> Iterator[Product]:
    with (FOLDER / "products.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            attributes = {
                key[7:].strip("_"): tuple(part.strip() for part in str(value).split(","))
                for key, value in row.items()
                if key.startswith("attr_")
            }
            price = Price(row["price"], "EUR") if row.get("price") else None
            text = row.get("short_description", "")
            yield Product(row["id"], row["title"], text, row.get("supplier"), (), price, attributes=attributes)


def keeps(filters: Filters, product: Product) -> bool:
    """Brand and attribute limits, the only ones that these queries can bring."""
    assert filters == Filters(brands=filters.brands, attributes=filters.attributes)
    if filters.brands and (product.brand or "").casefold() not in {b.casefold() for b in filters.brands}:
        return False
    return all(
        {v.casefold() for v in f.values} & {v.casefold() for v in product.attributes.get(f.name, ())}
        for f in filters.attributes
    )


def test_no_judged_relevant_product_is_excluded() -> None:
    products = {p.id: p for p in catalogue()}
    with (FOLDER / "judgements.dev.csv").open(encoding="utf-8", newline="") as rows:
        relevant = [(r["query"], r["product_id"]) for r in csv.DictReader(rows) if int(r["rating"]) >= 2]
    assert len(relevant) > 400
    lost = [
        (query, product)
        for query, product in relevant
        if not keeps(merge(Filters(), understand(query, vocabulary()).constraints), products[product])
    ]
    assert not lost


def test_a_piece_of_a_title_finds_its_product() -> None:
    """Known-item queries: at most one in 100 of those limited may lose the product that they were cut from."""
    chance = random.Random(7)
    limited = lost = 0
    for product in chance.sample(catalogue(), 2000):
        words = product.title.lower().split()
        length = chance.randint(1, 4)
        start = chance.randrange(max(1, min(len(words) - length, 6)))
        filters = merge(Filters(), understand(" ".join(words[start : start + length]), vocabulary()).constraints)
        if filters.brands or filters.attributes:
            limited += 1
            lost += not keeps(Filters(brands=filters.brands, attributes=filters.attributes), product)
    assert limited > 100
    assert lost <= limited / 100
