"""The format `events-csv`: a header line and one event a row, columns by GA4's or the usual names."""

from __future__ import annotations

from collections.abc import Iterator

from retrieval.importing.event_rows import PLACE, content_id, event_from
from retrieval.importing.feed import Feed
from retrieval.importing.records import Records, Reject
from retrieval.importing.tables import Table
from tasteline.errors import InvalidInput
from tasteline.types import Event


def read_events_csv(feed: Feed) -> Records:
    """Event or Reject for every row."""
    return _records(feed, Table(feed))


def _records(feed: Feed, table: Table) -> Iterator[Event | Reject]:
    columns = _columns(table.header)
    for row in table.rows():
        if isinstance(row, Reject):
            yield row
            continue
        line, cells, raw = row
        values: dict[str, object] = {}
        for role, index in columns:
            if cells[index]:
                values[role] = cells[index]
        try:
            yield event_from(values, content_id("\x1f".join(cells).encode()), line)
        except InvalidInput as error:
            yield feed.reject(line, error.field, str(error), raw)


def _columns(header: list[str]) -> list[tuple[str, int]]:
    """(role, column) with the best name of a role last, so that it wins where both are filled."""
    known = [(PLACE[name], index) for index, name in enumerate(header) if name in PLACE]
    known.sort(key=lambda entry: entry[0][1], reverse=True)
    return [(role, index) for (role, _), index in known]
