"""RecBole's atomic files, read and written: NAME.inter, and beside it NAME.item and NAME.user where there are any.

Tab-separated tables under a header of `name:type`, the type one of token, token_seq, float, float_seq
(https://recbole.io/docs/user_guide/data/atomic_files.html), with cells quoted as RecBole's pandas quotes them. Files
whose rows hold whole histories (`item_id_list:token_seq`, one case a row) are another layout and are refused.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from eval.data.interactions import Dataset
from eval.data.tables import (
    NO_ITEMS,
    NO_USERS,
    SPLITS,
    TYPE_NAMES,
    Frames,
    Table,
    dataset_of,
    frames_of,
    header_of,
    names_of,
    read_table,
)
from eval.datasets import checksum_of
from tasteline.errors import InvalidInput, NotFound

USER, ITEM = "user_id:token", "item_id:token"
TIMESTAMP, POSITION = "timestamp:float", "position:float"
TYPE, SPLIT = "type:token", "split:token"
FIELD_TYPES = ("token", "token_seq", "float", "float_seq")
_CATEGORIES = ("category", "categories", "class", "genre", "genres")
_TITLES = ("title", "name", "text")


def read_recbole(folder: Path) -> Dataset:
    """Read the one `NAME.inter` of `folder` (or that file itself), with `NAME.item` and `NAME.user` beside it.

    Needed columns: `user_id:token`, `item_id:token`. Order is `timestamp:float` (seconds; the set is then `timed`),
    else `position:float`, else the lines of the file. `type:token` (names of `EventType`) and `split:token` (train,
    valid, test), which our writer adds, are understood; ratings are not. The text of an item is all its words, titles
    first; its category is the whole cell of `category:token`, or the first word of a `…:token_seq` of categories.
    Raises NotFound without such a file; InvalidInput, with the line where there is one, for two of them, for a header
    that is not name:type, an empty id, or a time that is no number.
    """
    path = _inter_file(folder)
    rows = _read(path, (USER, ITEM))
    items, people = path.with_suffix(".item"), path.with_suffix(".user")
    frames = Frames(
        _events(rows),
        _described(_read(items, (ITEM,))) if items.is_file() else NO_ITEMS,
        _ids(_read(people, (USER,)), USER) if people.is_file() else NO_USERS,
    )
    return dataset_of(
        frames,
        name=path.stem,
        checksum=checksum_of([each for each in (path, items, people) if each.is_file()]),
        timed=TIMESTAMP in rows.cells.columns,
        folder=path.parent,
        source=path,
    )


def write_recbole(dataset: Dataset, folder: Path) -> Path:
    """Write NAME.inter, NAME.item and NAME.user; gives `folder`, which `read_recbole` turns into the same data set.

    NAME is the name of the data set. A set without real times gets `position:float` instead of `timestamp:float`: tell
    RecBole so with `TIME_FIELD: position`. The split is written as a column, which RecBole does not use.
    Raises InvalidInput for a person or item whose id is empty.
    """
    if "" in dataset.user_ids or "" in dataset.catalogue.ids:
        raise InvalidInput(f"{dataset.name}: a person or item without an id cannot be written")
    frames = frames_of(dataset)
    events = {
        USER: frames.events["user_id"],
        ITEM: frames.events["item_id"],
        TIMESTAMP if dataset.timed else POSITION: frames.events["order"],
    }
    if "type" in frames.events.columns:
        events[TYPE] = names_of(frames.events["type"], TYPE_NAMES)
    if "split" in frames.events.columns:
        events[SPLIT] = names_of(frames.events["split"], SPLITS)
    items = {
        ITEM: frames.items["item_id"],
        "text:token_seq": frames.items["text"],
        "category:token": frames.items["category"],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, columns in ((".inter", events), (".item", items), (".user", {USER: frames.users})):
        pl.DataFrame(columns).write_csv(folder / f"{dataset.name}{suffix}", separator="\t")
    return folder


def _inter_file(folder: Path) -> Path:
    if folder.is_file():
        return folder
    found = sorted(folder.glob("*.inter"))
    if not found:
        raise NotFound(f"{folder} has no NAME.inter")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InvalidInput(f"{folder} has several .inter files ({names}); give the path of the one to read")
    return found[0]


def _read(path: Path, needed: tuple[str, ...]) -> Table:
    header = header_of(path, "\t")
    for name in header:
        if name.rpartition(":")[2] not in FIELD_TYPES or ":" not in name:
            raise InvalidInput(f"{path}: column {name!r} is not name:type with a type of {', '.join(FIELD_TYPES)}")
    if "item_id_list:token_seq" in header:
        raise InvalidInput(
            f"{path} holds a history in each row (item_id_list); the atomic file with one event is taken"
        )
    return read_table(path, needed, separator="\t")


def _ids(table: Table, column: str) -> pl.Series:
    table.require_filled([column])
    return table.cells[column].alias(column.partition(":")[0])


def _events(rows: Table) -> pl.DataFrame:
    columns = {"user_id": _ids(rows, USER), "item_id": _ids(rows, ITEM)}
    ordered = next((name for name in (TIMESTAMP, POSITION) if name in rows.cells.columns), None)
    columns["order"] = rows.numbers(ordered) if ordered else pl.int_range(rows.cells.height, eager=True)
    if TYPE in rows.cells.columns:
        columns["type"] = rows.codes(TYPE, TYPE_NAMES)
    if SPLIT in rows.cells.columns:
        columns["split"] = rows.codes(SPLIT, SPLITS)
    return pl.DataFrame(columns)


def _described(items: Table) -> pl.DataFrame:
    ids = _ids(items, ITEM)
    items.require_unique(ITEM)
    words = [name for name in items.cells.columns if name != ITEM and ":token" in name]
    kept_apart = "category:token" in words and "text:token_seq" in words  # as `write_recbole` has it
    told = ["text:token_seq"] if kept_apart else sorted(words, key=lambda name: not _is(name, _TITLES))
    category = next((name for name in words if _is(name, _CATEGORIES)), "")
    categories = items.column(category)
    if category.endswith("_seq"):
        categories = categories.str.split(" ").list.first()
    filled = [pl.when(items.cells[name] != "").then(items.cells[name]) for name in told]
    text = pl.select(pl.concat_str(filled, separator=". ", ignore_nulls=True)).to_series() if told else items.column("")
    return pl.DataFrame({"item_id": ids, "text": text, "category": categories})


def _is(column: str, names: tuple[str, ...]) -> bool:
    """Whether `movie_title:token_seq` speaks of one of `names`."""
    return column.partition(":")[0].lower().rpartition("_")[2] in names
