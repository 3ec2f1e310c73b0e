"""The learned forecast: what a person will buy within the next 30 days, and whether they come at all.

Takes a person's past purchases and a moment; gives probabilities by category and by product, each for the case that the
person comes, and the probability of that. Two forests read features of pairs, a third those of people; what is no
candidate (a product that the person never bought and few buy) gets what its category and its popularity say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrieval.models.bought import Bought, Days, Floats, Numbers
from retrieval.models.calibration import Calibration
from retrieval.models.crowd import THING_NAMES, Crowd
from retrieval.models.forecast_features import (
    Past,
    category_features,
    person_features,
    product_features,
    shares_in_category,
)
from retrieval.models.forest import Forest


@dataclass(frozen=True, slots=True)
class Judge:
    """A forest and how its sums are read."""

    forest: Forest
    calibration: Calibration

    def probabilities(self, lines: Floats) -> Days:
        return self.calibration.probabilities(self.forest.sums(lines))


@dataclass(frozen=True, slots=True)
class Forecaster:
    """All that was learned. Lines of arrays are about the category or product of that number."""

    category_names: tuple[str, ...]
    product_ids: tuple[str, ...]
    category_of: Numbers
    """(products,) -1 for a product without a category."""
    categories: Crowd
    products: Crowd
    popular: Numbers
    """Products that are candidates for everybody, ascending."""
    by_person: Judge
    by_category: Judge
    by_product: Judge
    others: Calibration
    """Of the score of `other_products`."""
    trained_until: int
    """Seconds since 1970."""

    def past(self, products: Bought, moment: int, visits: Bought | None = None) -> Past:
        """What was bought before `moment`; `products` numbered as `product_ids`, `visits` with those it never saw."""
        return Past.of(products, self.category_of, len(self.category_names), moment, visits)

    def coming(self, past: Past) -> Days:
        """(people,) probability that a person buys anything."""
        return self.by_person.probabilities(person_features(past))

    def of_categories(self, past: Past) -> Floats:
        """(people, categories) probabilities, given that the person comes."""
        people, count = past.products.people_count, len(self.category_names)
        lines = category_features(past, self.categories, np.arange(people * count), person_features(past))
        return self.by_category.probabilities(lines).reshape(people, count).astype(np.float32)

    def of_products(self, past: Past, chances: Floats) -> Floats:
        """(people, products) probabilities, given that the person comes. `chances`: of `of_categories`."""
        result = self.others.probabilities(other_products(self.products, self.category_of, chances))
        pairs = candidates(past, self.popular)
        lines = product_features(past, self.products, pairs, person_features(past), chances)
        result.ravel()[pairs] = self.by_product.probabilities(lines)
        return result.astype(np.float32)


def candidates(past: Past, popular: Numbers) -> Numbers:
    """Pairs of each person with what they bought and with all of `popular`, ascending."""
    people, width = past.products.people_count, past.products.thing_count
    of_all = (np.arange(people)[:, None] * width + popular).ravel()
    return np.union1d(past.products.pairs(), of_all)


def most_popular(crowd: Crowd, count: int) -> Numbers:
    """Things with most buyers in the last 30 days, ascending."""
    buyers = crowd.things[:, THING_NAMES.index("buyers_30")]
    return np.sort(np.argsort(-buyers, kind="stable")[:count])


def other_products(crowd: Crowd, category_of: Numbers, chances: Floats) -> Days:
    """(people, products) score of a product by its category's chance and its share of the category alone."""
    shares = shares_in_category(crowd, category_of)
    lowest = np.float32(1e-9)
    of_category = np.log(np.maximum(chances, lowest))[:, np.maximum(category_of, 0)]
    scores = np.log(np.maximum(shares, lowest)) + of_category
    without = np.log(np.maximum(crowd.things[:, THING_NAMES.index("buyers_90")], np.float32(1e-6)))
    return np.where(category_of >= 0, scores, without).astype(np.float64)
