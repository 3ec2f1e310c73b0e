"""The templated voice: the service's first voice, and what speaks whenever a language model is absent, late or wrong.

Takes ReplyFacts, gives a few sentences of plain text. Deterministic: phrasing rotates with the turn, never by chance.
Says only what the facts say; where they are silent it says that it does not know. Does not know any engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from prompts import view
from prompts.facts import ReplyFacts
from prompts.money import SYMBOLS, amount_of
from prompts.rendering import rotation, template
from prompts.untrusted import plain
from tasteline.types import Constraint, Product

REPLY_TEMPLATE = "reply_v1.txt.jinja"
_EDGE = "\x1e"
"""Around the list of products in a rendered reply; `plain` lets no such character through."""
_NEEDS_PRODUCTS = frozenset({"found", "refined", "more", "recommended", "similar", "complement", "compared", "details"})
_BLANK_LINES = re.compile(r"\n{2,}")
_ROUND_STEPS = (
    5,
    10,
    20,
    25,
    50,
    75,
    100,
    150,
    200,
    250,
    300,
    400,
    500,
    750,
    1000,
    1500,
    2000,
    3000,
    5000,
    10_000,
    20_000,
    50_000,
)
_MOST_FOLLOW_UPS = 3
_LABEL = 200
"""Characters of an option: uncut, because what is clicked is what is understood."""


@dataclass(frozen=True, slots=True)
class ReplyParts:
    opening: str
    items: tuple[str, ...] = ()
    """One line for each product, numbered where there are several."""
    closing: str = ""

    @property
    def text(self) -> str:
        return "\n".join(filter(None, (self.opening, *self.items, self.closing)))


def render_reply(facts: ReplyFacts) -> str:
    """The answer in prose: one opening line, the products, what sets them apart.

    >>> render_reply(ReplyFacts("thanks"))
    "You're welcome. I am here if you want to look for anything else."
    """
    return render_parts(facts).text


def render_parts(facts: ReplyFacts) -> ReplyParts:
    """The same, taken apart, so that a line can be worded anew and the others stay."""
    items = view.views(facts.products)
    kind = "nothing_found" if not items and facts.kind in _NEEDS_PRODUCTS else facts.kind
    near = any(ranked.close for ranked in facts.products[: len(items)])
    text = template(REPLY_TEMPLATE).render(
        kind=kind,
        facts=facts,
        one_of=rotation(facts.turn),
        items=items,
        total=facts.total if near else max(facts.total, len(items)),
        near=near,
        topic=view.topic(facts),
        limits=view.limits(facts),
        relaxations=_relaxations(facts),
        interests=[plain(interest.topic, 40) for interest in facts.interests[:3]],
        anchor=view.title(facts.anchor, 60) if facts.anchor else "",
        cart=[view.title(product, 60) for product in facts.cart[:3]],
        departments=[plain(name, 40) for name in facts.departments[:4]],
        facets=[(plain(f.name, 40), [plain(v, 40) for v in f.values[:4]]) for f in facts.facets[:2]],
        extremes=view.extremes(facts.products),
        **_one_product(facts),
        comparison=view.compare([ranked.product for ranked in facts.products[: view.MOST_LISTED]]),
        question=plain(facts.question.text, _LABEL) if facts.question else "",
        options=[plain(label, _LABEL) for label in facts.question.labels] if facts.question else [],
        chosen=plain(facts.chosen, _LABEL),
        edge=_EDGE,
    )
    opening, *rest = (_BLANK_LINES.sub("\n", part).strip() for part in text.split(_EDGE))
    if len(rest) != 2:
        return ReplyParts("\n".join((opening, *rest)))
    return ReplyParts(opening, tuple(rest[0].split("\n")), rest[1])


def follow_ups(facts: ReplyFacts) -> tuple[str, ...]:
    """Up to three things to say next, each of which has an answer: a shopper may click them.

    After nothing_found they take a limit back, in words that are listed in `taking_back`; where a question is asked
    they are all of its options.
    """
    if facts.question:
        return tuple(plain(label, _LABEL) for label in facts.question.labels)
    if not facts.products:
        taken_back = [taking_back(r.constraint) for r in facts.relaxations if r.would_match > 0]
        suggestions = taken_back or list(_starts(facts))
    elif facts.kind == "details":
        suggestions = ["What is similar to it?", "What goes with it?"]
    else:
        suggestions = list(_refinements(facts))
    return tuple(dict.fromkeys(suggestions))[:_MOST_FOLLOW_UPS]


def taking_back(constraint: Constraint) -> str:
    """How a shopper would lift one limit.

    >>> from tasteline.types import Filters
    >>> [taking_back(Constraint(key, "", Filters())) for key in ("price", "without:leather", "colour:blue")]
    ['Any price', 'Leather is fine', 'Any colour']
    """
    name, _, value = constraint.key.partition(":")
    if name == "without":
        return f"{plain(value.replace('-', ' '), 40).capitalize()} is fine"
    if name in ("stock", "in_stock"):
        return "Also what is out of stock"
    return f"Any {plain(name.replace('_', ' '), 40)}"


def _relaxations(facts: ReplyFacts) -> list[tuple[str, int]]:
    possible = [r for r in facts.relaxations if r.would_match > 0]
    return [(plain(r.constraint.label, 60), r.would_match) for r in possible[:3]]


def _one_product(facts: ReplyFacts) -> dict[str, object]:
    """What `details` says of the first product: attributes, an excerpt, and answers to what was asked."""
    if not facts.products:
        return {"about": [], "excerpt": "", "answers": [], "unknown": [], "in_stock": ""}
    product = facts.products[0].product
    known = view.attributes(product)
    asked = [plain(name, 40).casefold() for name in facts.asked]
    stock = product.stock
    return {
        "about": [(name, text) for name, text in known.items() if name not in asked][:6],
        "answers": [(name, known[name]) for name in asked if name in known],
        "unknown": [name for name in asked if name not in known and not _is_figure(product, name)],
        "excerpt": view.excerpt(product),
        "in_stock": "in stock" if stock is not None and stock > view.FEW_LEFT else "",
    }


def _is_figure(product: Product, name: str) -> bool:
    """Asked for, and said with the product anyway."""
    figures = {"price": product.price, "rating": product.rating, "stock": product.stock, "availability": product.stock}
    return figures.get(name) is not None


def _starts(facts: ReplyFacts) -> Iterator[str]:
    yield "Recommend something for me"
    for name in facts.departments[:2]:
        yield f"Show me {plain(name, 40)}"


def _refinements(facts: ReplyFacts) -> Iterator[str]:
    """What would narrow or open the list that is shown; the best first."""
    kept = {constraint.key.partition(":")[0] for constraint in facts.constraints}
    products = [ranked.product for ranked in facts.products]
    if facts.kind == "compared":
        yield "Tell me more about the first one"
    if "price" not in kept and (limit := _round_limit(products)):
        yield limit
    elif facts.kind != "compared" and _first_is_not_cheapest(products):
        yield "Something cheaper"
    for facet in facts.facets:
        if facet.name not in kept and len(facet.values) > 1:
            value = plain(facet.values[facts.turn % len(facet.values)], 40)
            yield f"Show it in {value}" if facet.name in ("colour", "color") else f"Only {value}"
    ratings = [product.rating for product in products if product.rating is not None]
    if "rating" not in kept and ratings and max(ratings) >= 4 > min(ratings):
        yield "Only 4 stars and up"
    if len(products) > 1 and facts.kind != "compared":
        yield "Compare the first two"
    if len(products) == 1:
        yield "Tell me more about it"
    if facts.total > len(products) and facts.kind != "compared":
        yield "Show me more"
    yield "What is similar to the first one?"


def _first_is_not_cheapest(products: list[Product]) -> bool:
    prices = [product.price for product in products if product.price]
    one_currency = len({price.currency for price in prices}) == 1
    return one_currency and products[0].price is not None and min(price.amount for price in prices) < prices[0].amount


def _round_limit(products: list[Product]) -> str:
    """A round price that the cheapest of the shown products keeps and the dearest does not."""
    prices = [product.price for product in products if product.price]
    if not prices or len({price.currency for price in prices}) != 1:
        return ""
    amounts = sorted(amount_of(price) for price in prices)
    middle = [step for step in _ROUND_STEPS if amounts[0] <= step < amounts[-1]]
    if not middle:
        return ""
    step = min(middle, key=lambda step: abs(step - amounts[len(amounts) // 2]))
    code = prices[0].currency
    return f"Under {SYMBOLS[code]}{step:,}" if code in SYMBOLS else f"Under {step:,} {code}"
