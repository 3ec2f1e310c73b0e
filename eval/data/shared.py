"""Who is in two data sets: a table of their two ids, beside folders in the layout of the next-item papers.

Takes the file and the two folders, gives ids as the data sets name people. Knows nothing of what they did.
"""

from __future__ import annotations

from pathlib import Path

from eval.data.amazon import raw_ids
from eval.data.tables import read_table
from tasteline.errors import InvalidInput

ENDING = "_user_id"


def read_shared(path: Path, target: Path, source: Path) -> dict[str, str]:
    """`target` person → `source` person, of a table with two columns of `user_id`, called NAME_user_id each.

    NAME is a part of the folder's own name: beauty_user_id belongs to `amazon-beauty`. Raises NotFound for a missing
    file; InvalidInput where a folder has not one column of its own, and with the line for somebody who is not there.
    """
    table = read_table(path, ())
    columns = [_column(table.cells.columns, folder, path) for folder in (target, source)]
    ids = []
    for column, folder in zip(columns, (target, source), strict=True):
        raw = raw_ids(folder)
        numbers = table.cells[column]
        known = numbers.is_in(list(raw))
        table.require(known, lambda row, numbers=numbers, folder=folder: f"{folder} has no person {numbers[row]!r}")  # type: ignore[misc]
        ids.append([raw[number] for number in numbers])
    return dict(zip(*ids, strict=True))


def _column(columns: list[str], folder: Path, path: Path) -> str:
    name = folder.resolve().name
    own = [each for each in columns if each.endswith(ENDING) and each.removesuffix(ENDING) in name]
    if len(own) != 1:
        raise InvalidInput(f"{path}: one column NAME{ENDING} with a NAME out of {name!r} is needed; it has {columns}")
    return own[0]
