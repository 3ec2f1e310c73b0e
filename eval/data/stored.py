"""A shop's own store as a data set: what was imported and what shoppers did since, for training and measuring.

Takes a Store, gives a Dataset and the products. People without an id are told apart by their session. Knows no split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import polars as pl

from eval.data.interactions import TYPES, Dataset
from eval.data.tables import NO_USERS, Frames, dataset_of
from retrieval.models.sequences import KINDS
from retrieval.text import product_text
from tasteline.errors import InvalidInput
from tasteline.ports import Store
from tasteline.types import Event, Product

_COLUMNS = {"user_id": pl.String, "item_id": pl.String, "order": pl.Int64, "type": pl.Int8}


def read_store(store: Store, name: str) -> tuple[Dataset, Mapping[str, Product]]:
    """Events with products that exist, by person in order; `timed` where every one of them has a time.

    Raises InvalidInput for a store without products or without such events.
    """
    products = {change.product_id: change.product for change in store.changes(0) if change.product is not None}
    if not products:
        raise InvalidInput("the shop has no products; put them in with `tasteline import` first")
    steps = [
        (sequence, event)
        for sequence, event in store.events()
        if event.product_id in products and event.type in KINDS and (event.user_id or event.session_id)
    ]
    if not steps:
        raise InvalidInput("nobody has done anything with a product yet; put events in with `tasteline import` first")
    timed = all(event.time is not None for _, event in steps)
    rows = [_row(sequence, event, timed=timed) for sequence, event in steps]
    described = [
        (key, product_text(each), each.categories[0] if each.categories else "") for key, each in products.items()
    ]
    items = pl.DataFrame(described, schema=dict.fromkeys(("item_id", "text", "category"), pl.String), orient="row")
    events = pl.DataFrame(rows, schema=_COLUMNS, orient="row")
    dataset = dataset_of(
        Frames(events, items, NO_USERS), name=name, checksum=_checksum(described, rows), timed=timed, folder=None
    )
    return dataset, products


def _row(sequence: int, event: Event, *, timed: bool) -> tuple[str, str, int, int]:
    if timed and event.time is not None:
        order = int(event.time.timestamp())
    else:
        order = sequence if event.position is None else event.position
    return event.user_id or f"session {event.session_id}", event.product_id or "", order, TYPES.index(event.type)


def _checksum(*tables: list[tuple[str, str, str]] | list[tuple[str, str, int, int]]) -> str:
    digest = hashlib.sha256()
    for table in tables:
        for row in table:
            digest.update(repr(row).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
