"""Conversations over the real service, also through the official client."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import openai
import pytest
import uvicorn
from fastapi.testclient import TestClient

from app.llm.scripted import ScriptedLanguageModel
from app.main import create_app
from app.shop import Shop
from tasteline.settings import Settings
from tests.integration.conftest import PRODUCTS, Say


def text(completion: dict[str, object]) -> str:
    return str(completion["choices"][0]["message"]["content"])  # type: ignore[index]


def shown(completion: dict[str, object]) -> list[str]:
    return [item["product"]["id"] for item in completion["tasteline"]["products"]]  # type: ignore[index]


def test_a_search_and_its_refinements(say: Say) -> None:
    first = say("a waterproof jacket please")
    assert set(shown(first)) == {"blue", "red", "green", "brown"}
    assert "$79.00" in text(first)
    cheaper = say("cheaper")
    assert set(shown(cheaper)) == {"blue", "brown"}
    assert "under $89.00" in text(cheaper)


def test_constraints_add_up_and_replace_each_other(say: Say) -> None:
    say("waterproof jacket")
    assert "brown" not in shown(say("not leather"))
    assert "brown" not in shown(say("under $100"))
    labels = [c["label"] for c in say("under $80")["tasteline"]["understood"]["constraints"]]  # type: ignore[index]
    assert labels == ["not leather", "under $80"]


def test_in_blue(say: Say) -> None:
    say("waterproof jacket")
    assert shown(say("in blue")) == ["blue"]


def test_limits_are_taken_back_in_words(say: Say) -> None:
    say("waterproof jacket")
    say("cheaper")
    assert shown(say("not leather")) == ["blue"]
    assert set(shown(say("leather is fine"))) == {"blue", "brown"}
    assert set(shown(say("any price"))) == {"blue", "red", "green", "brown"}
    assert shown(say("Show it in blue")) == ["blue"]
    assert len(shown(say("any color"))) == 4


def test_the_second_one(say: Say) -> None:
    ids = shown(say("waterproof jacket"))
    details = say("tell me about the second one")
    assert shown(details) == [ids[1]]
    price = {p["id"]: p["price"]["amount"] for p in PRODUCTS}[ids[1]]  # type: ignore[index]
    assert f"${price / 100:.2f}" in text(say("how much is it?"))


def test_pointing_at_nothing_is_asked_back(say: Say) -> None:
    say("leather jacket under $70")
    assert shown(say("the fifth one")) == []


def test_comparison_names_both(say: Say) -> None:
    ids = shown(say("waterproof jacket"))
    assert shown(say("compare the first two")) == ids[:2]


def test_more_shows_others(say: Say) -> None:
    first = shown(say("northgale"))
    more = shown(say("show me more"))
    assert not set(first) & set(more)


@pytest.mark.parametrize("message", ["what's the weather like?", "write me a poem about rain", "who won the election"])
def test_what_is_not_shopping_is_declined(say: Say, message: str) -> None:
    completion = say(message)
    assert shown(completion) == []
    assert "help" in text(completion)


def test_nothing_fits(say: Say) -> None:
    completion = say("waterproof jacket under $5")
    assert shown(completion) == []
    assert "under $5" in text(completion)
    assert completion["tasteline"]["relaxations"]  # type: ignore[index]


def test_trace_names_every_stage(say: Say) -> None:
    trace = say("jacket")["tasteline"]["trace"]  # type: ignore[index]
    assert {"understand", "retrieve", "rank", "respond"} <= set(trace)


def test_a_whole_history_is_understood_without_an_id(client: TestClient) -> None:
    messages = [
        {"role": "user", "content": "waterproof jacket"},
        {"role": "assistant", "content": "whatever"},
        {"role": "user", "content": "cheaper"},
    ]
    completion = client.post("/v1/chat/completions", json={"messages": messages}).json()
    assert set(shown(completion)) == {"blue", "brown"}


def test_streamed_products_come_before_words(client: TestClient) -> None:
    body = {"messages": [{"role": "user", "content": "jacket"}], "stream": True}
    with client.stream("POST", "/v1/chat/completions", json=body) as response:
        lines = [line[6:] for line in response.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    assert len(chunks[0]["tasteline"]["products"]) == 4
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert "respond" in chunks[-1]["tasteline"]["trace"]
    said = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert "Jacket" in said


class Server:
    """The service on a real socket."""

    def __init__(self, settings: Settings) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.app = create_app(settings)
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_config=None))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})

    def __enter__(self) -> "Server":
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()


@pytest.fixture
def official(settings: Settings) -> Iterator[openai.OpenAI]:
    with Server(settings) as server, openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused") as client:
        client.put("/products", cast_to=object, body=PRODUCTS)
        yield client


def test_the_official_client(official: openai.OpenAI) -> None:
    ask: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "tent"}]
    completion = official.chat.completions.create(model="tasteline", messages=ask)
    assert "Family Tent" in str(completion.choices[0].message.content)
    assert completion.model_extra is not None
    assert completion.model_extra["tasteline"]["products"][0]["product"]["id"] == "tent"
    stream = official.chat.completions.create(
        model="tasteline", messages=ask, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "Family Tent" in "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert chunks[-1].usage is not None
    assert [model.id for model in official.models.list()] == ["tasteline"]


Voice = Callable[[ScriptedLanguageModel], TestClient]


@pytest.fixture
def voiced(settings: Settings) -> Iterator[Voice]:
    """The service with a language model that says what the test wants."""
    from app import bootstrap

    clients: list[TestClient] = []

    def make(model: ScriptedLanguageModel) -> TestClient:
        def open_shop(chosen: Settings) -> Shop:
            return bootstrap.open_shop(chosen, language_model=model)

        client = TestClient(create_app(settings, open_shop))
        client.__enter__()
        clients.append(client)
        client.put("/v1/products", json=PRODUCTS)
        return client

    yield make
    for client in clients:
        client.__exit__(None, None, None)


def ask(client: TestClient, message: str) -> dict[str, object]:
    body = {"messages": [{"role": "user", "content": message}]}
    completion: dict[str, object] = client.post("/v1/chat/completions", json=body).json()
    return completion


def test_true_wording_is_used_and_the_engine_named(voiced: Voice) -> None:
    completion = ask(voiced(ScriptedLanguageModel(["Here is the Family Tent 4-Person for $259.00."])), "tent")
    assert "Here is the Family Tent 4-Person" in text(completion)
    assert completion["tasteline"]["engine"] == "scripted"  # type: ignore[index]


def test_false_wording_never_leaves(voiced: Voice) -> None:
    completion = ask(voiced(ScriptedLanguageModel(["The Family Tent is only $19.99 with free shipping!"])), "tent")
    assert "19.99" not in text(completion)
    assert "free" not in text(completion)
    assert "$259.00" in text(completion)
    assert completion["tasteline"]["engine"] == "templates"  # type: ignore[index]


def test_a_broken_engine_costs_only_eloquence(voiced: Voice) -> None:
    completion = ask(voiced(ScriptedLanguageModel(["Here is a tent for you to look at."], fail_after=1)), "tent")
    assert "Family Tent" in text(completion)
    assert completion["tasteline"]["degraded"] == ["wording"]  # type: ignore[index]


def test_when_all_has_been_shown_it_says_so(say: Say) -> None:
    say("waterproof jacket")
    for _ in range(3):
        last = say("show me more")
    assert "That was all I have" in text(last)
    assert last["tasteline"]["products"] == []  # type: ignore[index]


def test_cheaper_is_kept_beside_a_named_price(say: Say) -> None:
    say("waterproof jackets under $140")
    last = say("cheaper")
    limits = last["tasteline"]["understood"]["constraints"]  # type: ignore[index]
    assert [limit["label"] for limit in limits] == ["under $89.00"]
    assert {"green", "red"}.isdisjoint(shown(last))
