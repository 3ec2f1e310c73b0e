"""Acts that a test writes by hand: (person, topic, age in days, basket, bought)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from retrieval.insights.acts import DAY, Acts
from tasteline.types import Product

Act = tuple[int, int, int]
"""Person, topic, whole days before the last event."""


def acts(rows: Iterable[Act], topics: int, weights: Iterable[float] | None = None) -> Acts:
    """Each (person, day) is a basket, and everything was bought."""
    listed = list(rows)
    person, topic, age = (np.array(column, dtype=np.int64) for column in zip(*listed, strict=True))
    _, basket = np.unique(person * 10_000 + age, return_inverse=True)
    table = pl.DataFrame(
        {
            "person": person.astype(np.uint32),
            "topic": topic.astype(np.int32),
            "product": topic.astype(np.uint32),
            "basket": basket.astype(np.uint32),
            "age": age.astype(np.int32),
            "weight": np.array(list(weights) if weights is not None else np.ones(len(listed)), dtype=np.float32),
            "bought": np.ones(len(listed), dtype=np.bool_),
        }
    )
    names = [("Shop", f"topic {number}") for number in range(topics)]
    products = [Product(f"p{number}", f"Product {number}", categories=name) for number, name in enumerate(names)]
    return Acts(table, names, products, int(person.max()) + 1, 20_000 * DAY, len(listed))
