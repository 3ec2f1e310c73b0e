"""A person's erasure: after it no file of the home names them, and what learned from them is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as ThreadEvent

import pytest

from finetune.examples import ChatExample, Question, read_examples, write_examples
from retrieval.adapters.store_sql import SqlStore
from retrieval.erasure import Erased, erase_person, remove_person
from retrieval.follow import Behaviour
from retrieval.learned_from import LearnedFrom
from retrieval.model_card import KINDS
from retrieval.models.behaviour import BehaviourCounts
from retrieval.registry import Registry
from tasteline.errors import TransientError
from tasteline.types import ChatMessage, Event, EventType, Product, RankedProduct, Ranking, Turn
from tests.unit.retrieval.small_shop import new_live
from tests.unit.retrieval.trained import card, registered, writing

ANNA = 'anna-"7f3ä'
"""Distinctive, and written in another way in JSON."""
BO = "bo-11"
MOMENT = datetime(2026, 3, 1, tzinfo=UTC)


def store_at(home: Path) -> SqlStore:
    home.mkdir(parents=True, exist_ok=True)
    return SqlStore(f"sqlite:///{home / 'tasteline.db'}")


def fill(home: Path) -> None:
    with closing(store_at(home)) as store:
        store.put_products([Product("p1", "Kettle"), Product("p2", "Lamp")])
        for person, product in ((ANNA, "p1"), (BO, "p2")):
            store.append_events([Event(f"e-{person}", EventType.PURCHASE, person, product_id=product, time=MOMENT)])
            store.append_turns(f"talk-{person}", person, [Turn("user", f"I am {person}")])
            ranked = (RankedProduct(Product(product, "A thing"), 1.0),)
            store.save_rankings([(Ranking(f"r-{person}", ranked, 1), person)])
        counts = BehaviourCounts.fit(store.events())
        (home / "models").mkdir(exist_ok=True)
        counts.save(home / "models/behaviour.npz")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which Anna stands wherever a person can."""
    fill(tmp_path)
    said = (ChatMessage("user", "red or blue?"),)
    chats = [ChatExample(task="judging", messages=said, answer="A", user_id=who) for who in (ANNA, BO, None)]
    write_examples(chats, ChatExample, tmp_path / "datasets/chats/train.jsonl")
    asked = [Question(query="kettle", positive="p1", origin="search", user_id=who, time=MOMENT) for who in (ANNA, BO)]
    write_examples(asked, Question, tmp_path / "datasets/questions/valid.jsonl")
    (tmp_path / "featured.json").write_text(json.dumps([{"user_id": ANNA, "name": "Anna"}, {"user_id": BO}]))
    rejects = [{"line": 3, "raw": f"{who},p9,no date"} for who in (ANNA, BO)]
    (tmp_path / "rejects.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rejects))
    fill(tmp_path / "eval/0123456789abcdef")
    feed = tmp_path / "eval/fedcba9876543210/feed"
    feed.mkdir(parents=True)
    (feed / "events.jsonl").write_text(json.dumps({"user_id": ANNA}) + "\n")
    other = tmp_path / "eval/decoys/aaaa"
    other.mkdir(parents=True)
    (other / "interactions.csv").write_text(f"{BO},p2,1\n")
    for kept in ("cache/networks/11.pt", "cache/embeddings.db", "test_looks.jsonl"):
        (tmp_path / "eval" / kept).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "eval" / kept).write_text("weights")
    return tmp_path


def erase(home: Path, user_id: str = ANNA, *, retire: bool = False) -> Erased:
    with closing(store_at(home)) as store:
        return erase_person(home, store, store_at, user_id, retire=retire)


def live_of(home: Path) -> dict[str, str | None]:
    found = {kind: Registry(home).live(kind) for kind in KINDS}
    return {kind: entry.id for kind, entry in found.items() if entry is not None}


def files_naming(home: Path, user_id: str) -> Iterator[Path]:
    forms = {
        user_id.encode(),
        json.dumps(user_id)[1:-1].encode(),
        json.dumps(user_id, ensure_ascii=False)[1:-1].encode(),
    }
    for path in home.rglob("*"):
        if path.is_file() and any(form in path.read_bytes() for form in forms):
            yield path.relative_to(home)


def test_no_file_of_the_home_names_an_erased_person(home: Path) -> None:
    before = {str(path) for path in files_naming(home, ANNA)}
    assert {"tasteline.db", "datasets/chats/train.jsonl", "featured.json", "rejects.jsonl"} < before
    assert {"eval/0123456789abcdef/tasteline.db", "eval/fedcba9876543210/feed/events.jsonl"} < before
    erased = erase(home)
    assert list(files_naming(home, ANNA)) == []
    assert erased.rows == 4
    assert erased.files == {
        "datasets/chats/train.jsonl": 1,
        "datasets/questions/valid.jsonl": 1,
        "rejects.jsonl": 1,
        "featured.json": 1,
    }
    assert set(erased.caches) == {
        "models/behaviour.npz",
        "eval/0123456789abcdef",
        "eval/fedcba9876543210",
        "eval/cache/networks",
    }


