"""Objects of a JSON Lines file with their line numbers. Takes a feed, gives dictionaries or rejects."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from retrieval.importing.feed import Feed, lines_of
from retrieval.importing.records import Reject

JsonRow = tuple[int, dict[str, object], bytes]


def json_rows(feed: Feed) -> Iterator[JsonRow | Reject]:
    """One object a line; blank lines are no rows. NaN and Infinity are no JSON and so rejects."""
    for number, data, flaw in lines_of(feed):
        if flaw:
            yield feed.reject(number, "row", flaw, data)
            continue
        raw = data.strip()
        if not raw:
            continue
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            yield feed.reject(number, "row", f"not JSON: {error.msg} at character {error.pos + 1}", raw)
            continue
        if isinstance(value, dict):
            yield number, value, raw
        else:
            yield feed.reject(number, "row", "not a JSON object", raw)
