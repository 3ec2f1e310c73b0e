"""The registry: entries are whole or absent, one model of a kind is live, and what is wrong says what to do."""

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from retrieval.model_card import KINDS, Comparison, ModelKind, card_to_markdown
from retrieval.registry import Entry, Registry
from tasteline.errors import InvalidInput, ModelDamaged, NotFound
from tests.unit.retrieval.trained import START, WEIGHTS, card, damage, registered, writing

spawn = multiprocessing.get_context("spawn")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return at(tmp_path)


def at(home: Path) -> Registry:
    seconds = count()
    return Registry(home, now=lambda: START + timedelta(seconds=next(seconds)))


def states(registry: Registry) -> list[str]:
    return [entry.state for entry in registry.entries()]


def left_in(registry: Registry, kind: ModelKind = "next-item") -> set[str]:
    return {path.name for path in (registry._root / kind).iterdir()} - {".lock", "live.json"}


def test_reading_an_empty_home_finds_and_makes_nothing(registry: Registry, tmp_path: Path) -> None:
    assert (registry.entries(), registry.damaged()) == ([], [])
    for kind in KINDS:
        assert (registry.live(kind), registry.stamp(kind), registry.history(kind)) == (None, None, ())
    for ask in (registry.entry, registry.find, registry.promote):
        with pytest.raises(NotFound, match="tasteline models list"):
            ask("2026")
    assert list(tmp_path.iterdir()) == []


def test_a_registered_model_is_a_candidate_with_its_files_and_card(registry: Registry, tmp_path: Path) -> None:
    entry = registry.register(card(3), writing("learned"))
    assert entry.folder == tmp_path / "models" / "registry" / "next-item" / card(3).id
    assert (entry.id, entry.state) == (card(3).id, "candidate")
    assert (entry.folder / WEIGHTS).read_text() == "learned"
    assert set(entry.card.files) == {WEIGHTS, "vocabulary/items.txt"}
    assert (entry.folder / "README.md").read_text() == card_to_markdown(entry.card)
    assert registry.entries() == [entry] == [registry.entry(entry.id)]
    registry.verify(entry)
    assert left_in(registry) == {entry.id}


def test_entries_are_listed_by_kind_and_time(registry: Registry) -> None:
    kinds: tuple[ModelKind, ...] = get_args(ModelKind)
    unsorted = [(kind, number) for number in (2, 1) for kind in reversed(kinds)]
    made = {(kind, number): registered(registry, number, kind=kind, id=f"{number}-{kind}") for kind, number in unsorted}
    assert registry.entries() == [made[kind, number] for kind in kinds for number in (1, 2)]
    assert registry.entries("llm") == [made["llm", 1], made["llm", 2]]


def test_a_librarys_own_readme_gives_way(registry: Registry) -> None:
    def write(folder: Path) -> None:
        writing()(folder)
        (folder / "README.md").write_text("---\nlibrary_name: some\n---")

    entry = registry.register(card(), write)
    assert (entry.folder / "README.md").read_text().startswith("# next-item")
    registry.verify(entry)


def fails(folder: Path) -> None:
    writing()(folder)
    raise KeyboardInterrupt


