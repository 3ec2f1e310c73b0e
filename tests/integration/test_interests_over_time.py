"""What `GET /v1/users/{id}/interests` says of how interests moved, over the real application."""

from datetime import UTC, datetime, timedelta

from fastapi.testclient import TestClient

NOW = datetime.now(UTC).replace(microsecond=0)


def visits(client: TestClient, products: list[str], *, begin: int, every: int = 3, user: str = "anna") -> list[str]:
    """One visit for each product, `begin` days ago the first; ids of the events."""
    ids = []
    for number, product in enumerate(products):
        time = NOW - timedelta(days=begin - every * number)
        body = {
            "event_id": f"{user}-{begin}-{number}",
            "event": "view_item",
            "user_id": user,
            "product_id": product,
            "session_id": f"{user}-{begin}-{number}",
            "time": time.isoformat(),
        }
        assert client.post("/v1/events", json=body).status_code == 200
        ids.append(str(body["event_id"]))
    return ids


def test_a_stranger_has_an_empty_timeline(client: TestClient) -> None:
    answer = client.get("/v1/users/nobody/interests").json()
    assert answer["timeline"] == {"unit": "step", "moments": [], "topics": [], "groups": []}
    assert answer["drifts"] == []


def test_the_timeline_ends_with_the_interests_of_now(client: TestClient) -> None:
    visits(client, ["kettle"] * 6, begin=60)
    visits(client, ["tent", "bag", "tent"], begin=9)
    answer = client.get("/v1/users/anna/interests").json()
    lines = {line["topic"]: line for line in answer["timeline"]["topics"]}
    assert answer["timeline"]["unit"] == "week" or answer["timeline"]["unit"] == "day"
    for interest in answer["interests"]:
        assert lines[interest["topic"]]["short_term"][-1] == interest["short_term"]
        assert lines[interest["topic"]]["long_term"][-1] == interest["long_term"]
    moments = answer["timeline"]["moments"]
    assert all(len(line["short_term"]) == len(moments) for line in lines.values())
    assert [moment["time"] for moment in moments] == sorted(moment["time"] for moment in moments)


def test_a_turn_is_told_with_its_events_and_quoted_by_the_next_recommendation(client: TestClient) -> None:
    before = visits(client, ["kettle"] * 9, begin=60)
    after = visits(client, ["tent", "bag", "tent", "bag"], begin=4, every=1)
    (drift,) = client.get("/v1/users/anna/interests").json()["drifts"]
    assert (drift["from"], drift["to"]) == (["Kitchen"], ["Outdoor"])
    assert drift["step"] == 10
    assert datetime.fromisoformat(drift["since"]) == NOW - timedelta(days=4)
    assert set(after) <= set(drift["evidence"]) <= {*before, *after}
    assert 0.5 <= drift["confidence"] <= 1
    items = client.post("/v1/recommendations", json={"user_id": "anna", "limit": 8}).json()["items"]
    told = {item["product"]["id"]: [reason["text"] for reason in item["reasons"]] for item in items}
    assert "You turned to Outdoor this week" in told["stove"]
    assert not any("Outdoor" in text for pid in ("blue", "red") for text in told.get(pid, []))


def test_the_next_event_moves_it(client: TestClient) -> None:
    visits(client, ["kettle"] * 3, begin=9)
    first = client.get("/v1/users/anna/interests").json()["timeline"]
    visits(client, ["tent"], begin=0)
    second = client.get("/v1/users/anna/interests").json()["timeline"]
    assert {line["topic"] for line in first["topics"]} == {"Kettles"}
    assert {line["topic"] for line in second["topics"]} == {"Kettles", "Tents"}


def test_the_contract_is_written_down_with_an_example(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    schema = document["components"]["schemas"]["InterestsOverTimeResponse"]
    example = schema["examples"][0]
    assert set(example) == set(schema["properties"])
    assert set(example["drifts"][0]) == set(document["components"]["schemas"]["DriftModel"]["properties"])
    assert set(example["timeline"]["topics"][0]) == set(
        document["components"]["schemas"]["TopicLineModel"]["properties"]
    )
