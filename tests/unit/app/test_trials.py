"""Two rankers in one running service: who gets which, and that the rankings say so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.bootstrap import open_shop
from app.engines import open_store
from app.main import create_app
from app.shop import Shop
from eval.online import report_of
from retrieval.experiment import Experiments, assigned, key_of
from retrieval.models.ranker_files import StoredRanker, write_ranker
from retrieval.recommend import RecommendationQuery
from retrieval.registry import Registry
from tasteline.settings import Settings
from tasteline.types import Event, EventType, Product, Ranking
from tests.unit.retrieval.models import small_ranker
from tests.unit.retrieval.trained import card

PEOPLE = [f"u{number}" for number in range(24)]


def made(monkeypatch: pytest.MonkeyPatch) -> tuple[StoredRanker, StoredRanker]:
    """Two that disagree."""
    import torch

    monkeypatch.setattr(small_ranker, "DIMENSION", 256)  # of the hashing embedder
    usual, other = (
        replace(
            small_ranker.stored(small_ranker.ranker(small_ranker.network("transformer"), small_ranker.network("gru"))),
            embedder="hashing/256",
        )
        for _ in range(2)
    )
    with torch.no_grad():
        for weights in other.fusion.parameters():
            weights.mul_(-1)
    return usual, other


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home with two rankers, the first of them live."""
    home = tmp_path / "home"
    values = {"embedder": "hashing", "language_model": "none", "vector_index": "numpy"}
    settings = Settings(home=home, _env_file=None, **values)  # type: ignore[arg-type, call-arg]
    registry = Registry(home)
    for number, stored in enumerate(made(monkeypatch)):
        registry.register(card(number), lambda folder, stored=stored: write_ranker(stored, folder), PEOPLE)  # type: ignore[misc]
    registry.promote(card(0).id)
    with closing(open_store(settings)) as store:
        things = [Product(f"p{n}", f"Thing {n}", categories=("Home", f"Kind {n % 2}")) for n in range(12)]
        store.put_products(things)
        store.append_events(
            [
                Event(f"{person}-{n}", EventType.VIEW_ITEM, person, product_id=f"p{(place + n) % 12}", position=n)
                for place, person in enumerate(PEOPLE)
                for n in range(2)
            ]
        )
    return settings


@pytest.fixture
def shop(settings: Settings) -> Iterator[Shop]:
    with closing(open_shop(settings)) as opened:
        yield opened


def rankings(shop: Shop) -> dict[str, Ranking]:
    return {person: shop.recommender.recommend(RecommendationQuery(user_id=person, limit=6)) for person in PEOPLE}


def shown(ranking: Ranking) -> list[str]:
    return [item.product.id for item in ranking.items]


def test_people_get_their_arm_and_keep_it(shop: Shop, settings: Settings) -> None:
    before = rankings(shop)
    assert all(ranking.trial is None for ranking in before.values())
    experiments = Experiments(settings.home)
    started = experiments.start(card(1).id)
    shop.follower.tick()
    during = rankings(shop)
    arms = {person: ranking.trial.arm for person, ranking in during.items() if ranking.trial}
    assert set(arms) == set(PEOPLE)
    assert arms == {person: assigned(started, key_of(person, None) or "").arm for person in PEOPLE}
    changed = {person for person in PEOPLE if shown(during[person]) != shown(before[person])}
    assert changed == {person for person, arm in arms.items() if arm == "B"}
    assert {person: shown(ranking) for person, ranking in rankings(shop).items()} == {
        person: shown(ranking) for person, ranking in during.items()
    }
    experiments.stop("next-item")
    shop.follower.tick()
    after = rankings(shop)
    assert {person: shown(ranking) for person, ranking in after.items()} == {
        person: shown(ranking) for person, ranking in before.items()
    }
    assert all(ranking.trial is None for ranking in after.values())


def test_who_comes_without_a_name_or_a_session_is_in_no_experiment(shop: Shop, settings: Settings) -> None:
    Experiments(settings.home).start(card(1).id)
    shop.follower.tick()
    step = (Event("s", EventType.VIEW_ITEM, product_id="p1"),)
    assert shop.recommender.recommend(RecommendationQuery(session=step)).trial is None
    with_session = shop.recommender.recommend(RecommendationQuery(session=step, session_id="visit"))
    assert with_session.trial is not None


def test_a_candidate_that_cannot_be_loaded_is_in_nobodys_way(
    shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiments = Experiments(settings.home)
    experiments.start(card(1).id)
    weights = next(
        path for path in Registry(settings.home).entry(card(1).id).folder.iterdir() if path.suffix != ".json"
    )
    weights.write_bytes(b"rust")
    shop.follower.tick()
    assert all(ranking.trial is None and ranking.items for ranking in rankings(shop).values())


def test_from_the_first_request_to_the_table(settings: Settings) -> None:
    """Over HTTP: arms are recorded with the rankings, and what people do is joined to them."""
    started = Experiments(settings.home).start(card(1).id)
    with TestClient(create_app(settings)) as client:
        for number, person in enumerate(PEOPLE):
            answer = client.post("/v1/recommendations", json={"user_id": person, "limit": 3}).json()
            if number % 2:
                event = {"event_id": f"click-{person}", "event": "view_item", "user_id": person}
                product = answer["items"][0]["product"]["id"]
                body = {**event, "product_id": product, "ranking_id": answer["ranking_id"]}
                assert client.post("/v1/events", json=body).status_code == 200
    with closing(open_store(settings)) as store:
        report = report_of(started, store.trial_outcomes(started.id))
    click = report.metrics["click"]
    assert click.a.people + click.b.people == click.a.shown + click.b.shown == len(PEOPLE)
    assert click.a.acted + click.b.acted == len(PEOPLE) // 2
    arms = {assigned(started, key_of(person, None) or "").arm for person in PEOPLE}
    assert arms == {"A", "B"}
    with closing(open_store(settings)) as store:
        store.erase_user(PEOPLE[1])
        assert len(list(store.trial_outcomes(started.id))) == len(PEOPLE) - 1