def test_everybody_else_stays(home: Path) -> None:
    erase(home)
    with closing(store_at(home)) as store:
        kept = store.export_user(BO)
    assert all(len(rows) == 1 for rows in kept.values())
    rows = list(read_examples(home / "datasets/chats/train.jsonl", ChatExample))
    assert [row.user_id for row in rows] == [BO, None]
    assert (home / "eval/decoys/aaaa/interactions.csv").is_file()
    assert (home / "eval/cache/embeddings.db").is_file()
    assert (home / "eval/test_looks.jsonl").is_file()
    assert json.loads((home / "featured.json").read_text()) == [{"user_id": BO}]


def test_counts_no_longer_know_what_only_they_did(home: Path) -> None:
    erase(home)
    with closing(store_at(home)) as store:
        live = new_live(store)
        live.sync()
        behaviour = Behaviour(store, live, home / "models/behaviour.npz")
        behaviour.open()
        assert list(behaviour().most_popular()) == ["p2"]


def test_a_stranger_changes_nothing(home: Path) -> None:
    before = {path: path.read_bytes() for path in home.rglob("*.jsonl")}
    erased = erase(home, "nobody")
    assert (erased.rows, erased.files, erased.caches, erased.learners) == (0, {}, (), ())
    assert {path: path.read_bytes() for path in home.rglob("*.jsonl")} == before
    assert (home / "models/behaviour.npz").is_file()


def test_models_that_learned_are_named_withdrawn_and_forget_who_it_was(home: Path) -> None:
    registry, records = Registry(home), LearnedFrom(home)
    without, with_anna = registry.register(card(0), writing(), [BO]), registry.register(card(1), writing(), [ANNA, BO])
    nobody_knows = registered(registry, 2, kind="llm")
    for entry in (without, with_anna, nobody_knows):
        registry.promote(entry.id)
    erased = erase(home, retire=True)
    assert [(each.id, each.recorded, each.live) for each in erased.learners] == [
        (with_anna.id, True, True),
        (nobody_knows.id, False, True),
    ]
    assert records.models(ANNA) == []
    known = records.record("next-item", with_anna.id)
    assert known is not None
    assert (known.forgotten, known.people) == (1, 1)
    assert {kind: change.live for kind, change in erased.withdrawn.items()} == {"next-item": without.id, "llm": None}
    assert live_of(home) == {"next-item": without.id}
    assert erase(home, BO).learners[0].id == without.id  # what was withdrawn is not named again


def test_what_began_from_a_model_that_learned_has_learned_too(home: Path) -> None:
    registry = Registry(home)
    first = registry.register(card(0), writing(), [ANNA])
    settings = {"begun_from": first.id}
    second = registry.register(card(1, settings=settings), writing(), [BO])
    third = registry.register(card(2, kind="llm", base=second.id), writing(), [])
    registry.register(card(3), writing(), [BO])
    by_folder = registry.register(card(4, base=str(first.folder / "merged")), writing(), [BO])
    assert {each.id for each in erase(home).learners} == {first.id, second.id, third.id, by_folder.id}


def test_a_model_of_the_catalogue_alone_learned_from_nobody(home: Path) -> None:
    bare = card(0)
    Registry(home).register(replace(bare, data=replace(bare.data, users=0)), writing())
    assert erase(home).learners == ()


def test_an_erasure_that_was_broken_off_is_finished_by_asking_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(home)
    entry = registry.register(card(0), writing(), [ANNA])

    def busy(self: SqlStore, user_id: str) -> int:
        raise TransientError("busy")

    with monkeypatch.context() as patched:
        patched.setattr(SqlStore, "erase_user", busy)
        with pytest.raises(TransientError):
            erase(home)
    erased = erase(home)
    assert erased.rows == 4
    assert [each.id for each in erased.learners] == [entry.id]
    assert list(files_naming(home, ANNA)) == []


@pytest.mark.parametrize("crashing", ["SqlStore.erase_user", "LearnedFrom.forget"])
@pytest.mark.parametrize("recorded", [True, False])
def test_a_crash_leaves_no_learner_in_service(
    home: Path, monkeypatch: pytest.MonkeyPatch, crashing: str, recorded: bool
) -> None:
    registry = Registry(home)
    before, entry = registry.register(card(0), writing(), [BO]), card(1)
    registry.register(entry, writing(), [ANNA] if recorded else None)
    for each in (before.id, entry.id):
        registry.promote(each)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"tests.unit.retrieval.test_erasure.{crashing}", killed)
        with pytest.raises(KeyboardInterrupt):
            erase(home, retire=True)
    erase(home, retire=True)
    assert live_of(home) == {"next-item": before.id}
    assert registry.is_withdrawn("next-item", entry.id)
    assert list(files_naming(home, ANNA)) == []
    assert LearnedFrom(home).models(ANNA) == []


