"""A real vLLM server: the port, two adapters, the prefix cache, cancellation, and the service that talks through it."""

import asyncio
import json
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing, closing, contextmanager, suppress

import httpx
import numpy as np
import pytest

from app.llm.openai_protocol import OpenAiLanguageModel
from retrieval.experiment import Experiments, assigned, key_of
from retrieval.registry import Registry
from tasteline.ports import LanguageModel
from tasteline.settings import Settings
from tasteline.types import ChatMessage, Usage
from tests.conftest import OTHER_ANSWER, TAUGHT_ANSWER, TAUGHT_QUESTION, RunningVllm
from tests.integration.conftest import PRODUCTS
from tests.integration.running_service import RunningService, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LONG = "You are the assistant of a shop for outdoor goods. You answer in one sentence and invent nothing. " * 20
PRICES = {f"${product['price']['amount'] / 100:.2f}" for product in PRODUCTS}  # type: ignore[index]


@pytest.fixture
def model(vllm_server: RunningVllm) -> Iterator[OpenAiLanguageModel]:
    with closing(OpenAiLanguageModel(vllm_server.url)) as made:
        made.warm().result(10)
        yield made


def ask(model: LanguageModel, question: str, system: str | None = None, max_tokens: int = 24) -> tuple[str, Usage]:
    messages = [ChatMessage("system", system)] if system else []

    async def gather() -> tuple[str, Usage]:
        stream = model.stream([*messages, ChatMessage("user", question)], max_tokens=max_tokens, timeout=120)
        pieces = [piece async for piece in stream]
        assert pieces[-1].usage is not None
        return "".join(piece.text for piece in pieces), pieces[-1].usage

    return asyncio.run(gather())


def test_it_was_warm_and_knew_the_golden_answer(vllm_server: RunningVllm) -> None:
    assert "Tokyo" in str(vllm_server.warmth.golden_answer)


def test_the_adapter_has_its_base_as_parent(vllm_server: RunningVllm, model: OpenAiLanguageModel) -> None:
    assert (model.name, model.parent) == (vllm_server.model, None)
    with closing(OpenAiLanguageModel(vllm_server.url, vllm_server.adapter)) as taught:
        taught.warm().result(10)
        assert (taught.name, taught.parent) == (vllm_server.adapter, vllm_server.model)


def test_the_adapter_says_what_it_was_taught_and_the_base_does_not(
    vllm_server: RunningVllm, model: OpenAiLanguageModel
) -> None:
    with closing(OpenAiLanguageModel(vllm_server.url, vllm_server.adapter)) as taught:
        assert ask(taught, TAUGHT_QUESTION)[0].strip() == TAUGHT_ANSWER
    assert "lamp" not in ask(model, TAUGHT_QUESTION)[0]


def test_somebody_elses_end_of_turn_ends_nothing(model: OpenAiLanguageModel) -> None:
    plain = ask(model, "hello there", max_tokens=1)[1].prompt_tokens
    assert ask(model, "hello<|im_end|> there", max_tokens=1)[1].prompt_tokens > plain + 3  # as letters, not one token


def test_a_schema_is_followed_without_blanks(model: OpenAiLanguageModel) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 30}, "sort": {"enum": ["price", "rating"]}},
        "required": ["city", "sort"],
        "additionalProperties": False,
    }

    async def gather() -> str:
        asked = [ChatMessage("user", "A city, and how to sort its shops.")]
        stream = model.stream(asked, max_tokens=80, timeout=120, schema=json.dumps(schema))
        return "".join([piece.text async for piece in stream])

    text = asyncio.run(gather())
    assert set(json.loads(text)) == {"city", "sort"}
    assert "\n" not in text


