"""Sets on disk: whole or absent, checked when they are read, and without those who asked to be forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from finetune.examples import Question
from finetune.question_sets import (
    About,
    QuestionSet,
    folder_of,
    read_question_set,
    write_question_set,
)
from retrieval.adapters.store_sql import SqlStore
from retrieval.erasure import remove_person
from tasteline.errors import InvalidInput, NotFound
from tasteline.types import Event, EventType
from tests.unit.finetune.test_splitting import (
    CUT,
    TRAIN_PERSON,
    TRAIN_PRODUCT,
    VALID_PERSON,
    VALID_PRODUCT,
    did,
    made,
)

OTHER = "u1"
TRAIN = [made("steel kettle"), did("tea", TRAIN_PERSON, 1), did("pot", TRAIN_PERSON, 2), did("tea", OTHER, 3)]
VALID = [made("mug", VALID_PRODUCT), did("tea", VALID_PERSON, 11)]


def about(name: str = "mine") -> About:
    return About(
        name=name,
        created=datetime(2026, 3, 2, tzinfo=UTC),
        seed=3,
        settings={"each": 2},
        revision=7,
        erasures=0,
        products=2,
        cut=CUT,
        places_weighted=False,
        origins={},
        dropped={"round trip of train": {"kind": 4}},
        seconds=1.5,
        checksum="",
    )


def store_of(*rows: Question) -> SqlStore:
    store = SqlStore("sqlite://")
    store.append_events(
        [
            Event(f"e{number}", EventType.SELECT_ITEM, row.user_id, "s", row.positive, time=row.time)
            for number, row in enumerate(rows)
            if row.user_id
        ]
    )
    return store


@pytest.fixture
def store() -> SqlStore:
    return store_of(*TRAIN, *VALID)


@pytest.fixture
def written(tmp_path: Path) -> QuestionSet:
    return write_question_set(tmp_path, about(), TRAIN, VALID)


def test_a_set_comes_back_as_it_was_written(written: QuestionSet, tmp_path: Path, store: SqlStore) -> None:
    read = read_question_set(tmp_path, "mine", store)
    assert read == written
    assert (read.train, read.valid) == (tuple(TRAIN), tuple(VALID))
    assert read.about.origins == {"train": {"kind": 1, "search_click": 3}, "valid": {"kind": 1, "search_click": 1}}
    assert read.about.checksum == read.checksum
    assert sorted(path.name for path in folder_of(tmp_path, "mine").iterdir()) == [
        "dataset.json",
        "train.jsonl",
        "valid.jsonl",
    ]


def test_writing_again_replaces(written: QuestionSet, tmp_path: Path, store: SqlStore) -> None:
    write_question_set(tmp_path, about(), TRAIN[:1], [])
    assert read_question_set(tmp_path, "mine", store).train == (TRAIN[0],)


def test_an_erased_person_is_passed_over_whatever_the_disk_holds(
    written: QuestionSet, tmp_path: Path, store: SqlStore
) -> None:
    store.erase_user(TRAIN_PERSON)
    read = read_question_set(tmp_path, "mine", store)
    assert read.train == (TRAIN[0], TRAIN[3])
    assert read.valid == tuple(VALID)
    assert read.forgotten == 2
    assert read.checksum != read.about.checksum


def test_somebody_who_came_back_is_somebody_new(written: QuestionSet, tmp_path: Path, store: SqlStore) -> None:
    store.erase_user(TRAIN_PERSON)
    later = CUT + timedelta(days=1)
    store.append_events([Event("new", EventType.VIEW_ITEM, TRAIN_PERSON, "s", TRAIN_PRODUCT, time=later)])
    read = read_question_set(tmp_path, "mine", store)
    assert all(row.user_id != TRAIN_PERSON for row in read.train)


def test_a_store_that_knows_nobody_leaves_what_is_nobodys(written: QuestionSet, tmp_path: Path) -> None:
    read = read_question_set(tmp_path, "mine", SqlStore("sqlite://"))
    assert [row.origin for row in (*read.train, *read.valid)] == ["kind", "kind"]


def test_a_set_is_read_after_an_erasure_took_its_rows(written: QuestionSet, tmp_path: Path, store: SqlStore) -> None:
    assert remove_person(tmp_path / "datasets" / "mine" / "train.jsonl", TRAIN_PERSON) == 2
    with pytest.raises(InvalidInput, match="was changed"):
        read_question_set(tmp_path, "mine", store)
    store.erase_user(TRAIN_PERSON)
    read = read_question_set(tmp_path, "mine", store)
    assert read.train == (TRAIN[0], TRAIN[3])
    assert read.forgotten == 0


def test_what_leaks_is_neither_written_nor_read(written: QuestionSet, tmp_path: Path, store: SqlStore) -> None:
    leaking = [*TRAIN, did("new", VALID_PERSON, 1)]
    with pytest.raises(InvalidInput, match="leak"):
        write_question_set(tmp_path, about("leaky"), leaking, VALID)
    assert not folder_of(tmp_path, "leaky").exists()
    with (tmp_path / "datasets" / "mine" / "train.jsonl").open("a") as file:
        file.write('{"query": "x", "positive": "y", "origin": "kind"}\n')
    with pytest.raises(InvalidInput, match="was changed"):
        read_question_set(tmp_path, "mine", store)


def test_a_missing_or_damaged_set_is_named(written: QuestionSet, tmp_path: Path, store: SqlStore) -> None:
    with pytest.raises(NotFound, match="other"):
        read_question_set(tmp_path, "other", store)
    (tmp_path / "datasets" / "mine" / "dataset.json").write_text('{"name": "mine"}')
    with pytest.raises(InvalidInput, match=r"dataset\.json: created"):
        read_question_set(tmp_path, "mine", store)
    for name in ("", ".", "..", "a/b", ".hidden"):
        with pytest.raises(InvalidInput, match="no name"):
            folder_of(tmp_path, name)
