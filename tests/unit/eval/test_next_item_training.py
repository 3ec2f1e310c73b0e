"""`tasteline train next-item` from a feed to a shop that ranks by what was trained."""

from __future__ import annotations

import json
import random
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient

from app.bootstrap import open_shop
from app.engines import open_embedder, open_store, open_store_at
from app.indexing import build_index
from app.main import create_app
from app.shop import Shop
from eval import next_item_training
from eval.next_item_training import LEARNED, TrainingAsked, train_next_item
from finetune.training import Epoch
from retrieval.erasure import erase_person
from retrieval.learned_from import LearnedFrom, Record
from retrieval.registry import Entry, Registry
from tasteline.errors import InvalidInput
from tasteline.ports import Need
from tasteline.settings import Settings
from tasteline.types import Mask, Rows, Scores
from tests.unit.eval.quick_recipe import QUICK

ITEMS, PEOPLE = 24, 160
KINDS = ("Lamps", "Kettles", "Tents", "Mugs")
POPULAR = TrainingAsked(systems=("popular",))


def write_shop(folder: Path) -> Path:
    """After product n everybody goes on to n + 1."""
    folder.mkdir(parents=True)
    with (folder / "products.jsonl").open("w") as stream:
        for n in range(ITEMS):
            kind = KINDS[n % len(KINDS)]
            stream.write(json.dumps({"id": f"p{n}", "title": f"{kind[:-1]} number {n}", "categories": [kind]}) + "\n")
    rng = random.Random(0)
    with (folder / "events.jsonl").open("w") as stream:
        for person in range(PEOPLE):
            start = rng.randrange(ITEMS)
            for place in range(4 + person % 4):
                row = {"event_id": f"e{person}-{place}", "event": "purchase", "user_id": f"u{person}"}
                what = {"product_id": f"p{(start + place) % ITEMS}", "position": place}
                stream.write(json.dumps({**row, **what}) + "\n")
    return folder


def settings_of(home: Path, **changes: object) -> Settings:
    chosen = {"embedder": "hashing", "language_model": "none", "vector_index": "numpy", **changes}
    return Settings(home=home, **chosen)  # type: ignore[arg-type]


def quiet(name: str) -> None:
    pass


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_of(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def heard() -> list[str]:
    return []


@pytest.fixture(scope="module")
def trained(
    settings: Settings, heard: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, object], Entry, bool]:
    """The first training, on what is imported with it."""
    data = write_shop(tmp_path_factory.mktemp("data") / "shop")

    def hear(part: str, epoch: Epoch) -> None:
        heard.append(part)

    return train_next_item(replace(POPULAR, data=data), settings, quiet, hear, recipe=QUICK)


def test_what_is_ahead_of_every_baseline_becomes_live(
    settings: Settings, heard: list[str], trained: tuple[dict[str, object], Entry, bool]
) -> None:
    report, entry, live = trained
    systems = cast("dict[str, dict[str, float]]", report["systems"])
    assert set(systems) == {"popular", LEARNED}
    assert systems[LEARNED]["ndcg@10"] > systems["popular"]["ndcg@10"]
    assert live
    now = Registry(settings.home).live("next-item")
    assert now is not None
    assert now.id == entry.id
    assert set(heard) == {"transformer", "rehearsal transformer"}


def test_the_card_says_how_it_came_about(trained: tuple[dict[str, object], Entry, bool]) -> None:
    report, entry, _ = trained
    card = entry.card
    systems = cast("dict[str, dict[str, float]]", report["systems"])
    assert card.metrics[LEARNED]["ndcg@10"] == systems[LEARNED]["ndcg@10"]
    assert set(card.metrics) == {"popular", LEARNED}
    assert (card.kind, card.system, card.main_metric, card.split) == ("next-item", LEARNED, "ndcg@10", "test")
    assert (card.data.users, card.data.items) == (PEOPLE, ITEMS)
    assert card.data.events == sum(2 + person % 4 for person in range(PEOPLE))  # without the last two of each
    assert card.settings["networks.transformer.shape.width"] == 16
    assert card.settings["fusion.epochs"] == QUICK.fusion.epochs
    assert card.seconds > 0
    assert card.seed == 0


def test_it_is_known_whom_it_learned_from(settings: Settings, trained: tuple[dict[str, object], Entry, bool]) -> None:
    records = LearnedFrom(settings.home)
    assert records.record("next-item", trained[1].id) == Record(forgotten=0, people=PEOPLE)
    assert ("next-item", trained[1].id) in records.models("u7")
    assert not records.models("u999")


def test_who_is_erased_during_the_training_keeps_it_out_of_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path / "home")
    register = next_item_training.register_ranker

    def erasing(*what: Any) -> Entry:
        with closing(open_store(settings)) as store:
            erase_person(settings.home, store, open_store_at(settings), "u3")
        return register(*what)

    monkeypatch.setattr(next_item_training, "register_ranker", erasing)
    data = write_shop(tmp_path / "data")
    told: list[str] = []
    _, entry, live = train_next_item(replace(POPULAR, data=data), settings, told.append, recipe=QUICK)
    assert not live
    assert any("erased" in line for line in told)
    assert Registry(settings.home).is_withdrawn("next-item", entry.id)
    assert LearnedFrom(settings.home).models("u3") == []
    assert Registry(settings.home).live("next-item") is None


