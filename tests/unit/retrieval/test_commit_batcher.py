"""The group commit: right counts for each submission, one commit for many, and one bad submission fails alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest

from retrieval.adapters.store_sql import SqlStore
from retrieval.commit_batcher import CommitBatcher
from tasteline.errors import InvalidInput, Overloaded, TransientError
from tasteline.ports import Written
from tasteline.types import Event, EventType

WAIT = 10.0


def view(id_: str) -> Event:
    return Event(id_, EventType.VIEW_ITEM, user_id="ann", product_id="p")


class GatedStore:
    """Holds every commit until `gate` opens, so that a test decides what waits together. Refuses the id "bad"."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.commits: list[list[int]] = []
        self.written: list[str] = []
        self.error: Exception | None = None

    def append_event_groups(self, groups: Sequence[Sequence[Event]]) -> list[Written]:
        self.entered.release()
        assert self.gate.wait(WAIT)
        self.commits.append([len(group) for group in groups])
        if self.error is not None:
            raise self.error
        if any(event.id == "bad" for group in groups for event in group):
            raise InvalidInput("bad event")
        self.written += [event.id for group in groups for event in group]
        return [Written(len(group), 0) for group in groups]

    def hold(self, batcher: CommitBatcher) -> Future[Written]:
        """Submits one event and returns once its commit is under way: what comes next has to wait."""
        future = batcher.submit([view("first")])
        assert self.entered.acquire(timeout=WAIT)
        return future


@pytest.fixture
def gated() -> Iterator[GatedStore]:
    store = GatedStore()
    yield store
    store.gate.set()


def test_what_waits_is_committed_together_in_order(gated: GatedStore) -> None:
    batcher = CommitBatcher(gated)
    gated.hold(batcher)
    futures = [batcher.submit([view(f"{i}a"), view(f"{i}b")]) for i in range(5)]
    gated.gate.set()
    assert [future.result(WAIT) for future in futures] == [Written(2, 0)] * 5
    assert gated.commits == [[1], [2] * 5]
    assert gated.written == ["first"] + [f"{i}{half}" for i in range(5) for half in "ab"]
    batcher.close()


def test_a_batch_is_not_larger_than_allowed_unless_one_submission_is(gated: GatedStore) -> None:
    batcher = CommitBatcher(gated, max_batch=4)
    gated.hold(batcher)
    for size in (3, 2, 2, 9, 1):
        batcher.submit([view(f"{size}-{i}") for i in range(size)])
    gated.gate.set()
    batcher.close()
    assert gated.commits == [[1], [3], [2, 2], [9], [1]]


def test_one_bad_submission_fails_alone(gated: GatedStore) -> None:
    batcher = CommitBatcher(gated)
    gated.hold(batcher)
    before, bad, after = (batcher.submit([view(id_)]) for id_ in ("a", "bad", "b"))
    gated.gate.set()
    assert (before.result(WAIT), after.result(WAIT)) == (Written(1, 0), Written(1, 0))
    with pytest.raises(InvalidInput):
        bad.result(WAIT)
    batcher.close()
    assert gated.written == ["first", "a", "b"]


def test_a_locked_store_fails_all_who_wait_at_once(gated: GatedStore) -> None:
    batcher = CommitBatcher(gated)
    gated.error = TransientError("locked")
    futures = [gated.hold(batcher), batcher.submit([view("a")]), batcher.submit([view("b")])]
    gated.gate.set()
    for future in futures:
        with pytest.raises(TransientError):
            future.result(WAIT)
    assert gated.commits == [[1], [1, 1]]
    gated.error = None
    assert batcher.submit([view("c")]).result(WAIT) == Written(1, 0), "the writer went on"
    batcher.close()


def test_too_much_waiting_is_refused_and_later_taken(gated: GatedStore) -> None:
    batcher = CommitBatcher(gated, max_waiting=3)
    gated.hold(batcher)
    batcher.submit([view("a"), view("b")])
    with pytest.raises(Overloaded):
        batcher.submit([view("c"), view("d")])
    batcher.submit([view("c")])
    gated.gate.set()
    batcher.close()
    assert gated.written == ["first", "a", "b", "c"]


def test_an_empty_queue_takes_any_size(gated: GatedStore) -> None:
    gated.gate.set()
    batcher = CommitBatcher(gated, max_batch=2, max_waiting=2)
    assert batcher.submit([view(str(i)) for i in range(7)]).result(WAIT) == Written(7, 0)
    batcher.close()


def test_close_commits_what_waits_and_then_takes_no_more(gated: GatedStore) -> None:
    batcher = CommitBatcher(gated, max_batch=1)
    gated.hold(batcher)
    futures = [batcher.submit([view(str(i))]) for i in range(20)]
    gated.gate.set()
    batcher.close()
    assert all(future.done() for future in futures)
    assert len(gated.written) == 21
    with pytest.raises(TransientError):
        batcher.submit([view("late")])
    batcher.close()


def test_a_cancelled_submission_is_not_written(gated: GatedStore) -> None:
    batcher = CommitBatcher(gated)
    gated.hold(batcher)
    cancelled, kept = batcher.submit([view("no")]), batcher.submit([view("yes")])
    assert cancelled.cancel()
    gated.gate.set()
    batcher.close()
    assert gated.written == ["first", "yes"]
    assert kept.result(0) == Written(1, 0)
    with pytest.raises(CancelledError):
        cancelled.result(0)


def test_nothing_submitted_needs_no_commit(gated: GatedStore) -> None:
    batcher = CommitBatcher(gated)
    assert batcher.submit([]).result(0) == Written(0, 0)
    batcher.close()
    assert gated.commits == []


def test_counts_of_many_threads_add_up_on_a_real_store(tmp_path_factory: pytest.TempPathFactory) -> None:
    """200 submissions of 10 events from 16 threads, every id sent twice: each id is accepted exactly once."""
    store = SqlStore(f"sqlite:///{tmp_path_factory.mktemp('batcher')}/shop.db")
    batcher = CommitBatcher(store)
    submissions = [[view(f"e{(i * 10 + j) % 1000}") for j in range(10)] for i in range(200)]
    with ThreadPoolExecutor(16) as pool:
        written = [future.result(WAIT) for future in pool.map(batcher.submit, submissions)]
    batcher.close()
    assert sum(counts.accepted for counts in written) == 1000
    assert sum(counts.repeated for counts in written) == 1000
    assert all(counts.accepted + counts.repeated == 10 for counts in written)
    assert len(list(store.events())) == 1000
    store.close()
