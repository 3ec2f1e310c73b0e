"""What one answer rests on: all that a reply may say, as it came from the store and the search.

The same object feeds the templated reply, the prompt of the language model and the check of what that model wrote, so
none of them can know more than the others. Text of shoppers and products in here is raw: renderers clean it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tasteline.types import Constraint, Interest, Product, RankedProduct, Relaxation

ReplyKind = Literal[
    "found",
    "refined",
    "more",
    "nothing_found",
    "recommended",
    "similar",
    "complement",
    "cart_advice",
    "compared",
    "details",
    "greeting",
    "thanks",
    "help",
    "off_topic",
    "clarify",
    "degraded",
]


@dataclass(frozen=True, slots=True)
class Facet:
    """An attribute that the matching products differ in, and values that at least one of them has."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asking:
    """A question of the shop's own."""

    text: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplyFacts:
    """Empty means that there is nothing of the kind; a renderer then says nothing about it.

    An answer whose products are missing is rendered as nothing_found, whatever its kind says.
    """

    kind: ReplyKind
    turn: int = 0
    """Number of this answer in its conversation: phrasing rotates with it."""
    request: str = ""
    """The shopper's words."""
    query: str = ""
    """What was searched for, once the constraints are taken out."""
    constraints: tuple[Constraint, ...] = ()
    """What was understood; each product shown keeps every one of them."""
    products: tuple[RankedProduct, ...] = ()
    """Shown, best first. For details the one product, for a comparison all that are compared."""
    total: int = 0
    """How many products fit; at least as many as are shown."""
    closest: bool = False
    """No product carries all that was asked for; those shown come closest."""
    relaxations: tuple[Relaxation, ...] = ()
    interests: tuple[Interest, ...] = ()
    """Topics that a recommendation rests on, strongest first."""
    anchor: Product | None = None
    """What "similar" and "complement" refer to."""
    cart: tuple[Product, ...] = ()
    asked: tuple[str, ...] = ()
    """For details: names of attributes that the shopper asked about ("weight")."""
    facets: tuple[Facet, ...] = ()
    departments: tuple[str, ...] = ()
    """What the shop has, for those who ask what to ask."""
    degraded: tuple[str, ...] = ()
    """Stages that were skipped, as in `Ranking.degraded`."""
    shop_name: str = "the shop"
    question: Asking | None = None
    """What a newcomer is asked in return."""
    chosen: str = ""
    """What a newcomer has just answered."""
