"""The format `events-jsonl`: one event a line, flat or as GA4 exports it.

Understood beside flat objects: `params` (Measurement Protocol), `event_params` (BigQuery: a list of key and value) and
`items`: an event with items becomes one event for each of them, with ids derived from the row's and the item's place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from retrieval.importing.event_rows import PLACE, content_id, event_from
from retrieval.importing.feed import Feed
from retrieval.importing.json_rows import json_rows
from retrieval.importing.records import Records, Reject
from retrieval.importing.tables import normal_column
from tasteline.errors import InvalidInput
from tasteline.types import Event

MAX_COLUMN = 100
"""Characters of a name that could mean something to us."""
MAX_ITEMS = 500
"""Of one event; what comes after them is left out."""
_NESTED = frozenset({"params", "event_params"})
_ITEM_ROLES = frozenset({"product", "quantity"})


def read_events_jsonl(feed: Feed) -> Records:
    """Event or Reject for every line, or for every item of a line that has items."""
    for row in json_rows(feed):
        if isinstance(row, Reject):
            yield row
            continue
        line, values, raw = row
        yield from _events(feed, line, values, raw)


def _events(feed: Feed, line: int, row: Mapping[str, object], raw: bytes) -> Iterator[Event | Reject]:
    values = event_values(row)
    base = content_id(raw) if "id" not in values else ""
    if "items" not in row and "params" not in row:
        yield _event(feed, line, values, base, raw)
        return
    own = values.pop("id", None)
    for suffix, item in _items(row):
        if own is not None:
            values["id"] = f"{own}{suffix}" if suffix else own
        yield _event(feed, line, {**values, **item} if item else values, base + suffix, raw)


def _event(feed: Feed, line: int, values: Mapping[str, object], row_id: str, raw: bytes) -> Event | Reject:
    try:
        return event_from(values, row_id, line)
    except InvalidInput as error:
        return feed.reject(line, error.field, str(error), raw)


def event_values(row: Mapping[str, object]) -> dict[str, object]:
    """Filled roles of a row: its own columns win over parameters, better names over worse."""
    found: dict[str, object] = {}
    ranks: dict[str, int] = {}
    for column, value in row.items():
        place = _place(column) if len(column) <= MAX_COLUMN else None
        if place is None or value is None or value == "" or isinstance(value, dict | list):
            continue
        role, rank = place
        if role not in ranks or rank < ranks[role]:
            found[role], ranks[role] = value, rank
    for parameters in _parameters(row):
        found = {**event_values(parameters), **found}
    if "type" not in found and "params" in row and isinstance(row.get("name"), str):
        found["type"] = row["name"]
    return found


@lru_cache(maxsize=20_000)
def _place(column: str) -> tuple[str, int] | None:
    return PLACE.get(normal_column(column))


def _parameters(row: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """The row's nested parameters as flat objects. Parameters in parameters are left out, so that it ends."""
    if "params" in row and isinstance(nested := row["params"], dict):
        yield {name: value for name, value in nested.items() if name not in _NESTED}
    if "event_params" in row and isinstance(listed := row["event_params"], list):
        pairs = (_parameter(entry) for entry in listed if isinstance(entry, dict))
        yield {name: value for name, value in pairs if name not in _NESTED}


def _parameter(entry: Mapping[str, object]) -> tuple[str, object]:
    """BigQuery's {"key": …, "value": {"string_value": …, "int_value": …}}."""
    value = entry.get("value")
    if isinstance(value, dict):
        value = next((inner for inner in value.values() if inner is not None), None)
    return str(entry.get("key")), value


def _items(row: Mapping[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    """(id suffix, roles of the item); one empty pair for a row without items."""
    params = row.get("params")
    items = row.get("items") or (params.get("items") if isinstance(params, dict) else None)
    if not isinstance(items, list) or not items:
        yield "", {}
        return
    for place, item in enumerate(items[:MAX_ITEMS]):
        roles = event_values(item) if isinstance(item, dict) else {}
        if isinstance(item, dict) and "product" not in roles and "id" in roles:
            roles["product"] = roles["id"]
        yield f":{place}", {"product": None, **{role: roles[role] for role in _ITEM_ROLES & roles.keys()}}
