"""`GET /v1/insights` behind the real service: shapes, limits, the key, the page, the command."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from app.main import create_app
from tasteline.settings import Settings

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


def act(user: int, product: str, days: float, kind: str = "view_item") -> dict[str, object]:
    moment = (NOW - timedelta(days=days)).isoformat()
    return {
        "event_id": f"{user}-{product}-{days}",
        "event": kind,
        "user_id": f"u{user}",
        "product_id": product,
        "time": moment,
    }


def history() -> list[dict[str, object]]:
    events = [act(user, "tent", days) for user in range(40) for days in (3, 12, 33, 47)]
    events += [act(user, "kettle", 5) for user in range(24)] + [act(user, "stove", 40) for user in range(24)]
    return [
        *events,
        *(act(user, product, 9, "purchase") for user in range(30, 40) for product in ("bag", "stove")),
        *(act(user, "blue", 9, "purchase") for user in range(20)),
    ]


@pytest.fixture
def busy(client: TestClient) -> TestClient:
    response = client.post("/v1/events", json=history())
    assert response.status_code == 200, response.text
    return client


def test_what_rises_among_whom_and_what_to_do(busy: TestClient) -> None:
    answer = busy.get("/v1/insights", params={"days": 28})
    assert answer.status_code == 200, answer.text
    view = answer.json()
    assert view["days"] == 28
    assert (view["shoppers"], view["people"], view["minimum_people"], view["false_alarm_rate"]) == (40, 40, 5, 0.05)
    kettles = next(turn for turn in view["rising"] if turn["topic"]["name"] == "Kettles")
    assert kettles["topic"]["path"] == ["Kitchen", "Kettles"]
    assert (kettles["shoppers"], kettles["shoppers_before"]) == (24, 0) or kettles["shoppers_before"] is None
    assert (kettles["q"], kettles["change"]) == (None, None), "they would tell of the few before"
    assert kettles["wanted"][0]["id"] == "kettle"
    assert kettles["wanted"][0]["price"] == {"amount": 2900, "currency": "USD"}
    assert kettles["action"]["text"].startswith("Bring Kettles onto the home page")
    assert kettles["action"]["text"] in [action["text"] for action in view["actions"]]
    [rule] = [
        rule
        for rule in view["rules"]
        if rule["then"][0]["name"] == "Sleeping Bags" or rule["if_bought"][0]["name"] == "Sleeping Bags"
    ]
    assert (rule["baskets"], rule["shoppers"], rule["confidence"]) == (10, 10, 1.0)
    assert view["age_seconds"] >= 0
    assert datetime.fromisoformat(view["as_of"]) == NOW - timedelta(days=3)


def test_a_category_and_a_limit(busy: TestClient) -> None:
    view = busy.get("/v1/insights", params={"days": 28, "category": "kitchen", "limit": 1}).json()
    assert [turn["topic"]["name"] for turn in view["rising"]] == ["Kettles"]
    assert view["rules"] == []
    assert "Kitchen" in view["categories"]
    assert busy.get("/v1/insights", params={"category": "nowhere"}).json()["rising"] == []


@pytest.mark.parametrize(
    "wrong", [{"days": 10}, {"days": 0}, {"days": "x"}, {"limit": 0}, {"limit": 51}, {"category": ""}]
)
def test_wrong_questions_are_refused(client: TestClient, wrong: dict[str, object]) -> None:
    answer = client.get("/v1/insights", params=wrong)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_a_shop_without_events_says_so(client: TestClient) -> None:
    view = client.get("/v1/insights").json()
    assert view["rising"] == view["falling"] == view["rules"] == view["segments"] == view["actions"] == []
    assert view["as_of"] is None
    assert view["notes"]


def test_it_needs_the_key_and_its_page_does_not(settings: Settings) -> None:
    guarded = settings.model_copy(update={"api_keys": (SecretStr("secret"),)})
    with TestClient(create_app(guarded)) as client:
        assert client.get("/v1/insights").status_code == 401
        assert client.get("/v1/insights", headers={"Authorization": "Bearer secret"}).status_code == 200
        page = client.get("/insights")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'self'" in page.headers["content-security-policy"]


def test_an_erased_person_is_gone_from_the_next_answer(busy: TestClient) -> None:
    assert busy.get("/v1/insights", params={"days": 28}).json()["people"] == 40
    busy.delete("/v1/users/u3")
    assert busy.get("/v1/insights", params={"days": 28}).json()["people"] == 39
