"""The products in memory: what each row is, and which rows pass a filter.

Takes products, gives row numbers, products and exact masks. A row never changes once it is written: a changed
product gets a new row and its old one dies, so that every index beside this one only ever grows. Knows nothing of
text search or vectors; words to exclude are resolved by a function that the caller passes in.
"""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tasteline.types import AttributeFilter, Filters, Mask, Product, Row, Rows

NO_PRICE = -1
UNKNOWN_STOCK = -1
LEADING_NUMBER = re.compile(r"\s*(-?\d+(?:[.,]\d+)?)")


class Column:
    """A one-dimensional array that grows by doubling."""

    def __init__(self, dtype: type) -> None:
        self._values: NDArray[np.generic] = np.zeros(1024, dtype=dtype)
        self._length = 0

    def extend(self, values: Sequence[float | int | bool]) -> None:
        needed = self._length + len(values)
        if needed > len(self._values):
            grown = np.zeros(max(needed, 2 * len(self._values)), dtype=self._values.dtype)
            grown[: self._length] = self._values[: self._length]
            self._values = grown
        self._values[self._length : needed] = values
        self._length = needed

    @property
    def values(self) -> NDArray[np.generic]:
        """A view of what has been written."""
        return self._values[: self._length]


Postings = dict[str, "array[int]"]
"""Casefolded value → rows that have it, rising."""


