"""One source to be read, and its physical lines. Takes a path, gives lines with their numbers and flaws.

Plain or gzip (told by the first bytes, not by the name), UTF-8 with or without a byte order mark, any length: a line
that is too long is given as a flaw and never held. Knows nothing of columns or JSON.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from retrieval.importing.records import Reject
from tasteline.errors import InvalidInput

Kind = Literal["products", "events"]

MAX_LINE = 1 << 20
"""Bytes; the longest line of the real product feeds that were looked at has 16,000."""
MAX_RAW = 500
"""Characters of a bad row that go into the rejects file: enough to find it, too few to copy the feed."""
HEAD = 1 << 16
_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    number: int
    """1-based, as an editor counts."""
    data: bytes
    flaw: str
    """Why the line cannot be used; empty when it can."""


@dataclass(slots=True)
class Meter:
    """How far a source has been read, for a progress bar."""

    total: int = 0
    _raw: BufferedReader | None = None
    _share: float | None = None

    def follow(self, raw: BufferedReader) -> None:
        self._raw = raw

    def share(self, done: float) -> None:
        """For sources that are not read byte by byte."""
        self._share = done

    def fraction(self) -> float | None:
        if self._share is not None:
            return self._share
        if self._raw is None or self._raw.closed or not self.total:
            return None
        return min(1.0, self._raw.tell() / self.total)


@dataclass(frozen=True, slots=True)
class Feed:
    """What a reader needs: where the rows are, what they are called, and the currency for prices without one."""

    path: Path
    currency: str | None = None
    delimiter: str = ","
    meter: Meter = field(default_factory=Meter)

    @property
    def source(self) -> str:
        return str(self.path)

    def reject(self, line: int, name: str | None, reason: str, raw: bytes | str) -> Reject:
        text = raw[: 4 * MAX_RAW].decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        return Reject(self.source, line, name or "row", reason, text[:MAX_RAW].rstrip("\r\n"))


def head_of(path: Path) -> bytes:
    """The first 64 KiB, unpacked and without a byte order mark. Raises InvalidInput when it cannot be UTF-8 text."""
    try:
        with path.open("rb") as raw:
            packed = raw.peek(2)[:2] == b"\x1f\x8b"
            head = _unpack_head(raw) if packed else raw.read(HEAD)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}", field="path") from error
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or _looks_like_utf16(head[:400]):
        raise InvalidInput(f"{path} is UTF-16 text; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)", field="path")
    return head.removeprefix(_BOM)


def _unpack_head(raw: BufferedReader) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(raw.read(HEAD), HEAD)
    except zlib.error as error:
        raise InvalidInput(f"{raw.name} is damaged: {error}", field="path") from error


def _looks_like_utf16(sample: bytes) -> bool:
    """Without a mark: every second byte of Western text is zero."""
    return len(sample) >= 8 and max(sample[::2].count(0), sample[1::2].count(0)) > 0.4 * (len(sample) // 2)


def lines_of(feed: Feed) -> Iterator[Line]:
    """Every physical line. A damaged gzip stream ends in one flawed line, no error: what came before it stands."""
    with feed.path.open("rb") as raw:
        feed.meter.total = feed.path.stat().st_size
        feed.meter.follow(raw)
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        stream: BinaryIO = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
        number = 0
        try:
            for line in _split(stream):
                number = line.number
                yield line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield Line(number + 1, b"", f"the compressed file is damaged from here on: {error}")


def _split(stream: BinaryIO) -> Iterator[Line]:
    number = 0
    while data := stream.readline(MAX_LINE):
        number += 1
        if number == 1:
            data = data.removeprefix(_BOM)
        flaw = ""
        if len(data) >= MAX_LINE and not data.endswith(b"\n"):
            flaw = f"the line is longer than {MAX_LINE:,} bytes"
            _skip_rest(stream)
        elif b"\0" in data:
            flaw = "contains NUL bytes"
        yield Line(number, data, flaw)


def _skip_rest(stream: BinaryIO) -> None:
    while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
        pass
