"""A person's erasure, everywhere in one home: the store, what was derived from it, and who learned from them.

Takes a home, its store and a user id; gives what was removed and which models learned from the person. Each step may be
repeated, so that an erasure that was broken off is finished by asking again. What can be made anew without the person
(counts, caches of the harness) is thrown away whole; what cannot (rows to learn from) loses the person's rows alone.
Indexes hold products and no people. Knows no trainer and no harness, only where they put things.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.learned_from import LearnedFrom
from retrieval.model_card import ModelCard, ModelKind
from retrieval.person_fields import cells_name, cells_of, json_names, reject_names, word_of
from retrieval.registry import Registry, Withdrawal
from tasteline.ports import PersonStore, Store

COUNTS_FILE = "models/behaviour.npz"
REJECTS_FILE, FEATURED_FILE = "rejects.jsonl", "featured.json"
DATASETS, EVALUATION, LEARNED_CACHE = "datasets", "eval", "cache"
JOB, ERASING, LOCK = "job.json", ".erasing", ".erasing.lock"
"""Of `finetune.lora.folder`: what tells that a folder is a training. Of this module: what is on its way out, or in."""
KEPT_IN_CACHE = ("embeddings.db", "embeddings.db-wal", "embeddings.db-shm")
"""Vectors of product texts: no people in them."""

OpenStore = Callable[[Path], Store]
"""The store of another home, the folder of its database given."""


@dataclass(frozen=True, slots=True)
class Learner:
    """A model that learned from the person, or may have."""

    kind: ModelKind
    id: str
    recorded: bool
    """False: nobody wrote down whom it learned from, so it counts as if it had."""
    live: bool


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure has done."""

    rows: int
    """Of the store: events, turns, rankings."""
    files: Mapping[str, int]
    """Rows removed by file, relative to the home."""
    caches: tuple[str, ...]
    """Thrown away whole; they are made again when they are wanted."""
    learners: tuple[Learner, ...]
    """Oldest first within their kind; what was withdrawn before is not named again."""
    withdrawn: Mapping[ModelKind, Withdrawal]
    """What is live in their place; empty where they were to stay in use."""


