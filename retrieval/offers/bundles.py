"""Bundles and cart add-ons of a running shop: products that are bought together, as the catalogue has them now.

Takes the log of deeds and the indexes, gives products with their reason and the figures behind it, and the sum of true
prices where all of them have one in one currency. Rules (`retrieval.offers.baskets`) are counted when they are first
asked for and then now and again. No bundle price is made up: what a bundle costs less is the merchant's to decide.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.deed_log import DeedLog
from retrieval.live import Indexes, LiveIndex
from retrieval.offers.baskets import BasketRules, Rule
from retrieval.offers.deeds import deeds_of
from retrieval.offers.kept import Kept
from tasteline.errors import NotFound
from tasteline.types import Filters, Price, Product, Reason

TITLE_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Added:
    """A product to add, why, and the rule that says so."""

    product: Product
    score: float
    rule: Rule
    reason: Reason


@dataclass(frozen=True, slots=True)
class Bundle:
    products: tuple[Product, ...]
    """What was asked about first, then what is added."""
    added: tuple[Added, ...]
    total: Price | None
    """The sum of their prices, of a cart by how often each stands in it; None where one has none or is unknown, or
    currencies differ."""


class Bundles:
    """Thread-safe. `clock` counts seconds; `seconds`: that a question waits for the log, then DeadlineExceeded."""

    def __init__(
        self,
        log: DeedLog,
        live: LiveIndex,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = float("inf"),
    ) -> None:
        self._log = log
        self._live = live
        self._seconds = seconds
        self._rules: Kept[BasketRules] = Kept(self._counted, log.erasures, clock)

    def add_ons(self, cart: Sequence[str], filters: Filters, limit: int) -> Bundle:
        """The cart with what is bought along with it, best first. Raises NotFound where nothing of it exists."""
        rules = self._rules()
        with self._live.read() as indexes:
            held = _held(indexes, cart)
            added = _added(indexes, rules, held, filters)[:limit]
        return Bundle(tuple(held), tuple(added), _cost(cart, held))

    def of(self, product_id: str, size: int, limit: int) -> list[Bundle]:
        """Bundles of `size` products around one, the strongest first; a product is added in one of them only.

        Raises NotFound for a product that does not exist.
        """
        rules = self._rules()
        with self._live.read() as indexes:
            held = _held(indexes, [product_id])
            added = _added(indexes, rules, held, Filters())
        starts = range(0, limit * (size - 1), size - 1)
        parts = [added[start : start + size - 1] for start in starts if start + size - 1 <= len(added)]
        return [_bundle(held, part) for part in parts]

    def rules(self) -> BasketRules | None:
        """What is counted by now, for who cannot wait; the first counting begins behind whoever asks first."""
        return self._rules.at_hand()

    def counted(self) -> BasketRules:
        """The same, waited for where nothing is counted."""
        return self._rules()

    def follow(self) -> None:
        """Where somebody was erased, forget what was counted and count anew, behind."""
        self._rules.follow()

    def close(self) -> None:
        """Returns when nothing is being counted."""
        self._rules.close()

    def _counted(self) -> BasketRules:
        deeds = deeds_of(self._log.read(self._seconds))
        with self._live.read() as indexes:
            kinds = {each.id: each.categories[-1] for each in indexes.catalogue.products() if each.categories}
        return BasketRules.fit(deeds, kinds)


def total_of(products: Iterable[Product]) -> Price | None:
    """The sum of their prices; None where one has none, where currencies differ and of nothing.

    >>> total_of([Product("a", "A", price=Price(100, "USD")), Product("b", "B", price=Price(250, "USD"))])
    Price(amount=350, currency='USD')
    >>> total_of([Product("a", "A", price=Price(100, "USD")), Product("b", "B")]) is None
    True
    """
    prices = [each.price for each in products]
    known = [price for price in prices if price is not None]
    if not known or len(known) < len(prices) or len({price.currency for price in known}) > 1:
        return None
    return Price(sum(price.amount for price in known), known[0].currency)


def _cost(cart: Sequence[str], held: Sequence[Product]) -> Price | None:
    """Of everything in it, twice what stands in it twice; None with an id that no product has."""
    known = {each.id: each for each in held}
    return total_of(known[each] for each in cart) if all(each in known for each in cart) else None


def _bundle(held: Sequence[Product], added: Sequence[Added]) -> Bundle:
    products = (*held, *(each.product for each in added))
    return Bundle(products, tuple(added), total_of(products))


def _held(indexes: Indexes, ids: Sequence[str]) -> list[Product]:
    rows = indexes.catalogue.rows(dict.fromkeys(ids))
    if not len(rows):
        raise NotFound(f"No product has the id {ids[0]!r}. Search for it, or put it with PUT /v1/products.")
    return [indexes.catalogue.product(int(row)) for row in rows]


def _added(indexes: Indexes, rules: BasketRules, held: Sequence[Product], filters: Filters) -> list[Added]:
    """What keeps the filters and is not known to be out of stock."""
    titles = {each.id: each.title for each in held}
    mask = indexes.catalogue.mask(filters, indexes.lexical.containing)
    found = []
    for each in rules.add_ons([*titles]):
        row = indexes.catalogue.row(each.rule.other)
        if row is None or not mask[row]:
            continue
        product = indexes.catalogue.product(row)
        if product.stock != 0:
            found.append(Added(product, each.score, each.rule, together_reason(each.rule, titles[each.rule.given])))
    return found


def together_reason(rule: Rule, title: str) -> Reason:
    """`title`: of the product that the rule starts from."""
    of_all = int(np.rint(rule.support / rule.confidence))
    short = title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1].rsplit(" ", 1)[0] + "…"
    return Reason("together", f"In {rule.support:,} of {of_all:,} baskets with {short}", (rule.given,))
