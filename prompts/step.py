"""One thing that a person did with one product: what words about a person rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tasteline.types import Event, EventType, Product

ACTS: Final[Mapping[EventType, str]] = {
    EventType.PURCHASE: "bought",
    EventType.ADD_TO_CART: "put in the cart",
    EventType.ADD_TO_WISHLIST: "saved",
    EventType.VIEW_ITEM: "viewed",
    EventType.SELECT_ITEM: "viewed",
}
"""How a line names what was done."""


@dataclass(frozen=True, slots=True)
class Step:
    event: Event
    product: Product

    @property
    def act(self) -> str:
        return ACTS.get(self.event.type, "viewed")
