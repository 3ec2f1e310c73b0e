"""Hugging Face data sets on disk, as `save_to_disk` leaves them, read and written. Needs the package `datasets`.

Takes a folder, gives a Dataset, and the other way. Only files of that folder are read or written: no hub, no cache, no
progress bars.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl

from eval.data.interactions import Dataset
from eval.data.tables import (
    NO_ITEMS,
    NO_USERS,
    SPLITS,
    TYPE_NAMES,
    Frames,
    dataset_of,
    frames_of,
    names_of,
)
from eval.datasets import checksum_of
from tasteline.errors import InvalidInput, MissingExtra, NotFound

MARKS = ("dataset_dict.json", "state.json")
"""One of these lies in a folder that `save_to_disk` made: of a DatasetDict, of a Dataset."""
ITEMS_FOLDER = "items"
PARTS = ("train", "validation", "test")
"""Names of the parts of a DatasetDict, by place in `SPLITS`."""

_SYNONYMS = {
    "user_id": ("user_id", "user"),
    "item_id": ("item_id", "item", "product_id", "parent_asin", "asin"),
    "timestamp": ("timestamp", "time", "event_time"),
    "position": ("position",),
    "row": ("row",),
    "type": ("type", "event_type"),
    "split": ("split",),
    "text": ("text", "title"),
    "category": ("category", "main_category"),
}
_CLOSED = (("type", TYPE_NAMES), ("split", SPLITS))
_TIMESTAMP_LIMIT = 10**11
"""Whole numbers above it are milliseconds: as seconds they would lie after the year 5000."""


def read_hugging_face(folder: Path) -> Dataset:
    """Read a Dataset or DatasetDict that `save_to_disk` wrote, one event a row.

    Columns: `user_id`, `item_id` (text or whole numbers); `timestamp` (seconds, milliseconds or a date; the set is then
    `timed`), else `position`, order a person's events, ties by `row` (its number before the table was divided) or
    `position`, else as they stand; `type` (names of `EventType`), `split`, `text`, `category`. A few usual other names
    are known (`parent_asin`, `title`, …). The parts train, validation (or valid) and test of a DatasetDict become
    `split`. A second saved Dataset in the folder `items` (item_id, text, category) describes items, else the first row
    of each item does. Raises NotFound, InvalidInput for other columns, parts, types or an empty cell, and MissingExtra
    without the package.
    """
    if not any((folder / mark).is_file() for mark in MARKS):
        raise NotFound(f"{folder} was not made by save_to_disk: it has neither {' nor '.join(MARKS)}")
    rows = _canonical(_loaded(folder), folder)
    items = folder / ITEMS_FOLDER
    described = _canonical(_loaded(items), items) if (items / MARKS[1]).is_file() else rows
    timed = "timestamp" in rows.columns
    return dataset_of(
        Frames(_events(rows, folder), _described(described, items), NO_USERS),
        name=folder.resolve().name,
        checksum=checksum_of(sorted(folder.rglob("*.arrow"))),
        timed=timed,
        folder=folder,
        source=folder,
    )


def write_hugging_face(dataset: Dataset, folder: Path) -> Path:
    """Save the events (a DatasetDict where there is a split) and, in `folder/items`, the catalogue; gives `folder`.

    Columns as `read_hugging_face` takes them; `row` keeps the order across parts. People
    without an event are not written. Raises MissingExtra without the package.
    """
    library = _library()
    frames = frames_of(dataset)
    events = frames.events.rename({"order": "timestamp" if dataset.timed else "position"})
    for name, known in _CLOSED:
        if name in events.columns:
            events = events.with_columns(names_of(events[name], known))
    saved = library.Dataset.from_polars(events)
    if dataset.split is not None:
        numbered = events.with_row_index("row").drop("split")
        parts = {name: numbered.filter(pl.Series(dataset.split == place)) for place, name in enumerate(PARTS)}
        # A part without rows can be saved, but not loaded.
        saved = library.DatasetDict(
            {name: library.Dataset.from_polars(part) for name, part in parts.items() if part.height}
        )
    with _quiet(library):
        saved.save_to_disk(str(folder))
        library.Dataset.from_polars(frames.items).save_to_disk(str(folder / ITEMS_FOLDER))
    return folder


def _library() -> ModuleType:
    try:
        return import_module("datasets")  # not an import statement: the package has no types
    except ModuleNotFoundError as error:
        raise MissingExtra("The package datasets is not installed.", remedy="pip install datasets==5.2.0") from error


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Without the progress bars, which are one switch for the whole process: put back as it was."""
    shown = not library.are_progress_bars_disabled()
    library.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            library.enable_progress_bars()


