"""From tables of text to a Dataset and back: what the formats on disk have in common.

`Table` reads a delimited file with every cell as text and names file and line where a reader refuses a row. A reader
makes `Frames` of it (one layout for all formats), `dataset_of` numbers people and items and sorts. `frames_of` goes
the other way for writers. Knows no format.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from eval.data.interactions import PURCHASE, TYPES, Catalogue, Dataset, Interactions
from tasteline.errors import InvalidInput, NotFound

SPLITS = ("train", "valid", "test")
"""`Dataset.split` holds places in this tuple."""


@dataclass(frozen=True, slots=True)
class Table:
    """A delimited file, quoted as CSV is, each cell text; "" where a cell is empty. Blank lines are passed over."""

    path: Path
    separator: str
    cells: pl.DataFrame
    row_numbers: pl.Series
    """Which record of the file, blank ones counted, each row was."""
    cut_off: int = 0
    """1 where the last line was unfinished and left out, see `read_table`."""

    def column(self, name: str, default: str = "") -> pl.Series:
        """The cells under `name`; `default` in every row where the file has no such column."""
        if name in self.cells.columns:
            return self.cells[name]
        return pl.Series(name, [default]).new_from_index(0, self.cells.height)

    def require(self, good: pl.Series, reason: Callable[[int], str]) -> None:
        """Raise InvalidInput with the line of the first row that is not `good` (null counts as false)."""
        bad = (~good.fill_null(False)).arg_true()
        if len(bad):
            self.refuse(int(bad[0]), reason(int(bad[0])))

    def require_filled(self, columns: Sequence[str]) -> None:
        """Raise InvalidInput where one of `columns` has an empty cell."""
        for name in columns:
            self.require(self.column(name) != "", lambda _, name=name: f"{name} is empty")  # type: ignore[misc]

    def require_unique(self, column: str) -> None:
        """Raise InvalidInput where a value of `column` has stood before."""
        values = self.cells[column]
        self.require(values.is_first_distinct(), lambda row: f"{column} {values[row]!r} is there twice")

    def refuse(self, row: int, reason: str) -> NoReturn:
        """Raise InvalidInput with the line of this row."""
        line, _ = _record(self.path, self.separator, int(self.row_numbers[row]))
        raise InvalidInput(f"{self.path}, line {line}: {reason}")

    def codes(self, column: str, known: Collection[str]) -> pl.Series:
        """Place of each cell in `known`, as int8. Raises InvalidInput for another value."""
        values = self.column(column)
        places = values.replace_strict({each: place for place, each in enumerate(known)}, default=None)
        self.require(
            places.is_not_null(), lambda row: f"{column} is {values[row]!r}; one of {', '.join(known)} is needed"
        )
        return places.cast(pl.Int8)

    def numbers(self, column: str) -> pl.Series:
        """The cells as Int64 where all are whole, else Float64. Raises InvalidInput for what is no finite number."""
        values = self.column(column)
        whole = values.cast(pl.Int64, strict=False)
        if not whole.has_nulls():
            return whole
        real = values.cast(pl.Float64, strict=False)
        self.require(real.is_finite(), lambda row: f"{column} is {values[row]!r}, not a number")
        return real


def read_table(path: Path, needed: Collection[str], *, separator: str = ",", may_be_cut: bool = False) -> Table:
    """Read a file with a header line. `may_be_cut`: an unfinished last line is left out and counted.

    Raises NotFound for a missing file; InvalidInput for a missing column, for bytes that are not UTF-8 and, with its
    line, for a row with too few or too many cells.
    """
    if not path.is_file():
        raise NotFound(f"{path} does not exist")
    data = path.read_bytes()
    cut = int(may_be_cut and _drops_cells(data, separator))
    if cut:
        data = data[: data.rfind(b"\n") + 1]
    header = _header(path, separator)
    if missing := [name for name in needed if name not in header]:
        raise InvalidInput(f"{path}: no column {', '.join(missing)}; the columns are {', '.join(header)[:200]}")
    if len(set(header)) < len(header):
        raise InvalidInput(f"{path}: two columns have one name: {', '.join(header)[:200]}")
    try:
        # Cells that are missing at the end of a row come back empty: `_refuse_ragged` tells them from empty ones.
        cells = pl.read_csv(
            data,
            separator=separator,
            infer_schema=False,
            empty_string_is_null=False,
            schema=dict.fromkeys(header, pl.String),
        )
    except pl.exceptions.PolarsError as error:
        _refuse_ragged(path, separator, len(header))
        raise InvalidInput(f"{path} cannot be read as a table: {str(error).splitlines()[0]}") from error
    blank = cells.select(pl.all_horizontal(pl.all() == "")).to_series()
    separators = (cells.height + 1 - int(blank.sum())) * (len(header) - 1)
    if not cut and (b'"' in data or data.count(separator.encode()) != separators):
        _refuse_ragged(path, separator, len(header))
    return Table(path, separator, cells.filter(~blank), (~blank).arg_true(), cut)


def header_of(path: Path, separator: str = ",") -> list[str]:
    """The names on the first line; empty for an empty file. Raises InvalidInput for bytes that are not UTF-8."""
    return _header(path, separator)


def _header(path: Path, separator: str) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            return next(csv.reader(stream, delimiter=separator), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path} is not a table in UTF-8: {error}") from error


def _drops_cells(data: bytes, separator: str) -> bool:
    """Whether the file ends in the middle of a row: no line break, and fewer cells than the header has."""
    last = data[data.rfind(b"\n") + 1 :]
    mark = separator.encode()
    return bool(last) and last.count(mark) < data[: data.find(b"\n")].count(mark)


def _record(path: Path, separator: str, wanted: int) -> tuple[int, list[str]]:
    """Line on which record `wanted` (0 is the first after the header) ends, and its cells."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, delimiter=separator)
        for number, cells in enumerate(reader, start=-1):
            if number == wanted:
                return reader.line_num, cells
    raise ValueError(f"{path} has no record {wanted}")


