"""The live model of a running service: exchanged under its readers, never by something that does not work."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from retrieval.follow import Follower
from retrieval.live_model import LiveModel
from retrieval.registry import Entry, Registry
from tests.unit.retrieval.trained import WEIGHTS, card, damage, registered, writing


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


class Loader:
    """Reads the weights of an entry; says which it was asked for, and breaks for those in `broken`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.broken: set[str] = set()

    def __call__(self, entry: Entry) -> str:
        self.asked.append(entry.id)
        if entry.id in self.broken:
            raise RuntimeError("weights of\nanother shape")
        return (entry.folder / WEIGHTS).read_text()


def in_use(live: LiveModel[str]) -> tuple[str, str] | None:
    loaded = live.current()
    return (loaded.entry.id, loaded.model) if loaded else None


def of(entry: Entry) -> tuple[str, str]:
    return entry.id, f"weights of {entry.id}"


def test_nothing_until_something_is_promoted(registry: Registry) -> None:
    load = Loader()
    live = LiveModel(registry, "next-item", load)
    live.follow()
    a = registered(registry, 0)
    live.follow()
    assert (live.kind, live.current(), live.problem, load.asked) == ("next-item", None, None, [])
    registry.promote(a.id)
    assert live.current() is None
    live.follow()
    assert (in_use(live), live.problem) == (of(a), None)


def test_loaded_once_for_each_change(registry: Registry) -> None:
    a, b = registered(registry, 0), registered(registry, 1)
    registry.promote(a.id)
    load = Loader()
    live = LiveModel(registry, "next-item", load)
    for _ in range(3):
        live.follow()
    registry.promote(b.id)
    live.follow()
    assert in_use(live) == of(b)
    registry.rollback("next-item")
    live.follow()
    assert in_use(live) == of(a)
    registry.promote(a.id)  # live already
    live.follow()
    registry.promote(b.id)
    registry.rollback("next-item")
    live.follow()
    assert load.asked == [a.id, b.id, a.id]


def test_other_kinds_are_none_of_its_business(registry: Registry) -> None:
    registry.promote(registered(registry, 0, kind="encoder").id)
    live = LiveModel(registry, "next-item", Loader())
    live.follow()
    assert live.current() is None


def test_warmed_before_anybody_sees_it(registry: Registry) -> None:
    a, b = registered(registry, 0), registered(registry, 1)
    seen: list[tuple[str, tuple[str, str] | None]] = []
    live: LiveModel[str] = LiveModel(registry, "next-item", Loader(), lambda model: seen.append((model, in_use(live))))
    for entry in (a, b):
        registry.promote(entry.id)
        live.follow()
        live.follow()
    assert seen == [(of(a)[1], None), (of(b)[1], of(a))]


Break = Callable[[Entry, Loader], object]
BREAKING: dict[str, Break] = {
    "the loader breaks": lambda entry, load: load.broken.add(entry.id),
    "its files are damaged": lambda entry, load: damage(entry),
    "its card is damaged": lambda entry, load: (entry.folder / "card.json").write_text("{"),
    "the pointer is damaged": lambda entry, load: (entry.folder.parent / "live.json").write_text("{"),
    "its folder is gone": lambda entry, load: entry.folder.rename(entry.folder.with_name(".gone")),
}


@pytest.mark.parametrize("what", BREAKING)
def test_what_cannot_be_loaded_keeps_the_old_and_is_tried_once(registry: Registry, what: str) -> None:
    a, b, c = (registered(registry, number) for number in range(3))
    load = Loader()
    live = LiveModel(registry, "next-item", load)
    registry.promote(a.id)
    live.follow()
    registry.promote(b.id)
    BREAKING[what](b, load)
    with capture_logs() as logs:
        for _ in range(3):
            live.follow()
    assert in_use(live) == of(a)
    assert live.problem is not None
    assert f"{a.id} is in use instead" in live.problem
    assert "\n" not in live.problem
    assert [entry["event"] for entry in logs] == ["model_not_loaded"]
    assert load.asked.count(b.id) <= 1
    (registry._root / "next-item" / "live.json").unlink()
    registry.promote(c.id)
    live.follow()
    assert (in_use(live), live.problem) == (of(c), None)


