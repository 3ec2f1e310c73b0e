"""Traffic split between two models of a kind: which experiment runs, and who is in which arm.

    home/models/registry/next-item/experiments.json    all of the kind, oldest first; at most one runs

Arm A is the model that is live, B a candidate. A person is in one arm for as long as an experiment runs: by a salted
hash of their id, or of their session's where nobody has signed in, so that no list of people is kept and two
experiments split people apart anew. Several processes may work on one home; a service learns of a start or stop by
`stamp`. An experiment has ended where its live model was replaced, be it for a minute, or its candidate withdrawn. What
came of it is counted elsewhere (`eval.online`).
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from retrieval.model_card import ModelKind
from retrieval.registry import Entry, Registry, Stamp
from tasteline.errors import InvalidInput, ModelDamaged
from tasteline.trials import Arm, Trial

FILE: Final = "experiments.json"
UNIT_BYTES: Final = 8
LEAST_SHARE: Final = 0.01
"""Of either arm: below, an experiment takes a hundred times as long."""


OnlineMetric = Literal["click", "cart", "purchase"]
"""What a ranking may lead to."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """One split of one kind's traffic."""

    id: str
    kind: ModelKind
    a: str
    """Id of the model that was live at the start."""
    b: str
    share: float
    """Of people who get B."""
    salt: str
    decides: OnlineMetric
    """Chosen before the start: of three that are looked at, one is better by luck more often."""
    started: AwareDatetime
    stopped: AwareDatetime | None = None


_EXPERIMENTS: Final = TypeAdapter(tuple[Experiment, ...])


def assigned(experiment: Experiment, key: str) -> Trial:
    """The arm of whoever `key` is; always the same, on every machine.

    >>> one = Experiment("x", "next-item", "a", "b", 0.5, "s", "click", datetime(2026, 1, 1, tzinfo=UTC))
    >>> len({assigned(one, "anna").unit for _ in range(9)})
    1
    >>> sum(assigned(one, f"u{number}").arm == "B" for number in range(1000)) in range(450, 550)
    True
    """
    digest = blake2b(
        key.encode("utf-8", "surrogatepass"), key=experiment.salt.encode(), digest_size=2 * UNIT_BYTES
    ).digest()
    # Two halves, so that a unit, which is kept, says nothing of how near to the border somebody is.
    drawn = int.from_bytes(digest[:UNIT_BYTES]) / 2 ** (8 * UNIT_BYTES)
    arm: Arm = "B" if drawn < experiment.share else "A"
    return Trial(experiment.id, arm, digest[UNIT_BYTES:].hex())


def key_of(user_id: str | None, session_id: str | None) -> str | None:
    """Whom an arm is drawn for; None for somebody who comes without a name and without a session.

    >>> key_of("7", "7") == key_of(None, "7"), key_of(None, None)
    (False, None)
    """
    if user_id is not None:
        return f"user {user_id}"
    return None if session_id is None else f"session {session_id}"


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _token() -> str:
    return secrets.token_hex(8)


