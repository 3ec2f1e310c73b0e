"""A store in memory with the two methods that an import needs, and an import into it from text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from retrieval.importing.run import ImportReport, import_paths
from tasteline.ports import Written
from tasteline.types import Event, Product


class MemoryStore:
    def __init__(self) -> None:
        self.products: dict[str, Product] = {}
        self.events: dict[str, Event] = {}
        self.largest = 0

    def put_products(self, products: Sequence[Product]) -> Written:
        self.largest = max(self.largest, len(products))
        accepted = 0
        for product in products:
            accepted += self.products.get(product.id) != product
            self.products[product.id] = product
        return Written(accepted, len(products) - accepted)

    def append_events(self, events: Sequence[Event]) -> Written:
        self.largest = max(self.largest, len(events))
        accepted = 0
        for event in events:
            accepted += event.id not in self.events
            self.events.setdefault(event.id, event)
        return Written(accepted, len(events) - accepted)


class Shop:
    """A folder, a store, and what the last import said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = MemoryStore()
        self.rejects_file = folder / "out" / "rejects.jsonl"

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def take(self, *paths: Path, **options: Any) -> ImportReport:
        return import_paths(paths, self.store, rejects_file=self.rejects_file, **options)

    def load(self, name: str, content: str | bytes, **options: Any) -> ImportReport:
        return self.take(self.write(name, content), **options)

    @property
    def rejects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.rejects_file.read_text().splitlines()]

    @property
    def product(self) -> Product:
        (product,) = self.store.products.values()
        return product

    @property
    def events(self) -> list[Event]:
        return list(self.store.events.values())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def new_shop(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Shop]:
    """For property tests: one for each example."""
    return lambda: Shop(tmp_path_factory.mktemp("shop"))
