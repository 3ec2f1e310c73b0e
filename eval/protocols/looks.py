"""One look at test: its targets stay sealed while settings are chosen, and every opening is written down.

Takes a Split and, for an opening, what is about to be measured; keeps one JSON line for each opening in a ledger under
the harness's home folder. Knows no clock and no git: time and commit are passed in. It keeps the honest honest and
counts; whoever deletes the ledger is back at zero.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from io import BufferedRandom
from pathlib import Path

import numpy as np

from eval.protocols.split import Split

LEDGER = "test_looks.jsonl"


@dataclass(frozen=True, slots=True)
class Look:
    """One opening of a test part; everything as it stands in the ledger."""

    dataset: str
    checksum: str
    """Of the data set."""
    protocol: str
    """Its name."""
    systems: Sequence[str]
    settings: Mapping[str, object]
    """Each system's, or whatever tells this opening from others; JSON values."""
    commit: str | None
    time: str
    """RFC 3339, UTC."""


@dataclass(frozen=True, slots=True)
class SealedSplit:
    """A split whose test part is out of reach until an opening is written down.

    >>> import tempfile
    >>> from eval.data.interactions import Catalogue, Dataset, Interactions
    >>> from eval.protocols.leave_one_out import leave_one_out
    >>> events = Interactions.of(users=[0, 0, 0], items=[0, 1, 2], order=[0, 1, 2])
    >>> catalogue = Catalogue(("a", "b", "c"), ("",) * 3, ("",) * 3)
    >>> sealed = SealedSplit(leave_one_out(Dataset("toy", "c0ffee", catalogue, ("ann",), events, timed=False)))
    >>> len(sealed.for_choosing.valid), len(sealed.for_choosing.test)
    (1, 0)
    >>> look = Look("toy", "c0ffee", "leave-one-out", ["popular"], {}, "1234567", "2024-01-01T00:00:00Z")
    >>> with tempfile.TemporaryDirectory() as home:
    ...     for _ in range(2):
    ...         split, earlier = sealed.open(Path(home), look)
    ...         print(len(split.test), earlier)
    1 0
    1 1
    """

    _split: Split = field(repr=False)

    @property
    def for_choosing(self) -> Split:
        """See `split_for_choosing`."""
        return split_for_choosing(self._split)

    def open(self, home: Path, look: Look) -> tuple[Split, int]:
        """The whole split, and how many earlier looks there were (`test_looks` of a result): see `record`."""
        return self._split, record(home, look)


def split_for_choosing(split: Split) -> Split:
    """The split with an empty test part: train to fit on, valid to choose by, and nothing to peek at."""
    return replace(split, test=split.test.take(np.zeros(0, dtype=np.int64)))


def record(home: Path, look: Look) -> int:
    """Write the opening down before anything is opened; gives the number of earlier ones, see `earlier_looks`.

    Safe between processes: counting and writing happen under one lock. A line that a crash cut off is closed, so that
    it spoils no later one. Raises OSError where `home` cannot be written.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / LEDGER).open("a+b") as ledger:
        fcntl.flock(ledger, fcntl.LOCK_EX)  # closing the file lets go of it
        ledger.seek(0)
        content = ledger.read()
        earlier = sum(_is_of(each, look.checksum, look.protocol) for each in _lines(content))
        _append(ledger, look, cut_off=bool(content) and not content.endswith(b"\n"))
    return earlier


def earlier_looks(home: Path, checksum: str, protocol: str) -> list[Mapping[str, object]]:
    """Every opening of this data set under this protocol, oldest first; none where there is no ledger.

    Lines that are not JSON objects are passed over: an opening is written before it happens, so behind a line that
    broke off there was none.
    """
    path = home / LEDGER
    content = path.read_bytes() if path.is_file() else b""
    return [each for each in _lines(content) if _is_of(each, checksum, protocol)]


def _append(ledger: BufferedRandom, look: Look, *, cut_off: bool) -> None:
    line = json.dumps(asdict(look), ensure_ascii=False, sort_keys=True)
    ledger.write((b"\n" if cut_off else b"") + line.encode() + b"\n")
    ledger.flush()


def _lines(content: bytes) -> list[Mapping[str, object]]:
    found: list[Mapping[str, object]] = []
    for line in content.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # not JSON, or cut in the middle of a character
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found


def _is_of(entry: Mapping[str, object], checksum: str, protocol: str) -> bool:
    return entry.get("checksum") == checksum and entry.get("protocol") == protocol
