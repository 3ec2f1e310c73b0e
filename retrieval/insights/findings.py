"""What the shop-wide view tells, with the figures behind each line and what may be done about it.

Values only. Topics are paths of category names; a number of shoppers under the least that is shown is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tasteline.types import Price

Topic = tuple[str, ...]
"""The first names of a category path."""
ActionKind = Literal["restock", "promote", "wind_down", "demote", "try", "follow", "together", "greet", "lead"]
Weekly = Sequence[float | None]
"""Share of the shoppers of each week (or longer step) who turned to the topic, oldest first; None: too few to show."""


@dataclass(frozen=True, slots=True)
class Action:
    """What may be done, in plain words; every figure in it is of the finding that it belongs to."""

    kind: ActionKind
    text: str
    because: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A product that shoppers of a topic turn to most."""

    product_id: str
    title: str
    shoppers: int
    stock: int | None
    price: Price | None


@dataclass(frozen=True, slots=True)
class Part:
    """A segment's part in a movement."""

    segment: int
    name: str
    now: int | None
    before: int | None
    extra: float | None
    """Shoppers beyond what was to be expected of this segment; negative: missing. None, as `share` is, in all parts of
    a movement where one of them hides a number: it could be had from the others."""
    share: float | None
    """Of the shoppers gained (or lost) in all segments that moved the same way."""
    is_most: bool
    """Half of them or more."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A topic that more (or fewer) shoppers turn to than before.

    Where too few did in one window, each figure that this number could be had from is None, too.
    """

    topic: Topic
    direction: Literal["rising", "falling"]
    shoppers: int | None
    shoppers_before: int | None
    share: float | None
    share_before: float | None
    expected: float | None
    """Share of shoppers that was to be expected had nothing changed."""
    extra: float | None
    change: float | None
    attention: float | None
    attention_before: float | None
    p: float | None
    q: float | None
    weekly: Weekly
    behind: Sequence[Part]
    wanted: Sequence[Wanted]
    action: Action


@dataclass(frozen=True, slots=True)
class EarlySign:
    topic: Topic
    shoppers: int
    growth: float
    weeks_up: int
    accelerating: bool
    p: float
    q: float
    weekly: Weekly
    wanted: Sequence[Wanted]
    action: Action


@dataclass(frozen=True, slots=True)
class Next:
    """After `before` comes `after`."""

    before: Topic
    after: Topic
    shoppers: int
    steps: int
    confidence: float
    lift: float
    reverse_lift: float
    days: float
    p: float
    q: float
    action: Action


@dataclass(frozen=True, slots=True)
class Together:
    """An association rule of baskets."""

    if_bought: Sequence[Topic]
    then: Sequence[Topic]
    baskets: int
    shoppers: int
    support: float
    confidence: float
    lift: float
    action: Action


@dataclass(frozen=True, slots=True)
class Prefers:
    topic: Topic
    share: float
    elsewhere: float | None
    """None: of too few people to show."""


@dataclass(frozen=True, slots=True)
class RisesAmong:
    """With too few before, neither `change` nor `q` is told: they would tell how many."""

    topic: Topic
    shoppers: int
    shoppers_before: int | None
    change: float | None
    q: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """A segment."""

    number: int
    name: str
    people: int
    share: float
    prefers: Sequence[Prefers]
    rising: Sequence[RisesAmong]
    action: Action


@dataclass(frozen=True, slots=True)
class View:
    """The whole page. Lists are complete, best first; who shows them cuts them."""

    as_of: datetime | None
    """Of the last event with a time: windows are counted back from it."""
    days: int
    people: int
    events: int
    shoppers: int
    """Who did anything in the last `days` days."""
    shoppers_before: int
    looked_around: float
    """How much more topics shoppers turned to than before, 1 for as many; taken out of every movement."""
    fewest: int
    alarms: float
    step_days: int
    """Days between two points of a sparkline."""
    turns: Sequence[Turn]
    early: Sequence[EarlySign]
    follows: Sequence[Next]
    together: Sequence[Together]
    groups: Sequence[Group]
    profiled: int
    silhouette: float
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Told:
    """A view, and how old it is."""

    view: View
    computed_at: datetime
    age_seconds: float
    seconds: float
    """What it took to compute."""
    is_renewed: bool
    """A newer one is being made."""
