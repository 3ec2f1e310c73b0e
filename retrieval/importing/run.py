"""The way of an import: find the sources, look at their first rows, then read, batch and store one after the other.

Takes paths and a store, gives a report. Nothing is stored before every source has been recognised and found to have a
currency for its prices. A batch at a time is held, whatever the size of the file. Knows formats by their `Format` only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Protocol

import orjson

from retrieval.importing import completejourney
from retrieval.importing.feed import Feed, Kind, Meter
from retrieval.importing.formats import (
    COMPLETEJOURNEY_PRODUCTS,
    COMPLETEJOURNEY_TRANSACTIONS,
    Format,
    Recognised,
    recognise,
)
from retrieval.importing.records import Reject
from retrieval.importing.values import NO_CURRENCY, currency_code
from tasteline.errors import InvalidInput, NotFound
from tasteline.ports import Written
from tasteline.types import Event, Product

ROWS_LOOKED_AT = 1_000
"""First rows in which a price is looked for before anything is stored; a later price without currency is a reject."""


class ImportStore(Protocol):
    """The two methods of CatalogueStore and EventStore that an import needs."""

    def put_products(self, products: Sequence[Product]) -> Written: ...
    def append_events(self, events: Sequence[Event]) -> Written: ...


@dataclass(frozen=True, slots=True)
class Counts:
    accepted: int = 0
    repeated: int = 0
    rejected: int = 0

    @property
    def rows(self) -> int:
        return self.accepted + self.repeated + self.rejected

    def plus(self, accepted: int = 0, repeated: int = 0, rejected: int = 0) -> Counts:
        return Counts(self.accepted + accepted, self.repeated + repeated, self.rejected + rejected)


@dataclass(frozen=True, slots=True)
class Progress:
    """After each batch, and once when a source is done."""

    source: str
    format: str
    fraction: float | None
    """Of this source, 0 to 1; None where that cannot be told."""
    products: Counts
    events: Counts
    """Of this source so far."""


@dataclass(frozen=True, slots=True)
class SourceReport:
    source: str
    format: str
    products: Counts
    events: Counts
    seconds: float


@dataclass(frozen=True, slots=True)
class Skipped:
    """Found in a folder and not imported."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    products: Counts
    events: Counts
    seconds: float
    rejects_file: Path | None
    """None when no row was rejected."""
    formats: tuple[str, ...]
    sources: tuple[SourceReport, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]