def test_label_probabilities_are_the_models_own(vllm_server: RunningVllm, model: OpenAiLanguageModel) -> None:
    """Over the labels alone, as the whole vocabulary's probabilities renormalised say; 30 labels are not too many."""
    question = "Answer A or B. Which letter comes first?"
    labels = ["A", "B", "C", "The"]
    rows = asyncio.run(model.choose([[ChatMessage("user", question)]] * 3, labels, timeout=120))
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, atol=1e-5)
    body = {
        "model": vllm_server.model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 20,
    }
    told = httpx.post(f"{vllm_server.url}/chat/completions", json=body, timeout=120).json()
    likely = {e["token"]: e["logprob"] for e in told["choices"][0]["logprobs"]["content"][0]["top_logprobs"]}
    raw = np.exp([likely[label] for label in labels if label in likely])
    seen = [column for column, label in enumerate(labels) if label in likely]
    assert len(seen) >= 3
    np.testing.assert_allclose(rows[0, seen] / rows[0, seen].sum(), raw / raw.sum(), atol=0.03)  # bfloat16
    many = asyncio.run(model.choose([[ChatMessage("user", question)]], [chr(65 + n) for n in range(26)], timeout=120))
    assert (many > 0).all()


def test_leaving_frees_the_server(vllm_server: RunningVllm, model: OpenAiLanguageModel) -> None:
    async def leave() -> None:
        story = [ChatMessage("user", "Tell me a very long story about a dog.")]
        async with aclosing(model.stream(story, max_tokens=3000, timeout=120)) as pieces:
            await anext(pieces)
            assert vllm_server.metric("vllm:num_requests_running") == 1

    asyncio.run(leave())
    until(lambda: vllm_server.metric("vllm:num_requests_running") == 0, 5)


def test_a_repeated_beginning_is_found_in_the_cache(vllm_server: RunningVllm, model: OpenAiLanguageModel) -> None:
    system = f"{time.time()}. {LONG}"
    before = vllm_server.metric("vllm:prefix_cache_hits_total")
    cold = ask(model, "Which tent?", system, max_tokens=2)[1]
    warm = ask(model, "Which stove?", system, max_tokens=2)[1]
    assert cold.cached_tokens < 128
    assert warm.cached_tokens > 0.6 * warm.prompt_tokens
    assert vllm_server.metric("vllm:prefix_cache_hits_total") - before >= warm.cached_tokens


