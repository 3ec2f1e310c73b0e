"""Paid places: a product that the merchant sponsors may stand higher than it would, within a stated loss of relevance.

Takes a ranking that is longer than what is shown and what is sponsored, gives the ranking that is shown. A product is
only moved up within its own ranking, so it has passed every filter and was found for this request; it is put above
another only where its score is at least (1 - max_loss) of the other's, never above the best match, and it says so. See
docs/adr/0022. Knows nothing of how scores came about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasteline.types import RankedProduct, Ranking, Reason

DEPTH = 100
"""Candidates among which a sponsored product is looked for: what is not among them has nothing to do here."""
LABEL = "Sponsored: the shop put it higher than its match alone would"


@dataclass(frozen=True, slots=True)
class Sponsored:
    product_ids: frozenset[str]
    slots: int
    """Products moved up in one ranking, at most."""
    max_loss: float
    """0 to 1: share of its score by which a product may be better than the sponsored one that is put above it."""


def shown(ranking: Ranking, sponsored: Sponsored | None, limit: int) -> Ranking:
    """The first `limit` with paid places; an order that the shopper chose (by price, say) has none."""
    chosen = ranking.understood is not None and ranking.understood.sort != "relevance"
    items = ranking.items if sponsored is None or chosen else placed(ranking.items, sponsored, limit)
    return replace(ranking, items=tuple(items[:limit]))


def placed(items: Sequence[RankedProduct], sponsored: Sponsored, limit: int) -> list[RankedProduct]:
    """All of `items`, the best sponsored ones as high as the bound lets them, each below the one before it.

    One that stands where it would anyway takes no slot and no label: nothing was paid for its place.
    """
    result, first, left = list(items), 1, sponsored.slots
    for item in items[1:]:
        if not left:
            break
        if item.product.id not in sponsored.product_ids:
            continue
        at = next(place for place, other in enumerate(result) if other.product.id == item.product.id)
        place = _highest(result, at, first, sponsored.max_loss)
        if place < at and place < limit:
            result.insert(place, _labelled(result.pop(at)))
            first, left = place + 1, left - 1
    return result


def _highest(result: Sequence[RankedProduct], at: int, first: int, max_loss: float) -> int:
    """The highest place from `first` on that the one at `at` may take: it stays below whatever it must not pass."""
    place, item = at, result[at]
    while place > first and _may_pass(item, result[place - 1], max_loss):
        place -= 1
    return place


def _may_pass(item: RankedProduct, other: RankedProduct, max_loss: float) -> bool:
    """What carries every word that was asked for is not displaced by what only comes near."""
    if item.close and not other.close:
        return False
    return item.score >= other.score or (item.score > 0 and item.score >= (1 - max_loss) * other.score)


def _labelled(item: RankedProduct) -> RankedProduct:
    return replace(item, sponsored=True, reasons=(Reason("sponsored", LABEL, (item.product.id,)), *item.reasons))
