"""Something that costs seconds to compute from a whole shop, computed when it is first asked for, then now and again.

Takes a function and a stamp, gives its last result. A result serves REST times as long as it took; who asks after that
gets it still, while a thread makes the next. When the stamp moves (somebody was erased, say) the old one is never
given again. Who cannot wait takes what is there; for them the stamp is looked at by a tick.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

Value = TypeVar("Value")
REST = 20.0
"""Times its own cost: with events all day, computing takes 5 % of a core."""

log = structlog.get_logger(__name__)


class Kept(Generic[Value]):
    """Thread-safe; one computation at a time. `clock` counts seconds."""

    def __init__(
        self, make: Callable[[], Value], stamp: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._make = make
        self._stamp = stamp
        self._clock = clock
        self._making = threading.Lock()
        self._closed = False
        self._kept: tuple[Value, object, float] | None = None
        """Value, stamp, and until when it is good."""

    def __call__(self) -> Value:
        """Waits only where there is nothing that may be given."""
        stamp, kept = self._stamp(), self._kept
        if kept is None or kept[1] != stamp:
            with self._making:
                kept = self._kept
                if kept is None or kept[1] != stamp:
                    kept = self._made()
            return kept[0]
        if self._clock() >= kept[2]:
            self._begin()
        return kept[0]

    def at_hand(self) -> Value | None:
        """Never waits and asks for no stamp: None where nothing is made yet, and then a thread begins to make it."""
        kept = self._kept
        if kept is None or self._clock() >= kept[2]:
            self._begin()
        return None if kept is None else kept[0]

    def follow(self) -> None:
        """Let go of what its stamp says is stale, and begin the next."""
        kept = self._kept
        if kept is not None and kept[1] != self._stamp():
            self._kept = None
            self._begin()

    def close(self) -> None:
        """Returns when nothing is being made; nothing is begun from then on."""
        self._closed = True
        with self._making:
            self._kept = None

    def _begin(self) -> None:
        if not self._closed and self._making.acquire(blocking=False):
            threading.Thread(target=self._again, name="kept", daemon=True).start()

    def _again(self) -> None:
        try:
            self._made()
        except Exception:  # the edge of a thread: the old result serves on, the next question tries again
            log.exception("not_computed_anew")
        finally:
            self._making.release()

    def _made(self) -> tuple[Value, object, float]:
        stamp, started = self._stamp(), self._clock()
        value = self._make()
        now = self._clock()
        self._kept = value, stamp, now + REST * (now - started)
        return self._kept
