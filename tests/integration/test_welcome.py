"""Newcomers over HTTP and in chat: what they say and answer orders what they see."""

from __future__ import annotations

import time

import pytest
from fastapi.testclient import TestClient

from tests.integration.conftest import PRODUCTS


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


def question_of(client: TestClient, **body: object) -> dict[str, object] | None:
    found = welcomed(client, **body)["question"]
    assert found is None or isinstance(found, dict)
    return found


def settled(client: TestClient) -> dict[str, object]:
    """The first question, once the shop has seen what it sells: half a second after an import."""
    for _ in range(100):
        if (question := question_of(client)) is not None:
            return question
        time.sleep(0.05)
    raise AssertionError("no question was asked")


def test_a_stranger_is_asked_up_to_three_questions_and_answers_reorder(client: TestClient) -> None:
    question: dict[str, object] | None = settled(client)
    answers: list[dict[str, object]] = []
    while question is not None:
        options = [option["id"] for option in question["options"]]  # type: ignore[attr-defined]
        assert options[-1] == "anything"
        assert len(options) >= 3
        answers.append({"question": question["id"], "option": options[0]})
        question = question_of(client, answers=answers)
    assert 1 <= len(answers) <= 3
    jackets = welcomed(client, answers=[{"question": "category-1", "option": "Clothing"}], limit=50)
    assert all("Jacket" in title for title in titles(jackets)[:4])
    assert len(titles(jackets)) == jackets["total"] == len(PRODUCTS)
    assert jackets["items"][0]["reasons"][0]["text"] == "You chose Clothing"  # type: ignore[index]


def test_who_has_said_or_done_something_is_not_asked(client: TestClient) -> None:
    settled(client)
    assert question_of(client, wish="a kettle") is None
    assert question_of(client, session=[{"event": "view_item", "product_id": "tent"}]) is None
    seen = {"event_id": "e1", "event": "view_item", "user_id": "anna", "product_id": "tent"}
    assert client.post("/v1/events", json=seen).status_code == 200
    assert question_of(client, user_id="anna") is None
    assert question_of(client, user_id="ben") is not None
    home = client.post("/v1/recommendations", json={"user_id": "ben"}).json()
    assert home["question"] is None


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([{"question": "nothing", "option": "Outdoor"}], 404),
        ([{"question": "category-1", "option": "Nowhere"}], 404),
        ([{"question": "category-1"}], 422),
        ([{"question": "category-1", "option": ""}], 422),
        ([{"question": "category-1", "option": "Outdoor", "more": 1}], 422),
        ([{"question": "category-1", "option": "Outdoor"}] * 4, 422),
        ("Outdoor", 422),
    ],
)
def test_wrong_answers_are_the_callers_mistake(client: TestClient, answers: object, status: int) -> None:
    settled(client)
    response = client.post("/v1/recommendations", json={"context": "welcome", "answers": answers})
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_the_openapi_tells_how_to_answer(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    examples = schemas["RecommendationRequest"]["examples"]
    assert {"context": "welcome", "answers": [{"question": "category-1", "option": "Outdoor"}]} in examples
    assert schemas["RecommendationResponse"]["examples"][0]["question"]["options"][-1]["id"] == "anything"
    assert schemas["RecommendationRequest"]["properties"]["answers"]["maxItems"] == 3


Told = dict[str, object]


def say(client: TestClient, text: str, conversation: str, **options: object) -> tuple[str, Told]:
    body = {"messages": [{"role": "user", "content": text}], "tasteline": {"conversation_id": conversation, **options}}
    response = client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    found = response.json()
    return found["choices"][0]["message"]["content"], found["tasteline"]


def shown(told: Told) -> list[str]:
    return [item["product"]["title"] for item in told["products"]]  # type: ignore[index, attr-defined]


@pytest.mark.parametrize("opening", ["hi", "I don't know what I want", "surprise me", "just browsing"])
def test_in_chat_a_newcomer_is_offered_the_question(client: TestClient, opening: str) -> None:
    question = settled(client)
    text, told = say(client, opening, f"c-{opening}")
    assert str(question["text"]) in text
    assert told["follow_ups"] == [option["label"] for option in question["options"]]  # type: ignore[attr-defined]


def test_in_chat_an_answer_is_understood_clicked_or_typed(client: TestClient) -> None:
    settled(client)
    for number, answer in enumerate(("Jackets", "jackets, please", "I'd like a jacket")):
        _, told = say(client, "surprise me", f"a{number}")
        assert "Jackets" in told["follow_ups"]  # type: ignore[operator]
        text, told = say(client, answer, f"a{number}")
        assert shown(told)
        assert all("Jacket" in title for title in shown(told))
        assert "in mind" in text or "come first" in text or "Going by" in text
        assert told["follow_ups"]


def test_in_chat_anything_goes_and_after_three_questions_nobody_asks(client: TestClient) -> None:
    settled(client)
    text, told = say(client, "hello", "long")
    for _ in range(3):
        text, told = say(client, "anything", "long")
        assert shown(told)
    assert "Anything?" not in text
    assert "Anything" not in told["follow_ups"]  # type: ignore[operator]


def test_in_chat_a_request_after_the_question_is_a_request(client: TestClient) -> None:
    settled(client)
    say(client, "hi", "direct")
    _, told = say(client, "an enamel kettle under $50", "direct")
    assert shown(told) == ["Enamel Kettle"]
    _, told = say(client, "anything", "direct")  # no question is open any more
    assert "Anything" not in told["follow_ups"]  # type: ignore[operator]


def test_in_chat_who_has_a_history_is_greeted_without(client: TestClient) -> None:
    settled(client)
    seen = {"event_id": "e2", "event": "view_item", "user_id": "mara", "product_id": "tent"}
    assert client.post("/v1/events", json=seen).status_code == 200
    text, told = say(client, "hi", "known", user_id="mara")
    assert "Anything" not in told["follow_ups"]  # type: ignore[operator]
    assert "Anything?" not in text