def _loaded(folder: Path) -> pl.DataFrame:
    """All rows; of a DatasetDict with a column `split`."""
    library = _library()
    with _quiet(library):
        try:
            saved = library.load_from_disk(str(folder))
        except (OSError, ValueError, LookupError) as error:
            raise InvalidInput(f"{folder} cannot be read as a saved data set: {error}") from error
        if not isinstance(saved, library.DatasetDict):
            return _whole(saved.to_polars())
        frames = [
            _whole(part.to_polars()).with_columns(split=pl.lit(SPLITS[_place(name, folder)]))
            for name, part in sorted(saved.items(), key=lambda each: _place(each[0], folder))
        ]
    return pl.concat(frames, how="vertical_relaxed")


def _whole(frame: object) -> pl.DataFrame:
    """`to_polars` is said to give a frame or an iterator of frames."""
    if not isinstance(frame, pl.DataFrame):
        raise TypeError(f"a data set came as {type(frame).__name__}")
    return frame


def _place(name: str, folder: Path) -> int:
    places = {**{each: place for place, each in enumerate(PARTS)}, "valid": 1, "dev": 1}
    if name not in places:
        raise InvalidInput(f"{folder} has a part {name!r}; parts are {', '.join(PARTS)}")
    return places[name]


def _canonical(frame: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """Under our names, ids as text."""
    chosen = {ours: next((name for name in names if name in frame.columns), None) for ours, names in _SYNONYMS.items()}
    if chosen["item_id"] is None:
        raise InvalidInput(f"{folder} has no column item_id; its columns are {', '.join(frame.columns)[:200]}")
    renamed = frame.select(pl.col(theirs).alias(ours) for ours, theirs in chosen.items() if theirs is not None)
    for name in ("user_id", "item_id"):
        if name in renamed.columns and not (renamed[name].dtype.is_integer() or renamed[name].dtype == pl.String):
            raise InvalidInput(f"{folder}: {name} is {renamed[name].dtype}; text or whole numbers are needed")
    return renamed.with_columns(pl.col(r"^(user_id|item_id)$").cast(pl.String))


def _events(rows: pl.DataFrame, folder: Path) -> pl.DataFrame:
    if "user_id" not in rows.columns:
        raise InvalidInput(f"{folder} has no column user_id; it has {', '.join(rows.columns)}")
    for name in rows.columns:
        empty = rows[name].is_null() | ((rows[name] == "") if rows[name].dtype == pl.String else False)
        if name not in ("text", "category") and empty.any():
            raise InvalidInput(f"{folder}, row {int(empty.arg_true()[0])}: {name} is empty")
    if "row" in rows.columns or {"timestamp", "position"} <= set(rows.columns):
        rows = rows.sort("row" if "row" in rows.columns else "position", maintain_order=True)
    columns = [rows["user_id"], rows["item_id"], _order(rows, folder).alias("order")]
    columns += [_codes(rows[name], known, folder) for name, known in _CLOSED if name in rows.columns]
    return pl.DataFrame(columns)


def _order(rows: pl.DataFrame, folder: Path) -> pl.Series:
    if "timestamp" not in rows.columns:
        return rows["position"] if "position" in rows.columns else pl.int_range(rows.height, eager=True)
    times = rows["timestamp"]
    if times.dtype.is_temporal():
        return times.cast(pl.Datetime("us")).dt.epoch("s")
    if not times.dtype.is_numeric() or (times.dtype.is_float() and not times.is_finite().all()):
        raise InvalidInput(f"{folder}: timestamp is {times.dtype}; finite numbers or dates are needed")
    return times // 1000 if float(times.abs().max() or 0) > _TIMESTAMP_LIMIT else times  # type: ignore[arg-type]


def _codes(values: pl.Series, known: Sequence[str], folder: Path) -> pl.Series:
    names = values.cast(pl.String)
    places = names.replace_strict({name: place for place, name in enumerate(known)}, default=None)
    if places.has_nulls():
        unknown = names.filter(places.is_null())[0]
        raise InvalidInput(f"{folder}: {values.name} is {unknown!r}; one of {', '.join(known)} is needed")
    return places.cast(pl.Int8)


def _described(rows: pl.DataFrame, folder: Path) -> pl.DataFrame:
    for name in ("text", "category"):
        if name not in rows.columns:
            rows = rows.with_columns(pl.lit("").alias(name))
        elif rows[name].dtype != pl.String:
            raise InvalidInput(f"{folder}: {name} is {rows[name].dtype}; text is needed")
    described = rows.select(NO_ITEMS.columns).with_columns(pl.col("text", "category").fill_null(""))
    return described.unique("item_id", keep="first", maintain_order=True)
