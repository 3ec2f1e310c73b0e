"""What is known of a person and a thing at a moment, as a line of figures: what a forecast is computed from.

Takes purchases by product, what the products are grouped by, and what the whole shop says; gives a matrix of features
for pairs of person and category, person and product, or for people alone. Serving and training read the same function.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrieval.models.bought import DAY, Bought, Floats, Numbers
from retrieval.models.crowd import THING_NAMES, Crowd
from retrieval.models.rhythm import HALF_LIVES, NAMES, rhythm

CART_NAMES = ("cart", "cart_lately", "things", "things_30", "things_60")
"""Mean things a basket, the same with old baskets counting less, and how many different things were ever bought, and in
the last 30 and 60 days."""
PART_NAMES = ("parts", "part_rows_20", "part_rows_85", "parts_expected")
"""Of a category: how many of its products were bought, how often with old ones counting less, and how likely one of
them is by their rates alone."""
GROUP_NAMES = tuple(f"group_{name}" for name in NAMES)
_MIXED = ("share", "expected", "taste", "back")
"""share: of recent baskets that hold it; expected: that times the recent visits; taste: how well it fits the person's
direction of taste; back: share of all who bought it so long ago who come back to it in time."""
VISIT_NAMES = tuple(f"visit_{name}" for name in NAMES)
PERSON_NAMES = (*VISIT_NAMES, *CART_NAMES)
PAIR_NAMES = (*NAMES, *PERSON_NAMES, *THING_NAMES, *_MIXED)
CATEGORY_NAMES = (*PAIR_NAMES, *PART_NAMES)
CATEGORY_CHANCES = ("category_chance", "chance_by_category")
"""Of a product: how likely its category is, and that times the product's share of the category's buyers."""
PRODUCT_NAMES = (*PAIR_NAMES, *GROUP_NAMES, *CATEGORY_CHANCES)
_BOUGHT_LATELY = NAMES.index(f"bought_{HALF_LIVES[2]}")
_VISITS_LATELY = VISIT_NAMES.index(f"visit_bought_{HALF_LIVES[1]}")
_LAST = NAMES.index("last")


@dataclass(frozen=True, slots=True)
class Past:
    """All purchases of some people before a moment, by product and by category."""

    products: Bought
    categories: Bought
    visits: Bought
    """Of one thing: that something was bought, be it a product that nobody has a number for."""
    category_of: Numbers
    """(products,) -1 where a product has none."""
    moment: int

    @classmethod
    def of(
        cls,
        products: Bought,
        category_of: Numbers,
        category_count: int,
        moment: int,
        visits: Bought | None = None,
    ) -> Past:
        """`visits`: where people bought more than `products` tells of."""
        known = products.before(moment)
        came = known.as_visits() if visits is None else visits.before(moment)
        return cls(known, known.grouped(category_of, category_count), came, category_of, moment)

    def of_people(self, people: Numbers) -> Past:
        """Of these alone, numbered as they stand here."""
        products, categories, visits = (
            each.of_people(people) for each in (self.products, self.categories, self.visits)
        )
        return Past(products, categories, visits, self.category_of, self.moment)


def person_features(past: Past) -> Floats:
    """(people, PERSON_NAMES); of somebody who bought nothing counts of 0 and NaN."""
    steps = rhythm(past.visits, past.moment, np.arange(past.visits.people_count), _since(past))
    return np.concatenate([steps, _carts(past)], axis=1)


def category_features(past: Past, crowd: Crowd, pairs: Numbers, people: Floats) -> Floats:
    """(pairs, CATEGORY_NAMES). `people`: of `person_features`; `pairs`: person · categories + category, ascending."""
    lines = _pair_features(past.categories, past, crowd, pairs, people)
    return np.concatenate([lines, _parts(past, pairs)], axis=1)


def product_features(past: Past, crowd: Crowd, pairs: Numbers, people: Floats, chances: Floats) -> Floats:
    """(pairs, PRODUCT_NAMES). `chances`: (people, categories) how likely each category is."""
    lines = _pair_features(past.products, past, crowd, pairs, people)
    width, groups = past.products.thing_count, past.categories.thing_count
    of_pair = past.category_of[pairs % width]
    keys = np.where(of_pair >= 0, pairs // width * groups + of_pair, -1)
    unique, places = np.unique(keys, return_inverse=True)
    since = _since(past)[np.maximum(unique, 0) // max(1, groups)]
    of_group = rhythm(past.categories, past.moment, unique, since)[places]
    chance = np.where(of_pair >= 0, chances[pairs // width, of_pair], np.nan)
    by_category = chance * shares_in_category(crowd, past.category_of)[pairs % width]
    return np.concatenate([lines, of_group, np.stack([chance, by_category], axis=1)], axis=1, dtype=np.float32)


def shares_in_category(crowd: Crowd, category_of: Numbers) -> Floats:
    """(products,) share of a product in the buyers of its category's products, lately and in the long run; 0 without
    a category."""
    buyers = crowd.things[:, [THING_NAMES.index(name) for name in ("buyers_30", "buyers_90", "buyers")]]
    weight = buyers @ np.array([0.6, 0.3, 0.1], dtype=np.float32) + np.float32(1e-6)
    total = np.bincount(np.maximum(category_of, 0), np.where(category_of >= 0, weight, 0.0), minlength=1)
    share = weight / np.maximum(total[np.maximum(category_of, 0)], 1e-9)
    return np.where(category_of >= 0, share, 0.0).astype(np.float32)


def _pair_features(own: Bought, past: Past, crowd: Crowd, pairs: Numbers, people: Floats) -> Floats:
    who, things = pairs // own.thing_count, pairs % own.thing_count
    steps = rhythm(own, past.moment, pairs, _since(past)[who])
    visits = people[who]
    share = steps[:, _BOUGHT_LATELY] / np.maximum(visits[:, VISIT_NAMES.index(f"visit_bought_{HALF_LIVES[2]}")], 1e-3)
    taste = np.einsum("ij,ij->i", crowd.taste(own, past.moment)[who], crowd.tastes[things])
    mixed = (share, share * visits[:, _VISITS_LATELY], taste, crowd.back_within(things, steps[:, _LAST]))
    return np.concatenate([steps, visits, crowd.things[things], np.stack(mixed, axis=1)], axis=1, dtype=np.float32)


def _since(past: Past) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """(people,) days since the first purchase; 0 for somebody without one."""
    visits = past.visits
    since = np.zeros(visits.people_count)
    since[visits.people[::-1]] = (past.moment - visits.times[::-1]) / DAY  # the first of each is written last
    return since


def _carts(past: Past) -> Floats:
    """(people, CART_NAMES)"""
    bought, ages = past.products, (past.moment - past.products.times) / DAY
    count = bought.people_count
    baskets = bought.baskets()
    new = np.diff(baskets, prepend=-1) > 0

    def decayed(chosen: Numbers) -> Floats:
        return np.bincount(bought.people[chosen], 0.5 ** (ages[chosen] / 21), minlength=count).astype(np.float32)

    every = np.arange(len(bought))
    unlike = [
        np.bincount(np.unique(past.categories.pairs()[when]) // past.categories.thing_count, minlength=count)
        for when in (_within(past, None), _within(past, 30), _within(past, 60))
    ]
    mean = np.bincount(bought.people, minlength=count) / np.maximum(np.bincount(bought.people[new], minlength=count), 1)
    lately = decayed(every) / np.maximum(decayed(np.flatnonzero(new)), 1e-3)
    return np.stack([mean, lately, *unlike], axis=1).astype(np.float32)


def _within(past: Past, days: int | None) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    ages = (past.moment - past.categories.times) / DAY
    return ages <= days if days is not None else np.ones(len(ages), dtype=np.bool_)


def _parts(past: Past, pairs: Numbers) -> Floats:
    """(pairs, PART_NAMES)"""
    bought, groups = past.products, past.categories.thing_count
    category = past.category_of[bought.things]
    known = np.flatnonzero(category >= 0)
    keys = bought.people[known] * groups + category[known]
    places = np.minimum(np.searchsorted(pairs, keys), max(0, len(pairs) - 1))
    asked = pairs[places] == keys
    known, places = known[asked], places[asked]
    ages = (past.moment - bought.times[known]) / DAY
    rows = [np.bincount(places, 0.5 ** (ages / days), minlength=len(pairs)) for days in (20, 85)]
    unique, of_part = np.unique(bought.pairs()[known], return_inverse=True)
    rate = np.bincount(of_part, 0.5 ** (ages / 62), minlength=len(unique)) * np.log(2) / 62
    owner = np.zeros(len(unique), dtype=np.int64)
    owner[of_part] = places
    parts = np.bincount(owner, minlength=len(pairs))
    expected = -np.expm1(-30 * np.bincount(owner, rate, minlength=len(pairs)))
    return np.stack([parts, *rows, expected], axis=1).astype(np.float32)
