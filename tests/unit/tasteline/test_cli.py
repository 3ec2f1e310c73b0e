"""The command line as a script would use it: what is printed where, and how it ends."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from app.engines import open_store
from eval.search_training import SearchTrainingAsked
from finetune.lora.settings import RerankerSettings, read_settings
from retrieval.registry import Entry, Registry
from tasteline.settings import Settings
from tests.unit.retrieval.trained import card, writing
from tests.unit.tasteline.shell import Shell, failed

FEED = [
    {
        "id": f"jacket-{colour}",
        "title": f"Waterproof Jacket {colour.title()}",
        "categories": ["Clothing", "Jackets"],
        "price": {"amount": 7_900 + place, "currency": "USD"},
        "attributes": {"color": [colour]},
    }
    for place, colour in enumerate(["blue", "red", "green"])
] + [
    {"id": "kettle", "title": "Enamel Kettle", "categories": ["Kettles"], "price": {"amount": 2_900, "currency": "USD"}}
]
EVENTS = [
    {
        "event_id": "e1",
        "event": "view_item",
        "user_id": "anna",
        "product_id": "jacket-red",
        "time": "2026-01-05T10:00:00Z",
    },
    {"event_id": "e2", "event": "purchase", "user_id": "bo", "product_id": "kettle", "time": "2026-01-06T10:00:00Z"},
]


@pytest.fixture
def filled(shell: Shell, tmp_path: Path) -> Shell:
    for name, rows in (("products", FEED), ("events", EVENTS)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        assert shell("import", str(tmp_path / f"{name}.jsonl")).code == 0
    assert shell("index").code == 0
    return shell


def test_import_counts_and_keeps_what_it_could_not_take(shell: Shell, tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_text("".join(json.dumps(row) + "\n" for row in FEED) + '{"id": "broken"\n')
    report = shell("import", str(feed), "--json").json
    assert report["products"] == {"accepted": 4, "repeated": 0, "rejected": 1}
    assert "broken" in Path(str(report["rejects_file"])).read_text()
    assert shell("import", str(feed), "--json").json["products"] == {"accepted": 0, "repeated": 4, "rejected": 1}
    told = shell("import", str(feed))
    assert told.code == 0
    assert "0 accepted, 4 repeated, 1 rejected" in told.out


def test_index_says_what_it_did(filled: Shell) -> None:
    built = filled("index", "--json").json
    assert (built["products"], built["changed"], built["embedder"]) == (4, 0, "hashing/256")
    assert "4 products indexed" in filled("index").out


def test_search(filled: Shell) -> None:
    answer = filled("search", "waterproof jacket in red", "--json").json
    assert [item["product"]["id"] for item in answer["items"]] == ["jacket-red"]  # type: ignore[attr-defined]
    told = filled("search", "kettle under $1")
    assert told.code == 0
    assert "Nothing fits." in told.out
    assert "without “under $1”" in told.out
    assert "$29.00" in filled("search", "kettle", "--limit", "1").out


def test_a_title_in_brackets_is_printed_as_it_is(filled: Shell, tmp_path: Path) -> None:
    feed = tmp_path / "odd.jsonl"
    feed.write_text(json.dumps({"id": "odd", "title": "Sock [red] Sampler", "price": None}) + "\n")
    assert filled("import", str(feed)).code == 0
    assert "[red]" in filled("search", "sock sampler", "--limit", "1").out


def test_recommend(filled: Shell) -> None:
    answer = filled("recommend", "anna", "--json", "--limit", "2").json
    texts = [item["reasons"][0]["text"] for item in answer["items"]]  # type: ignore[attr-defined]
    assert "Because you viewed Waterproof Jacket Red" in texts
    assert filled("recommend", "nobody").code == 0


def test_export_and_erase(filled: Shell) -> None:
    assert [e["id"] for e in filled("export", "anna").json["events"]] == ["e1"]  # type: ignore[attr-defined]
    erased = filled("erase", "anna", "--json").json
    assert (erased["user"], erased["removed"], erased["learners"]) == ("anna", 1, [])
    assert filled("export", "anna").json["events"] == []
    assert filled("erase", "nobody").out == "0 rows removed.\n"


def test_erase_names_the_models_that_learned_and_retires_them_on_request(filled: Shell) -> None:
    registry = Registry(filled.home)
    kept, learned = registry.register(card(0), writing(), ["bo"]), registry.register(card(1), writing(), ["anna", "bo"])
    for entry in (kept, learned):
        registry.promote(entry.id)
    told = filled("erase", "anna").out
    assert f"next-item {learned.id} learned from this person, and is live." in told
    assert "`tasteline models retire ID`" in told
    assert "`tasteline train next-item`" in told
    assert kept.id not in told
    live = registry.live("next-item")
    assert live is not None
    assert live.id == learned.id
    assert filled("models", "retire", learned.id).out == f"next-item {learned.id} is retired; {kept.id} is live.\n"
    erased = filled("erase", "bo", "--retire", "--json").json
    assert [each["id"] for each in erased["learners"]] == [kept.id]  # type: ignore[attr-defined]
    assert erased["live"] == {"next-item": None}
    assert registry.live("next-item") is None


def test_erase_trains_anew_on_request(filled: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(filled.home)
    chosen = {"each": 3, "questions": 50, "rank": 4, "minutes": None, "targets": "query, value"}
    registry.register(card(0), writing(), ["anna"])
    registry.register(card(1, kind="reranker", settings=chosen, base="embedded"), writing(), ["anna"])
    trained: list[str] = []
    asked_for: list[SearchTrainingAsked] = []

    def train(asked: object, settings: Settings, *rest: object, **more: object) -> tuple[object, Entry, bool]:
        with closing(open_store(settings)) as store:
            trained.extend(sorted(user for user, _ in store.users()))
        return {}, registry.register(card(5), writing(), trained), True

    def train_search(asked: SearchTrainingAsked, *rest: object) -> tuple[object, Entry, bool]:
        asked_for.append(asked)
        return {}, registry.register(card(6, kind="reranker"), writing(), []), True

    monkeypatch.setattr("eval.retraining.train_next_item", train)
    monkeypatch.setattr("eval.retraining.train_for_search", train_search)
    told = filled("erase", "anna", "--retrain").out
    assert f"next-item: {card(5).id} was trained." in told
    assert f"reranker: {card(6).id} was trained." in told
    assert trained
    assert "anna" not in trained
    (asked,) = asked_for
    assert (asked.kind, asked.each, asked.questions, asked.base, asked.seed) == ("reranker", 3, 50, None, 7)
    settings = read_settings(RerankerSettings(), assignments=asked.assignments)
    assert (settings.rank, settings.minutes, settings.targets) == (4, None, ("query", "value"))


def popular(shell: Shell) -> set[str]:
    """What a stranger is told to be popular."""
    items = shell("recommend", "nobody", "--json", "--limit", "4").json["items"]
    return {i["product"]["id"] for i in items if i["reasons"][0]["text"].startswith("Popular")}  # type: ignore[attr-defined]


def test_what_an_erased_person_did_is_counted_no_more(filled: Shell) -> None:
    assert popular(filled) == {"kettle", "jacket-red"}
    filled("erase", "bo")
    assert popular(filled) == {"jacket-red"}


def test_doctor(filled: Shell) -> None:
    findings = filled("doctor", "--json").json
    assert all(finding["ok"] for finding in findings.values())  # type: ignore[index]
    assert findings["index"]["detail"] == "up to date"  # type: ignore[index]
    told = filled("doctor")
    assert told.code == 0
    assert all(line.startswith("ok ") for line in told.out.splitlines())


def damage(home: Path) -> None:
    folder = home / "index" / (home / "index" / "current").read_text()
    (folder / "vectors.npy").write_bytes(b"rust")


def test_a_damaged_index_says_how_to_mend_it_and_that_mends_it(filled: Shell) -> None:
    damage(filled.home)
    assert "Run: tasteline index" in failed(filled("search", "kettle", "--json"), 3)
    doctor = filled("doctor", "--json")
    assert doctor.code == 3
    assert doctor.json["index"]["ok"] is False  # type: ignore[index]
    assert filled("index").code == 0
    assert filled("search", "kettle").code == 0


def test_an_index_of_another_embedder(filled: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASTELINE_VECTOR_INDEX", "faiss")
    assert "tasteline index" in failed(filled("search", "kettle"), 3)
    assert filled("index").code == 0
    assert filled("search", "kettle").code == 0


def test_a_path_that_is_not_there(shell: Shell) -> None:
    assert "nowhere.jsonl" in failed(shell("import", "nowhere.jsonl", "--json"), 2)


def test_a_format_that_is_not_known(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "feed.jsonl").write_text("{}\n")
    assert "martian" in failed(shell("import", str(tmp_path / "feed.jsonl"), "--format", "martian"), 2)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_no_listening_beyond_loopback_without_a_key(shell: Shell, host: str) -> None:
    line = failed(shell("serve", "--host", host), 2)
    assert host in line
    assert "TASTELINE_API_KEYS" in line


def test_a_taken_port(shell: Shell) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "--port" in failed(shell("serve", "--port", str(taken.getsockname()[1])), 2)


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "ninety"), ("EMBEDDER", "magic"), ("DEADLINE_SECONDS", "-1"), ("API_KEYS", "not json")]
)
def test_a_wrong_setting_is_named(shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"TASTELINE_{name}", value)
    assert name in failed(shell("erase", "anna"), 2).upper()


def test_wrong_usage(shell: Shell) -> None:
    for arguments in (["search"], ["search", "x", "--limit", "0"], ["fly"], ["serve", "--port", "99999"]):
        outcome = shell(*arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err


def test_a_home_that_cannot_be_written_is_one_line(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TASTELINE_HOME", str(tmp_path / "file"))
    assert "TASTELINE_HOME" in failed(shell("export", "anna"), 3)


def test_an_empty_shop_answers_with_nothing(shell: Shell) -> None:
    assert shell("search", "kettle", "--json").json["items"] == []
    assert shell("recommend", "anna", "--json").json["items"] == []
    assert shell("index", "--json").json["products"] == 0


def test_chat_until_an_empty_line(filled: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter(["kettle", "how much is it?", ""])
    monkeypatch.setattr("builtins.input", lambda _: next(said))
    outcome = filled("chat")
    assert outcome.code == 0
    assert outcome.out.count("$29.00") >= 2
