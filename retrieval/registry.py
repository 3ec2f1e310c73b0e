"""Which trained models there are, and which one of each kind is live.

    home/models/registry/next-item/live.json                 what was promoted when
    home/models/registry/next-item/20261128-090501-3f9a1c/   card.json, README.md, the model's own files

An entry appears whole or not at all, and never changes. Its state follows from one small file for each kind, replaced
in one step, so that no two models can be live, whoever promotes at the same time and wherever the power fails. Several
processes may work on one home; a service learns of a promotion by `stamp`. What a model is, and how it is loaded, is
not known here. docs/adr/0013 says why it is files.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from retrieval.learned_from import LearnedFrom
from retrieval.model_card import (
    KINDS,
    ModelCard,
    ModelKind,
    State,
    card_from_json,
    card_to_json,
    card_to_markdown,
    checked,
)
from tasteline.errors import InvalidInput, ModelDamaged, NotFound

CARD, README, POINTER = "card.json", "README.md", "live.json"
WRITING = ".writing"
Stamp = tuple[int, int, int]
"""Of a pointer file: inode, nanoseconds, size. The size alone grows with each promotion and rollback."""
_ID = re.compile(r"[0-9a-z][0-9a-z-]*")
"""Nothing that could lead out of the folder, nor hide in it."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A model became live; it is no more once a rollback has taken that back."""

    id: str
    at: AwareDatetime
    rolled_back: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class Promotions:
    """All of one kind, oldest first. The last that stands is live, the one before it is what a rollback leads to."""

    promotions: tuple[Promotion, ...] = ()
    withdrawn: tuple[str, ...] = ()
    """Models that are never to be live again."""

    @property
    def standing(self) -> list[str]:
        return [promotion.id for promotion in self.promotions if promotion.rolled_back is None]

    @property
    def live(self) -> str | None:
        return self.standing[-1] if self.standing else None

    @property
    def before(self) -> str | None:
        return self.standing[-2] if len(self.standing) > 1 else None

    def state(self, entry_id: str) -> State:
        if entry_id == self.live:
            return "live"
        known = entry_id in self.withdrawn or any(promotion.id == entry_id for promotion in self.promotions)
        return "retired" if known else "candidate"

    def with_live(self, entry_id: str, at: datetime) -> Promotions:
        return replace(self, promotions=(*self.promotions, Promotion(entry_id, at)))

    def without_live(self, at: datetime) -> Promotions:
        """The last that stands taken back."""
        last = max(place for place, promotion in enumerate(self.promotions) if promotion.rolled_back is None)
        taken_back = replace(self.promotions[last], rolled_back=at)
        return replace(self, promotions=(*self.promotions[:last], taken_back, *self.promotions[last + 1 :]))

    def without(self, ids: Collection[str], at: datetime) -> Promotions:
        """Every promotion of these taken back, and none to come."""
        left = tuple(
            replace(promotion, rolled_back=at) if promotion.id in ids and promotion.rolled_back is None else promotion
            for promotion in self.promotions
        )
        return Promotions(left, tuple(dict.fromkeys((*self.withdrawn, *ids))))


_PROMOTIONS = TypeAdapter(Promotions)


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered model, its state as it was when this was read."""

    folder: Path
    """Holds the model's own files, as its trainer wrote them."""
    card: ModelCard
    state: State

    @property
    def id(self) -> str:
        return self.card.id


