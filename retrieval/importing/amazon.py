"""The formats `amazon-items` and `amazon-interactions`: review histories in the layout of the next-item papers.

`items.csv` (item_id, asin, title, short_text, attributes) and `interactions.csv` (user_id, raw_user_id, item_id, asin,
position, gap_seconds, split). A product's id is its `asin`, because `item_id` counts from 1 anew in every such folder.
A person's id is `raw_user_id`, so that somebody who shops in two of these sets is one person. A review stands for a
purchase; there are no times, `position` orders. `split` and `gap_seconds` are matters of evaluation and stay outside
the store.

`attributes` is said to be "brand|category|…", but the brand is left out where it is unknown: the first part is taken
for a brand only if it is nowhere in the file a category (a later part). That costs one pass more over a small file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from retrieval.importing.cleaning import clean_id, clean_line
from retrieval.importing.event_rows import event_from
from retrieval.importing.feed import Feed, Meter
from retrieval.importing.product_rows import MAX_TITLE
from retrieval.importing.records import Records, Reject
from retrieval.importing.tables import Table
from tasteline.errors import InvalidInput
from tasteline.types import Event, Product

ITEM_COLUMNS = frozenset({"item_id", "asin", "title", "short_text", "attributes"})
INTERACTION_COLUMNS = frozenset({"user_id", "raw_user_id", "asin", "position"})

_SMALL_WORDS = frozenset(
    ["a", "an", "and", "as", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"]
)
_INCHES = re.compile(r"(?<=\d)quot\b")
_DUMPED = re.compile(r"\b(?:categories|salesrank|asin|imurl|price n|price na|brand na)\b.*")
"""Where the shortened text ran into the next fields of the record it was cut from."""
_NOTHING = frozenset({"", "na", "brand", "brand na"})


def read_amazon_items(feed: Feed) -> Records:
    """Product or Reject for every row of `items.csv`."""
    categories = _category_names(feed)
    return _items(feed, Table(feed), categories)


def _category_names(feed: Feed) -> frozenset[str]:
    ahead = Table(Feed(feed.path, delimiter=feed.delimiter, meter=Meter()))
    column = ahead.header.index("attributes")
    rows = (row for row in ahead.rows() if not isinstance(row, Reject))
    return frozenset(part for _, cells, _ in rows for part in cells[column].split("|")[1:])


def _items(feed: Feed, table: Table, categories: frozenset[str]) -> Iterator[Product | Reject]:
    for row in table.rows():
        if isinstance(row, Reject):
            yield row
            continue
        line, cells, raw = row
        try:
            yield _product(dict(zip(table.header, cells, strict=True)), categories)
        except InvalidInput as error:
            yield feed.reject(line, error.field, str(error), raw)


def _product(values: dict[str, str], categories: frozenset[str]) -> Product:
    parts = [part for part in values["attributes"].split("|") if part]
    brand = parts.pop(0) if parts and parts[0] not in categories else ""
    path = tuple(dict.fromkeys(map(clean_line, parts)))
    identity = clean_id(values["asin"], "asin")
    title = (
        clean_line(values["title"]) or title_of(values["short_text"]) or (path[-1] if path else f"Product {identity}")
    )
    if len(title) > MAX_TITLE:
        raise InvalidInput(f"longer than {MAX_TITLE:,} characters", field="title")
    known = brand not in ("", "Unknown")
    return Product(identity, title, brand=clean_line(brand) if known else None, categories=path)


def title_of(text: str) -> str:
    """A heading from a few lower-case words; empty when they are only names of missing fields.

    >>> title_of("ar500 steel targets 10quot x 12 with stand")
    'AR500 Steel Targets 10" x 12 with Stand'
    """
    text = _DUMPED.sub("", _INCHES.sub('"', clean_line(text))).strip(" ,")
    if text in _NOTHING:
        return ""
    words = text.split()
    return " ".join(_heading_word(word, first=place == 0) for place, word in enumerate(words))


def _heading_word(word: str, *, first: bool) -> str:
    if word == "x" or (word in _SMALL_WORDS and not first):
        return word
    if any(mark.isdigit() for mark in word) and len(word) <= 8:  # a model number: AR500, TSR100
        return word.upper()
    return word[0].upper() + word[1:]


def read_amazon_interactions(feed: Feed) -> Records:
    """Event or Reject for every row of `interactions.csv`. The id is made of what identifies a review anywhere."""
    return _interactions(feed, Table(feed))


def _interactions(feed: Feed, table: Table) -> Iterator[Event | Reject]:
    user, asin, position = (table.header.index(name) for name in ("raw_user_id", "asin", "position"))
    for row in table.rows():
        if isinstance(row, Reject):
            yield row
            continue
        line, cells, raw = row
        try:
            if not cells[position]:
                raise InvalidInput("position is missing", field="position")
            roles = {"type": "purchase", "user": cells[user], "product": cells[asin], "position": cells[position]}
            yield event_from(roles, f"amazon:{cells[user]}:{cells[position]}:{cells[asin]}", line)
        except InvalidInput as error:
            yield feed.reject(line, error.field, str(error), raw)