def _refuse_ragged(path: Path, separator: str, width: int) -> None:
    """Raise InvalidInput for the first row with another number of cells; slow, so only where one is likely."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, delimiter=separator)
            for cells in reader:
                if cells and len(cells) != width:
                    raise InvalidInput(f"{path}, line {reader.line_num}: {len(cells)} cells, the header has {width}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path} is not a table in UTF-8: {error}") from error


@dataclass(frozen=True, slots=True)
class Frames:
    """A data set as tables, before people and items are numbered."""

    events: pl.DataFrame
    """user_id, item_id (text); order (a number); and, where known, type (place in `TYPES`), split (in `SPLITS`) and
    session (text)."""
    items: pl.DataFrame
    """item_id, none twice; text; category; and, where known, path (a list of texts). Items of `events` that are not
    here are appended without words."""
    users: pl.Series
    """Ids of people, none twice; those of `events` that are not here are appended."""


NO_ITEMS = pl.DataFrame(schema={"item_id": pl.String, "text": pl.String, "category": pl.String})
NO_USERS = pl.Series("user_id", [], dtype=pl.String)


def dataset_of(
    frames: Frames, *, name: str, checksum: str, timed: bool, folder: Path | None, source: Path | str = ""
) -> Dataset:
    """Number people and items in the order of `frames`, sort by person, then `order`, of which whole seconds are kept.

    Events of one person with equal `order` keep the order of the table. Raises InvalidInput for a set without events.
    """
    events = frames.events
    if not events.height:
        raise InvalidInput(f"{source or name} holds no events")
    users = pl.concat([frames.users, events["user_id"]]).unique(maintain_order=True)
    ids = pl.concat([frames.items["item_id"], events["item_id"]]).unique(maintain_order=True)
    wordless = [""] * (len(ids) - frames.items.height)
    coded = events.with_columns(
        user=events["user_id"].cast(pl.Enum(users)).to_physical(),
        item=events["item_id"].cast(pl.Enum(ids)).to_physical(),
    ).sort("user", "order", maintain_order=True)
    types = coded["type"].to_numpy() if "type" in coded.columns else None
    paths = (
        (*map(tuple, frames.items["path"].to_list()), *((),) * len(wordless)) if "path" in frames.items.columns else ()
    )
    return Dataset(
        name=name,
        checksum=checksum,
        catalogue=Catalogue(
            tuple(ids), (*frames.items["text"], *wordless), (*frames.items["category"], *wordless), paths
        ),
        user_ids=tuple(users),
        interactions=Interactions.of(
            coded["user"].to_numpy(), coded["item"].to_numpy(), coded["order"].cast(pl.Int64), types
        ),
        timed=timed,
        split=coded["split"].cast(pl.Int8).to_numpy() if "split" in coded.columns else None,
        sessions=_sessions(coded) if "session" in coded.columns else None,
        folder=folder,
    )


def _sessions(coded: pl.DataFrame) -> NDArray[np.int32]:
    """Numbers of the pairs of person and session id, in the order in which they come."""
    return coded.select(pl.struct("user", "session").rank("dense") - 1).to_series().cast(pl.Int32).to_numpy()


def frames_of(dataset: Dataset) -> Frames:
    """The tables from which `dataset_of` makes the same data set again, without sessions and paths, which no writer
    takes; `type` only where not all are purchases."""
    rows = dataset.interactions
    catalogue, people = dataset.catalogue, pl.Series("user_id", dataset.user_ids, dtype=pl.String)
    ids = pl.Series("item_id", catalogue.ids, dtype=pl.String)
    columns: dict[str, pl.Series | NDArray[np.integer]] = {
        "user_id": people.gather(rows.users),
        "item_id": ids.gather(rows.items),
        "order": rows.order,
    }
    if (rows.types != PURCHASE).any():
        columns["type"] = rows.types
    if dataset.split is not None:
        columns["split"] = dataset.split
    items = pl.DataFrame(
        {"item_id": ids, "text": catalogue.texts, "category": catalogue.categories}, schema=NO_ITEMS.schema
    )
    return Frames(pl.DataFrame(columns), items, people)


def names_of(codes: pl.Series, names: Sequence[str]) -> pl.Series:
    """The name behind each place: "purchase" for a place in `TYPES`, "train" for one in `SPLITS`."""
    return pl.Series(codes.name, names, dtype=pl.String).gather(codes)


TYPE_NAMES = tuple(each.value for each in TYPES)