REFUSED: dict[str, tuple[dict[str, object], Callable[[Path], None], type[BaseException]]] = {
    "writing breaks off": ({}, fails, KeyboardInterrupt),
    "no file": ({}, lambda folder: None, InvalidInput),
    "a card of its own": ({}, lambda folder: (folder / "card.json").touch(), InvalidInput),
    "an id that leads out": ({"id": "../elsewhere"}, writing(), InvalidInput),
    "an id that hides": ({"id": ".hidden"}, writing(), InvalidInput),
    "no id": ({"id": ""}, writing(), InvalidInput),
    "a card that cannot be written": ({"settings": {"x": object()}}, writing(), InvalidInput),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_leaves_nothing(registry: Registry, tmp_path: Path, what: str) -> None:
    changes, write, error = REFUSED[what]
    with pytest.raises(error):
        registry.register(card(0, **changes), write)
    assert registry.entries() == []
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"] == []
    assert registered(registry, 0).state == "candidate"


def test_an_id_is_taken_once(registry: Registry) -> None:
    registered(registry, 0)
    with pytest.raises(InvalidInput, match="already"):
        registry.register(card(0), writing("another"))
    assert (registry.entry(card(0).id).folder / WEIGHTS).read_text() == f"weights of {card(0).id}"


def die_while_writing(home: Path) -> None:
    def write(folder: Path) -> None:
        writing("half")(folder)
        os.kill(os.getpid(), signal.SIGKILL)

    Registry(home).register(card(1), write)


def test_a_crash_half_way_leaves_no_entry_and_is_swept_away(registry: Registry, tmp_path: Path) -> None:
    process = spawn.Process(target=die_while_writing, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(left_in(registry)) == 1  # or the crash came too early to prove anything
    assert (registry.entries(), registry.damaged()) == ([], [])
    with pytest.raises(NotFound):
        registry.find(card(1).id)
    entry = registered(registry, 2)
    assert left_in(registry) == {entry.id}
    assert registered(registry, 1).state == "candidate"


def test_nobody_sweeps_away_what_is_being_written(registry: Registry, tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(folder: Path) -> None:
        begun.set()
        assert go_on.wait(20)
        writing()(folder)

    with ThreadPoolExecutor() as pool:
        slow = pool.submit(registry.register, card(1), slowly)
        assert begun.wait(20)
        quick = registered(at(tmp_path), 2)
        with pytest.raises(InvalidInput, match="already"):
            registered(registry, 1)
        assert registry.entries() == [quick]
        go_on.set()
        finished = slow.result(20)
        assert registry.entries() == [finished, quick]


def test_promote_and_roll_back_and_again(registry: Registry) -> None:
    a, b, c = (registered(registry, number) for number in range(3))
    assert (registry.promote(a.id).before, registry.promote(b.id).before) == (None, a.id)
    change = registry.promote(c.id)
    assert (change.live.id, change.live.state, change.before, change.changed) == (c.id, "live", b.id, True)
    assert states(registry) == ["retired", "retired", "live"]
    back = registry.rollback("next-item")
    assert (back.live.id, back.live.state, back.before) == (b.id, "live", c.id)
    assert registry.rollback("next-item").live.id == a.id
    assert states(registry) == ["live", "retired", "retired"]
    none = registry.rollback("next-item")
    assert (none.kind, none.live, none.before, none.changed) == ("next-item", None, a.id, True)
    assert (registry.live("next-item"), states(registry)) == (None, ["retired"] * 3)
    with pytest.raises(InvalidInput, match="none is live"):
        registry.rollback("next-item")
    registry.promote(a.id)
    registry.promote(c.id)
    assert registry.rollback("next-item").live.id == a.id


def compared(baseline: str, difference: float, low: float = -1.0, high: float = 1.0) -> Comparison:
    return Comparison(baseline, "ndcg@10", difference, low, high, 0.5)


@pytest.mark.parametrize(
    ("difference", "low", "high", "said"),
    [(-0.05, -0.11, 0.001, "was measured worse"), (-1.0, -1.5, -0.5, "was measured worse"), (0.0, -0.1, 0.1, None)],
)
def test_what_is_behind_is_promoted_by_force_only(
    registry: Registry, difference: float, low: float, high: float, said: str | None
) -> None:
    first = registered(registry, 0, comparison=compared("", 0.1))
    registry.promote(first.id)
    second = registered(registry, 1, comparison=compared(first.id, difference, low, high))
    if said is not None:
        with pytest.raises(InvalidInput, match=said):
            registry.promote(second.id)
        assert registry.live("next-item") == registry.entry(first.id)
    assert registry.promote(second.id, force=said is not None).live is not None


def test_a_comparison_with_something_else_is_no_leave(registry: Registry) -> None:
    first, second = (registered(registry, number, comparison=compared("", 0.1)) for number in range(2))
    registry.promote(first.id)
    with pytest.raises(InvalidInput, match=f"compared with the shop without such a model, and {first.id} is live now"):
        registry.promote(second.id)
    registry.rollback("next-item")
    registry.promote(second.id)


def test_a_model_behind_a_baseline_of_its_own_table_is_promoted_by_force_only(registry: Registry) -> None:
    table = {"popular": {"ndcg@10": 0.07}, "sasrec": {"ndcg@10": 0.05}}
    entry = registered(registry, 0, metrics=table)
    with pytest.raises(InvalidInput, match="was measured behind popular"):
        registry.promote(entry.id)
    registry.promote(entry.id, force=True)


def test_history_keeps_what_was_taken_back(registry: Registry) -> None:
    a, b = registered(registry, 0), registered(registry, 1)
    registry.promote(a.id)
    registry.promote(b.id)
    registry.rollback("next-item")
    first, second = registry.history("next-item")
    assert (first.id, first.at, first.rolled_back) == (a.id, START, None)
    assert (second.id, second.at, second.rolled_back) == (
        b.id,
        START + timedelta(seconds=1),
        START + timedelta(seconds=2),
    )


def test_kinds_do_not_disturb_each_other(registry: Registry) -> None:
    a, b = registered(registry, 0), registered(registry, 1, kind="llm")
    registry.promote(a.id)
    assert registry.live("llm") is None
    registry.promote(b.id)
    assert [entry.id for kind in KINDS if (entry := registry.live(kind))] == [a.id, b.id]
    assert registry.rollback("llm").live is None
    assert registry.live("next-item") == registry.entry(a.id)
    with pytest.raises(InvalidInput, match="none is live"):
        registry.rollback("encoder")


def test_what_is_live_already_stays_and_only_nudges(registry: Registry) -> None:
    a, b = registered(registry, 0), registered(registry, 1)
    registry.promote(a.id)
    registry.promote(b.id)
    history, stamp = registry.history("next-item"), registry.stamp("next-item")
    os.utime(registry._root / "next-item" / "live.json", (0, 0))
    again = registry.promote(b.id)
    assert (again.live.state, again.before, again.changed) == ("live", b.id, False)
    assert registry.history("next-item") == history
    assert registry.stamp("next-item") != stamp
    assert registry.rollback("next-item").live.id == a.id


@examples(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 3) | st.none(), max_size=12))
def test_one_is_live_whatever_is_done(tmp_path_factory: pytest.TempPathFactory, steps: list[int | None]) -> None:
    """A number promotes that model, None rolls back; a stack says what must come of it."""
    registry = at(tmp_path_factory.mktemp("home"))
    ids = [registered(registry, number).id for number in range(4)]
    stack: list[str] = []
    stamps = {registry.stamp("next-item")}
    for step in steps:
        before = list(stack)
        if step is not None:
            registry.promote(ids[step])
            stack += [ids[step]] if stack[-1:] != [ids[step]] else []
        elif not stack:
            with pytest.raises(InvalidInput):
                registry.rollback("next-item")
        else:
            registry.rollback("next-item")
            stack.pop()
        live = registry.live("next-item")
        assert (live.id if live else None) == (stack[-1] if stack else None)
        assert states(registry).count("live") == bool(stack)
        assert stack == before or registry.stamp("next-item") not in stamps
        stamps.add(registry.stamp("next-item"))


def promote_often(home: Path, ids: list[str]) -> None:
    registry = Registry(home)
    for entry_id in ids:
        registry.promote(entry_id)


def test_promotions_by_several_processes_are_all_kept(registry: Registry, tmp_path: Path) -> None:
    ids = [registered(registry, number).id for number in range(6)]
    orders = [ids[0:2] * 6, ids[2:4] * 6, ids[4:6] * 6]  # each always changes what it promoted itself
    processes = [spawn.Process(target=promote_often, args=(tmp_path, order)) for order in orders]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        live = registry.live("next-item")
        assert live is None or live.id in ids
    assert [process.exitcode for process in processes] == [0, 0, 0]
    history = [promotion.id for promotion in registry.history("next-item")]
    for order in orders:
        assert [entry_id for entry_id in history if entry_id in order] == order
    assert states(registry).count("live") == 1


def test_a_crash_before_the_swap_leaves_the_old_one(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = registered(registry, 0), registered(registry, 1)
    registry.promote(a.id)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            registry.promote(b.id)
    assert registry.live("next-item") == registry.entry(a.id)
    registered(registry, 2)  # sweeps, and must not trip over the half-written pointer
    assert registry.promote(b.id).before == a.id


def test_found_by_its_beginning(registry: Registry) -> None:
    a = registered(registry, 0, id="20260301-120000-abc")
    longer = registered(registry, 1, id="20260301-120000-abcd", kind="encoder")
    c = registered(registry, 2, id="20260302-120000-aaa")
    assert registry.find("20260302") == c
    assert registry.find(longer.id) == longer
    assert registry.find(a.id) == a  # although another begins like it
    with pytest.raises(InvalidInput, match=f"begins 2 ids: {a.id}, {longer.id}"):
        registry.find("20260301")
    for nothing in ("", "2025", "abc", ".", ".."):
        with pytest.raises(NotFound):
            registry.find(nothing)


def change_card(**changes: object) -> Callable[[Entry], object]:
    def change(entry: Entry) -> None:
        path = entry.folder / "card.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


DAMAGED_FILES: dict[str, Callable[[Entry], object]] = {
    "other content": damage,
    "cut off": lambda entry: os.truncate(entry.folder / WEIGHTS, 3),
    "missing": lambda entry: (entry.folder / WEIGHTS).unlink(),
    "missing below": lambda entry: (entry.folder / "vocabulary" / "items.txt").unlink(),
}
DAMAGED_CARDS: dict[str, Callable[[Entry], object]] = {
    "no card": lambda entry: (entry.folder / "card.json").unlink(),
    "cut off": lambda entry: os.truncate(entry.folder / "card.json", 99),
    "of another model": change_card(id="20200101-000000-aaaa"),
    "of another kind": change_card(kind="llm"),
    "a field of another type": change_card(seconds="long"),
}


@pytest.mark.parametrize("what", DAMAGED_FILES)
def test_damaged_files_are_found_and_not_promoted(registry: Registry, what: str) -> None:
    a, b = registered(registry, 0), registered(registry, 1)
    registry.promote(a.id)
    DAMAGED_FILES[what](b)
    for ask in (lambda: registry.verify(b), lambda: registry.promote(b.id)):
        with pytest.raises(ModelDamaged, match=f"{b.id} is damaged.*Run: tasteline train next-item"):
            ask()
    assert registry.live("next-item") == registry.entry(a.id)
    registry.verify(a)


@pytest.mark.parametrize("what", DAMAGED_CARDS)
def test_a_damaged_card_is_told_and_hides_no_other(registry: Registry, what: str) -> None:
    a, b = registered(registry, 0), registered(registry, 1)
    DAMAGED_CARDS[what](b)
    assert registry.entries() == [a]
    [error] = registry.damaged()
    assert b.id in str(error)
    assert "\n" not in str(error)
    for ask in (registry.entry, registry.promote, registry.find):
        with pytest.raises(ModelDamaged, match="Run: tasteline train next-item"):
            ask(b.id)


def test_a_damaged_live_one_names_the_way_back(registry: Registry) -> None:
    a, b = registered(registry, 0), registered(registry, 1)
    registry.promote(a.id)
    damage(a)
    with pytest.raises(ModelDamaged, match="Run: tasteline train next-item"):
        registry.verify(a)
    registry.promote(b.id)
    damage(b)
    with pytest.raises(ModelDamaged, match="Run: tasteline models rollback next-item"):
        registry.verify(b)
    with pytest.raises(ModelDamaged, match=a.id):
        registry.rollback("next-item")
    assert registry.live("next-item") == registry.entry(b.id)


def test_a_live_one_that_is_gone(registry: Registry) -> None:
    a = registered(registry, 0)
    registry.promote(a.id)
    a.folder.rename(a.folder.with_name(".elsewhere"))
    with pytest.raises(ModelDamaged, match=a.id):
        registry.live("next-item")
    b = registered(registry, 1)
    assert registry.promote(b.id).before == a.id


@pytest.mark.parametrize("content", ["", "{", "[]", '{"promotions": [{"id": 5}]}'])
def test_a_damaged_pointer_names_the_way_out(registry: Registry, content: str) -> None:
    a = registered(registry, 0)
    registry.promote(a.id)
    pointer = registry._root / "next-item" / "live.json"
    pointer.write_text(content)
    for ask in (lambda: registry.live("next-item"), registry.entries, lambda: registry.promote(a.id)):
        with pytest.raises(ModelDamaged, match=r"Run: rm .*live\.json && tasteline models promote"):
            ask()
    assert registry.entries("llm") == []
    pointer.unlink()
    assert registry.promote(a.id).live.state == "live"
