"""Following the store: counts, vocabulary, and the ticks that drive them."""

import itertools
import threading
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from retrieval import follow
from retrieval.adapters.store_sql import SqlStore
from retrieval.follow import Behaviour, Follower, Reader
from retrieval.models.behaviour import BehaviourCounts
from tests.unit.retrieval.small_shop import event, new_live, product


@pytest.fixture
def store() -> SqlStore:
    made = SqlStore("sqlite://")
    made.put_products([product("a", "Tent", "Tents", price=100), product("b", "Kettle", "Kettles", price=200)])
    return made


def opened(store: SqlStore, path: Path) -> Behaviour:
    behaviour = Behaviour(store, new_live(store), path)
    behaviour.open()
    return behaviour


def test_counts_are_fitted_once_kept_and_topped_up(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "models" / "counts.npz"
    store.append_events([event("u", "a", position=0), event("u", "b", position=1)])
    assert opened(store, path)().followers("a") == {"b": 1.0}
    assert path.exists()
    store.append_events([event("v", "a", position=0), event("v", "c", position=1)])
    monkeypatch.setattr(BehaviourCounts, "fit", None)  # a second fit would fail
    again = opened(store, path)
    assert again().followers("a") == {"b": 0.5, "c": 0.5}
    store.append_events([event("w", "c")])
    again.follow()
    assert again().popularity(["a", "b", "c"]).tolist() == [2, 1, 2]


def test_more_events_than_fit_one_lock(store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "EVENTS_AT_ONCE", 2)
    behaviour = opened(store, tmp_path / "counts.npz")
    store.append_events([event(f"u{i}", "a") for i in range(5)])
    behaviour.follow()
    assert behaviour().popularity(["a"]).tolist() == [5.0]
    behaviour.follow()
    assert behaviour().popularity(["a"]).tolist() == [5.0]


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04cut"])
def test_a_damaged_file_is_fitted_anew(store: SqlStore, tmp_path: Path, content: bytes) -> None:
    store.append_events([event("u", "a")])
    path = tmp_path / "counts.npz"
    path.write_bytes(content)
    assert opened(store, path)().popularity(["a"]).tolist() == [1.0]
    assert BehaviourCounts.load(path).sequence > 0


def test_an_erased_person_is_counted_no_more(store: SqlStore, tmp_path: Path) -> None:
    path = tmp_path / "counts.npz"
    store.append_events([event("anna", "a", position=0), event("anna", "b", position=1), event("bo", "b")])
    behaviour = opened(store, path)
    store.erase_user("anna")
    behaviour.follow()
    assert behaviour().popularity(["a", "b"]).tolist() == [0, 1]
    assert behaviour().followers("a") == {}
    assert BehaviourCounts.load(path).popularity(["a"]).tolist() == [0]
    store.erase_user("bo")
    assert opened(store, path)().popularity(["b"]).tolist() == [0]


def test_an_erasure_between_two_runs_is_noticed(store: SqlStore, tmp_path: Path) -> None:
    path = tmp_path / "counts.npz"
    store.append_events([event("anna", "a")])
    opened(store, path)
    store.erase_user("anna")
    assert opened(store, path)().popularity(["a"]).tolist() == [0]


def test_the_reader_learns_the_catalogue(store: SqlStore) -> None:
    live = new_live(store)
    reader = Reader(live)
    assert reader("tent under $50", ()).query == "tent"
    store.put_products([product(f"n{i}", "Tent", "Tents", brand="Northgale") for i in range(5)])
    live.sync()
    reader.follow()
    assert [c.key for c in reader("northgale tent", ()).constraints] == ["brand:northgale"]


def test_the_reader_rests_after_its_work(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, work = itertools.count(100.0), itertools.count()  # every reading of the catalogue is a second's work
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(time, "thread_time", lambda: next(work))
    live = new_live(store)
    live.sync()
    reader = Reader(live)
    reader.follow()
    first = reader.vocabulary
    store.put_products([product("c", "Stove")])
    live.sync()
    reader.follow()
    assert reader.vocabulary is first
    clock = itertools.count(100.0 + 10 * follow.REST)
    reader.follow()
    second = reader.vocabulary
    assert second is not first
    clock = itertools.count(100.0 + 100 * follow.REST)
    reader.follow()
    assert reader.vocabulary is second  # nothing has changed


def test_a_step_that_fails_stops_neither_the_others_nor_the_next_tick() -> None:
    done: list[str] = []
    failed: list[str] = []

    def breaks() -> None:
        raise RuntimeError("boom")

    follower = Follower({"first": breaks, "second": lambda: done.append("second")}, failed.append)
    with capture_logs() as logs:
        follower.tick()
        follower.tick()
    assert (done, failed) == (["second", "second"], ["first", "first"])
    assert [entry["step"] for entry in logs] == ["first", "first"]


def test_it_ticks_until_closed_and_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "TICK_SECONDS", 0.005)
    ticks: list[str] = []
    third = threading.Event()

    def tick() -> None:
        ticks.append(threading.current_thread().name)
        if len(ticks) >= 3:
            third.set()

    follower = Follower({"count": tick}, ticks.append)
    follower.start()
    assert third.wait(5)
    follower.close()
    assert ticks[-1] == "MainThread"
    count = len(ticks)
    time.sleep(0.03)
    assert len(ticks) == count


def test_closed_before_it_was_started_it_still_does_its_work() -> None:
    done: list[int] = []
    Follower({"step": lambda: done.append(1)}, lambda _: None).close()
    assert done == [1]
