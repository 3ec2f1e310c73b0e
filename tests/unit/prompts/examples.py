"""A small shelf of made-up products and the facts of answers about them, for the tests of the voice."""

from __future__ import annotations

from typing import Any

from prompts.facts import ReplyFacts, ReplyKind
from tasteline.types import Constraint, Filters, Interest, Price, Product, RankedProduct, Reason, Relaxation

PATH = ("Kitchen", "Coffee", "Grinders")
ARIA = Product(
    "1",
    "Aria Burr Grinder",
    "A sturdy grinder with forty settings. Free shipping today! Save 50% now.",
    "Aria",
    PATH,
    Price(7900, "USD"),
    4.6,
    312,
    12,
    {"colour": ("black",), "material": ("steel",), "capacity": ("350 g",)},
)
BRISK = Product(
    "2",
    "Brisk Hand Grinder",
    "",
    "Brisk",
    PATH,
    Price(3450, "USD"),
    4.2,
    88,
    3,
    {"colour": ("red",), "material": ("steel",)},
)
COBALT = Product(
    "3", "Cobalt Cafe Grinder Pro", "", "Cobalt", PATH, Price(5999, "USD"), 3.8, 1204, 0, {"colour": ("blue",)}
)
DUSK = Product("4", "Dusk Mini Mill", "", None, PATH, None, None, None, None, {})
EMBER = Product("5", "Ember Quiet Mill", "", "Ember", PATH, Price(6899, "USD"), 4.9, 9, 40, {"colour": ("grey",)})
SHELF = (ARIA, BRISK, COBALT, DUSK, EMBER)
UNDER_80 = Constraint("price", "under $80", Filters(price_max=8000))
NOT_LEATHER = Constraint("without:leather", "not leather", Filters(exclude_terms=("leather",)))
COFFEE = Interest("Coffee", 0.5, 0.2, "rising")
TRAILS = Interest("Trail Running", 0.2, 0.3, "steady")


def ranked(*products: Product, reason: str = "Matches “grinder”") -> tuple[RankedProduct, ...]:
    return tuple(RankedProduct(product, 1.0, (Reason("match", reason, (product.id,)),)) for product in products)


def facts(kind: ReplyKind = "found", shown: int = 2, **changes: Any) -> ReplyFacts:
    """An answer that shows the first `shown` products of the shelf."""
    fields: dict[str, Any] = {
        "query": "coffee grinder",
        "request": "coffee grinder under $80, not leather",
        "constraints": (UNDER_80, NOT_LEATHER),
        "products": ranked(*SHELF[:shown]),
        "total": 37 if shown else 0,
    }
    return ReplyFacts(kind, **(fields | changes))


RELAXED = (Relaxation(UNDER_80, 14), Relaxation(NOT_LEATHER, 0))
