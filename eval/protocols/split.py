"""What a protocol makes of a data set: what may be fitted on, whom to ask about, and what they did next.

Data only. A protocol (`leave_one_out`, `temporal`, …) is a function that takes a Dataset and gives a Split; `checks`
looks whether it kept its promises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from eval.data.interactions import Catalogue, Codes, Flags, Histories, Interactions, Order
from retrieval.models.sequences import ranges

Repeats = bool | Literal["earlier"]
"""Which items of a history may be ranked: none (False), all (True), all but the one at hand, the last ("earlier")."""


@dataclass(frozen=True, slots=True)
class Pools:
    """A catalogue in parts of which each case is asked about one: only items of its own pool are candidates.

    >>> pools = Pools(of_items=np.array([0, 1, 1], dtype=np.int32), of_cases=np.array([1, 0], dtype=np.int32))
    >>> pools.allowed.tolist()
    [[False, True, True], [True, False, False]]
    """

    of_items: Codes
    """(items,)"""
    of_cases: Codes
    """(cases,)"""

    @property
    def allowed(self) -> Flags:
        """(cases, items)"""
        allowed: Flags = self.of_cases[:, None] == self.of_items
        return allowed

    def take(self, cases: Order | Flags) -> Pools:
        """Those of the cases at these places (or where the mask is true)."""
        return Pools(self.of_items, self.of_cases[cases])

    def slice(self, start: int, stop: int) -> Pools:
        """Those of cases start to stop - 1."""
        return Pools(self.of_items, self.of_cases[start:stop])


@dataclass(frozen=True, slots=True)
class Targets:
    """What each case turned to: case i has `items[starts[i]:starts[i + 1]]`, one or more, none twice."""

    starts: Order
    items: Codes
    rows: Order
    """The events behind them, see `Interactions.rows` (of several purchases of one item the first)."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, cases: Order | Flags) -> Targets:
        """Those of the cases at these places (or where the mask is true)."""
        places = np.flatnonzero(cases) if cases.dtype == np.bool_ else cases
        first, last = self.starts[places], self.starts[places + 1]
        chosen = ranges(first, last)
        starts = np.concatenate(([0], np.cumsum(last - first))).astype(np.int64)
        return Targets(starts, self.items[chosen], self.rows[chosen])


@dataclass(frozen=True, slots=True)
class Cases:
    """Questions with their answers: n people at a moment."""

    users: Codes
    """(n,) row numbers of people; a person may be asked about more than once."""
    histories: Histories
    """Everything of theirs that may be known at that moment."""
    targets: Targets
    pools: Pools | None = None
    """Which items are candidates of which case; None: all are."""

    def __len__(self) -> int:
        return len(self.users)

    def take(self, cases: Order | Flags) -> Cases:
        """The cases at these places (or where the mask is true)."""
        pools = None if self.pools is None else self.pools.take(cases)
        return Cases(self.users[cases], self.histories.take(cases), self.targets.take(cases), pools)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a result came about, in words that stand in every result file."""

    name: str
    """leave-one-out, temporal, cold-people, cold-items, …; `sampled-…` where items are ranked against a sample."""
    description: str
    repeats: Repeats = False
    """Which items of a person's own history are candidates."""


@dataclass(frozen=True, slots=True)
class Leak:
    """How much of the future a split lets a system see."""

    known: bool
    """False where times of different people cannot be compared: then nothing can be said."""
    train_after_target: float = float("nan")
    """Share of test cases after whose target there are train rows of other people (of any)."""
    rows_after_median: float = float("nan")
    """Share of train rows that are younger than the median test target."""
    unborn_targets: float = float("nan")
    """Share of test cases whose target train knows, but only from events that are younger than the case."""


@dataclass(frozen=True, slots=True)
class Split:
    """Fit on `train`, choose on `valid`, look at `test` once."""

    protocol: Protocol
    catalogue: Catalogue
    """All items, those withheld from `train` included: they are candidates."""
    train: Interactions
    valid: Cases
    test: Cases
    leak: Leak
    timed: bool
