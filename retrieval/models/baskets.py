"""What is bought along with a cart, as a source of candidates: the rules of the shop's baskets.

Takes rules (`retrieval.offers.baskets`) that may not be counted yet, gives for the products of a cart others, each
because of the one that speaks for it most, and the figures of that rule as its reason. Proposes nothing without a
cart, without rules and of what is known to be out of stock.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from retrieval.live import Indexes
from retrieval.offers.baskets import BasketRules
from retrieval.offers.bundles import together_reason
from tasteline.ports import Need
from tasteline.types import Mask, Reason, Rows, Scores

NOWHERE = -1


class BasketSource:
    """`rules()` never waits; None until they are counted for the first time."""

    name = "baskets"

    def __init__(self, rules: Callable[[], BasketRules | None], indexes: Callable[[], Indexes]) -> None:
        self._rules = rules
        self._indexes = indexes

    def propose(self, need: Need, k: int, allowed: Mask) -> tuple[Rows, Scores, Rows]:
        rules = self._rules() if len(need.anchor) else None
        if rules is None:
            nothing = np.zeros(0, dtype=np.int64)
            return nothing, np.zeros(0, dtype=np.float32), nothing
        catalogue = self._indexes().catalogue
        cart = {catalogue.product(row).id: row for row in need.anchor.tolist()}
        others, scores, speaking, _ = rules.asked_for([*cart])
        found = [catalogue.row(rules.ids[code]) for code in others.tolist()]
        rows = np.array([NOWHERE if row is None else row for row in found], dtype=np.int64)
        kept = np.flatnonzero((rows != NOWHERE) & allowed[rows])
        there = np.array([catalogue.product(row).stock != 0 for row in rows[kept].tolist()], dtype=np.bool_)
        kept = kept[there][:k]
        because = np.array([cart[rules.ids[code]] for code in speaking[kept].tolist()], dtype=np.int64)
        return rows[kept], scores[kept].astype(np.float32), because

    def relation(self, row: int, led_by: int) -> Reason | None:
        """The figures behind a proposal; None where the rules have been counted anew since and know the two no more."""
        rules, catalogue = self._rules(), self._indexes().catalogue
        given = catalogue.product(led_by)
        rule = None if rules is None else rules.rule(given.id, catalogue.product(row).id)
        return None if rule is None else together_reason(rule, given.title)
