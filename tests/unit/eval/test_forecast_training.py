"""`tasteline train forecast` from events in the store to a service that forecasts by what was trained."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from app.engines import open_store, open_store_at
from app.main import create_app
from eval import forecast_training
from eval.data.interactions import Dataset
from eval.forecast import asked, purchases, windows
from eval.forecast_training import ForecastTrainingAsked, is_ahead, purchases_in, train_shop_forecast
from eval.learned_forecast import NAME, Forecasts, LearnedForecast
from retrieval.erasure import erase_person
from retrieval.forecast import BASELINE
from retrieval.importing.run import import_paths
from retrieval.learned_from import LearnedFrom
from retrieval.registry import Registry
from tasteline.errors import InvalidInput
from tasteline.settings import Settings
from tests.unit.finetune.small_year import PEOPLE, QUICK, shelf, year

TOLD: list[str] = []


def write_year(folder: Path, days: int | None = None) -> Path:
    folder.mkdir(parents=True)
    made, names = year(), shelf().category_names
    with (folder / "products.jsonl").open("w") as stream:
        for number, product_id in enumerate(shelf().product_ids):
            of = int(shelf().category_of[number])
            path = ["Shop", names[of]] if of >= 0 else []
            line = {"id": product_id, "title": f"Thing {number}", "categories": path}
            stream.write(json.dumps(line) + "\n")
    with (folder / "events.jsonl").open("w") as stream:
        for place, (person, thing, at) in enumerate(zip(made.people, made.things, made.times, strict=True)):
            if days is not None and at >= made.times.min() + days * 86_400:
                continue
            row = {
                "event_id": f"e{place}",
                "event": "purchase",
                "user_id": f"person-{person:02}",
                "product_id": shelf().product_ids[thing],
                "time": datetime.fromtimestamp(int(at), UTC).isoformat(),
            }
            stream.write(json.dumps(row) + "\n")
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", embedder="hashing", language_model="none", _env_file=None)  # type: ignore[call-arg]


def test_trained_registered_served_and_forgotten(settings: Settings, tmp_path: Path) -> None:
    with TestClient(create_app(settings)) as client:
        before = client.get("/v1/users/person-01/forecast").json()
        assert (before["model"], before["calibrated"], before["products"]) == (BASELINE, False, [])
    wanted = ForecastTrainingAsked(data=write_year(tmp_path / "shop"), promote=False)
    report, entry, live = train_shop_forecast(wanted, settings, TOLD.append, QUICK)
    systems = report["systems"]
    assert isinstance(systems, dict)
    assert systems[NAME]["auc"] > systems["popular"]["auc"]
    assert {"comes_auc", "comes_log_loss", "recall@10", "log_loss"} <= set(systems[NAME])
    assert not live
    registry = Registry(settings.home)
    assert registry.live("forecast") is None
    assert entry.card.data.users == PEOPLE
    registry.promote(entry.id)
    with TestClient(create_app(settings)) as client:
        assert client.get("/health/ready").json()["models"]["forecast"] == entry.id
        found = client.get("/v1/users/person-01/forecast", params={"limit": 3}).json()
        assert (found["model"], found["calibrated"], found["days"]) == (entry.id, True, 30)
        assert len(found["categories"]) == len(found["products"]) == 3
        assert found["categories"][0]["reason"].startswith("bought ")
        chances = [each["probability"] for each in found["products"]]
        assert chances == sorted(chances, reverse=True)
        assert all(0 <= each <= found["comes"] for each in chances)
        leaving = client.get("/v1/insights/leaving", params={"limit": 5}).json()
        assert (leaving["model"], len(leaving["people"])) == (entry.id, 5)
        gone = [int(each["user_id"].removeprefix("person-")) % 3 for each in leaving["people"]]
        assert gone.count(0) >= 4  # every third stayed away from some day on
    registry.rollback("forecast")
    with TestClient(create_app(settings)) as client:
        assert client.get("/v1/users/person-01/forecast").json()["model"] == BASELINE
    with closing(open_store(settings)) as store:
        erased = erase_person(settings.home, store, open_store_at(settings), "person-01")
    assert [(learner.kind, learner.id) for learner in erased.learners] == [("forecast", entry.id)]


def test_other_peoples_data_need_the_key(tmp_path: Path) -> None:
    guarded = Settings(
        home=tmp_path / "home",
        embedder="hashing",
        language_model="none",
        api_keys=(SecretStr("secret"),),
        _env_file=None,
    )  # type: ignore[call-arg]
    with TestClient(create_app(guarded)) as client:
        assert client.get("/v1/insights/leaving").status_code == 401
        assert client.get("/v1/users/anna/forecast").status_code == 401
        told = client.get("/v1/insights/leaving", headers={"authorization": "Bearer secret"})
        assert (told.status_code, told.json()["people"]) == (200, [])


def test_too_little_is_told_with_what_is_needed(settings: Settings, tmp_path: Path) -> None:
    products = tmp_path / "products.csv"
    with products.open("w") as stream:
        csv.writer(stream).writerows([["id", "title"], ["a", "Lamp"]])
    with pytest.raises(InvalidInput, match=r"a user id and a time, over 150 days.*there is none"):
        train_shop_forecast(ForecastTrainingAsked(data=products), settings, TOLD.append, QUICK)
    short = ForecastTrainingAsked(data=write_year(tmp_path / "shop", days=80))
    with pytest.raises(InvalidInput, match=r"here they span 79 days and \d+ people"):
        train_shop_forecast(short, settings, TOLD.append, QUICK)
    assert Registry(settings.home).entries("forecast") == []


def test_only_what_is_ahead_of_every_rule_goes_live() -> None:
    rule = {"recall@10": 0.5, "log_loss": 0.3}
    assert is_ahead({"popular": rule, NAME: {"recall@10": 0.5, "log_loss": 0.29}})
    assert not is_ahead({"popular": rule, NAME: {"recall@10": 0.6, "log_loss": 0.31}})
    assert not is_ahead({"popular": rule, NAME: {"recall@10": 0.49, "log_loss": 0.2}})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, embedder="hashing", language_model="none", _env_file=None)  # type: ignore[call-arg]
    with closing(open_store(settings)) as store:
        import_paths([write_year(home / "shop")], store, rejects_file=home / "rejects.jsonl")
        return purchases_in(store, "year")


def test_the_harness_shows_nothing_of_the_window(dataset: Dataset) -> None:
    valid, test = windows(dataset)
    known = purchases(dataset, "category")
    system = LearnedForecast(Forecasts.of(dataset, QUICK), "category")
    with pytest.raises(InvalidInput, match="reaches into the window"):
        system.fit(known, test)
    system.fit(known.between(None, valid.start), valid)
    users = asked(known, valid).users
    later = dataset.interactions.order >= valid.start
    early = Forecasts.of(dataset, QUICK)
    early.products = early.products.before(valid.start)
    blind = LearnedForecast(early, "category")
    blind.fit(known.between(None, valid.start), valid)
    assert later.any()
    np.testing.assert_array_equal(system.scores(users), blind.scores(users))


def test_a_kept_forecaster_is_read_back(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = windows(dataset)[0].start
    first = Forecasts.of(dataset, QUICK, cache=tmp_path).until(moment)
    monkeypatch.setattr("eval.learned_forecast.train_forecast", None)  # nobody trains again
    again = Forecasts.of(dataset, QUICK, cache=tmp_path).until(moment)
    np.testing.assert_array_equal(first.by_category.forest.values, again.by_category.forest.values)
    with pytest.raises(TypeError):
        Forecasts.of(dataset, QUICK, seed=1, cache=tmp_path).until(moment)


def test_who_is_erased_while_it_learns_is_named_by_no_record(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast_training, "erasures", lambda settings: 1)
    wanted = ForecastTrainingAsked(data=write_year(tmp_path / "shop"))
    entry, live = train_shop_forecast(wanted, settings, TOLD.append, QUICK)[1:]
    assert not live
    assert Registry(settings.home).is_withdrawn("forecast", entry.id)
    assert LearnedFrom(settings.home).models("person-01") == []