def erase_person(
    home: Path, store: PersonStore, open_store: OpenStore, user_id: str, *, retire: bool = False
) -> Erased:
    """Removes the person; returns when nothing of this home names them any more.

    Who is unknown to the store may still be in files: those are looked through all the same. Afterwards the models'
    records no longer say who it was, so that who learned from them is told now or never: with `retire` those models
    are out of service for good before anything else is done. Raises TransientError where the store is busy; then ask
    again.
    """
    with _alone(home):  # two that rewrite one file would put each other's rows back
        return _erased(home, store, open_store, user_id, retire)


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    with (home / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # ends with the file, even by a crash
        yield


def _erased(home: Path, store: PersonStore, open_store: OpenStore, user_id: str, retire: bool) -> Erased:
    # The store comes after what was derived from it, and the records last: until then asking again finds everything.
    # Models go first: once the store knows nobody of that id, one without a record is no longer seen to be concerned.
    known = any(store.export_user(user_id).values())
    learners = learners_from(home, user_id) if known or LearnedFrom(home).models(user_id) else ()
    withdrawn = _withdrawn(home, learners) if retire else {}
    _swept(home / DATASETS)
    jobs = tuple(_jobs(home, user_id))
    files = {name: count for name, count in _cleaned(home, user_id) if count}
    caches = (*jobs, *_counts(home, known), *_evaluations(home, open_store, user_id), *_trained_caches(home, known))
    rows = store.erase_user(user_id)
    # Whoever reads the store from now on does not find them; what was registered until now may have learned from them.
    late = _since(learners, learners_from(home, user_id)) if learners or known else ()
    withdrawn = _one_after_another(withdrawn, _withdrawn(home, late)) if retire else withdrawn
    LearnedFrom(home).forget(user_id)
    return Erased(rows, files, caches, (*learners, *late), withdrawn)


def _since(learners: Sequence[Learner], now: Sequence[Learner]) -> tuple[Learner, ...]:
    known = {each.id for each in learners}
    return tuple(each for each in now if each.id not in known)


def _one_after_another(
    first: Mapping[ModelKind, Withdrawal], then: Mapping[ModelKind, Withdrawal]
) -> dict[ModelKind, Withdrawal]:
    """What is live after both, and what was before the first."""
    both = {kind: Withdrawal(change.live, first.get(kind, change).before) for kind, change in then.items()}
    return {**first, **both}


def _withdrawn(home: Path, learners: Sequence[Learner]) -> dict[ModelKind, Withdrawal]:
    """Take them out of service for good; what is live in their place, by kind."""
    kinds = dict.fromkeys(learner.kind for learner in learners)
    registry = Registry(home)
    return {kind: registry.withdraw(kind, [each.id for each in learners if each.kind == kind]) for kind in kinds}


def learners_from(home: Path, user_id: str) -> tuple[Learner, ...]:
    """Registered models that learned from this person, those that began from one, and those of which nobody knows."""
    registry, records = Registry(home), LearnedFrom(home)
    concerned = {entry_id for _, entry_id in records.models(user_id)}
    found: list[Learner] = []
    for entry in registry.entries():
        recorded = records.record(entry.card.kind, entry.id) is not None
        unknown = not recorded and entry.card.data.users > 0
        if not (unknown or entry.id in concerned or concerned & _begun_from(entry.card)):
            continue
        concerned.add(entry.id)
        if not registry.is_withdrawn(entry.card.kind, entry.id):
            found.append(Learner(entry.card.kind, entry.id, recorded, entry.state == "live"))
    return tuple(found)


def _begun_from(card: ModelCard) -> set[str]:
    """Ids of the models whose weights it began with: what they learned, it knows."""
    named = [str(begun) for begun in (card.base, card.settings.get("begun_from")) if begun is not None]
    return {*named, *(part for each in named for part in Path(each).parts)}  # an id, or a folder of that name


def remove_person(path: Path, user_id: str) -> int:
    """Rows of a file of JSON lines whose `user_id` it is, taken out in one step; how many."""
    return _without_lines(path, _rows_of(user_id))


def _rows_of(user_id: str) -> Callable[[bytes], bool]:
    needle = json.dumps(user_id, ensure_ascii=False).encode("utf-8", "surrogatepass")
    escaped = json.dumps(user_id).encode()
    return lambda line: (needle in line or escaped in line) and _user_of(line) == user_id


def _user_of(line: bytes) -> object:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row.get("user_id") if isinstance(row, dict) else None


def _without_lines(path: Path, theirs: Callable[[bytes], bool]) -> int:
    """The file is touched only where a line goes."""
    with path.open("rb") as file:
        if not any(map(theirs, file)):
            return 0
    writing, removed = path.with_suffix(ERASING), 0
    with path.open("rb") as file, writing.open("wb") as kept:
        for line in file:
            if theirs(line):
                removed += 1
            else:
                kept.write(line)
        kept.flush()
        os.fsync(kept.fileno())
    writing.replace(path)
    return removed


def _swept(datasets: Path) -> None:
    """What a crash has left: half-written rows, and folders on their way out.

    Rows that are being written are waited for, so that they are looked through like all others. A checkpoint that a
    training writes at this moment is left alone: it goes with its job, or not at all.
    """
    for path in [*datasets.rglob("*.tmp"), *datasets.rglob(f"*{ERASING}")]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_file() and not (path.parent / JOB).is_file():
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:  # it has its name meanwhile
                fcntl.flock(file, fcntl.LOCK_EX)  # `finetune.examples` holds it while it writes
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    path.unlink()


def _jobs(home: Path, user_id: str) -> Iterator[str]:
    """Unfinished trainings that learn from the person: their weights go too, and one that runs ends by itself."""
    for job in sorted((home / DATASETS).rglob(JOB)):
        folder = job.parent
        if any(_is_in_rows(path, user_id) for path in folder.glob("*.jsonl")):
            going = folder.rename(folder.with_name(folder.name + ERASING))  # at once: nothing more is written into it
            shutil.rmtree(going, ignore_errors=True)
            yield str(folder.relative_to(home))


def _is_in_rows(path: Path, user_id: str) -> bool:
    with path.open("rb") as file:
        return any(map(_rows_of(user_id), file))


def _cleaned(home: Path, user_id: str) -> Iterator[tuple[str, int]]:
    """(file, rows removed)."""
    for path in sorted((home / DATASETS).rglob("*.jsonl")):
        yield str(path.relative_to(home)), remove_person(path, user_id)
    if (home / REJECTS_FILE).is_file():
        yield REJECTS_FILE, _without_lines(home / REJECTS_FILE, lambda line: reject_names(line, user_id))
    yield FEATURED_FILE, _not_featured(home / FEATURED_FILE, user_id)


def _not_featured(path: Path, user_id: str) -> int:
    if not path.is_file():
        return 0
    people = json.loads(path.read_text())
    kept = [person for person in people if person.get("user_id") != user_id]
    if len(kept) < len(people):
        writing = path.with_suffix(ERASING)
        writing.write_text(json.dumps(kept, ensure_ascii=False, indent=2))
        writing.replace(path)
    return len(people) - len(kept)


def _counts(home: Path, known: bool) -> Iterator[str]:
    """A running service counts anew within two seconds, any other at its next start."""
    path = home / COUNTS_FILE
    if known and path.is_file():
        path.unlink(missing_ok=True)
        yield COUNTS_FILE


def _evaluations(home: Path, open_store: OpenStore, user_id: str) -> Iterator[str]:
    """Shops and feeds that the harness made, where the person is in them."""
    for folder in sorted((home / EVALUATION).glob("*/")):
        if folder.name != LEARNED_CACHE and _is_in(folder, open_store, user_id):
            shutil.rmtree(folder, ignore_errors=True)
            yield str(folder.relative_to(home))


def _is_in(folder: Path, open_store: OpenStore, user_id: str) -> bool:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name == "tasteline.db":
            if _knows(open_store, path.parent, user_id):
                return True
        elif path.suffix in (".jsonl", ".csv", ".json") and _file_names(path, user_id):
            return True
    return False


def _file_names(path: Path, user_id: str) -> bool:
    """Lines are read only where the characters are in them at all."""
    word = word_of(user_id)
    if path.suffix == ".json":
        content = path.read_bytes()
        return bool(word.search(content)) and json_names(content, user_id)
    with path.open("rb") as file:
        if path.suffix == ".jsonl":
            return any(word.search(line) and json_names(line, user_id) for line in file)
        header = cells_of(file.readline().decode("utf-8", "replace").rstrip("\r\n"))
        file.seek(0)
        lines = (line.decode("utf-8", "replace").rstrip("\r\n") for line in file if word.search(line))
        return any(cells_name(line, user_id, header) for line in lines)


def _knows(open_store: OpenStore, home: Path, user_id: str) -> bool:
    store = open_store(home)
    try:
        return any(store.export_user(user_id).values())
    finally:
        store.close()


def _trained_caches(home: Path, known: bool) -> Iterator[str]:
    """Weights and settings that the harness keeps: which of them learned from this shop, their names do not tell."""
    cache = home / EVALUATION / LEARNED_CACHE
    if not known or not cache.is_dir():
        return
    for path in sorted(cache.iterdir()):
        if path.name not in KEPT_IN_CACHE:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            yield str(path.relative_to(home))
