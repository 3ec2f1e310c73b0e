"""The live model of one kind in a running service, exchanged while readers read.

Takes a registry and what makes a model of an entry; gives the model in use and what is wrong with the one that ought to
be. A promotion or rollback by any process is seen at the next `follow`. Knows nothing of what a model is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import structlog

from retrieval.model_card import ModelKind
from retrieval.registry import Entry, Stamp

T_co = TypeVar("T_co", covariant=True)
Role = Literal["live", "candidate"]
"""What a model is used as: for everybody, or for the other arm of an experiment."""

log = structlog.get_logger(__name__)


class Pointing(Protocol):
    """What says which model is to be in use: a registry, or the experiments that compare another with it."""

    def live(self, kind: ModelKind) -> Entry | None: ...
    def stamp(self, kind: ModelKind) -> Stamp | None: ...
    def verify(self, entry: Entry) -> None: ...


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T_co]):
    """A model and the entry that it came from: always of one another."""

    entry: Entry
    model: T_co


class Followed(Protocol):
    """What a service tells of any live model."""

    @property
    def kind(self) -> ModelKind: ...
    def current(self) -> Loaded[object] | None: ...
    @property
    def problem(self) -> str | None: ...
    @property
    def progress(self) -> str | None:
        """What is under way, for people; None where nothing takes long."""
        ...


class LiveModel(Generic[T_co]):
    """`load` makes a model of an entry whose files were checked; `warm`, if given, asks it once before it is used.

    Loading happens on the thread that calls `follow`. A kind that takes long to load is given a `Follower` of its own,
    so that the indexes need not wait for it. `role` is for what people are told of it.
    """

    def __init__(
        self,
        registry: Pointing,
        kind: ModelKind,
        load: Callable[[Entry], T_co],
        warm: Callable[[T_co], None] | None = None,
        role: Role = "live",
    ) -> None:
        self.kind = kind
        self._registry = registry
        self._load = load
        self._warm = warm
        self._role = role
        self._loaded: Loaded[T_co] | None = None
        self._problem: str | None = None
        self._seen: Stamp | None = None
        self._following = threading.Lock()

    def current(self) -> Loaded[T_co] | None:
        """What is in use now; None where nothing was promoted or could be loaded yet. Never waits.

        Take it once for a request and keep it: the next call may give another one, and the former stays usable.
        """
        return self._loaded

    @property
    def problem(self) -> str | None:
        """Why what is live in the registry is not what is in use; None where all is well."""
        return self._problem

    @property
    def progress(self) -> str | None:
        return None

    def follow(self) -> None:
        """Load what was promoted since the last call; one stat of a file where nothing was.

        A model that cannot be loaded is logged and named by `problem`; what was in use stays, and it is not tried again
        until somebody promotes or rolls back (promoting the same one again counts).
        """
        with self._following:
            stamp = self._registry.stamp(self.kind)
            if stamp == self._seen:
                return
            self._seen = stamp  # taken before reading: what is promoted meanwhile is seen at the next call
            try:
                self._loaded = self._live()
                self._problem = None
            except Exception as error:  # a loader may fail in any way, and the service goes on with what it has
                self._problem = self._told(error)
                log.exception("model_not_loaded", kind=self.kind, in_use=self._in_use())

    def _live(self) -> Loaded[T_co] | None:
        entry = self._registry.live(self.kind)
        if entry is None:
            return None
        if self._loaded is not None and self._loaded.entry.id == entry.id:
            return self._loaded
        self._registry.verify(entry)
        model = self._load(entry)
        if self._warm is not None:
            self._warm(model)
        log.info("model_live", kind=self.kind, model=entry.id, before=self._in_use())
        return Loaded(entry, model)

    def _told(self, error: Exception) -> str:
        goes_on, why = self._in_use() or "none", " ".join(str(error).split())
        return f"the {self._role} {self.kind} model cannot be used, {goes_on} is in use instead: {why}"

    def _in_use(self) -> str | None:
        return self._loaded.entry.id if self._loaded else None


def in_use(live: LiveModel[T_co]) -> T_co | None:
    """The model alone, for who asks only it."""
    loaded = live.current()
    return loaded.model if loaded is not None else None