def test_a_rollback_ends_the_trouble_without_loading_anew(registry: Registry) -> None:
    a, b = registered(registry, 0), registered(registry, 1)
    load = Loader()
    live = LiveModel(registry, "next-item", load)
    load.broken.add(b.id)
    for entry in (a, b):
        registry.promote(entry.id)
        live.follow()
    registry.rollback("next-item")
    live.follow()
    assert (in_use(live), live.problem) == (of(a), None)
    assert load.asked == [a.id, b.id]


def test_promoting_again_tries_again(registry: Registry) -> None:
    a = registered(registry, 0)
    load = Loader()
    live = LiveModel(registry, "next-item", load)
    registry.promote(a.id)
    load.broken.add(a.id)
    live.follow()
    assert live.current() is None
    assert live.problem is not None
    assert "none is in use instead: weights of another shape" in live.problem
    load.broken.clear()
    live.follow()
    assert live.current() is None
    registry.promote(a.id)
    live.follow()
    assert (in_use(live), live.problem) == (of(a), None)


def test_a_model_that_cannot_be_warmed_is_not_used(registry: Registry) -> None:
    def warm(model: str) -> None:
        raise ValueError("NaN")

    live = LiveModel(registry, "next-item", Loader(), warm)
    registry.promote(registered(registry, 0).id)
    live.follow()
    assert live.current() is None
    assert live.problem is not None


def test_readers_never_see_a_model_with_the_entry_of_another(registry: Registry) -> None:
    entries = [registered(registry, number) for number in range(2)]
    registry.promote(entries[0].id)
    live = LiveModel(registry, "next-item", Loader())
    live.follow()
    stop = threading.Event()
    seen: list[set[tuple[str, str] | None]] = [set() for _ in range(2)]

    def read(into: set[tuple[str, str] | None]) -> None:
        while not stop.is_set():
            into.add(in_use(live))
            time.sleep(0)  # spinning, but not at the cost of the writer

    threads = [threading.Thread(target=read, args=(into,)) for into in seen]
    for thread in threads:
        thread.start()
    try:
        for turn in range(1, 21):
            registry.promote(entries[turn % 2].id)
            live.follow()
            assert in_use(live) == of(entries[turn % 2])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set().union(*seen) == {of(entry) for entry in entries}


def test_reading_does_not_wait_for_loading(registry: Registry) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(entry: Entry) -> str:
        if entry.id == b.id:
            begun.set()
            assert go_on.wait(20)
        return f"weights of {entry.id}"

    a, b = registered(registry, 0), registered(registry, 1)
    live = LiveModel(registry, "next-item", slowly)
    registry.promote(a.id)
    live.follow()
    registry.promote(b.id)
    thread = threading.Thread(target=live.follow)
    thread.start()
    assert begun.wait(20)
    assert in_use(live) == of(a)
    go_on.set()
    thread.join()
    assert in_use(live) == of(b)


def test_a_promotion_while_loading_is_not_missed(registry: Registry) -> None:
    a, b = registered(registry, 0), registered(registry, 1)

    def load(entry: Entry) -> str:
        if entry.id == a.id:
            registry.promote(b.id)
        return f"weights of {entry.id}"

    live = LiveModel(registry, "next-item", load)
    registry.promote(a.id)
    live.follow()
    live.follow()
    assert in_use(live) == of(b)


PROMOTE = "import sys; from pathlib import Path; from retrieval.registry import Registry; \
Registry(Path(sys.argv[1])).promote(sys.argv[2])"


def test_another_process_promotes_and_the_service_follows_within_two_seconds(
    registry: Registry, tmp_path: Path
) -> None:
    a, b = (registry.register(card(number), writing(f"weights of {card(number).id}")) for number in range(2))
    registry.promote(a.id)
    live = LiveModel(registry, "next-item", Loader())
    follower = Follower({"next-item model": live.follow}, lambda step: None)
    follower.start()
    try:
        subprocess.run([sys.executable, "-c", PROMOTE, str(tmp_path), b.id], check=True, timeout=60)
        deadline = time.monotonic() + 2
        while in_use(live) != of(b) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert in_use(live) == of(b)
    finally:
        follower.close()
