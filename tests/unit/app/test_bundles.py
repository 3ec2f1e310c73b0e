"""Bundles and add-ons over HTTP: true products, true sums, figures that were counted, filters that hold."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from tasteline.settings import Settings

TENT, PEGS, LAMP, MILK, GONE = "tent", "pegs", "lamp", "milk", "gone"
PRODUCTS = [
    {"id": TENT, "title": "Dome Tent", "categories": ["Tents"], "price": {"amount": 9900, "currency": "USD"}},
    {"id": PEGS, "title": "Tent Pegs", "categories": ["Pegs"], "price": {"amount": 900, "currency": "USD"}},
    {"id": LAMP, "title": "Camp Lamp", "categories": ["Lamps"]},
    {"id": MILK, "title": "Milk", "categories": ["Dairy"], "price": {"amount": 100, "currency": "USD"}},
    {"id": GONE, "title": "Rain Fly", "categories": ["Flies"], "stock": 0},
]
BASKETS = [(TENT, PEGS, GONE)] * 4 + [(TENT, LAMP)] * 3 + [(MILK,)] * 30


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(home=tmp_path, embedder="hashing", language_model="none", _env_file=None)  # type: ignore[call-arg]
    with TestClient(create_app(settings), raise_server_exceptions=False) as made:
        made.put("/v1/products", json=PRODUCTS)
        events = [
            {
                "event_id": f"{number}-{thing}",
                "event": "purchase",
                "user_id": f"u{number}",
                "product_id": thing,
                "time": "2026-03-01T10:00:00Z",
            }
            for number, basket in enumerate(BASKETS)
            for thing in basket
        ]
        made.post("/v1/events", json=events)
        yield made


def test_a_cart_is_told_what_is_bought_along_with_it(client: TestClient) -> None:
    answer = client.post("/v1/bundles", json={"cart": [TENT, MILK]}).json()
    assert answer["product_ids"] == [TENT, MILK]
    assert answer["total"] == {"amount": 10_000, "currency": "USD"}
    pegs, lamp = answer["added"]
    assert (pegs["product"]["id"], pegs["support"]) == (PEGS, 4)
    assert pegs["confidence"] == pytest.approx(4 / 7, abs=1e-4)
    assert pegs["lift"] == pytest.approx(37 / 7, abs=1e-2)
    assert pegs["reason"] == {"kind": "together", "text": "In 4 of 7 baskets with Dome Tent", "evidence": [TENT]}
    assert lamp["product"]["price"] is None


def test_what_is_gone_filtered_or_excluded_is_not_added(client: TestClient) -> None:
    cheap = client.post("/v1/bundles", json={"cart": [TENT], "filters": {"price_max": 1000}}).json()
    assert [each["product"]["id"] for each in cheap["added"]] == [PEGS]
    others = client.post("/v1/bundles", json={"cart": [TENT], "exclude_ids": [PEGS]}).json()
    assert [each["product"]["id"] for each in others["added"]] == [LAMP]
    client.delete(f"/v1/products/{LAMP}")
    assert client.post("/v1/bundles", json={"cart": [TENT], "exclude_ids": [PEGS]}).json()["added"] == []


def test_a_bundle_sums_true_prices_or_none(client: TestClient) -> None:
    pair, other = client.get(f"/v1/products/{TENT}/bundles?size=2").json()["bundles"]
    assert (pair["product_ids"], pair["total"]) == ([TENT, PEGS], {"amount": 10_800, "currency": "USD"})
    assert (other["product_ids"], other["total"]) == ([TENT, LAMP], None)
    (three,) = client.get(f"/v1/products/{TENT}/bundles?size=3").json()["bundles"]
    assert (three["product_ids"], three["total"]) == ([TENT, PEGS, LAMP], None)
    assert client.get(f"/v1/products/{MILK}/bundles").json() == {"product_id": MILK, "bundles": []}


def test_the_unknown_and_the_malformed(client: TestClient) -> None:
    assert client.get("/v1/products/nothing/bundles").status_code == 404
    assert client.post("/v1/bundles", json={"cart": ["nothing"]}).status_code == 404
    assert client.post("/v1/bundles", json={"cart": []}).status_code == 422
    assert client.post("/v1/bundles", json={"cart": [TENT], "discount": 5}).status_code == 422
    assert client.get(f"/v1/products/{TENT}/bundles?size=1").status_code == 422


def reasons(client: TestClient, **asked: object) -> dict[str, str]:
    found = client.post("/v1/recommendations", json={"context": "cart", "limit": 10, **asked}).json()["items"]
    return {each["product"]["id"]: each["reasons"][0]["text"] for each in found}


def test_recommendations_for_a_cart_tell_the_figures_once_they_are_counted(client: TestClient) -> None:
    assert "baskets" not in "".join(reasons(client, cart=[TENT]).values())  # waits for no counting
    assert client.post("/v1/bundles", json={"cart": [TENT]}).status_code == 200  # does
    told = reasons(client, cart=[TENT])
    assert told[PEGS] == "In 4 of 7 baskets with Dome Tent"
    assert told[LAMP] == "In 3 of 7 baskets with Dome Tent"
    assert "baskets" not in told.get(GONE, "")
    assert "baskets" not in "".join(reasons(client, cart=[MILK]).values())
    beside = client.post("/v1/recommendations", json={"context": "product", "product_id": TENT}).json()["items"]
    assert "In 4 of 7 baskets with Dome Tent" in {each["reasons"][0]["text"] for each in beside}


def test_whoever_is_erased_leaves_the_figures_within_two_seconds(client: TestClient) -> None:
    client.post("/v1/bundles", json={"cart": [TENT]})
    assert reasons(client, cart=[TENT])[PEGS] == "In 4 of 7 baskets with Dome Tent"
    assert client.delete("/v1/users/u0").status_code < 300
    until = time.monotonic() + 10
    while reasons(client, cart=[TENT])[PEGS] != "In 3 of 6 baskets with Dome Tent":
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_chat_tells_the_figures_of_what_goes_with_a_product(client: TestClient) -> None:
    client.post("/v1/bundles", json={"cart": [TENT]})
    asked = [{"role": "user", "content": "dome tent"}]
    first = client.post("/v1/chat/completions", json={"messages": asked}).json()
    asked += [first["choices"][0]["message"], {"role": "user", "content": "what goes with it?"}]
    conversation = first["tasteline"]["conversation_id"]
    second = client.post("/v1/chat/completions", json={"messages": asked, "conversation_id": conversation}).json()
    texts = {each["product"]["id"]: each["reasons"][0]["text"] for each in second["tasteline"]["products"]}
    assert texts[PEGS] == "In 4 of 7 baskets with Dome Tent"