class Experiments:
    """The experiments of one home. `live`, `stamp` and `verify` make it what a `LiveModel` of arm B follows."""

    def __init__(
        self, home: Path, now: Callable[[], datetime] = _utc_now, new_token: Callable[[], str] = _token
    ) -> None:
        self._root = home / "models" / "registry"
        self._registry = Registry(home)
        self._now = now
        self._new_token = new_token

    def start(self, entry_id: str, share: float = 0.5, decides: OnlineMetric = "click") -> Experiment:
        """Give `share` of the people this model instead of the live one of its kind.

        Raises NotFound; InvalidInput where none is live, where it is live itself, was withdrawn, or where an experiment
        of the kind runs already.
        """
        entry = self._registry.entry(entry_id)
        kind = entry.card.kind
        self._registry.verify(entry)
        if not LEAST_SHARE <= share <= 1 - LEAST_SHARE:
            raise InvalidInput(
                f"a share of {share:g} is not within {LEAST_SHARE:g} and {1 - LEAST_SHARE:g}", field="share"
            )
        with self._alone(kind), self._registry.standing_still(kind):
            live = self._compared_with(entry)
            if (running := self.running(kind)) is not None:
                raise InvalidInput(f"experiment {running.id} of {kind} runs already; stop it first", field="id")
            salt, now = self._new_token(), self._now()
            made = Experiment(self._id(now, salt), kind, live, entry.id, share, salt, decides, now)
            # One that has ended by itself is closed with the next.
            before = (replace(each, stopped=each.stopped or now) for each in self.all(kind))
            self._write(kind, (*before, made))
        return made

    def _compared_with(self, entry: Entry) -> str:
        """Id of the live model, where this one can be tried beside it."""
        kind = entry.card.kind
        live = self._registry.live(kind)
        if live is None:
            raise InvalidInput(f"no {kind} model is live to compare {entry.id} with; promote one first", field="id")
        if live.id == entry.id:
            raise InvalidInput(f"{entry.id} is the live {kind} model itself", field="id")
        if self._registry.is_withdrawn(kind, entry.id):
            raise InvalidInput(f"{entry.id} was withdrawn for good", field="id")
        return live.id

    @staticmethod
    def _id(now: datetime, salt: str) -> str:
        """Sorts by time; some of the salt's digest keeps two of one second apart and tells nothing of it."""
        return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{blake2b(salt.encode(), digest_size=3).hexdigest()}"

    def stop(self, kind: ModelKind) -> Experiment:
        """Everybody gets the live model again. Raises InvalidInput where none runs."""
        with self._alone(kind):
            known = self.all(kind)
            if not known or known[-1].stopped is not None:
                raise InvalidInput(f"no experiment of {kind} runs", field="kind")
            stopped = replace(known[-1], stopped=self._now())
            self._write(kind, (*known[:-1], stopped))
        return stopped

    def running(self, kind: ModelKind) -> Experiment | None:
        """None too where what it compares is no longer compared: one that has ended so does not begin again."""
        known = self.all(kind)
        if not known or known[-1].stopped is not None:
            return None
        last = known[-1]
        compared = self._still_live(last) and not self._registry.is_withdrawn(kind, last.b)
        return last if compared else None

    def _still_live(self, experiment: Experiment) -> bool:
        """Whether the model of arm A has been live ever since the start."""
        history = self._registry.history(experiment.kind)
        stood = [
            promotion
            for promotion in history
            if promotion.at <= experiment.started
            and (promotion.rolled_back is None or promotion.rolled_back > experiment.started)
        ]
        since = any(promotion.at > experiment.started for promotion in history)
        return bool(stood) and stood[-1].id == experiment.a and stood[-1].rolled_back is None and not since

    def all(self, kind: ModelKind) -> tuple[Experiment, ...]:
        """Oldest first. Raises ModelDamaged where the file cannot be read."""
        path = self._root / kind / FILE
        try:
            return _EXPERIMENTS.validate_json(path.read_bytes())
        except FileNotFoundError:
            return ()
        except ValidationError as error:
            message = f"{path} is damaged, so it is not known which experiments there were."
            raise ModelDamaged(message, remedy=f"rm '{path}'") from error

    def live(self, kind: ModelKind) -> Entry | None:
        """The candidate of the running experiment."""
        running = self.running(kind)
        return None if running is None else self._registry.entry(running.b)

    def verify(self, entry: Entry) -> None:
        self._registry.verify(entry)

    def stamp(self, kind: ModelKind) -> Stamp | None:
        """Differs after each start and stop, and after whatever changes the live model; None before the first."""
        try:
            status = (self._root / kind / FILE).stat()
        except FileNotFoundError:
            return None
        pointer = self._registry.stamp(kind) or (0, 0, 0)
        return status.st_ino, status.st_mtime_ns ^ pointer[1] ^ pointer[0], status.st_size + pointer[2]

    @contextmanager
    def _alone(self, kind: ModelKind) -> Iterator[None]:
        folder = self._root / kind
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".experiments.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # ends with the file, even by a crash
            yield

    def _write(self, kind: ModelKind, experiments: tuple[Experiment, ...]) -> None:
        """In one step: a reader sees the old content or the new."""
        path = self._root / kind / FILE
        writing = path.with_suffix(".writing")
        with writing.open("wb") as file:
            file.write(_EXPERIMENTS.dump_json(experiments, indent=2))
            file.flush()
            os.fsync(file.fileno())
        writing.replace(path)