@dataclass(slots=True)
class Plan:
    """What was found under the given paths."""

    sources: list[tuple[Feed, Format]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def import_paths(
    paths: Sequence[Path],
    store: ImportStore,
    *,
    rejects_file: Path,
    format: str | None = None,  # noqa: A002 - the option's name
    currency: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    batch: int = 5_000,
) -> ImportReport:
    """Import files, folders (their files and those of their sub-folders) and `completejourney` into the store.

    `currency` is for prices that name none. Rejected rows go to `rejects_file` as JSON Lines (source, line, field,
    reason, raw), which is made with the first of them. Importing the same again counts everything as repeated.
    Raises NotFound for a path that is not there, InvalidInput for a file that cannot be imported or has prices without
    a currency, MissingExtra when `completejourney` is not installed; all of them before anything is stored.
    """
    began = time.perf_counter()
    plan = find_sources(paths, format=format, currency=None if currency is None else currency_code(currency))
    for feed, kind in plan.sources:
        _require_currency(feed, kind)
    with _RejectsFile(rejects_file) as rejects:
        run = _Run(store, rejects, progress or (lambda _: None), batch)
        reports = [run.take(feed, kind) for feed, kind in plan.sources]
        written = rejects.path
    plan.notes += [
        f"{report.source} has no rows" for report in reports if not report.products.rows + report.events.rows
    ]
    return ImportReport(
        products=_sum([report.products for report in reports]),
        events=_sum([report.events for report in reports]),
        seconds=time.perf_counter() - began,
        rejects_file=written,
        formats=tuple(dict.fromkeys(report.format for report in reports)),
        sources=tuple(reports),
        skipped=tuple(plan.skipped),
        notes=tuple(plan.notes),
    )


def find_sources(paths: Sequence[Path], *, format: str | None, currency: str | None) -> Plan:  # noqa: A002
    """Products before events, otherwise in the given order; in a folder by name."""
    plan = Plan()
    for path in paths:
        if str(path) == completejourney.NAME and not path.exists():
            folder = completejourney.data_folder()
            plan.sources.append((Feed(folder / completejourney.PRODUCTS), COMPLETEJOURNEY_PRODUCTS))
            plan.sources.append((Feed(folder / completejourney.TRANSACTIONS), COMPLETEJOURNEY_TRANSACTIONS))
        elif path.is_dir():
            _add_folder(plan, path, format, currency)
        elif path.exists():
            _add_file(plan, path, recognise(path, format), currency)
        else:
            raise NotFound(f"{path} does not exist")
    plan.sources.sort(key=lambda source: source[1].kind == "events")
    return plan


def _add_file(plan: Plan, path: Path, found: Recognised, currency: str | None) -> None:
    if found.format is None:
        plan.notes.append(f"{path} is empty")
    else:
        plan.sources.append((Feed(path, currency, found.delimiter), found.format))


def _add_folder(plan: Plan, folder: Path, name: str | None, currency: str | None) -> None:
    before = len(plan.sources) + len(plan.notes)
    for path in _files_of(folder, plan):
        try:
            found = recognise(path)
        except InvalidInput as error:
            plan.skipped.append(Skipped(str(path), str(error).removeprefix(f"{path} ")))
            continue
        if found.format and name not in (None, found.format.name):
            plan.skipped.append(Skipped(str(path), f"is {found.format.name}, not {name}"))
        else:
            _add_file(plan, path, found, currency)
    if len(plan.sources) + len(plan.notes) == before:
        raise InvalidInput(f"{folder} holds nothing that can be imported", field="path")


def _files_of(folder: Path, plan: Plan) -> Iterator[Path]:
    """Its files and those of its folders, by name; hidden ones and what lies deeper are left out."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        for inner in sorted(path.iterdir()) if path.is_dir() else [path]:
            if inner.is_file() and not inner.name.startswith("."):
                yield inner
            elif inner.is_dir():
                plan.skipped.append(Skipped(str(inner), "is a folder too deep; give it as a path of its own"))


def _require_currency(feed: Feed, kind: Format) -> None:
    """Raise InvalidInput when the first price of a source has no currency and none was given."""
    if feed.currency is not None or kind in (COMPLETEJOURNEY_PRODUCTS, COMPLETEJOURNEY_TRANSACTIONS):
        return
    for record in islice(kind.read(replace(feed, meter=Meter())), ROWS_LOOKED_AT):
        if isinstance(record, Reject) and record.reason == NO_CURRENCY:
            raise InvalidInput(
                f"{feed.path}, line {record.line}: the prices have no currency; say which, for example --currency USD",
                field="currency",
            )
        if isinstance(record, Product) and record.price is not None:
            return


class _Run:
    """What stays the same over the sources of one import."""

    def __init__(
        self, store: ImportStore, rejects: _RejectsFile, progress: Callable[[Progress], None], batch: int
    ) -> None:
        self._store = store
        self._rejects = rejects
        self._progress = progress
        self._batch = batch

    def take(self, feed: Feed, kind: Format) -> SourceReport:
        began = time.perf_counter()
        counts: dict[Kind, Counts] = {"products": Counts(), "events": Counts()}
        records = iter(kind.read(feed))
        while chunk := list(islice(records, self._batch)):
            self._store_chunk(chunk, counts, kind)
            self._progress(
                Progress(feed.source, kind.name, feed.meter.fraction(), counts["products"], counts["events"])
            )
        self._progress(Progress(feed.source, kind.name, 1.0, counts["products"], counts["events"]))
        return SourceReport(feed.source, kind.name, counts["products"], counts["events"], time.perf_counter() - began)

    def _store_chunk(self, chunk: list[Product | Event | Reject], counts: dict[Kind, Counts], kind: Format) -> None:
        """Products first, so that no event is stored before what it is about."""
        products = [record for record in chunk if isinstance(record, Product)]
        events = [record for record in chunk if isinstance(record, Event)]
        rejects = [record for record in chunk if isinstance(record, Reject)]
        if products:
            written = self._store.put_products(products)
            counts["products"] = counts["products"].plus(written.accepted, written.repeated)
        if events:
            written = self._store.append_events(events)
            counts["events"] = counts["events"].plus(written.accepted, written.repeated)
        if rejects:
            self._rejects.write(rejects)
            counts[kind.kind] = counts[kind.kind].plus(rejected=len(rejects))


class _RejectsFile:
    """JSON Lines, opened with the first reject; what an earlier import left under the name is then replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIOWrapper | None = None
        self._stack = ExitStack()

    def __enter__(self) -> _RejectsFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def path(self) -> Path | None:
        return self._path if self._file is not None else None

    def write(self, rejects: Sequence[Reject]) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._stack.enter_context(self._path.open("w", encoding="utf-8", errors="replace"))
        self._file.writelines(orjson.dumps(reject).decode() + "\n" for reject in rejects)


def _sum(counts: Sequence[Counts]) -> Counts:
    total = Counts()
    for one in counts:
        total = total.plus(one.accepted, one.repeated, one.rejected)
    return total
