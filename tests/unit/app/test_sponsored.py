"""Paid places over HTTP: labelled, within the filters, and nothing moves without them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from tasteline.settings import Settings

TENTS = [
    {
        "id": f"tent-{place}",
        "title": f"Family Tent {name}",
        "categories": ["Tents"],
        "price": {"amount": 10_000 + 1_000 * place, "currency": "USD"},
        "rating": 5 - place / 10,
    }
    for place, name in enumerate(("Alder", "Birch", "Cedar", "Elm", "Fir", "Hazel"))
]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(home=tmp_path, embedder="hashing", language_model="none", _env_file=None)  # type: ignore[call-arg]
    with TestClient(create_app(settings), raise_server_exceptions=False) as made:
        made.put("/v1/products", json=TENTS)
        yield made


@pytest.mark.parametrize(
    ("path", "body"), [("search", {"query": "family tent"}), ("recommendations", {"context": "welcome"})]
)
def test_a_paid_place_is_labelled_and_the_rest_keeps_its_order(
    client: TestClient, path: str, body: dict[str, object]
) -> None:
    plain = client.post(f"/v1/{path}", json=body).json()["items"]
    ids = [item["product"]["id"] for item in plain]
    assert not any(item["sponsored"] for item in plain)
    paid = {"product_ids": [ids[-1]], "slots": 1, "max_loss": 0.5}
    items = client.post(f"/v1/{path}", json={**body, "sponsored": paid}).json()["items"]
    (moved,) = [item for item in items if item["sponsored"]]
    assert (moved["product"]["id"], moved["reasons"][0]["kind"]) == (ids[-1], "sponsored")
    assert items[0]["product"]["id"] == ids[0]
    assert [item["product"]["id"] for item in items if not item["sponsored"]] == ids[:-1]


def test_what_fails_a_filter_cannot_be_paid_in(client: TestClient) -> None:
    body = {
        "query": "family tent",
        "filters": {"price_max": 11_000},
        "sponsored": {"product_ids": ["tent-5"], "max_loss": 0.5},
    }
    found = client.post("/v1/search", json=body).json()["items"]
    assert "tent-5" not in {item["product"]["id"] for item in found}


def test_a_short_page_is_as_long_as_without(client: TestClient) -> None:
    body = {"query": "family tent", "limit": 2, "sponsored": {"product_ids": ["tent-5"], "max_loss": 0.5}}
    assert len(client.post("/v1/search", json=body).json()["items"]) == 2


@pytest.mark.parametrize(
    "paid", [{"product_ids": []}, {"product_ids": ["a"], "slots": 9}, {"product_ids": ["a"], "max_loss": 0.9}]
)
def test_what_is_not_offered_is_refused(client: TestClient, paid: dict[str, object]) -> None:
    assert client.post("/v1/search", json={"query": "tent", "sponsored": paid}).status_code == 422
