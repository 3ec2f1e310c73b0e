"""A shop whose people keep to rhythms of their own, and settings that learn them in a second."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from finetune.forecast import ForecastSettings, ForestSettings, Shelf
from retrieval.models.bought import DAY, Bought

PEOPLE, PRODUCTS, CATEGORIES = 90, 24, 8
START = 1_600_000_000
DAYS = 240
SMALL_FOREST = ForestSettings(trees=25, learning_rate=0.15, leaves=8, smallest_leaf=20)
QUICK = replace(
    ForecastSettings(),
    windows=3,
    people=60,
    people_for_products=50,
    popular=6,
    never=0.5,
    category=SMALL_FOREST,
    product=SMALL_FOREST,
    person=SMALL_FOREST,
)


def shelf() -> Shelf:
    """Three products a category, but the last product, which has none."""
    of_product = np.arange(PRODUCTS) // 3
    of_product[-1] = -1
    ids = tuple(f"product-{number:02}" for number in range(PRODUCTS))
    return Shelf(ids, tuple(f"category-{number}" for number in range(CATEGORIES)), of_product)


def year(seed: int = 0) -> Bought:
    """Each buys four products, each in a rhythm of 5 to 80 days; a third stay away from some day on."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(PEOPLE):
        until = DAYS if person % 3 else rng.integers(100, 230)
        for thing in rng.choice(PRODUCTS, 4, replace=False):
            gap = rng.uniform(5, 80)
            day = rng.uniform(0, gap)
            while day < until:
                rows.append((person, thing, START + int(day) * DAY))
                day += gap * rng.uniform(0.8, 1.2)
    people, things, times = zip(*rows, strict=True)
    return Bought.of(people, things, times, people_count=PEOPLE, thing_count=PRODUCTS)


END = START + DAYS * DAY
