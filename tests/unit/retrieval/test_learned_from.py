"""Whom a model learned from: found by id, named by nobody, forgotten on request."""

from __future__ import annotations

import stat
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from retrieval.learned_from import LearnedFrom, Record
from retrieval.registry import Registry
from tasteline.errors import InvalidInput
from tests.unit.retrieval.trained import card, registered, writing

PEOPLE = [f"person-{number}" for number in range(500)]


def test_who_was_learned_from_is_found_and_nobody_else(tmp_path: Path) -> None:
    records = LearnedFrom(tmp_path)
    records.write("next-item", "a", [*PEOPLE, PEOPLE[0]])
    records.write("llm", "b", PEOPLE[:1])
    assert records.record("next-item", "a") == Record(forgotten=0, people=500)
    assert all(("next-item", "a") in records.models(person) for person in PEOPLE)
    assert records.models(PEOPLE[0]) == [("next-item", "a"), ("llm", "b")]
    assert not any(records.models(f"stranger-{number}") for number in range(500))


def test_reading_creates_nothing(tmp_path: Path) -> None:
    records = LearnedFrom(tmp_path)
    assert records.models("anna") == records.forget("anna") == []
    assert records.record("next-item", "a") is None
    assert not list(tmp_path.iterdir())


def test_who_is_forgotten_is_counted_and_leaves_no_tag(tmp_path: Path) -> None:
    records = LearnedFrom(tmp_path)
    records.write("next-item", "a", PEOPLE)
    before = (tmp_path / "models/people/next-item/a.bin").read_bytes()
    assert records.forget(PEOPLE[7]) == [("next-item", "a")]
    after = (tmp_path / "models/people/next-item/a.bin").read_bytes()
    assert records.record("next-item", "a") == Record(forgotten=1, people=499)
    assert records.models(PEOPLE[7]) == records.forget(PEOPLE[7]) == []
    assert records.models(PEOPLE[8])
    assert len(after) == len(before) - 8


def test_many_are_forgotten_at_the_same_time(tmp_path: Path) -> None:
    records = LearnedFrom(tmp_path)
    records.write("next-item", "a", [*PEOPLE, *(f"other-{number}" for number in range(100_000))])
    leaving = PEOPLE[:8]
    with ThreadPoolExecutor(8) as pool:
        assert (
            list(pool.map(lambda person: LearnedFrom(tmp_path).forget(person), leaving)) == [[("next-item", "a")]] * 8
        )
        assert sum(map(len, pool.map(lambda _: records.forget(PEOPLE[9]), range(8)))) == 1
    assert not any(records.models(person) for person in leaving)
    assert records.record("next-item", "a") == Record(forgotten=9, people=100_491)


def test_what_a_crash_left_half_written_goes_with_the_next_change(tmp_path: Path) -> None:
    records = LearnedFrom(tmp_path)
    for name in "ab":
        records.write("next-item", name, PEOPLE)
    (tmp_path / "models/people/next-item/b.tmp").write_bytes(b"tags")
    records.drop("next-item", "a")
    assert not list(tmp_path.rglob("*.tmp"))
    assert records.models(PEOPLE[0]) == [("next-item", "b")]


def test_the_file_tells_neither_ids_nor_who_is_in_two_models(tmp_path: Path) -> None:
    records = LearnedFrom(tmp_path)
    records.write("next-item", "a", PEOPLE)
    records.write("next-item", "b", PEOPLE)
    first, second = ((tmp_path / "models/people/next-item" / f"{name}.bin").read_bytes() for name in "ab")
    tags = [{content[place : place + 8] for place in range(8, len(content), 8)} for content in (first, second)]
    assert len(tags[0]) == len(tags[1]) == 500
    assert not tags[0] & tags[1]
    assert b"person" not in first
    assert list(tags[0]) != sorted(tags[0])  # the set is shuffled; the file is in order of the tags, not of the people
    numbers = [int.from_bytes(first[place : place + 8], "little") for place in range(8, len(first), 8)]
    assert numbers == sorted(numbers)


def test_the_key_is_the_owners_and_another_home_has_another(tmp_path: Path) -> None:
    for home in ("one", "two"):
        LearnedFrom(tmp_path / home).write("next-item", "a", PEOPLE)
    keys = [tmp_path / home / "models/people/key" for home in ("one", "two")]
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert keys[0].read_bytes() != keys[1].read_bytes()
    contents = [(key.parent / "next-item/a.bin").read_bytes() for key in keys]
    assert contents[0] != contents[1]


def test_tags_are_spread_so_that_strangers_are_not_taken_for_people(tmp_path: Path) -> None:
    LearnedFrom(tmp_path).write("next-item", "a", PEOPLE)
    content = (tmp_path / "models/people/next-item/a.bin").read_bytes()
    leading = Counter(content[place + 7] // 32 for place in range(8, len(content), 8))
    assert min(leading[each] for each in range(8)) > 30


def test_an_entry_of_the_registry_has_its_record_from_the_beginning(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    entry = registry.register(card(0), writing(), PEOPLE[:3])
    assert LearnedFrom(tmp_path).record("next-item", entry.id) == Record(0, 3)
    assert "person" not in str(sorted(entry.folder.rglob("*")))
    assert LearnedFrom(tmp_path).record("next-item", registered(registry, 1).id) is None


def test_withdrawn_models_give_way_to_the_last_that_stands_and_never_come_back(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    first, second, third, candidate = (registered(registry, number) for number in range(4))
    for entry in (first, second, third):
        registry.promote(entry.id)
    change = registry.withdraw("next-item", [third.id, second.id, candidate.id])
    assert (change.live, change.before) == (first.id, third.id)
    live = registry.live("next-item")
    assert live is not None
    assert live.id == first.id
    assert [entry.state for entry in registry.entries()] == ["live", "retired", "retired", "retired"]
    for entry in (second, third, candidate):
        with pytest.raises(InvalidInput, match="withdrawn for good"):
            registry.promote(entry.id)
    assert registry.rollback("next-item").live is None
    registry.promote(first.id)
    assert registry.withdraw("next-item", [first.id]).live is None
    assert registry.live("next-item") is None


def test_a_service_sees_a_withdrawal(tmp_path: Path) -> None:
    from retrieval.live_model import LiveModel

    registry = Registry(tmp_path)
    first, second = registered(registry, 0), registered(registry, 1)
    live = LiveModel(registry, "next-item", lambda entry: entry.id)
    for entry in (first, second):
        registry.promote(entry.id)
    live.follow()
    registry.withdraw("next-item", [second.id])
    live.follow()
    current = live.current()
    assert current is not None
    assert current.model == first.id
    registry.withdraw("next-item", [first.id])
    live.follow()
    assert live.current() is None
