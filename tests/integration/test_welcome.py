"""Newcomers over HTTP: what they say orders what they see."""

from __future__ import annotations

from fastapi.testclient import TestClient


def welcomed(client: TestClient, **body: object) -> dict[str, object]:
    response = client.post("/v1/recommendations", json={"context": "welcome", **body})
    assert response.status_code == 200, response.text
    found: dict[str, object] = response.json()
    return found


def titles(found: dict[str, object]) -> list[str]:
    return [item["product"]["title"] for item in found["items"]]  # type: ignore[index, attr-defined]


def test_a_wish_leads_and_a_limit_in_it_limits(client: TestClient) -> None:
    assert titles(welcomed(client, wish="I would like a camping stove"))[0] == "Camping Gas Stove"
    cheap = welcomed(client, wish="a waterproof jacket under $70", limit=50)
    assert titles(cheap)[0] == "Leather Waterproof Jacket"
    assert cheap["understood"]["constraints"] == [{"key": "price", "label": "under $70"}]  # type: ignore[index]
    assert len(titles(cheap)) == cheap["total"] == 3


def test_an_empty_wish_is_a_welcome_like_any_other(client: TestClient) -> None:
    assert titles(welcomed(client, wish="")) == titles(welcomed(client))