@dataclass(frozen=True, slots=True)
class Change:
    """What a promotion or a rollback has done."""

    kind: ModelKind
    live: Entry | None
    """None after the first promotion was taken back: the service does as it does without a trained model."""
    before: str | None
    """Id of what was live until then; the same where nothing has changed."""

    @property
    def changed(self) -> bool:
        return self.before != (self.live.id if self.live else None)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What is live in the place of models that were withdrawn."""

    live: str | None
    """Id; None where no other had been promoted."""
    before: str | None


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Registry:
    """All trained models of one home. Reading creates nothing.

    Every method raises ModelDamaged, with the command that mends it, where a file that it needs cannot be read.
    """

    def __init__(self, home: Path, now: Callable[[], datetime] = _utc_now) -> None:
        self._root = home / "models" / "registry"
        self._learned_from = LearnedFrom(home)
        self._now = now

    def register(self, card: ModelCard, write: Callable[[Path], None], people: Iterable[str] | None = None) -> Entry:
        """Keep a model as a candidate: `write` puts its files into the folder that it is given.

        `people`: ids of all whom it learned from, kept in `LearnedFrom`; none: empty. Where they are not given, and the
        card says that there were any, an erasure takes the model for one that learned from whoever is erased.
        Whatever `write` raises is passed on, and nothing is left. Raises InvalidInput for an id that is taken or odd, a
        card that cannot be written, and files that are missing or called like the card.
        """
        if not _ID.fullmatch(card.id):
            raise InvalidInput(f"a model cannot be called {card.id!r}; use new_id", field="id")
        card = checked(card)
        with self._new_folder(card) as writing:
            write(writing)
            if (writing / CARD).exists():
                raise InvalidInput(f"the files of model {card.id} include a {CARD}, which is the registry's own")
            card = replace(card, files=_checksums(writing))
            if not card.files:
                raise InvalidInput(f"no file was written for model {card.id}")
            (writing / CARD).write_bytes(card_to_json(card))
            (writing / README).write_text(card_to_markdown(card), encoding="utf-8")
            _flush(writing)
            if people is not None:  # before the entry appears: there is none without its record
                self._learned_from.write(card.kind, card.id, people)
        return self.entry(card.id)

    def entries(self, kind: ModelKind | None = None) -> list[Entry]:
        """All that can be read, oldest first within their kind; `damaged` has the others."""
        return [found for found in self._each(kind) if isinstance(found, Entry)]

    def damaged(self, kind: ModelKind | None = None) -> list[ModelDamaged]:
        """What is wrong with entries whose card cannot be read. The models' own files are not looked at."""
        return [found for found in self._each(kind) if isinstance(found, ModelDamaged)]

    def entry(self, entry_id: str) -> Entry:
        """Raises NotFound."""
        for kind, known in self._ids():
            if known == entry_id:
                return self._read(kind, known, self._promotions(kind))
        raise NotFound(f"no model is called {entry_id!r}; `tasteline models list` shows all")

    def find(self, prefix: str) -> Entry:
        """The one entry whose id begins so. Raises NotFound for none, InvalidInput for several."""
        found = [known for _, known in self._ids() if prefix and known.startswith(prefix)]
        if len(found) > 1 and prefix not in found:
            raise InvalidInput(f"{prefix!r} begins {len(found)} ids: {', '.join(found)}; give more of it", field="id")
        return self.entry(found[0] if len(found) == 1 else prefix)

    def live(self, kind: ModelKind) -> Entry | None:
        """What the service is to use; None before the first promotion. Does not read the model's own files."""
        promotions = self._promotions(kind)
        return self._read(kind, promotions.live, promotions) if promotions.live else None

    def verify(self, entry: Entry) -> None:
        """Compare the model's files with the checksums of its card. Raises ModelDamaged."""
        for name, expected in entry.card.files.items():
            try:
                found = _checksum(entry.folder / name)
            except OSError as error:
                raise self._damage(entry.card.kind, entry.id, f"{name} cannot be read, {error.strerror}") from error
            if found != expected:
                raise self._damage(entry.card.kind, entry.id, f"{name} differs from its checksum")

    def promote(self, entry_id: str, *, force: bool = False) -> Change:
        """Make this model the live one of its kind, after a look at its files.

        Where it is live already nothing changes, but a service that could not load it will try again. Raises NotFound,
        and InvalidInput for one that was withdrawn, measured worse than what is live, or compared with something else;
        `force` overrules the latter two.
        """
        entry = self.entry(entry_id)
        self.verify(entry)
        with self._alone(entry.card.kind) as folder:
            promotions = self._promotions(entry.card.kind)
            if entry.id in promotions.withdrawn:
                raise InvalidInput(f"model {entry.id} was withdrawn for good; train another one", field="id")
            if not force and promotions.live != entry.id:
                _require_not_worse(entry.card, promotions.live or "")
            if promotions.live == entry.id:
                os.utime(folder / POINTER)
            else:
                _swap(folder / POINTER, _PROMOTIONS.dump_json(promotions.with_live(entry.id, self._now()), indent=2))
        return Change(entry.card.kind, replace(entry, state="live"), promotions.live)

    def rollback(self, kind: ModelKind) -> Change:
        """Make live again what was so before the last promotion: another model, or none.

        Raises InvalidInput where none is live, ModelDamaged where the one before is.
        """
        with self._alone(kind) as folder:
            promotions = self._promotions(kind)
            if promotions.live is None:
                raise InvalidInput(f"there is no {kind} model to roll back: none is live", field="kind")
            entry = None
            if promotions.before is not None:
                entry = self._read(kind, promotions.before, promotions)
                self.verify(entry)
            _swap(folder / POINTER, _PROMOTIONS.dump_json(promotions.without_live(self._now()), indent=2))
        return Change(kind, replace(entry, state="live") if entry else None, promotions.live)

    def withdraw(self, kind: ModelKind, ids: Collection[str]) -> Withdrawal:
        """Take these models out of service for good: what was live before them is live again, or nothing is.

        What becomes live is looked at as in `rollback`; where its files are damaged, nothing is live.
        """
        with self._alone(kind) as folder:
            before = self._promotions(kind)
            after = before.without(ids, self._now())
            if after.live is not None and after.live != before.live:
                try:
                    self.verify(self._read(kind, after.live, after))
                except ModelDamaged:
                    after = replace(after, promotions=after.without(after.standing, self._now()).promotions)
            _swap(folder / POINTER, _PROMOTIONS.dump_json(after, indent=2))
        return Withdrawal(after.live, before.live)

    def disown(self, entry: Entry) -> None:
        """For a model that was learning while somebody was erased: withdrawn, and without a record of its people.

        It was written after that person was forgotten everywhere, and would name them for good.
        """
        self.withdraw(entry.card.kind, [entry.id])
        self._learned_from.drop(entry.card.kind, entry.id)

    @contextlib.contextmanager
    def standing_still(self, kind: ModelKind) -> Iterator[None]:
        """While nobody promotes, rolls back or withdraws one of the kind; whoever wants to waits."""
        with self._alone(kind):
            yield

    def is_withdrawn(self, kind: ModelKind, entry_id: str) -> bool:
        return entry_id in self._promotions(kind).withdrawn

    def history(self, kind: ModelKind) -> tuple[Promotion, ...]:
        """Every promotion, oldest first."""
        return self._promotions(kind).promotions

    def stamp(self, kind: ModelKind) -> Stamp | None:
        """Differs after each promotion and rollback, for the price of one stat; None before the first."""
        try:
            status = (self._root / kind / POINTER).stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _ids(self, kind: ModelKind | None = None) -> Iterator[tuple[ModelKind, str]]:
        for each in KINDS if kind is None else (kind,):
            folder = self._root / each
            if folder.is_dir():
                names = sorted(path.name for path in folder.iterdir() if path.is_dir())
                yield from ((each, name) for name in names if _ID.fullmatch(name))

    def _each(self, kind: ModelKind | None) -> Iterator[Entry | ModelDamaged]:
        for each, entry_id in self._ids(kind):
            promotions = self._promotions(each)  # outside: what is wrong with these is not wrong with the entry
            try:
                yield self._read(each, entry_id, promotions)
            except ModelDamaged as error:
                yield error

    def _read(self, kind: ModelKind, entry_id: str, promotions: Promotions) -> Entry:
        folder = self._root / kind / entry_id
        try:
            card = card_from_json((folder / CARD).read_bytes())
        except OSError as error:
            raise self._damage(kind, entry_id, f"{folder / CARD} cannot be read, {error.strerror}") from error
        except InvalidInput as error:
            raise self._damage(kind, entry_id, f"{folder / CARD} is not a model's card, {error}") from error
        if (card.kind, card.id) != (kind, entry_id):
            raise self._damage(kind, entry_id, f"{folder / CARD} is of {card.kind} {card.id}")
        return Entry(folder, card, promotions.state(entry_id))

    def _promotions(self, kind: ModelKind) -> Promotions:
        path = self._root / kind / POINTER
        try:
            return _PROMOTIONS.validate_json(path.read_bytes())
        except FileNotFoundError:
            return Promotions()
        except ValidationError as error:
            message = f"{path} is damaged, so it is not known which {kind} model is live."
            raise ModelDamaged(message, remedy=f"rm {shlex.quote(str(path))} && tasteline models promote ID") from error

    def _damage(self, kind: ModelKind, entry_id: str, what: str) -> ModelDamaged:
        """For one that is live the way back, where there is one; any other is made anew."""
        promotions = self._promotions(kind)
        back = entry_id == promotions.live and promotions.before is not None
        remedy = f"tasteline models rollback {kind}" if back else f"tasteline train {kind}"
        return ModelDamaged(f"The {kind} model {entry_id} is damaged: {what}.", remedy=remedy)

    @contextlib.contextmanager
    def _alone(self, kind: ModelKind) -> Iterator[Path]:
        """The folder of a kind, while no other thread or process changes it."""
        folder = self._root / kind
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # ends with the file, even by a crash
            yield folder

    @contextlib.contextmanager
    def _new_folder(self, card: ModelCard) -> Iterator[Path]:
        """A hidden folder that gets its name when all went well, and is removed when not."""
        with self._alone(card.kind) as folder:
            _sweep(folder)
            writing = folder / f".{card.id}{WRITING}"
            try:
                if (folder / card.id).exists():
                    raise FileExistsError
                writing.mkdir()
            except FileExistsError:
                raise InvalidInput(f"there is a model {card.id} already", field="id") from None
            held = os.open(writing, os.O_RDONLY)
            fcntl.flock(held, fcntl.LOCK_EX)  # tells `_sweep` that somebody is at work
        try:
            yield writing
            writing.rename(folder / card.id)
            _flush_folder(folder)
        except BaseException:
            shutil.rmtree(writing, ignore_errors=True)
            raise
        finally:
            os.close(held)


