"""From an open shop to a set on disk: every step once, and the whole twice the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.llm.scripted import ScriptedLanguageModel
from finetune.examples import Question
from finetune.question_making import OpenShop, QuestionRecipe, make_question_set
from finetune.question_sets import QuestionSet, read_question_set
from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.search import SearchQuery
from tasteline.errors import InvalidInput
from tasteline.types import Event, EventType
from tests.unit.finetune.small_catalogue import catalogue
from tests.unit.retrieval.small_shop import DIMENSION, SmallShop

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def shoppers() -> list[Event]:
    """Two hundred people who each look for something and take it."""
    events = []
    for number in range(200):
        person, time = f"u{number}", NOON + timedelta(hours=number * 37 % 200)
        events += [
            Event(f"s{number}", EventType.SEARCH, person, query=f"gift {number % 7}", time=time),
            Event(f"v{number}", EventType.VIEW_ITEM, person, product_id=f"p{number % 120}", time=time),
            Event(f"c{number}", EventType.ADD_TO_CART, person, product_id=f"p{number * 7 % 120}", time=time),
        ]
    return [*events, Event("gone", EventType.SEARCH, "u0", query="old", time=NOON)]


class Opened(SmallShop):
    def open(self) -> OpenShop:
        return OpenShop(self.store, self.live.present, HashingEmbedder(DIMENSION), self.find)

    def find(self, texts: Sequence[str], k: int) -> list[list[str]]:
        rankings = self.searcher.search([SearchQuery(text, limit=k) for text in texts])
        return [[item.product.id for item in ranking.items] for ranking in rankings]


@pytest.fixture(scope="module")
def shop() -> Opened:
    return Opened(catalogue(), shoppers())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def made(shop: Opened, home: Path) -> QuestionSet:
    return make_question_set(home, "all", shop.open(), QuestionRecipe(each=3, within=20, seed=5))


def test_the_set_lies_on_disk_with_its_account(made: QuestionSet, home: Path, shop: Opened) -> None:
    assert read_question_set(home, "all", shop.store) == made
    about = json.loads((home / "datasets" / "all" / "dataset.json").read_bytes())
    assert (about["revision"], about["erasures"], about["products"], about["seed"]) == (120, 0, 120, 5)
    assert about["settings"]["within"] == 20
    assert about["settings"]["embedder"] == "hashing/256"
    assert about["places_weighted"] is False
    assert {"kind", "combination", "search_click", "search_cart"} <= set(about["origins"]["train"])
    assert sum(about["origins"]["train"].values()) == len(made.train)
    assert {"division", "round trip of train", "candidates for negatives of train"} <= set(about["dropped"])


def test_made_up_questions_are_those_that_come_back(made: QuestionSet, shop: Opened) -> None:
    made_up = [row for row in (*made.train, *made.valid) if row.user_id is None]
    found = shop.find([row.query for row in made_up], 20)
    assert all(row.positive in ids for row, ids in zip(made_up, found, strict=True))
    assert any(row.negatives for row in made_up)


def test_what_people_turned_to_is_no_negative_of_the_same_words(made: QuestionSet) -> None:
    did = [row for row in made.train if row.user_id is not None]
    turned_to = {(row.query, row.positive) for row in did}
    assert did
    assert any(row.negatives for row in did)
    assert not turned_to & {(row.query, each) for row in did for each in row.negatives}


def test_the_same_seed_gives_the_same_rows(made: QuestionSet, shop: Opened, tmp_path: Path) -> None:
    again = make_question_set(tmp_path, "again", shop.open(), QuestionRecipe(each=3, within=20, seed=5))
    assert again.about.checksum == made.about.checksum
    other = make_question_set(tmp_path, "other", shop.open(), QuestionRecipe(each=3, within=20, seed=6))
    assert other.about.checksum != made.about.checksum


def test_the_model_writes_only_where_it_is_asked_to(shop: Opened, tmp_path: Path) -> None:
    model = ScriptedLanguageModel(['{"searches": ["steel grinder for coffee", "gift for gardeners"]}'])
    opened = replace(shop.open(), model=model)
    make_question_set(tmp_path, "without", opened, QuestionRecipe(each=1))
    assert model.requests == []
    made = make_question_set(tmp_path, "with", opened, QuestionRecipe(each=1, written=30, within=120))
    written = [row for row in (*made.train, *made.valid) if row.origin == "written"]
    assert len(model.requests) == 30
    assert "steel grinder for coffee" in {row.query for row in written}
    with pytest.raises(InvalidInput, match="no language model"):
        make_question_set(tmp_path, "none", shop.open(), QuestionRecipe(each=1, written=1))


def test_pairs_of_a_basket_only_where_they_are_asked_for(made: QuestionSet, tmp_path: Path) -> None:
    shop = Opened(catalogue())
    shop.append(
        Event("1", EventType.PURCHASE, "u1", "s", "p3", time=NOON),
        Event("2", EventType.PURCHASE, "u1", "s", "p4", time=NOON),
        Event("3", EventType.PURCHASE, "u4", "t", "p4", time=NOON + timedelta(days=1)),
    )
    assert all(row.origin != "together" for row in made.train)
    paired = make_question_set(tmp_path, "pairs", shop.open(), QuestionRecipe(each=1, together=True))
    assert [row.origin for row in paired.train if row.user_id].count("together") in (0, 2)


def test_who_is_erased_while_it_is_made_is_not_written(shop: Opened, tmp_path: Path) -> None:
    own = Opened(catalogue(), shoppers())
    person = next(row.user_id for row in made_of(own, tmp_path) if row.user_id)
    erased: list[str] = []

    def told(step: str) -> None:
        if step == "negatives of valid":
            own.store.erase_user(person)
            erased.append(step)

    rows = make_question_set(tmp_path, "meanwhile", own.open(), QuestionRecipe(each=1), told).train
    assert erased
    assert person not in {row.user_id for row in rows}
    assert person not in (tmp_path / "datasets" / "meanwhile" / "train.jsonl").read_text().split('"')


def made_of(shop: Opened, home: Path) -> tuple[Question, ...]:
    return make_question_set(home, "first", shop.open(), QuestionRecipe(each=1)).train


def test_an_empty_shop_gives_an_empty_set(tmp_path: Path) -> None:
    made = make_question_set(tmp_path, "empty", Opened().open())
    assert (made.train, made.valid) == ((), ())
    assert made.about.products == 0
