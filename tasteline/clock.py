"""Up to when a moment is believed: what is dated later has not happened, and must not push out what has.

One event dated in 2031 would otherwise be the newest of a shop until then. A day is left for clocks that go wrong and
for local times that are called UTC. The two entrances (POST /v1/events, import) refuse what is later; a
person's history and whoever reads the whole shop's deeds leave it out, because a store may hold it from before.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

AHEAD = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def latest_moment(now: datetime | None = None) -> datetime:
    """The last moment that is believed; `now` is that of this machine where none is given.

    >>> latest_moment(datetime(2026, 1, 31, 12, tzinfo=UTC))
    datetime.datetime(2026, 2, 1, 12, 0, tzinfo=datetime.timezone.utc)
    """
    return (now or datetime.now(UTC)) + AHEAD


def latest_microsecond(now: datetime | None = None) -> int:
    """The same in microseconds since 1970, as deeds have it.

    >>> latest_microsecond(datetime(1970, 1, 1, tzinfo=UTC))
    86400000000
    """
    return (latest_moment(now) - _EPOCH) // timedelta(microseconds=1)
