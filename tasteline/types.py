"""The vocabulary of the whole program: what a product, an event, a filter and a ranking are.

Plain frozen dataclasses, no behaviour beyond what follows from the data, nothing heavy imported.
Ids are strings and come from the shop; row numbers (`Row`) are ours and never leave the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, NewType

import numpy as np
from numpy.typing import NDArray

from tasteline.trials import Trial

Row = NewType("Row", int)
"""Position of a product in the catalogue and in every index of one process."""

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]
"""Unit-length row vectors, shape (n, dimension)."""
Scores = NDArray[np.float32]
Mask = NDArray[np.bool_]
"""One flag for each catalogue row: may this product be shown?"""


@dataclass(frozen=True, slots=True)
class Price:
    """An amount in minor units (cents) of an ISO 4217 currency."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class Product:
    """One thing that the shop sells, as its feed describes it."""

    id: str
    title: str
    description: str = ""
    brand: str | None = None
    categories: tuple[str, ...] = ()
    """Path from broad to narrow, for example ("Kitchen", "Coffee", "Grinders")."""
    price: Price | None = None
    """None: not shown, and fails every price filter."""
    rating: float | None = None
    """Mean stars, 0 to 5."""
    rating_count: int | None = None
    stock: int | None = None
    """Units on hand; None: the feed does not say, which counts as available."""
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Everything else that can be filtered on: {"colour": ("red",), "size": ("42", "43")}."""
    url: str | None = None
    image_url: str | None = None


class EventType(StrEnum):
    """The GA4 e-commerce names that we understand."""

    VIEW_ITEM_LIST = "view_item_list"
    SELECT_ITEM = "select_item"
    VIEW_ITEM = "view_item"
    ADD_TO_WISHLIST = "add_to_wishlist"
    ADD_TO_CART = "add_to_cart"
    REMOVE_FROM_CART = "remove_from_cart"
    VIEW_CART = "view_cart"
    BEGIN_CHECKOUT = "begin_checkout"
    PURCHASE = "purchase"
    REFUND = "refund"
    SEARCH = "search"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a shopper did. `time` is UTC; where it is None, `position` orders the person's events."""

    id: str
    type: EventType
    user_id: str | None = None
    session_id: str | None = None
    product_id: str | None = None
    query: str | None = None
    """What was typed, for `search`."""
    time: datetime | None = None
    position: int | None = None
    quantity: int = 1
    ranking_id: str | None = None
    """The ranking that the shopper acted on, so that shown and chosen can be joined."""


@dataclass(frozen=True, slots=True)
class AttributeFilter:
    """Any of `values` (case-insensitive), or a number within [minimum, maximum], in attribute `name`."""

    name: str
    values: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    """Hard limits. Within one field any value may match, all fields must. Empty: everything passes."""

    price_min: int | None = None
    price_max: int | None = None
    """Both in minor units, inclusive; a product without a price fails."""
    currency: str | None = None
    """When given, a product priced in another currency fails the price limits."""
    categories: tuple[str, ...] = ()
    """Names at any level of the path, case-insensitive."""
    brands: tuple[str, ...] = ()
    rating_min: float | None = None
    in_stock: bool = False
    attributes: tuple[AttributeFilter, ...] = ()
    exclude_ids: frozenset[str] = frozenset()
    exclude_brands: tuple[str, ...] = ()
    exclude_categories: tuple[str, ...] = ()
    exclude_terms: tuple[str, ...] = ()
    """Words that must not occur in title, attributes, categories or description ("not leather")."""


Sort = Literal["relevance", "price_asc", "price_desc", "rating", "popular"]


@dataclass(frozen=True, slots=True)
class Constraint:
    """One limit read out of a request, small enough to be shown as a chip and taken back alone."""

    key: str
    """Stable within a request: "price", "brand:bosch", "without:leather"."""
    label: str
    """For people: "under $80", "not leather"."""
    filters: Filters


@dataclass(frozen=True, slots=True)
class Understood:
    """What a request was taken to mean."""

    text: str
    query: str
    """What is left to match by words and by meaning once the constraints are taken out."""
    constraints: tuple[Constraint, ...] = ()
    sort: Sort = "relevance"


ReasonKind = Literal[
    "match", "meaning", "constraint", "history", "similar", "complement", "together", "popular", "new", "varied",
    "sponsored",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a product is in a ranking, and what shows it."""

    kind: ReasonKind
    text: str
    """One short sentence for the shopper, made of facts only."""
    evidence: tuple[str, ...] = ()
    """Ids of the products or events that it rests on."""


@dataclass(frozen=True, slots=True)
class RankedProduct:
    product: Product
    score: float
    reasons: tuple[Reason, ...] = ()
    close: bool = False
    """In a search: carries not every word that was left to match, and is shown because it comes near."""
    sponsored: bool = False
    """Stands higher than its score alone would put it, because the merchant wants it so."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """A constraint that stood in the way, and how many products fit without it."""

    constraint: Constraint
    would_match: int


@dataclass(frozen=True, slots=True)
class Ranking:
    """An ordered answer; best first."""

    id: str
    items: tuple[RankedProduct, ...]
    total: int
    """How many products fit: they keep every limit and, in a search, carry every word that was left to match."""
    understood: Understood | None = None
    relaxations: tuple[Relaxation, ...] = ()
    """Filled only when `total` is 0: then `items` are the closest there is, or none."""
    degraded: tuple[str, ...] = ()
    """Names of the stages that were skipped, for example ("dense",)."""
    trial: Trial | None = None
    """None: outside of every experiment."""


@dataclass(frozen=True, slots=True)
class Interest:
    """A topic that a person is drawn to, named in the catalogue's own words."""

    topic: str
    short_term: float
    long_term: float
    """Shares of the person's recent and of all their attention, 0 to 1."""
    trend: Literal["rising", "steady", "fading", "new"]
    evidence: tuple[str, ...] = ()
    """Ids of the events that show it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A newcomer's answer to one of the shop's own questions: ids of both."""

    question: str
    option: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation, with the products that it showed, in order."""

    role: Literal["user", "assistant"]
    text: str
    product_ids: tuple[str, ...] = ()
    state: str = ""
    """The agent's own memory after this turn, as JSON; opaque to the store."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one generation, as the engine counts them."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """Of the prompt, found in the engine's prefix cache; 0 where it does not say."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a language model has just written; the last piece has no text and says how it ended and what it cost."""

    text: str = ""
    finish: Literal["stop", "length", "repetition"] | None = None
    """Finished by itself, cut at `max_tokens`, or stopped because it turned in circles."""
    usage: Usage | None = None
