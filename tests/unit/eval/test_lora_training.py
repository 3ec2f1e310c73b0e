"""`tasteline train encoder`, `reranker` and `llm` from a feed to an entry of the registry that the shop takes up."""

from __future__ import annotations

import json
import random
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from app.bootstrap import open_shop
from eval.llm_training import LlmTrainingAsked, halves, tasks_of, train_language_model
from eval.lora_entry import Hearing, comparison_of
from eval.search_training import BEFORE, TUNED, Kind, SearchTrainingAsked, train_for_search
from finetune.examples import ChatExample
from retrieval.learned_from import LearnedFrom, Record
from retrieval.registry import Entry, Registry
from tasteline.errors import InvalidInput
from tasteline.settings import Settings
from tasteline.types import ChatMessage
from tests.unit.tiny_models import make_chat_model, make_encoder

COLOURS, KINDS = ("red", "blue", "green", "steel", "glass"), ("kettle", "lamp", "mug", "teapot")
pytestmark = pytest.mark.timeout(300)  # three trainings, and the shop opened for each
QUICK = ("epochs=1", "batch=16", "device=cpu", "precision=float32", "learning_rate=0.01")
Trained = tuple[dict[str, object], Entry, bool]


def write_shop(folder: Path) -> Path:
    """Everything in every colour and ten sizes; who searches buys what is of those words."""
    folder.mkdir(parents=True)
    products = [(colour, kind, size) for colour in COLOURS for kind in KINDS for size in range(10)]
    with (folder / "products.jsonl").open("w") as stream:
        for number, (colour, kind, size) in enumerate(products):
            title = f"large {colour} {kind} number {size}"
            row = {"id": f"p{number}", "title": title, "categories": [f"{kind}s"], "color": colour}
            stream.write(json.dumps({**row, "price": f"{10 + number % 40}.00 USD"}) + "\n")
    rng = random.Random(0)
    with (folder / "events.jsonl").open("w") as stream:
        for person in range(40):
            for place in range(3):
                number = rng.randrange(len(products))
                colour, kind, _ = products[number]
                who = {"user_id": f"u{person}", "session_id": f"s{person}-{place}"}
                when = f"2026-0{1 + place}-{1 + person % 28:02}T10:00:0"
                search = {"event_id": f"q{person}-{place}", "event": "search", "query": f"{colour} {kind}"}
                stream.write(json.dumps({**who, **search, "time": f"{when}0Z"}) + "\n")
                bought = {"event_id": f"b{person}-{place}", "event": "purchase", "product_id": f"p{number}"}
                stream.write(json.dumps({**who, **bought, "time": f"{when}5Z"}) + "\n")
    return folder


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    models = tmp_path_factory.mktemp("models")
    make_encoder(models / "encoder")
    make_chat_model(models / "chat")
    return Settings(
        home=tmp_path_factory.mktemp("home"),
        embedder="sentence-transformers",
        embedder_model=str(models / "encoder"),
        reranker="sentence-transformers",
        language_model="transformers",
        language_model_name=str(models / "chat"),
        vector_index="numpy",
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("data") / "shop")


def asked(kind: Kind, data: Path) -> SearchTrainingAsked:
    return SearchTrainingAsked(kind, data, assignments=QUICK, questions=200, queries=5)


def quiet() -> Hearing:
    return Hearing(lambda what: None)


@pytest.fixture(scope="module", params=["encoder", "reranker"])
def trained(request: pytest.FixtureRequest, settings: Settings, data: Path) -> Trained:
    return train_for_search(asked(request.param, data), settings, quiet())


def test_the_table_has_the_search_without_and_with_it(trained: Trained) -> None:
    report, entry, _ = trained
    systems = cast(dict[str, dict[str, float]], report["systems"])
    assert {"bm25", "dense", BEFORE, TUNED} <= systems.keys()
    assert systems[TUNED].keys() == {"ndcg@10", "mrr@10", "recall@10", "recall@100"}
    assert entry.card.metrics[TUNED]["ndcg@10"] == systems[TUNED]["ndcg@10"]


def test_it_is_live_where_it_is_not_behind(trained: Trained, settings: Settings) -> None:
    _, entry, live = trained
    assert entry.card.comparison is not None
    learned_something = "Nothing that was learned" not in entry.card.notes
    assert live == (entry.card.comparison.difference >= 0 and learned_something)
    found = Registry(settings.home).live(entry.card.kind)
    assert (found is not None and found.id == entry.id) == live


def test_what_was_measured_is_what_is_served(trained: Trained, settings: Settings) -> None:
    _, entry, _ = trained
    registry = Registry(settings.home)
    registry.promote(entry.id, force=True)
    with closing(open_shop(settings.model_copy(update={"language_model": "none"}))) as shop:
        in_use = {followed.kind: followed for followed in shop.trained}[entry.card.kind]
        loaded = in_use.current()
        assert loaded is not None, in_use.problem
        assert loaded.entry.id == entry.id
        if entry.card.kind == "encoder":
            assert entry.id in shop.embedder.name
    registry.rollback(entry.card.kind)


