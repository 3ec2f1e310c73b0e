"""Group commit: events that arrive together reach the disk in one commit, each submission with its own answer.

A commit that is safe on the disk costs the same for one event as for a thousand. So one writer thread takes everything
that waits, commits it at once, and while that lasts the next batch gathers: alone, a submission waits for nobody; in
a crowd, for two commits at most. Takes events from any thread, gives a future that is resolved after the commit.
It does not know what a store is beyond `EventStore`, nor what events mean.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from tasteline.errors import Overloaded, TransientError
from tasteline.ports import EventStore, Written
from tasteline.types import Event


@dataclass(frozen=True, slots=True)
class _Submission:
    events: tuple[Event, ...]
    written: Future[Written] = field(default_factory=Future)


class CommitBatcher:
    """Commits what is submitted from any thread, in the order of submission.

    `max_batch`: events in one commit; a larger submission is committed alone. `max_waiting`: events that may wait;
    beyond it `submit` raises Overloaded. A batch that the store refuses is tried again one submission at a time, so
    that a bad one fails alone; a batch that meets a TransientError fails as a whole, for it would only meet it again.
    """

    def __init__(self, store: EventStore, max_batch: int = 5000, max_waiting: int = 50_000) -> None:
        self._store = store
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: deque[_Submission] = deque()
        self._waiting_events = 0
        self._closing = False
        self._changed = threading.Condition()
        # A daemon: a program that forgets `close` must still be able to end.
        self._writer = threading.Thread(target=self._write, name="commit-batcher", daemon=True)
        self._writer.start()

    def submit(self, events: Sequence[Event]) -> Future[Written]:
        """The counts of these events, once they are on the disk; or the error that kept them from it.

        Raises Overloaded when too much waits already, and TransientError after `close`.
        """
        submission = _Submission(tuple(events))
        if not submission.events:
            submission.written.set_result(Written(0, 0))
            return submission.written
        with self._changed:
            if self._closing:
                raise TransientError("The service is shutting down; send the events again.")
            # An empty queue takes a submission of any size: it could never be taken otherwise.
            if self._waiting and self._waiting_events + len(submission.events) > self._max_waiting:
                raise Overloaded(f"{self._waiting_events} events wait to be written; send these again later.")
            self._waiting.append(submission)
            self._waiting_events += len(submission.events)
            self._changed.notify()
        return submission.written

    def close(self) -> None:
        """Takes no more, and returns when everything that was submitted is committed or has failed."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._writer.join()

    def _write(self) -> None:
        while batch := self._next_batch():
            # A future that was cancelled in time is not written; one that is under way cannot be cancelled any more.
            wanted = [submission for submission in batch if submission.written.set_running_or_notify_cancel()]
            if wanted:
                self._commit(wanted)

    def _next_batch(self) -> list[_Submission]:
        """Waits for work; empty once closing and drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            batch: list[_Submission] = []
            size = 0
            while self._waiting and (not batch or size + len(self._waiting[0].events) <= self._max_batch):
                submission = self._waiting.popleft()
                batch.append(submission)
                size += len(submission.events)
            self._waiting_events -= size
            return batch

    def _commit(self, batch: Sequence[_Submission]) -> None:
        try:
            counts = self._store.append_event_groups([submission.events for submission in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait for the answer
            if len(batch) == 1 or isinstance(error, TransientError):
                for submission in batch:
                    submission.written.set_exception(error)
                return
            for submission in batch:
                self._commit([submission])
            return
        for submission, written in zip(batch, counts, strict=True):
            submission.written.set_result(written)