def test_what_is_registered_while_somebody_is_erased_is_named_and_withdrawn_too(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(home)
    first = registry.register(card(0), writing(), [ANNA])
    registry.promote(first.id)
    erasing = SqlStore.erase_user

    def trained_meanwhile(self: SqlStore, user_id: str) -> int:
        registry.promote(registry.register(card(1), writing(), [ANNA, BO]).id)
        return erasing(self, user_id)

    monkeypatch.setattr(SqlStore, "erase_user", trained_meanwhile)
    erased = erase(home, retire=True)
    assert [each.id for each in erased.learners] == [first.id, card(1).id]
    assert (erased.withdrawn["next-item"].before, erased.withdrawn["next-item"].live) == (first.id, None)
    assert live_of(home) == {}


def job_of(home: Path, name: str, who: str) -> Path:
    folder = home / "datasets" / name
    (folder / "merged").mkdir(parents=True)
    for file in ("job.json", "checkpoint", "merged/weights"):
        (folder / file).write_text("{}")
    asked = [Question(query="kettle", positive="p1", origin="search", user_id=who, time=MOMENT)]
    write_examples(asked, Question, folder / "train.jsonl")
    return folder


def test_weights_of_an_unfinished_training_go_with_the_rows(home: Path) -> None:
    theirs, named, other = (
        job_of(home, "training-encoder", ANNA),
        job_of(home, "20260301-1", ANNA),
        job_of(home, "x", BO),
    )
    (home / "datasets/gone.erasing").mkdir()  # of a crash
    erased = erase(home)
    assert {"datasets/training-encoder", "datasets/20260301-1"} <= set(erased.caches)
    assert not theirs.exists()
    assert not named.exists()
    assert (other / "merged/weights").is_file()
    assert not list((home / "datasets").rglob("*.erasing"))


def test_half_written_files_go_and_what_is_being_written_does_not(home: Path) -> None:
    checkpoint = job_of(home, "training-llm", BO) / "checkpoint.tmp"
    leftover, writing = home / "datasets/chats/valid.tmp", home / "datasets/new/train.jsonl"
    for path in (checkpoint, leftover):
        path.write_text("half")
    begun, go_on = ThreadEvent(), ThreadEvent()

    def rows() -> Iterator[Question]:
        for number, who in enumerate((ANNA, BO)):
            yield Question(query="kettle", positive=f"p{number}", origin="search", user_id=who, time=MOMENT)
            begun.set()
            go_on.wait(10)

    with ThreadPoolExecutor(2) as pool:
        written = pool.submit(write_examples, rows(), Question, writing)
        begun.wait(10)
        erased = pool.submit(erase, home)
        with pytest.raises(TimeoutError):
            erased.result(0.3)  # it waits, or those rows would come after it
        go_on.set()
        assert written.result(10) == 2
        assert erased.result(10).files["datasets/new/train.jsonl"] == 1
    assert checkpoint.is_file()
    assert not leftover.exists()
    assert [row.user_id for row in read_examples(writing, Question)] == [BO]


def test_two_are_erased_at_the_same_time(home: Path) -> None:
    path = home / "datasets/chats/valid.jsonl"
    people = [f"person-{number}" for number in range(6)]
    rows = [Question(query="kettle", positive="p1", origin="search", user_id=who) for who in people * 3_000]
    write_examples(rows, Question, path)
    with ThreadPoolExecutor(5) as pool:
        assert len(list(pool.map(lambda who: erase(home, who), people[:5]))) == 5
    assert {row.user_id for row in read_examples(path, Question)} == {people[5]}


@pytest.mark.parametrize("gone", [True, False])
def test_a_number_is_an_id_only_in_a_field_of_people(home: Path, gone: bool) -> None:
    theirs = [{"line": 2, "field": "time", "reason": "missing", "raw": '{"user_id": "7", "product_id": "9"}'}]
    others = [
        {"line": 7, "field": "time", "reason": "missing", "raw": "bo-11,p9,"},
        {"line": 8, "field": "price", "reason": "7 is odd", "raw": '{"id": "7", "price": 7}'},
    ]
    (home / "rejects.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (*theirs, *others)))
    feed = home / "eval/0000000000000007"
    feed.mkdir()
    who = "7" if gone else "8"
    (feed / "events.jsonl").write_text(json.dumps({"user_id": who, "product_id": "7", "price": 7}) + "\n")
    (feed / "interactions.csv").write_text("user_id,item_id,price\n8,7,7\n")
    erased = erase(home, "7")
    kept = [json.loads(line) for line in (home / "rejects.jsonl").read_text().splitlines()]
    assert kept == others
    assert ("eval/0000000000000007" in erased.caches) is gone


def test_only_the_field_says_whose_a_row_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [
        {"user_id": "1", "query": "a"},
        {"user_id": "11", "query": "1"},
        {"query": '"1"', "user_id": None},
        {"other": {"user_id": "1"}},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "no json\n")
    assert remove_person(path, "1") == 1
    assert path.read_text().splitlines() == [*(json.dumps(line) for line in lines[1:]), "no json"]
    assert not list(tmp_path.glob("*.erasing"))