def test_a_candidate_is_left_alone_where_it_is_asked_for_or_behind(
    settings: Settings, trained: tuple[dict[str, object], Entry, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = trained[1].id
    _, candidate, live = train_next_item(replace(POPULAR, promote=False), settings, quiet, recipe=QUICK)
    assert not live
    monkeypatch.setattr(next_item_training, "_is_ahead", lambda report: False)
    _, behind, live = train_next_item(POPULAR, settings, quiet, recipe=QUICK)
    assert not live
    registry = Registry(settings.home)
    assert {candidate.id, behind.id, before} <= {entry.id for entry in registry.entries("next-item")}
    now = registry.live("next-item")
    assert now is not None
    assert now.id == before


def test_another_shop_begins_from_it(
    trained: tuple[dict[str, object], Entry, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = settings_of(tmp_path / "home")
    data = write_shop(tmp_path / "data")
    asked = replace(POPULAR, data=data, begin=str(trained[1].folder))
    _, entry, _ = train_next_item(asked, other, quiet, recipe=QUICK)
    assert entry.card.settings["begun_from"] == trained[1].id
    narrow = replace(QUICK.networks["transformer"], shape=replace(QUICK.networks["transformer"].shape, width=8))
    with pytest.raises(InvalidInput, match="another shape"):
        train_next_item(asked, other, quiet, recipe=replace(QUICK, networks={"transformer": narrow}))
    monkeypatch.setattr(type(open_embedder(other)), "name", "hashing/other")
    with pytest.raises(InvalidInput, match=r"texts of hashing/256, this shop those of hashing/other"):
        train_next_item(asked, other, quiet, recipe=QUICK)


def test_equal_is_not_behind_and_a_hair_less_is() -> None:
    def report(ours: float, theirs: float) -> dict[str, object]:
        return {"systems": {LEARNED: {"ndcg@10": ours}, "popular": {"ndcg@10": theirs}}}

    assert next_item_training._is_ahead(report(0.2, 0.2))
    assert not next_item_training._is_ahead(report(0.2, 0.2001))


def test_a_running_shop_takes_it_up_and_ranks_by_it(
    settings: Settings, trained: tuple[dict[str, object], Entry, bool]
) -> None:
    registry = Registry(settings.home)
    pointer = settings.home / "models" / "registry" / "next-item" / "live.json"
    kept = pointer.read_bytes()
    pointer.unlink()
    shops: list[Shop] = []

    def opened(chosen: Settings) -> Shop:
        shops.append(open_shop(chosen))
        return shops[0]

    asked = {"session": [{"event": "view_item", "product_id": f"p{n}"} for n in (2, 3, 4)], "limit": 3}
    with TestClient(create_app(settings, opened)) as client:
        assert client.get("/health/ready").json()["models"] == {}
        registry.promote(trained[1].id)
        shops[0].follower.tick()
        assert client.get("/health/ready").json()["models"] == {"next-item": trained[1].id}
        scores = scores_of(shops[0])
        items = client.post("/v1/recommendations", json=asked).raise_for_status().json()["items"]
    shown = [item["product"]["id"] for item in items]
    assert shown[0] == max(scores, key=lambda product_id: scores[product_id]) == "p5"
    pointer.write_bytes(kept)


def scores_of(shop: Shop) -> dict[str, float]:
    """Filled with what the learned source says of each product when the shop is asked next."""
    scores: dict[str, float] = {}
    (source,) = (each for each in shop.recommender._sources if each.name == "learned")
    propose = source.propose

    def noted(need: Need, k: int, allowed: Mask) -> tuple[Rows, Scores, Rows]:
        rows, values, because = propose(need, k, allowed)
        catalogue = shop.live.present.catalogue
        scores.update((catalogue.product(row).id, value) for row, value in zip(rows, values.tolist(), strict=True))
        return rows, values, because

    source.propose = noted  # type: ignore[method-assign]
    return scores


def test_a_ranker_that_knows_other_vectors_is_not_used_and_named(
    settings: Settings, trained: tuple[dict[str, object], Entry, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(open_embedder(settings)), "name", "hashing/other")
    build_index(settings)
    shop = open_shop(settings)
    try:
        model = next(each for each in shop.trained if each.kind == "next-item")
        assert model.current() is None
        assert "embedded by hashing/256, the shop uses hashing/other" in (model.problem or "")
        assert "tasteline train next-item" in (model.problem or "")
    finally:
        shop.close()


def test_shops_with_nothing_to_learn_from_say_so(tmp_path: Path) -> None:
    empty = settings_of(tmp_path / "home")
    with pytest.raises(InvalidInput, match="no products"):
        train_next_item(POPULAR, empty, quiet, recipe=QUICK)
    data = write_shop(tmp_path / "data")
    with pytest.raises(InvalidInput, match="nobody has done anything"):
        train_next_item(replace(POPULAR, data=data / "products.jsonl"), empty, quiet, recipe=QUICK)
    assert Registry(empty.home).entries("next-item") == []
