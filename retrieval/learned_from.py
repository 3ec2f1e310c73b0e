"""Which people a registered model learned from, kept so that the file names nobody.

    home/models/people/key                               32 random bytes, readable by the owner alone
    home/models/people/next-item/20261128-…-3f9a1c.bin   how many were forgotten since, then one tag for each person

A tag is eight bytes of a keyed hash of the id, under a key of its own for each model: without the key a list of all
ids tells nothing, and two models' files cannot be laid beside each other. An erased person's tag is taken out and
counted, so that it stays known that the model learned from somebody who is gone, and not from whom. The files lie
beside the registry and not in its entries: an entry that is copied to another shop takes nobody along. docs/adr/0019.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.model_card import KINDS, ModelKind

TAG_BYTES = 8
"""Of a million people one stranger in 2e13 is taken for one of them."""
KEY_BYTES = 32

Tags = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of one model."""

    forgotten: int
    """People whom it learned from and who were erased since."""
    people: int
    """The others."""


class LearnedFrom:
    """The records of one home. Reading creates nothing."""

    def __init__(self, home: Path) -> None:
        self._root = home / "models" / "people"

    def write(self, kind: ModelKind, entry_id: str, people: Iterable[str]) -> None:
        """Keep that this model learned from `people`, by user id; whoever is named twice counts once."""
        key = self._key_of(entry_id, make=True)
        tags = np.unique(np.array([_tag(key, person) for person in people], dtype=np.uint64))
        with self._alone(kind):
            self._replace(self._path(kind, entry_id), 0, tags)

    def record(self, kind: ModelKind, entry_id: str) -> Record | None:
        """None where nobody wrote down whom the model learned from."""
        found = self._read(self._path(kind, entry_id))
        return None if found is None else Record(found[0], len(found[1]))

    def drop(self, kind: ModelKind, entry_id: str) -> None:
        """For a model that nobody will use, and whose record may name somebody whom the others have forgotten."""
        if self._path(kind, entry_id).is_file():
            with self._alone(kind):
                self._path(kind, entry_id).unlink(missing_ok=True)

    def models(self, user_id: str) -> list[tuple[ModelKind, str]]:
        """Models that learned from this person, by kind and id."""
        return [(kind, path.stem) for kind, path in self._paths() if self._holds(path, user_id)]

    def forget(self, user_id: str) -> list[tuple[ModelKind, str]]:
        """Take the person out of every record; which models they were. Several may forget at the same time."""
        return [(kind, entry_id) for kind, entry_id in self.models(user_id) if self._forget(kind, entry_id, user_id)]

    def _forget(self, kind: ModelKind, entry_id: str, user_id: str) -> bool:
        """False where somebody else was faster."""
        path = self._path(kind, entry_id)
        with self._alone(kind):
            known = self._read(path)
            if known is None or not self._holds(path, user_id):
                return False
            forgotten, tags = known
            self._replace(path, forgotten + 1, tags[tags != np.uint64(self._tag(entry_id, user_id))])
        return True

    @contextlib.contextmanager
    def _alone(self, kind: ModelKind) -> Iterator[None]:
        """While no other thread or process changes a record of the kind."""
        folder = self._root / kind
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # ends with the file, even by a crash
            for leftover in folder.glob("*.tmp"):  # of a crash: it holds people who may be erased since
                leftover.unlink()
            yield

    def _holds(self, path: Path, user_id: str) -> bool:
        known = self._read(path)
        if known is None:
            return False
        tag = np.uint64(self._tag(path.stem, user_id))
        place = int(np.searchsorted(known[1], tag))
        return place < len(known[1]) and bool(known[1][place] == tag)

    def _paths(self) -> list[tuple[ModelKind, Path]]:
        return [(kind, path) for kind in KINDS for path in sorted((self._root / kind).glob("*.bin"))]

    def _path(self, kind: ModelKind, entry_id: str) -> Path:
        return self._root / kind / f"{entry_id}.bin"

    def _tag(self, entry_id: str, user_id: str) -> int:
        return _tag(self._key_of(entry_id, make=False), user_id)

    def _key_of(self, entry_id: str, *, make: bool) -> bytes:
        """Of one model, from the home's own."""
        path = self._root / "key"
        if make and not path.exists():
            self._root.mkdir(parents=True, exist_ok=True)
            _make_key(path)
        return blake2b(entry_id.encode(), key=path.read_bytes(), digest_size=KEY_BYTES).digest()

    @staticmethod
    def _read(path: Path) -> tuple[int, Tags] | None:
        try:
            numbers = np.fromfile(path, dtype="<u8")
        except FileNotFoundError:
            return None
        return int(numbers[0]), numbers[1:].astype(np.uint64)

    @staticmethod
    def _replace(path: Path, forgotten: int, tags: Tags) -> None:
        """In one step, within `_alone`; in the order of the tags, which says nothing of when somebody came."""
        writing = path.with_suffix(".tmp")
        with writing.open("wb") as file:
            np.concatenate((np.array([forgotten], dtype="<u8"), np.sort(tags).astype("<u8"))).tofile(file)
            file.flush()
            os.fsync(file.fileno())
        writing.replace(path)


def _tag(key: bytes, user_id: str) -> int:
    digest = blake2b(user_id.encode("utf-8", "surrogatepass"), key=key, digest_size=TAG_BYTES).digest()
    return int.from_bytes(digest, "little")


def _make_key(path: Path) -> None:
    """Once: whoever comes second keeps the first one's."""
    writing = path.with_name(f".key-{secrets.token_hex(4)}")
    opened = os.open(writing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(opened, secrets.token_bytes(KEY_BYTES))
        os.fsync(opened)
        os.link(writing, path)
    except FileExistsError:
        pass
    finally:
        os.close(opened)
        writing.unlink()
