"""The shop as `eval.claims` sees it: every product's words, and a recount of what keeps a limit or carries a request.

Takes products; answers by plain scans over them. Shares nothing with the service's indexes, filters and stemmer: what
it finds is what a careful person would find by reading the whole catalogue.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from tasteline.types import AttributeFilter, Constraint, Filters, Product

WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*")
"""A number or a word; "6-Person" is two, "250g" as well."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_SPELLINGS = {"grey": "gray", "colour": "color", "aluminium": "aluminum", "fibre": "fiber", "jewellery": "jewelry"}
_FILLERS = frozenset(
    [
        "a",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "by",
        "can",
        "do",
        "for",
        "from",
        "have",
        "i",
        "in",
        "is",
        "it",
        "me",
        "my",
        "of",
        "on",
        "or",
        "our",
        "some",
        "something",
        "that",
        "the",
        "their",
        "them",
        "these",
        "this",
        "to",
        "us",
        "what",
        "which",
        "will",
        "with",
        "you",
        "your",
        "please",
    ]
)
"""Not looked for in a product, whatever a request says with them."""
_NO_DECIMALS = frozenset(("JPY", "KRW", "VND", "CLP", "ISK"))
_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Word:
    """One token of a text and where it stands."""

    text: str
    start: int
    end: int

    @property
    def key(self) -> str:
        return key_of(self.text)

    @property
    def capital(self) -> bool:
        return self.text[0].isupper()


def words(text: str) -> list[Word]:
    """
    >>> [word.text for word in words("The 6-Person Tent’s 1.5 L")]
    ['The', '6', 'Person', "Tent's", '1.5', 'L']
    """
    return [Word(found.group(), *found.span()) for found in WORD.finditer(text.replace("’", "'"))]


def key_of(word: str) -> str:
    """For comparing names: case and spelling, not inflection."""
    low = word.casefold()
    return _SPELLINGS.get(low, low)


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """
    >>> [stem(each) for each in ("Batteries", "watches", "Women's", "Gloves", "glass", "grey", "knives")]
    ['battery', 'watch', 'woman', 'glove', 'glass', 'gray', 'knife']
    """
    low = key_of(word).removesuffix("'s").removesuffix("'")
    if low in ("women", "men", "knives", "leaves", "shelves"):
        return {"knives": "knife", "leaves": "leaf", "shelves": "shelf"}.get(low, low[:-2] + "an")
    for plural, single in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x")):
        if low.endswith(plural) and len(low) > len(plural) + 1:
            return low.removesuffix(plural) + single
    return low[:-1] if low.endswith("s") and len(low) > 3 and not low.endswith(("ss", "us", "is")) else low


@lru_cache(maxsize=10_000)
def stems(text: str) -> tuple[str, ...]:
    return tuple(stem(word.text) for word in words(text))


def main_units(amount: int, currency: str) -> Decimal:
    """Of an amount in minor units."""
    return Decimal(amount) if currency in _NO_DECIMALS else Decimal(amount).scaleb(-_DIGITS)


class Shelf:
    def __init__(self, products: Mapping[str, Product]) -> None:
        self.products = products
        self.texts = {each: _text(product) for each, product in products.items()}
        self.titles = {each: tuple(w.key for w in words(product.title)) for each, product in products.items()}
        self.title_counts = Counter(key for title in self.titles.values() for key in set(title))
        """key of a word → titles that have it."""
        self._stems = {each: frozenset(stems(text)) for each, text in self.texts.items()}
        self.brands = {tuple(w.key for w in words(p.brand)) for p in products.values() if p.brand}
        self.categories = {tuple(w.key for w in words(name)): name for p in products.values() for name in p.categories}
        self.attribute_names = {_spoken(name) for p in products.values() for name in p.attributes} | {"brand"}

    def price(self, product_id: str) -> Decimal | None:
        price = self.products[product_id].price
        return None if price is None else main_units(price.amount, price.currency)

    def carries(self, product_id: str, phrase: str) -> bool:
        """Does every word of `phrase` stand somewhere in what the shop says of the product?"""
        own = self._stems[product_id]
        return all(each in own or each in _FILLERS for each in stems(phrase))

    def has(self, product_id: str, feature: str) -> bool:
        """As `carries`, but a yes-or-no attribute of that name decides where there is one."""
        product = self.products[product_id]
        for name, values in product.attributes.items():
            if stem(name) == stem(feature) and values and values[0].casefold() in ("yes", "no"):
                return values[0].casefold() == "yes"
        return self.carries(product_id, feature)

    def values(self, product_id: str, name: str) -> tuple[str, ...]:
        product = self.products[product_id]
        if name == "brand":
            return (product.brand,) if product.brand else ()
        return next((values for key, values in product.attributes.items() if _spoken(key) == name), ())

    def fitting(self, constraints: Iterable[Constraint], query: str) -> list[str]:
        """Ids of all products that keep the limits and carry every word of the query."""
        limits = [constraint.filters for constraint in constraints]
        return [
            each
            for each, product in self.products.items()
            if all(self.keeps(product, filters) for filters in limits) and self.carries(each, query)
        ]

    def keeps(self, product: Product, filters: Filters) -> bool:
        return (
            _keeps_price(product, filters)
            and _keeps_names(product, filters)
            and (filters.rating_min is None or (product.rating or 0.0) >= filters.rating_min)
            and not (filters.in_stock and product.stock == 0)
            and all(_keeps_attribute(product, each) for each in filters.attributes)
            and product.id not in filters.exclude_ids
            and not any(self.carries(product.id, term) for term in filters.exclude_terms)
        )


def _keeps_price(product: Product, filters: Filters) -> bool:
    if filters.price_min is None and filters.price_max is None:
        return True
    price = product.price
    if price is None or (filters.currency is not None and price.currency != filters.currency):
        return False
    return (filters.price_min or 0) <= price.amount and (filters.price_max is None or price.amount <= filters.price_max)


def _keeps_names(product: Product, filters: Filters) -> bool:
    names, brand = _low(product.categories), (product.brand or "").casefold()
    return (
        (not filters.categories or bool(names & _low(filters.categories)))
        and (not filters.brands or brand in _low(filters.brands))
        and not names & _low(filters.exclude_categories)
        and brand not in _low(filters.exclude_brands)
    )


def _keeps_attribute(product: Product, wanted: AttributeFilter) -> bool:
    values = [
        value for name, of in product.attributes.items() if name.casefold() == wanted.name.casefold() for value in of
    ]
    if wanted.values:
        return bool(_low(values) & _low(wanted.values))
    numbers = [float(found.group()) for value in values if (found := _NUMBER.search(value))]
    low, high = wanted.minimum, wanted.maximum
    return any((low is None or number >= low) and (high is None or number <= high) for number in numbers)


def _low(values: Sequence[str]) -> set[str]:
    return {value.casefold() for value in values}


def _spoken(name: str) -> str:
    return name.replace("_", " ").casefold()


def _text(product: Product) -> str:
    said = [product.title, product.brand or "", *product.categories, product.description]
    for name, values in product.attributes.items():
        said += [_spoken(name)] if values[:1] == ("yes",) else [value for value in values if value != "no"]
    return " | ".join(said)
