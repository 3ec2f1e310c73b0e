"""Computed once, then behind the asker's back, and never given again once the stamp has moved."""

import threading
import time

from retrieval.offers.kept import REST, Kept


class Work:
    """Counts its calls; each takes one second of `clock`."""

    def __init__(self) -> None:
        self.calls, self.now, self.stamp = 0, 0.0, 0
        self.kept = Kept(self.make, lambda: self.stamp, lambda: self.now)

    def make(self) -> int:
        self.calls += 1
        self.now += 1.0
        return self.calls


def settled(work: Work, calls: int) -> None:
    until = time.monotonic() + 5
    while work.calls < calls or any(thread.name == "kept" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_it_serves_in_proportion_to_what_it_cost() -> None:
    work = Work()
    assert [work.kept(), work.kept()] == [1, 1]
    work.now += REST - 0.5
    assert work.kept() == 1
    assert work.calls == 1


def test_what_has_aged_is_given_while_the_next_is_made() -> None:
    work = Work()
    work.kept()
    work.now += REST + 1
    assert work.kept() == 1
    settled(work, 2)
    assert work.kept() == 2


def test_a_moved_stamp_ends_the_old_result() -> None:
    work = Work()
    work.kept()
    work.stamp += 1
    assert work.kept() == 2


def test_one_that_fails_leaves_the_old_result() -> None:
    work, failing = Work(), threading.Event()

    def make() -> int:
        if failing.is_set():
            failing.clear()
            raise ValueError("broken")
        return work.make()

    kept = Kept(make, lambda: 0, lambda: work.now)
    assert kept() == 1
    failing.set()
    work.now += REST + 1
    assert kept() == 1
    settled(work, 1)
    assert kept() == 1
    settled(work, 2)
    assert kept() == 2


def test_who_cannot_wait_gets_nothing_until_it_is_made_behind_them() -> None:
    work = Work()
    assert work.kept.at_hand() is None
    settled(work, 1)
    assert (work.kept.at_hand(), work.calls) == (1, 1)
    work.now += REST + 1
    assert work.kept.at_hand() == 1
    settled(work, 2)
    assert work.kept.at_hand() == 2


def test_who_cannot_wait_asks_for_no_stamp_and_a_tick_lets_go_of_the_stale() -> None:
    work = Work()
    work.kept.follow()
    assert work.calls == 0  # nobody has asked yet
    work.kept()
    work.kept.follow()
    work.stamp += 1
    assert (work.kept.at_hand(), work.calls) == (1, 1)
    work.kept.follow()
    settled(work, 2)
    assert work.kept.at_hand() == 2


def test_closing_waits_for_what_is_being_made_and_begins_nothing() -> None:
    begun, may_end, made = threading.Event(), threading.Event(), []

    def make() -> int:
        begun.set()
        assert may_end.wait(5)
        made.append(1)
        return 1

    kept = Kept(make, lambda: 0)
    assert kept.at_hand() is None
    assert begun.wait(5)
    threading.Timer(0.05, may_end.set).start()
    kept.close()
    assert made == [1]
    assert kept.at_hand() is None
    assert made == [1]