def _require_not_worse(card: ModelCard, live: str) -> None:
    """`live`: id of what it would take the place of; "" for none."""
    row, forced = card.comparison, "--force makes it live all the same"
    without = "the shop without such a model"
    if row is None:
        if card.ahead is not None:
            raise InvalidInput(f"model {card.id} was measured behind {card.ahead}; {forced}", field="id")
    elif row.is_worse:
        raise InvalidInput(
            f"model {card.id} was measured worse than {row.baseline or without}: {row.metric} "
            f"{row.difference:+.4f} ({row.low:+.4f} to {row.high:+.4f}); {forced}",
            field="id",
        )
    elif row.baseline != live:
        raise InvalidInput(
            f"model {card.id} was compared with {row.baseline or without}, and {live or 'none'} is live now; train it "
            f"again to have it compared with that, or {forced}",
            field="id",
        )


def _sweep(folder: Path) -> None:
    """Remove what crashes left half written: folders that nobody holds any more."""
    for path in folder.glob(f".*{WRITING}/"):
        try:
            held = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue  # finished at this moment
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(held)


def _checksums(folder: Path) -> dict[str, str]:
    """Of all files but the README, which is for people and may be written by the trainer's library, too."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {name: _checksum(path) for path in paths if (name := path.relative_to(folder).as_posix()) != README}


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(folder: Path) -> None:
    """Everything below `folder` onto the disk."""
    for path in folder.rglob("*"):
        if path.is_dir():
            _flush_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _swap(path: Path, content: bytes) -> None:
    """Replace a file in one step: a reader sees the old content or the new, also after a power failure."""
    writing = path.with_name(f".{path.name}{WRITING}")
    with writing.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    writing.replace(path)
    _flush_folder(path.parent)