class Catalogue:
    """Rows 0..n-1 of products, dead ones among them. Not thread-safe: `LiveIndex` guards it."""

    def __init__(self) -> None:
        self._products: list[Product | None] = []
        self._row_of: dict[str, Row] = {}
        self._alive = Column(np.bool_)
        self._price = Column(np.int64)
        self._currency = Column(np.int16)
        self._rating = Column(np.float32)
        self._stock = Column(np.int64)
        self._currency_codes: dict[str, int] = {"": 0}
        self._brands: Postings = defaultdict(lambda: array("q"))
        self._categories: Postings = defaultdict(lambda: array("q"))
        self._attributes: dict[str, Postings] = defaultdict(lambda: defaultdict(lambda: array("q")))

    def __len__(self) -> int:
        """Rows, dead ones included."""
        return len(self._products)

    def __contains__(self, product_id: object) -> bool:
        return product_id in self._row_of

    @property
    def size(self) -> int:
        """Products that exist."""
        return len(self._row_of)

    @property
    def alive(self) -> Mask:
        return self._alive.values.astype(np.bool_, copy=False)

    def add(self, products: Sequence[Product | None]) -> None:
        """Append one row each; an earlier row of the same id dies. None makes a row that was never alive."""
        first = len(self._products)
        self._products.extend(products)
        self._extend_columns(products)
        for offset, product in enumerate(products):
            if product is None:
                continue
            row = Row(first + offset)
            self.remove([product.id])
            self._row_of[product.id] = row
            self._post(row, product)

    def _extend_columns(self, products: Sequence[Product | None]) -> None:
        prices = [p.price if p else None for p in products]
        self._alive.extend([p is not None for p in products])
        self._price.extend([price.amount if price else NO_PRICE for price in prices])
        self._currency.extend([self._currency_code(price.currency if price else "") for price in prices])
        self._rating.extend([np.nan if p is None or p.rating is None else p.rating for p in products])
        self._stock.extend([UNKNOWN_STOCK if p is None or p.stock is None else p.stock for p in products])

    def _currency_code(self, currency: str) -> int:
        return self._currency_codes.setdefault(currency, len(self._currency_codes))

    def _post(self, row: Row, product: Product) -> None:
        if product.brand:
            self._brands[product.brand.casefold()].append(row)
        for category in dict.fromkeys(c.casefold() for c in product.categories):
            self._categories[category].append(row)
        for name, values in product.attributes.items():
            postings = self._attributes[name.casefold()]
            for value in dict.fromkeys(v.casefold() for v in values):
                postings[value].append(row)

    def remove(self, ids: Iterable[str]) -> None:
        """Unknown ids are passed over."""
        for product_id in ids:
            row = self._row_of.pop(product_id, None)
            if row is not None:
                self._alive.values[row] = False
                self._products[row] = None

    def row(self, product_id: str) -> Row | None:
        return self._row_of.get(product_id)

    def rows(self, ids: Iterable[str]) -> Rows:
        """Rows of those ids that exist, in the order given."""
        found = (self._row_of.get(product_id) for product_id in ids)
        return np.array([row for row in found if row is not None], dtype=np.int64)

    def product(self, row: int) -> Product:
        """The product of a living row; KeyError for a dead one."""
        product = self._products[row]
        if product is None:
            raise KeyError(row)
        return product

    def products(self) -> Iterable[Product]:
        return (product for product in self._products if product is not None)

    def holding(self, category: str) -> int:
        """About how many products are in it, at any level: rows that have died since are counted too."""
        return len(self._categories.get(category.casefold(), ()))

    def top_categories(self) -> list[str]:
        """First levels of the category paths, largest first."""
        counts: dict[str, int] = defaultdict(int)
        for product in self.products():
            if product.categories:
                counts[product.categories[0]] += 1
        return sorted(counts, key=lambda name: (-counts[name], name))

    def currency(self) -> str | None:
        """The commonest currency; None where nothing has a price."""
        names = {code: name for name, code in self._currency_codes.items()}
        codes = self._currency.values[self.alive].astype(np.int64)
        counts = np.bincount(codes[codes > 0]) if codes.size else np.zeros(0)
        return names[int(counts.argmax())] if counts.size else None

    @property
    def prices(self) -> NDArray[np.int64]:
        """Minor units for each row, -1 where there is none."""
        return self._price.values.astype(np.int64, copy=False)

    @property
    def ratings(self) -> NDArray[np.float32]:
        """Stars for each row, NaN where there are none."""
        return self._rating.values.astype(np.float32, copy=False)

    def mask(self, filters: Filters, containing: Callable[[str], Rows]) -> Mask:
        """Exactly the living rows that pass `filters`; `containing(term)` gives the rows in which a term occurs."""
        mask = self.alive.copy()
        self._limit_numbers(mask, filters)
        if filters.categories:
            mask &= self._any_of(self._categories, filters.categories)
        if filters.brands:
            mask &= self._any_of(self._brands, filters.brands)
        for attribute in filters.attributes:
            mask &= self._attribute_mask(attribute)
        self._exclude(mask, filters, containing)
        return mask

    def _limit_numbers(self, mask: Mask, filters: Filters) -> None:
        if filters.price_min is not None or filters.price_max is not None:
            mask &= self.prices != NO_PRICE
            if filters.currency is not None:
                mask &= self._currency.values == self._currency_codes.get(filters.currency, -1)
        if filters.price_min is not None:
            mask &= self.prices >= filters.price_min
        if filters.price_max is not None:
            mask &= self.prices <= filters.price_max
        if filters.rating_min is not None:
            mask &= self.ratings >= np.float32(filters.rating_min)
        if filters.in_stock:
            mask &= self._stock.values != 0

    def _exclude(self, mask: Mask, filters: Filters, containing: Callable[[str], Rows]) -> None:
        for brand in filters.exclude_brands:
            mask[_rows(self._brands, brand)] = False
        for category in filters.exclude_categories:
            mask[_rows(self._categories, category)] = False
        for term in filters.exclude_terms:
            mask[containing(term)] = False
        mask[self.rows(filters.exclude_ids)] = False

    def _any_of(self, postings: Postings, values: Iterable[str]) -> Mask:
        mask = np.zeros(len(self), dtype=np.bool_)
        for value in values:
            mask[_rows(postings, value)] = True
        return mask

    def _attribute_mask(self, wanted: AttributeFilter) -> Mask:
        postings = self._attributes.get(wanted.name.casefold(), {})
        values: list[str] = list(wanted.values)
        if wanted.minimum is not None or wanted.maximum is not None:
            values += [value for value in postings if _within(value, wanted.minimum, wanted.maximum)]
        return self._any_of(postings, values)


def _rows(postings: Postings, value: str) -> Rows:
    found = postings.get(value.casefold())
    return np.zeros(0, dtype=np.int64) if found is None else np.array(found, dtype=np.int64)


def _within(value: str, minimum: float | None, maximum: float | None) -> bool:
    match = LEADING_NUMBER.match(value)
    if match is None:
        return False
    number = float(match[1].replace(",", "."))
    return (minimum is None or number >= minimum) and (maximum is None or number <= maximum)