def test_it_says_whom_it_learned_from(trained: Trained, settings: Settings) -> None:
    _, entry, _ = trained
    assert entry.card.data.users > 0
    people = LearnedFrom(settings.home)
    assert isinstance(people.record(entry.card.kind, entry.id), Record)
    assert (entry.card.kind, entry.id) not in people.models("nobody")


def test_nothing_is_left_of_the_training(trained: Trained, settings: Settings) -> None:
    assert {path.name for path in (settings.home / "datasets").iterdir()} <= {"search", "chats"}
    _, entry, _ = trained
    assert {path.name for path in entry.folder.iterdir()} >= {"adapter", "merged", "card.json"}


def test_who_is_erased_while_it_learns_takes_the_model_along(
    settings: Settings, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = iter((0, 1))
    for module in ("search_training", "lora_entry"):
        monkeypatch.setattr(f"eval.{module}.erasures", lambda settings: next(counted))
    home = settings.model_copy(update={"home": tmp_path})
    _, entry, live = train_for_search(replace(asked("encoder", data), questions=32), home, quiet())
    assert not live
    with pytest.raises(InvalidInput, match="withdrawn for good"):
        Registry(tmp_path).promote(entry.id, force=True)
    assert LearnedFrom(tmp_path).record("encoder", entry.id) is None  # it may name whom the others have forgotten


def test_a_setting_that_does_not_exist_is_refused_before_anything_is_done(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no setting 'ranks'"):
        train_for_search(
            SearchTrainingAsked("encoder", assignments=("ranks=3",)),
            settings.model_copy(update={"home": tmp_path / "new"}),
            quiet(),
        )
    assert not (tmp_path / "new").exists()


def test_a_shop_without_products_says_so(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=f"the shop in {tmp_path} has no products"):
        train_for_search(SearchTrainingAsked("encoder"), settings.model_copy(update={"home": tmp_path}), quiet())


@pytest.fixture(scope="module")
def llm(settings: Settings, data: Path) -> Trained:
    chosen = LlmTrainingAsked(data, assignments=(*QUICK, "max_length=4096"), rows=24, measured=12)
    return train_language_model(chosen, settings, quiet())


@pytest.mark.slow
def test_answers_become_likelier(llm: Trained) -> None:
    report, entry, live = llm
    systems = cast(dict[str, dict[str, float]], report["systems"])
    assert systems["tuned"]["log_likelihood"] > systems["base"]["log_likelihood"]
    assert live
    assert entry.card.main_value == systems["tuned"]["log_likelihood"]
    assert cast(dict[str, object], cast(dict[str, object], report["slices"])["task"]).keys() >= {"understanding"}


def test_what_a_person_did_is_for_stopping_or_for_the_verdict() -> None:
    def row(user: str | None, content: str) -> ChatExample:
        return ChatExample(task="judging", messages=(ChatMessage("user", content),), answer="Yes", user_id=user)

    rows = [row(f"u{number % 7}", f"question {number}") for number in range(40)]
    rows += [row(None, f"request {number % 5}") for number in range(20)]
    first, second = halves(rows)
    assert len(first) + len(second) == len(rows)
    assert {each.user_id for each in first if each.user_id}.isdisjoint(each.user_id for each in second)
    assert {each.messages for each in first}.isdisjoint(each.messages for each in second)
    with pytest.raises(InvalidInput, match="import more"):
        halves(rows[:1])


def test_tasks_are_chosen_by_name() -> None:
    assert tasks_of("wording,judging") == ("judging", "wording")
    with pytest.raises(InvalidInput, match="there is no task 'words'"):
        tasks_of("words")


@pytest.mark.slow
def test_a_worse_model_is_promoted_by_force_only(llm: Trained, settings: Settings) -> None:
    report, entry, _ = llm
    rows = [dict(cast(dict[str, object], row)) for row in cast(list[object], report["comparisons"])]
    worse = {"comparisons": [{**rows[0], "difference": -1.0, "interval": [-1.5, -0.5]}]}
    comparison = comparison_of(worse, "base", "log_likelihood", "")
    assert comparison.is_worse
    registry = Registry(settings.home)
    card = replace(entry.card, id=f"{entry.id}-b", comparison=comparison)
    registry.register(card, lambda folder: (folder / "weights").write_text("x") and None, [])
    with pytest.raises(InvalidInput, match="was measured worse than the shop without such a model: log_likelihood -1"):
        registry.promote(card.id)
    assert registry.promote(card.id, force=True).live is not None
    registry.rollback("llm")
