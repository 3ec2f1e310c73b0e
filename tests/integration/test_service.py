"""The HTTP contract, over the real application."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from structlog.testing import capture_logs

from app.main import create_app
from retrieval.live_model import LiveModel
from retrieval.registry import Registry
from tasteline.settings import Settings
from tests.unit.retrieval.trained import WEIGHTS, card, damage, registered, writing


def found(client: TestClient, **request: object) -> list[str]:
    response = client.post("/v1/search", json=request)
    assert response.status_code == 200, response.text
    return [item["product"]["id"] for item in response.json()["items"]]


def recommended(client: TestClient, **request: object) -> list[dict[str, object]]:
    response = client.post("/v1/recommendations", json=request)
    assert response.status_code == 200, response.text
    items: list[dict[str, object]] = response.json()["items"]
    return items


def event(client: TestClient, event_id: str, name: str, product: str, user: str = "anna", **more: object) -> None:
    body = {"event_id": event_id, "event": name, "user_id": user, "product_id": product, **more}
    assert client.post("/v1/events", json=body).status_code == 200


def test_limits_are_read_out_of_the_text(client: TestClient) -> None:
    answer = client.post("/v1/search", json={"query": "waterproof jacket under $100, not leather"}).json()
    assert {item["product"]["id"] for item in answer["items"]} == {"blue", "red"}
    assert [c["label"] for c in answer["understood"]["constraints"]] == ["under $100", "not leather"]
    assert answer["total"] == 2
    assert all(item["reasons"] for item in answer["items"])


def test_a_constraint_can_be_taken_back(client: TestClient) -> None:
    request = {"query": "waterproof jacket under $100, not leather", "ignore": ["without:leather"]}
    assert set(found(client, **request)) == {"blue", "red", "brown"}


def test_when_nothing_fits_it_says_what_would(client: TestClient) -> None:
    answer = client.post("/v1/search", json={"query": "waterproof jacket under $10"}).json()
    assert answer["items"] == []
    assert [(r["label"], r["would_match"] > 0) for r in answer["relaxations"]] == [("under $10", True)]


def test_explicit_filters_hold_exactly(client: TestClient) -> None:
    filters = {"price_max": 8000, "attributes": [{"name": "material", "values": ["nylon"]}]}
    assert found(client, query="jacket", filters=filters) == ["blue"]
    assert "blue" not in found(client, query="jacket", exclude_ids=["blue"])


def test_put_is_searchable_and_delete_is_gone_at_once(client: TestClient) -> None:
    new = {"id": "canoe", "title": "Birch Canoe", "price": {"amount": 99900, "currency": "USD"}}
    client.put("/v1/products", json={"products": [new]})
    assert found(client, query="canoe")[0] == "canoe"
    client.put("/v1/products", json=[new | {"title": "Birch Paddle"}])
    assert client.get("/v1/products/canoe").json()["title"] == "Birch Paddle"
    assert client.delete("/v1/products/canoe").json() == {"removed": 1}
    assert "canoe" not in found(client, query="birch paddle canoe", limit=100)
    assert client.delete("/v1/products/canoe").status_code == 404


def test_events_are_idempotent_and_change_the_next_answer(client: TestClient) -> None:
    before = recommended(client, user_id="anna")
    event(client, "e1", "view_item", "blue", time="2026-01-05T10:00:00Z")
    again = client.post(
        "/v1/events", json={"event_id": "e1", "event": "view_item", "user_id": "anna", "product_id": "blue"}
    )
    assert again.json() == {"accepted": 0, "repeated": 1}
    after = recommended(client, user_id="anna")
    assert after != before
    reasons = [item["reasons"][0] for item in after]  # type: ignore[index]
    assert any(reason["kind"] == "history" and "e1" in reason["evidence"] for reason in reasons)


def test_interests_turn_with_what_is_done(client: TestClient) -> None:
    for step in range(6):
        event(client, f"old{step}", "view_item", "kettle", time=f"2026-01-0{step + 1}T10:00:00Z")
    event(client, "new", "add_to_cart", "tent", time="2026-03-01T10:00:00Z")
    interests = client.get("/v1/users/anna/interests").json()["interests"]
    assert interests[0]["topic"] == "Tents"
    assert interests[0]["trend"] in ("rising", "new")
    assert interests[0]["evidence"] == ["new"]


def test_a_stranger_sees_variety(client: TestClient) -> None:
    for buyer in range(5):
        event(client, f"b{buyer}", "purchase", "blue", user=f"u{buyer}")
    client.app.state.shop.follower.tick()  # type: ignore[attr-defined]
    items = recommended(client, limit=5)
    assert items[0]["product"]["id"] == "blue"  # type: ignore[index]
    assert len({item["product"]["categories"][-1] for item in items}) >= 4  # type: ignore[index]


def test_bought_together_goes_well_together(client: TestClient) -> None:
    for buyer in range(8):
        event(client, f"t{buyer}", "purchase", "tent", user=f"u{buyer}", position=1)
        event(client, f"s{buyer}", "purchase", "stove", user=f"u{buyer}", position=2)
    client.app.state.shop.follower.tick()  # type: ignore[attr-defined]
    items = recommended(client, context="cart", cart=["tent"], limit=3)
    assert items[0]["product"]["id"] == "stove"  # type: ignore[index]
    assert items[0]["reasons"][0]["kind"] == "complement"  # type: ignore[index]
    page = recommended(client, context="product", product_id="blue", limit=4)
    assert "similar" in {item["reasons"][0]["kind"] for item in page}  # type: ignore[index]


def test_what_was_seen_can_be_left_out(client: TestClient) -> None:
    event(client, "v", "view_item", "tent")
    ids = {item["product"]["id"] for item in recommended(client, user_id="anna", exclude_seen=True, limit=50)}  # type: ignore[index]
    assert "tent" not in ids
    assert "bag" in ids


def test_a_session_needs_no_person(client: TestClient) -> None:
    session = [{"event": "view_item", "product_id": "blue"}]
    items = recommended(client, session=session)
    assert "Ridge Waterproof Jacket, Blue" in items[0]["reasons"][0]["text"]  # type: ignore[index]


def test_export_and_erasure(client: TestClient) -> None:
    event(client, "e1", "view_item", "tent")
    assert [e["id"] for e in client.get("/v1/users/anna/export").json()["events"]] == ["e1"]
    assert client.delete("/v1/users/anna").json()["removed"] >= 1
    assert client.get("/v1/users/anna/export").json()["events"] == []
    assert client.get("/v1/users/anna/interests").json()["interests"] == []


def test_an_erasure_reaches_files_and_models(client: TestClient, settings: Settings) -> None:
    rows = settings.home / "datasets" / "chats" / "train.jsonl"
    rows.parent.mkdir(parents=True)
    rows.write_text('{"user_id": "anna"}\n{"user_id": "bo"}\n')
    learned = Registry(settings.home).register(card(0), writing(), ["anna"])
    event(client, "e9", "view_item", "tent")
    answer = client.delete("/v1/users/anna", params={"retire": True}).json()
    assert answer["files"] == {"datasets/chats/train.jsonl": 1}
    assert rows.read_text() == '{"user_id": "bo"}\n'
    assert [each["id"] for each in answer["learners"]] == [learned.id]
    assert answer["live"] == {"next-item": None}
    assert client.delete("/v1/users/anna").json() == {
        "removed": 0,
        "files": {},
        "caches": [],
        "learners": [],
        "live": {},
    }


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/v1/search", {"query": 5}, 422, "query"),
        ("/v1/search", {"query": "x", "limit": 0}, 422, "limit"),
        ("/v1/search", {"query": "x" * 2_001}, 422, "query"),
        ("/v1/search", {"query": "x", "filter": {}}, 422, "filter"),
        ("/v1/recommendations", {"context": "product"}, 422, ""),
        ("/v1/events", {"event_id": "1", "event": "danced", "user_id": "a"}, 422, "one.event"),
        ("/v1/events", {"event_id": "1", "event": "view_item", "product_id": "a"}, 422, "one"),
        ("/v1/chat/completions", {"messages": []}, 422, "messages"),
        ("/v1/chat/completions", {"messages": [{"role": "assistant", "content": "hi"}]}, 422, ""),
    ],
)
def test_wrong_input_is_a_problem_that_names_the_field(
    client: TestClient, path: str, body: dict[str, object], status: int, field: str
) -> None:
    response = client.post(path, json=body)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "urn:tasteline:invalid-input"
    assert not field or field in [error["field"] for error in problem["errors"]]


def test_unreadable_json_and_unknown_paths_are_problems(client: TestClient) -> None:
    assert client.post("/v1/search", content=b"{").status_code == 422
    for path in ("/nowhere", "/v1/products/none"):
        response = client.get(path)
        assert (response.status_code, response.json()["type"]) == (404, "urn:tasteline:not-found")
    assert client.post("/v1/recommendations", json={"context": "product", "product_id": "none"}).status_code == 404


def test_a_body_over_the_limit_is_refused_with_and_without_a_length(settings: Settings) -> None:
    small = settings.model_copy(update={"max_body_bytes": 100})
    with TestClient(create_app(small), raise_server_exceptions=False) as client:
        body = json.dumps({"query": "x" * 200}).encode()
        assert client.post("/v1/search", content=body).status_code == 413
        assert client.post("/v1/search", content=iter([body[:50], body[50:]])).status_code == 413
        assert client.post("/v1/search", json={"query": "x"}).status_code == 200


def test_keys(settings: Settings) -> None:
    guarded = settings.model_copy(update={"api_keys": (SecretStr("secret"),)})
    with TestClient(create_app(guarded)) as client:
        refused = client.get("/v1/shop")
        assert (refused.status_code, refused.json()["type"]) == (401, "urn:tasteline:unauthorised")
        assert client.get("/v1/shop", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/metrics").status_code == 401
        assert client.get("/v1/shop", headers={"Authorization": "Bearer secret"}).status_code == 200
        assert client.get("/health/live").status_code == 200
        assert client.get("/").status_code == 200


def test_operations(client: TestClient) -> None:
    assert client.get("/health/ready").json()["products"] == 8
    client.post("/v1/search", json={"query": "jacket"})
    metrics = client.get("/metrics").text
    assert 'tasteline_requests_total{route="/v1/search",status="200"}' in metrics
    headers = client.get("/").headers
    assert "default-src 'self'" in headers["content-security-policy"]


def test_readiness_names_the_trained_models_in_use(client: TestClient, settings: Settings) -> None:
    registry = Registry(settings.home)
    live: LiveModel[object] = LiveModel(registry, "next-item", lambda entry: (entry.folder / WEIGHTS).read_text())
    shop = client.app.state.shop  # type: ignore[attr-defined]
    shop.retrieval = replace(shop.retrieval, trained=(live,))
    assert client.get("/health/ready").json()["models"] == {}
    for number in range(2):
        entry = registered(registry, number)
        registry.promote(entry.id)
        if number:
            damage(entry)
        live.follow()
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["models"]) == (200, {"next-item": card(0).id})
    [note] = ready.json()["reasons"]
    assert "Run: tasteline models rollback next-item" in note


def test_logs_carry_no_words_of_shoppers(client: TestClient) -> None:
    with capture_logs() as entries:
        client.post("/v1/search", json={"query": "embarrassing ointment", "user_id": "secret-person"})
    assert [entry["route"] for entry in entries] == ["/v1/search"]
    assert "embarrassing" not in str(entries)
    assert "secret-person" not in str(entries)


def test_what_was_shown_is_kept(client: TestClient, settings: Settings) -> None:
    answer = client.post("/v1/search", json={"query": "jacket", "user_id": "anna"}).json()
    rankings = client.get("/v1/users/anna/export").json()["rankings"]
    assert [ranking["id"] for ranking in rankings] == [answer["ranking_id"]]


def test_another_process_is_followed(client: TestClient, settings: Settings) -> None:
    from retrieval.adapters.store_sql import SqlStore
    from tasteline.types import Product

    other = SqlStore(settings.sqlalchemy_url())
    other.put_products([Product("kite", "Silk Kite")])
    other.close()
    client.app.state.shop.follower.tick()  # type: ignore[attr-defined]
    assert found(client, query="kite")[0] == "kite"


def test_a_restart_knows_everything(client: TestClient, settings: Settings, tmp_path: Path) -> None:
    event(client, "e1", "view_item", "tent")
    client.__exit__(None, None, None)
    with TestClient(create_app(settings)) as again:
        assert found(again, query="jacket", limit=4)
        assert again.get("/v1/users/anna/interests").json()["interests"][0]["topic"] == "Tents"
    client.__enter__()
