"""Rows of a delimited file with the line on which each begins. Takes a feed, gives cells or rejects; knows no meaning.

A stray quote would make a CSV reader swallow the rest of the file. Here the lines of a row are kept until the row is
whole: when it cannot be, only its first line is rejected and reading goes on with the second.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator

from retrieval.importing.feed import Feed, Line, lines_of
from retrieval.importing.records import Reject
from tasteline.errors import InvalidInput

DELIMITERS = ",\t;|"
MAX_ROW_LINES = 500
"""A quoted description may run over many lines; beyond this the quote is taken for a stray one."""
MAX_ROW = 4 << 20
"""Bytes of all lines of a row."""
MAX_COLUMNS = 2000

_SEPARATORS = re.compile(r"[\s\-]+")

Row = tuple[int, list[str], str]
"""First line's number, the cells, the row as it was written."""


class _Stray(Exception):
    """A row that does not end."""


class _RowLines:
    """Feeds a csv.reader and keeps the lines of the row in hand, so that they can be given back."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()
        self.held: list[Line] = []
        self._size = 0
        self.flaw = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.held and (len(self.held) >= MAX_ROW_LINES or self._size > MAX_ROW):
            raise _Stray(f"a quoted field does not end within {MAX_ROW_LINES} lines")
        line = self._again.popleft() if self._again else next(self._lines)
        self.held.append(line)
        self._size += len(line.data)
        try:
            text = line.data.decode()
        except UnicodeDecodeError as error:
            text = line.data.decode(errors="replace")
            self.flaw = f"not UTF-8 at byte {error.start + 1} of the line"
        self.flaw = line.flaw or self.flaw
        return text

    def start(self) -> None:
        self.held.clear()
        self._size = 0
        self.flaw = ""

    def give_back(self) -> None:
        """All but the first line of the row in hand are read again."""
        self._again.extendleft(reversed(self.held[1:]))

    @property
    def raw(self) -> str:
        if len(self.held) == 1:
            return self.held[0].data.decode(errors="replace")
        return b"".join(line.data for line in self.held).decode(errors="replace")


def sniff_delimiter(line: str) -> str:
    """The one that cuts the header into most columns; a comma where none does."""
    return max(DELIMITERS, key=lambda mark: len(_split(line, mark)))


def header_of(line: str, delimiter: str) -> list[str]:
    """Column names in lower case with underscores, Google's `g:` prefix off: "g:Image Link" is `image_link`."""
    return [normal_column(cell) for cell in _split(line, delimiter)]


def normal_column(name: str) -> str:
    return _SEPARATORS.sub("_", name.strip().lower().removeprefix("g:"))


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])
    except csv.Error:
        return line.rstrip("\r\n").split(delimiter)


class Table:
    """One pass over a delimited file. `header` is read at once; `rows` gives the rest.

    Raises InvalidInput when there is no usable header: without one no row can be told from another.
    """

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self._lines = _RowLines(lines_of(feed))
        self._reader = csv.reader(self._lines, delimiter=feed.delimiter, strict=True)
        self._first: list[str] = []
        for _, cells, _ in self._whole_rows():
            if isinstance(cells, str):
                raise InvalidInput(f"{feed.path} has no readable header: {cells}", field="header")
            self._first = cells
            break
        self.header = [normal_column(cell) for cell in self._first]
        if len(self.header) > MAX_COLUMNS:
            raise InvalidInput(f"{feed.path} has more than {MAX_COLUMNS} columns", field="header")

    def rows(self) -> Iterator[Row | Reject]:
        """Cells as many as the header has; a row with more or fewer, or with a flaw, is a reject."""
        width, first = len(self.header), self._first
        for number, cells, raw in self._whole_rows():
            if isinstance(cells, str):
                yield self.feed.reject(number, "row", cells, raw)
            elif cells == first:
                yield self.feed.reject(number, "row", "the header again", raw)
            elif len(cells) == width:
                yield number, cells, raw
            elif len(cells) > width and not any(cells[width:]):
                yield number, cells[:width], raw
            else:
                reason = f"{len(cells)} columns where the header has {width}"
                yield self.feed.reject(number, "row", reason, raw)

    def _whole_rows(self) -> Iterator[tuple[int, list[str] | str, str]]:
        """(first line, cells or what is wrong, raw); blank lines are no rows."""
        lines, reader = self._lines, self._reader
        while True:
            lines.start()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (csv.Error, _Stray) as error:
                lines.give_back()
                del lines.held[1:]
                yield lines.held[0].number, lines.flaw or self._unquoted(lines.raw) or str(error), lines.raw
                continue
            if lines.flaw:
                yield lines.held[0].number, lines.flaw, lines.raw
            elif cells:
                yield lines.held[0].number, cells, lines.raw

    def _unquoted(self, line: str) -> list[str]:
        """Tab-separated exports often do not quote at all: `17" screen` at the start of a cell is then just text."""
        cells = line.rstrip("\r\n").split("\t") if self.feed.delimiter == "\t" else []
        return cells if len(cells) == len(self._first) else []
