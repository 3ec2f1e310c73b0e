"""What a learned model may know of an item besides its number: its text's vector, brand, categories and price band.

Takes descriptions, gives arrays of codes by a vocabulary that is fixed when a model is trained, so that a product put
tomorrow is coded as the model learned it. Code 0 is "not known" everywhere. Knows no model and no store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasteline.types import Product, Vectors

Codes = NDArray[np.int64]
FIELDS = ("brand", "department", "category", "price")
"""Columns of `ItemFeatures.codes`."""
LEAST_ITEMS = 2
"""A brand or category of a single item says nothing that the item's own number does not say."""
PRICE_BANDS = 10
"""Equal numbers of items in each: what is cheap in a jeweller's is dear in a grocer's."""


@dataclass(frozen=True, slots=True)
class Description:
    """One item in words; "" and None where nothing is known."""

    text: str
    brand: str = ""
    categories: tuple[str, ...] = ()
    """From broad to narrow."""
    price: int | None = None
    """Minor units."""

    @classmethod
    def of(cls, product: Product, text: str) -> Description:
        return cls(text, product.brand or "", product.categories, product.price.amount if product.price else None)


@dataclass(frozen=True, slots=True)
class ItemFeatures:
    """n items as arrays."""

    texts: Vectors
    """(n, dimension) unit vectors, zeros for a blank text."""
    codes: Codes
    """(n, len(FIELDS))"""

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Names → codes from 1, and the lower edges of the price bands after the first."""

    brands: Mapping[str, int]
    departments: Mapping[str, int]
    categories: Mapping[str, int]
    """Whole paths, joined."""
    price_edges: tuple[float, ...] = ()

    @classmethod
    def of(cls, items: Iterable[Description]) -> Vocabulary:
        """From the items of a training."""
        known = list(items)
        prices = np.array([item.price for item in known if item.price is not None], dtype=np.float64)
        edges = np.unique(np.quantile(prices, np.linspace(0, 1, PRICE_BANDS + 1)[1:-1])) if len(prices) else ()
        return cls(
            _numbered(item.brand for item in known),
            _numbered(_department(item) for item in known),
            _numbered(_path(item) for item in known),
            tuple(float(edge) for edge in edges),
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many codes there are in each of FIELDS, 0 among them."""
        counts = (len(self.brands), len(self.departments), len(self.categories), 1 + len(self.price_edges))
        return tuple(1 + count for count in counts)

    def codes(self, items: Sequence[Description]) -> Codes:
        """(len(items), len(FIELDS)); what was not there at the training is 0."""
        rows = [
            (
                self.brands.get(item.brand, 0),
                self.departments.get(_department(item), 0),
                self.categories.get(_path(item), 0),
                self._band(item.price),
            )
            for item in items
        ]
        return np.array(rows, dtype=np.int64).reshape(len(items), len(FIELDS))

    def same_as(self, other: Vocabulary) -> tuple[tuple[Codes, Codes], ...]:
        """For each of FIELDS the codes of what has the same name in both, here and there; bands go by their place.

        >>> theirs = Vocabulary({"Bolt": 1, "Acme": 2}, {}, {}, (7.0,))
        >>> ours = Vocabulary({"Acme": 1}, {}, {}, (5.0, 9.0))
        >>> [[codes.tolist() for codes in each] for each in ours.same_as(theirs)]
        [[[1], [2]], [[], []], [[], []], [[1, 2], [1, 2]]]
        """
        pairs = []
        for mine, others in (
            (self.brands, other.brands),
            (self.departments, other.departments),
            (self.categories, other.categories),
        ):
            shared = sorted(mine.keys() & others.keys())
            pairs.append(tuple(np.array([codes[name] for name in shared], dtype=np.int64) for codes in (mine, others)))
        edges = min(len(self.price_edges), len(other.price_edges))
        bands = np.arange(1, 2 + edges if edges else 1, dtype=np.int64)
        return (*((here, there) for here, there in pairs), (bands, bands))

    def _band(self, price: int | None) -> int:
        """0 also where the training knew no price at all: what stands for the one band was never learned."""
        if price is None or not self.price_edges:
            return 0
        return 1 + int(np.searchsorted(self.price_edges, price, side="right"))

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Vocabulary:
        """Of what `as_json` gave."""
        return cls(stored["brands"], stored["departments"], stored["categories"], tuple(stored["price_edges"]))


def _department(item: Description) -> str:
    return item.categories[0] if item.categories else ""


def _path(item: Description) -> str:
    return "\x1f".join(item.categories)


def _numbered(names: Iterable[str]) -> dict[str, int]:
    counts = Counter(name for name in names if name)
    return {name: code for code, name in enumerate((n for n in sorted(counts) if counts[n] >= LEAST_ITEMS), start=1)}
