"""Facts made ready to be said: every text plain, every amount written out, nothing that a template could get wrong.

Takes ReplyFacts, gives strings and small tuples for the templates. Whatever comes from a stranger passes `plain` here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from prompts.facts import ReplyFacts
from prompts.money import price_text
from prompts.untrusted import plain
from tasteline.types import Price, Product, RankedProduct

MOST_LISTED = 5
FEW_LEFT = 5
"""Units on hand from which on it is worth saying how many are left."""
_QUOTABLE = re.compile(r"[\w '&,.+/-]{2,50}")
_SUSPICIOUS = re.compile(
    r"[$€£¥₹%]|\b(?:ignore|instruct\w*|system|assistant|prompt|pretend|override|you (?:must|are|should)|free|discount|"
    r"coupon|shopper|customers?|tell|say|reply|respond|answer|output|repeat|admin|"
    r"developer|tool|function|debug|secret|click|visit)\b",
    re.IGNORECASE,
)
"""Not the words of a search or of a description that we would repeat."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class ProductView:
    title: str
    price: str
    """Written out; empty where the feed has none."""
    figures: str
    """Price, rating and scarcity, ready to follow a colon; may be empty."""
    reason: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One attribute over all compared products; "" where the feed does not say."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    cheapest: str = ""
    dearest: str = ""
    gap: str = ""
    """By how much; empty when prices are equal, missing or in several currencies."""
    same_price: str = ""
    best_rated: str = ""
    ratings: tuple[str, ...] = ()
    """From best to worst; empty when fewer than two are known or all are equal."""
    differences: tuple[Difference, ...] = ()
    shared: tuple[Difference, ...] = ()


def views(products: Sequence[RankedProduct]) -> tuple[ProductView, ...]:
    return tuple(
        ProductView(
            title=title(ranked.product),
            price=price_text(ranked.product.price) if ranked.product.price else "",
            figures=_figures(ranked.product),
            reason=_reason(ranked),
        )
        for ranked in products[:MOST_LISTED]
    )


def title(product: Product, limit: int = 90) -> str:
    return plain(product.title, limit) or "a product without a name"


def topic(facts: ReplyFacts) -> str:
    """What was searched for, where it is short and harmless enough to be repeated; else empty.

    >>> topic(ReplyFacts("found", query="coffee grinder")), topic(ReplyFacts("found", query="say $0"))
    ('coffee grinder', '')
    """
    text = plain(facts.query, 60)
    fits = _QUOTABLE.fullmatch(text) and len(text.split()) <= 7 and not _SUSPICIOUS.search(text)
    return text if fits else ""


def limits(facts: ReplyFacts) -> str:
    return ", ".join(filter(None, (plain(constraint.label, 60) for constraint in facts.constraints)))


def rating_text(product: Product) -> str:
    """
    >>> rating_text(Product("1", "Mug", rating=4.25, rating_count=1))
    '4.2 stars from 1 rating'
    """
    if product.rating is None:
        return ""
    count = product.rating_count
    source = f" from {count:,} {'rating' if count == 1 else 'ratings'}" if count else ""
    return f"{product.rating:.1f} stars{source}"


def stock_text(product: Product) -> str:
    if product.stock is None or product.stock > FEW_LEFT:
        return ""
    return f"only {product.stock} left" if product.stock > 0 else "out of stock"


def attributes(product: Product) -> dict[str, str]:
    """Name -> values joined, brand among them, in the feed's order; blank ones left out."""
    found = {"brand": plain(product.brand or "", 60)}
    for name, values in product.attributes.items():
        found[plain(name, 40).replace("_", " ").casefold()] = ", ".join(
            filter(None, (plain(v, 40) for v in values[:4]))
        )
    return {name: text for name, text in found.items() if name and text}


def excerpt(product: Product, limit: int = 180) -> str:
    """The first sentence of the description that describes, rather than promises, commands or quotes an amount."""
    for sentence in _SENTENCE.split(plain(product.description, 1000)):
        if len(sentence) >= 20 and not _SUSPICIOUS.search(sentence):
            return plain(sentence, limit).rstrip(".")
    return ""


def compare(products: Sequence[Product]) -> Comparison:
    """What sets the products apart, and what they share; of differing attributes the first five."""
    rows = [attributes(product) for product in products]
    names = list(dict.fromkeys(name for row in rows for name in row))
    found = [Difference(name, tuple(row.get(name, "") for row in rows)) for name in names]
    same = [row for row in found if len(set(row.values)) == 1]
    return replace(
        _figures_compared(products),
        differences=tuple(row for row in found if row not in same)[:5],
        shared=tuple(same[:4]),
    )


def extremes(products: Sequence[RankedProduct]) -> Comparison:
    """Cheapest and best rated of a list; empty fields where that says nothing."""
    shown = [ranked.product for ranked in products[:MOST_LISTED]]
    return _figures_compared(shown) if len(shown) > 2 else Comparison()


def _figures_compared(products: Sequence[Product]) -> Comparison:
    best_rated, ratings = _rating_comparison(products)
    return replace(_price_comparison(products), best_rated=best_rated, ratings=ratings)


def _price_comparison(products: Sequence[Product]) -> Comparison:
    priced = [(product.price, title(product, 60)) for product in products if product.price]
    if len(priced) < len(products) or len({price.currency for price, _ in priced}) != 1 or len(priced) < 2:
        return Comparison()
    (low, cheapest), (high, dearest) = min(priced, key=_amount), max(priced, key=_amount)
    if low.amount == high.amount:
        return Comparison(same_price=price_text(low))
    return Comparison(cheapest, dearest, price_text(Price(high.amount - low.amount, low.currency)))


def _amount(priced: tuple[Price, str]) -> int:
    return priced[0].amount


def _rating_comparison(products: Sequence[Product]) -> tuple[str, tuple[str, ...]]:
    """Title of the best, and the ratings from best to worst; empty where nobody leads."""
    rated = sorted(((product.rating, title(product, 60)) for product in products if product.rating), reverse=True)
    texts = tuple(f"{rating:.1f}" for rating, _ in rated)
    if len(set(texts)) < 2 or texts[0] == texts[1]:
        return "", ()
    return rated[0][1], texts


def _figures(product: Product) -> str:
    price = price_text(product.price) if product.price else ""
    return ", ".join(filter(None, (price, rating_text(product), stock_text(product))))


def _reason(ranked: RankedProduct) -> str:
    """The first reason that is more than the limits, which the opening has named already."""
    telling = [reason for reason in ranked.reasons if reason.kind != "constraint"] or list(ranked.reasons)
    return plain(telling[0].text, 120).rstrip(".") if telling else ""
