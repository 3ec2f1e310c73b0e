"""Sets of questions on disk, each a folder `datasets/NAME` under the home: what encoder and reranker are trained on.

Takes divided questions and how they came about, writes `train.jsonl`, `valid.jsonl` and `dataset.json`; gives them
back, without the rows of people whom the store no longer knows, checked against leaks. How questions are made is
`finetune.question_making`.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from finetune.examples import Question, read_examples, write_examples
from finetune.splitting import check_division
from tasteline.errors import InvalidInput, NotFound
from tasteline.ports import EventStore

FOLDER = "datasets"
SIDES = ("train", "valid")
ABOUT = "dataset.json"
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What `dataset.json` says."""

    name: str
    created: AwareDatetime
    seed: int
    settings: Mapping[str, Scalar]
    """Everything that was chosen, flat."""
    revision: int
    """Of the catalogue that the questions were made from."""
    erasures: int
    """How many people had been erased from the store by then."""
    products: int
    cut: AwareDatetime | None
    """What people did from then on is not in train."""
    places_weighted: bool
    """Whether clicks are weighted by how seldom their place is looked at; not where too few were seen."""
    origins: Mapping[str, Mapping[str, int]]
    """Side → origin → rows."""
    dropped: Mapping[str, Mapping[str, int]]
    """Step → reason or origin → rows (of candidates for negatives: products) that it left out."""
    seconds: float
    checksum: str
    """SHA-256 of both files of rows."""


@dataclass(frozen=True, slots=True)
class QuestionSet:
    about: About
    train: tuple[Question, ...]
    valid: tuple[Question, ...]
    forgotten: int = 0
    """Rows that were passed over because the store no longer knows the person, or the event."""

    @property
    def checksum(self) -> str:
        """Of the rows that are here: what a model trained on them has learned from. As on disk unless `forgotten`."""
        digest = sha256()
        for side in (self.train, self.valid):
            digest.update(b"".join(_ROW.dump_json(row, exclude_defaults=True) + b"\n" for row in side))
        return digest.hexdigest()


_ABOUT = TypeAdapter(About)
_ROW = TypeAdapter(Question)


def write_question_set(home: Path, about: About, train: Sequence[Question], valid: Sequence[Question]) -> QuestionSet:
    """In the place of one of that name; `origins` and `checksum` are filled in. Raises InvalidInput where rows leak."""
    check_division(train, valid, about.cut)
    folder = folder_of(home, about.name)
    making = folder.with_name(f".{about.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    write_examples(train, Question, making / "train.jsonl")
    write_examples(valid, Question, making / "valid.jsonl")
    written = _counted(about, making)
    (making / ABOUT).write_bytes(_ABOUT.dump_json(written, indent=2) + b"\n")
    if folder.exists():  # two steps: between them there is no set, and never half of one
        shutil.rmtree(folder)
    os.replace(making, folder)
    return QuestionSet(written, tuple(train), tuple(valid))


def read_question_set(home: Path, name: str, store: EventStore) -> QuestionSet:
    """The set without what rests on events that `store` no longer has.

    Raises NotFound, and InvalidInput for rows that leak or were changed since they were written.
    """
    folder = folder_of(home, name)
    about = _about(folder)
    if _checksum(folder) != about.checksum and store.erasures() == about.erasures:  # an erasure takes rows away
        raise InvalidInput(f"{folder} was changed since it was written. Make the set of questions anew.")
    train, valid = (tuple(read_examples(folder / f"{side}.jsonl", Question)) for side in SIDES)
    check_division(train, valid, about.cut)
    known = [standing(side, store) for side in (train, valid)]
    forgotten = len(train) + len(valid) - sum(map(len, known))
    return QuestionSet(about, known[0], known[1], forgotten)


def standing(rows: Sequence[Question], store: EventStore) -> tuple[Question, ...]:
    """Those that rest on nobody's events, or on one that is still there.

    Somebody who came back after an erasure is somebody new: that the id is known is not enough.
    """
    if all(row.user_id is None for row in rows):
        return tuple(rows)
    remembered = {(event.user_id, event.time) for _, event in store.events() if event.user_id is not None}
    return tuple(row for row in rows if row.user_id is None or (row.user_id, row.time) in remembered)


def folder_of(home: Path, name: str) -> Path:
    """Raises InvalidInput for a name that is no plain folder's."""
    if not name or name.startswith(".") or Path(name).name != name:
        raise InvalidInput(f"{name!r} is no name for a set of questions.", field="name")
    return home / FOLDER / name


def _counted(about: About, folder: Path) -> About:
    origins = {
        side: dict(Counter(row.origin for row in read_examples(folder / f"{side}.jsonl", Question))) for side in SIDES
    }
    return replace(about, origins=origins, checksum=_checksum(folder))


def _about(folder: Path) -> About:
    try:
        return _ABOUT.validate_json((folder / ABOUT).read_bytes())
    except FileNotFoundError as error:
        raise NotFound(f"There is no set of questions at {folder}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "all of it"
        raise InvalidInput(f"{folder / ABOUT}: {field}: {first['msg']}") from error


def _checksum(folder: Path) -> str:
    digest = sha256()
    for side in SIDES:
        path = folder / f"{side}.jsonl"
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()
