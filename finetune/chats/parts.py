"""Which rows are learned from and which are looked at: by what they are about, and by when.

A key (a person, a kind of product) belongs to one part for good, by its hash. Where rows have a time, what is looked at
is also later than all that is learned from. Knows neither rows nor tasks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Part = Literal["train", "valid"]

LOOKED_AT = 0.1
"""Share of the keys, and of the events by time, that are kept for looking."""


def part_of(key: str, seed: int) -> Part:
    """The same in every process.

    >>> [part_of(f"u{number}", 0) for number in range(500)].count("valid") in range(30, 70)
    True
    """
    digest = hashlib.blake2b(f"{seed}/{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return "valid" if int.from_bytes(digest) < LOOKED_AT * 2**64 else "train"


@dataclass(frozen=True, slots=True)
class Cut:
    """Before `moment` is learned from, from then on is looked at; None: nothing has a time, and people alone decide."""

    moment: datetime | None
    seed: int

    @classmethod
    def of(cls, times: Iterable[datetime | None], seed: int) -> Cut:
        """Where the last tenth of the events begins.

        >>> from datetime import UTC
        >>> cut = Cut.of([datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 21)], seed=0)
        >>> cut.moment.day
        19
        >>> Cut.of([None], seed=0).moment is None
        True
        """
        known = sorted(time for time in times if time is not None)
        return cls(known[int((1 - LOOKED_AT) * len(known))] if known else None, seed)

    def takes(self, part: Part, person: str, time: datetime | None) -> bool:
        """May what this person did at that time stand in `part`?"""
        if part_of(person, self.seed) != part:
            return False
        if self.moment is None or time is None:
            return True
        return time < self.moment if part == "train" else time >= self.moment
