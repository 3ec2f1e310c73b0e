"""How many may be served at once: the next is refused at once and told when to come again.

A request that waits for minutes is worse than one that is refused, and memory that grows with the queue takes everyone
down. Knows nothing of what is served. For one event loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasteline.errors import Overloaded


class Admission:
    """`places` at once; `what` names the thing in the refusal; `retry_after` in seconds goes with it."""

    def __init__(self, places: int, what: str, retry_after: float = 1.0) -> None:
        self._places = places
        self._what = what
        self._retry_after = retry_after
        self.taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Held until the block is left. Raises Overloaded when none is free."""
        if self.taken >= self._places:
            raise Overloaded(
                f"{self._places:,} {self._what} are being answered already; try again shortly.",
                retry_after=self._retry_after,
            )
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
