"""What readers of feeds and event logs yield: a product or an event for each row, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tasteline.types import Event, Product


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not be taken, and why."""

    source: str
    line: int
    field: str
    reason: str
    raw: str


Records = Iterable[Product | Event | Reject]
"""What every reader of a feed or an event log yields, one row at a time."""