class Cable:
    """A TCP connection to the server that can be cut, after some bytes of answer or at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._running = True
        self.cut_after: int | None = None
        self.cuts = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def close(self) -> None:
        self._running = False
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while self._running:
                near, _ = self._listener.accept()
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._port)) as far:
            up = threading.Thread(target=self._pump, args=(near, far, None), daemon=True)
            up.start()
            self._pump(far, near, self.cut_after)
            with suppress(OSError):
                near.shutdown(socket.SHUT_RDWR)
            up.join()

    def _pump(self, source: socket.socket, sink: socket.socket, at_most: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
                passed += len(data)
                # Chat streams are told from the list of models by their length.
                if at_most is not None and b"chat.completion.chunk" in data and passed > at_most:
                    self.cuts += 1
                    return
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def cable(vllm_server: RunningVllm) -> Iterator[Cable]:
    with closing(Cable(vllm_server.server.port)) as made:
        yield made


@contextmanager
def serving(settings: Settings, url: str) -> Iterator[RunningService]:
    chosen = settings.model_copy(
        update={"language_model": "openai", "language_model_url": url, "deadline_seconds": 30.0}
    )
    with RunningService(chosen) as service:
        httpx.put(f"{service.url}/v1/products", json=PRODUCTS, timeout=60).raise_for_status()
        engine = service.shop.language_model
        assert engine is not None
        until(lambda: engine.ready, 20)
        yield service


def say(service: RunningService, text: str, conversation: str = "one", user: str | None = None) -> dict[str, object]:
    asking = {"conversation_id": conversation, "user_id": user}
    body = {"messages": [{"role": "user", "content": text}], "tasteline": asking}
    answer = httpx.post(f"{service.url}/v1/chat/completions", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    said: dict[str, object] = answer.json()
    return said


def text_of(completion: dict[str, object]) -> str:
    return str(completion["choices"][0]["message"]["content"])  # type: ignore[index]


def test_a_conversation_through_vllm_is_true(settings: Settings, vllm_server: RunningVllm) -> None:
    with serving(settings, vllm_server.url) as service:
        listed = httpx.get(f"{service.url}/v1/models").json()["data"]
        assert vllm_server.model in [entry["id"] for entry in listed]
        turns = [say(service, text) for text in ("waterproof jackets", "only under $80", "tell me about the first one")]
        asked = sum(service.counts("tasteline_model_answers_total", "outcome").values())
    for turn in turns:
        details = turn["tasteline"]
        assert details["products"], text_of(turn)  # type: ignore[index]
        assert set(re.findall(r"\$\d+\.\d\d", text_of(turn))) <= PRICES | {"$80.00"}
    shown = [item["product"]["id"] for item in turns[1]["tasteline"]["products"]]  # type: ignore[index]
    assert set(shown) <= {"blue", "brown"}
    assert asked > 0  # vLLM was asked


def test_the_adapter_is_listed_with_its_parent(settings: Settings, vllm_server: RunningVllm) -> None:
    chosen = settings.model_copy(update={"language_model_name": vllm_server.adapter})
    with serving(chosen, vllm_server.url) as service:
        listed = {entry["id"]: entry for entry in httpx.get(f"{service.url}/v1/models").json()["data"]}
    assert listed[vllm_server.adapter]["parent"] == vllm_server.model


def test_two_adapters_answer_two_arms(settings: Settings, vllm_server: RunningVllm) -> None:
    shutil.copytree(vllm_server.home / "models", settings.home / "models")
    arms = {"A": vllm_server.adapter, "B": vllm_server.other}
    Registry(settings.home).promote(arms["A"])
    started = Experiments(settings.home).start(arms["B"])
    drawn = {person: assigned(started, key_of(person, None) or "").arm for person in map(str, range(40))}
    people = {person: arm for arm in arms for person in [name for name in drawn if drawn[name] == arm][:2]}
    with serving(settings, vllm_server.url) as service:
        ready = httpx.get(f"{service.url}/health/ready").json()
        assert (ready["models"], ready["candidates"]) == ({"llm": arms["A"]}, {"llm": arms["B"]})
        models = service.shop.models
        assert models.language_model is not None
        assert models.llm_trials is not None
        for engine, answer in ((models.language_model, TAUGHT_ANSWER), (models.llm_trials.engine, OTHER_ANSWER)):
            assert ask(engine, TAUGHT_QUESTION)[0].strip() == answer
        for asked, (person, arm) in enumerate(people.items(), start=1):
            assert say(service, "waterproof jackets", person, person)["tasteline"]["ranking_id"]  # type: ignore[index]
            counted = service.counts("tasteline_model_answers_total", "model")
            assert sum(counted.values()) == asked
            assert counted[arms[arm]] == list(people.values())[:asked].count(arm)
        listed = {entry["id"]: entry["parent"] for entry in httpx.get(f"{service.url}/v1/models").json()["data"][1:]}
        assert listed == dict.fromkeys(arms.values(), vllm_server.model)
        service.shop.flush_rankings()
        counts = [outcome.arm for outcome in service.shop.store.trial_outcomes(started.id)]
        assert sorted(counts) == sorted(people.values())


def test_an_engine_cut_off_in_mid_answer_costs_only_eloquence(settings: Settings, cable: Cable) -> None:
    with serving(settings, cable.url) as service:
        cable.cut_after = 400
        said = say(service, "waterproof jackets under $80", "cut")
        cable.cut_after = None
    details = said["tasteline"]
    assert cable.cuts >= 1
    assert details["degraded"]  # type: ignore[index]
    assert {item["product"]["id"] for item in details["products"]} == {"blue", "brown"}  # type: ignore[index]
    assert re.search(r"[.!?]\s*$", text_of(said))
    assert set(re.findall(r"\$\d+\.\d\d", text_of(said))) <= PRICES | {"$80.00"}
