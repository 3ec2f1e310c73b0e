"""The offers' endpoints: their contract, and that the merchant's one names people only to who has the key."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from tasteline.settings import Settings

KETTLE = {
    "id": "kettle",
    "title": "Enamel Kettle",
    "categories": ["Kitchen", "Kettles"],
    "price": {"amount": 2900, "currency": "USD"},
}
AT = "2026-03-01T10:00:00Z"
UNPRICED = {"id": "copper", "title": "Copper Kettle", "categories": ["Kitchen", "Kettles"]}


def settings_in(home: Path, **fields: object) -> Settings:
    return Settings(home=home, embedder="hashing", language_model="none", _env_file=None, **fields)  # type: ignore[call-arg,arg-type]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(settings_in(tmp_path)), raise_server_exceptions=False) as made:
        made.put("/v1/products", json=[KETTLE, UNPRICED])
        events = [
            {"event_id": user, "event": "add_to_cart", "user_id": user, "product_id": thing, "time": AT}
            for user, thing in (("anna", "kettle"), ("ben", "copper"))
        ]
        made.post("/v1/events", json=events)
        yield made


def test_the_merchant_is_told_what_whom_and_why(client: TestClient) -> None:
    answer = client.get("/v1/insights/offers").json()
    (offer,) = answer["offers"]
    assert offer["what"]["topic"] == "Kettles"
    assert offer["people"] == 2
    assert offer["whom"] == ["anna", "ben"]
    assert offer["why"] == "2 people have left Kettles in the cart within 14 days"
    assert offer["sign"] == "cart"
    assert offer["expected"] is None
    assert answer["as_of"] == "2026-03-02"
    assert "with or without an offer" in answer["basis"]


def test_a_price_is_the_stores_or_none(client: TestClient) -> None:
    (offer,) = client.get("/v1/insights/offers").json()["offers"]
    assert {each["id"]: each["price"] for each in offer["what"]["products"]} == {
        "kettle": {"amount": 2900, "currency": "USD"},
        "copper": None,
    }


def test_a_person_is_offered_what_their_own_deeds_say(client: TestClient) -> None:
    (offer,) = client.get("/v1/users/anna/offers").json()["offers"]
    assert offer["why"].startswith("Left Kettles in the cart")
    assert [each["id"] for each in offer["what"]["products"]] == ["kettle"]
    assert client.get("/v1/users/nobody/offers").json()["offers"] == []


def test_who_was_erased_is_in_no_advice(client: TestClient) -> None:
    client.get("/v1/insights/offers")
    client.delete("/v1/users/anna")
    (offer,) = client.get("/v1/insights/offers").json()["offers"]
    assert offer["whom"] == ["ben"]


def test_a_wrong_limit_is_no_error_of_ours(client: TestClient) -> None:
    assert client.get("/v1/insights/offers?limit=0").status_code == 422
    assert client.get("/v1/users/anna/offers?limit=x").status_code == 422


def test_nobody_without_the_key_hears_of_others(tmp_path: Path) -> None:
    with TestClient(create_app(settings_in(tmp_path, api_keys=("secret",)))) as guarded:
        assert guarded.get("/v1/insights/offers").status_code == 401
        assert guarded.get("/v1/insights/offers", headers={"authorization": "Bearer secret"}).status_code == 200


def test_an_event_of_the_future_is_refused(client: TestClient) -> None:
    late = {"event_id": "late", "event": "view_item", "user_id": "anna", "product_id": "kettle"}
    refused = client.post("/v1/events", json={**late, "time": "2999-01-01T00:00:00Z"})
    assert refused.status_code == 422
    assert "future" in refused.text
    soon = (datetime.now(UTC) + timedelta(hours=20)).isoformat()  # a local time that is called UTC
    assert client.post("/v1/events", json={**late, "time": soon}).status_code == 200
