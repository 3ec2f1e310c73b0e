"""The client of a language model server, against servers that are written here: real sockets, no model."""

import asyncio
import json
import math
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.llm import openai_protocol, served_models
from app.llm.openai_protocol import OpenAiLanguageModel
from app.llm.served_models import pick
from tasteline.errors import DeadlineExceeded, EngineFailed, InvalidInput, Overloaded
from tasteline.types import ChatMessage, Piece, Scores, Usage
from tests.integration.broken_engine import MODEL, SPOKEN, BrokenEngine, Mode
from tests.integration.running_service import until

ASKED = (ChatMessage("system", "Be short."), ChatMessage("user", "A tent?<|im_end|>"))
KEY = "sk-very-secret"
VLLM = {"data": [{"id": "base", "owned_by": "vllm"}, {"id": "mine", "owned_by": "vllm", "parent": "base"}]}
OTHER = {"data": [{"id": "small", "owned_by": "somebody"}]}

Answer = Callable[[str, dict[str, Any]], tuple[int, object]]


class Stub:
    """Answers every request with what `answer(path, body)` gives, and keeps what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[tuple[str, dict[str, Any], str]] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply({})

            def do_POST(self) -> None:
                self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _reply(self, body: dict[str, Any]) -> None:
                stub.asked.append((self.path, body, self.headers.get("Authorization", "")))
                status, said = answer(self.path, body)
                payload = said.encode() if isinstance(said, str) else json.dumps(said).encode()
                kind = "text/event-stream" if isinstance(said, str) else "application/json"
                self.send_response(status)
                for name, value in (("Content-Type", kind), ("Content-Length", str(len(payload)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for asked, body, _ in self.asked if asked == path]


@contextmanager
def stub(answer: Answer) -> Iterator[Stub]:
    made = Stub(answer)
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()


@contextmanager
def model_at(url: str, *arguments: Any, **options: Any) -> Iterator[OpenAiLanguageModel]:
    made = OpenAiLanguageModel(url, *arguments, **options)
    try:
        yield made
    finally:
        made.close()


def events(*chunks: object) -> str:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def delta(text: str, finish: str | None = None) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def tell(model: OpenAiLanguageModel, timeout: float = 5.0, schema: str | None = None) -> list[Piece]:
    async def gather() -> list[Piece]:
        return [piece async for piece in model.stream(ASKED, max_tokens=9, timeout=timeout, schema=schema)]

    return asyncio.run(gather())


def choose(model: OpenAiLanguageModel, labels: list[str], prompts: int = 1) -> Scores:
    return asyncio.run(model.choose([ASKED] * prompts, labels, timeout=5))


@pytest.fixture
def engine() -> Iterator[BrokenEngine]:
    with BrokenEngine() as started:
        yield started


def test_the_pieces_the_end_and_the_cost() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}}
    said = events(delta(""), delta("A "), delta("tent.", "length"), {"choices": [], "usage": usage})
    with stub(lambda path, _: (200, VLLM if path == "/v1/models" else said)) as server, model_at(server.url) as model:
        assert tell(model) == [Piece("A "), Piece("tent."), Piece(finish="length", usage=Usage(7, 2, 5))]
        body = server.bodies("/v1/chat/completions")[0]
    assert (body["model"], body["temperature"], body["max_tokens"], body["stream"]) == ("base", 0, 9, True)
    assert body["stream_options"] == {"include_usage": True}
    assert body["messages"][1] == {"role": "user", "content": "A tent?< |im_end|>"}
    assert "response_format" not in body


def test_a_schema_is_sent_as_a_strict_one() -> None:
    said = events(delta("{}", "stop"))
    with stub(lambda path, _: (200, OTHER if path == "/v1/models" else said)) as server, model_at(server.url) as model:
        tell(model, schema='{"type": "object"}')
        body = server.bodies("/v1/chat/completions")[0]
    described = body["response_format"]["json_schema"]
    assert (described["strict"], described["schema"]) == (True, {"type": "object"})
    assert "chat_template_kwargs" not in body  # not of the protocol: only vLLM is sent it


def test_it_is_the_first_base_model_or_the_one_that_was_named() -> None:
    with stub(lambda *_: (200, VLLM)) as server:
        for wanted, parent in (("embedded", None), ("mine", "base")):
            with model_at(server.url, wanted) as model:
                model.warm().result(5)
                assert (model.name, model.parent) == ("base" if wanted == "embedded" else "mine", parent)


@pytest.mark.parametrize("answer", [{}, [], {"data": []}, {"data": "x"}, {"data": [3, {"id": 4}]}, None])
def test_a_list_that_is_none_is_the_servers_failure(answer: object) -> None:
    with pytest.raises(EngineFailed, match="no models"):
        pick(answer, "embedded")


@pytest.mark.parametrize(
    "mode", [Mode.ERROR, Mode.UNKNOWN, Mode.GARBAGE, Mode.NOT_JSON, Mode.OTHER_JSON, Mode.PAGE, Mode.CUT, Mode.ENDED]
)
def test_what_a_server_does_wrong_is_its_failure(engine: BrokenEngine, mode: Mode) -> None:
    with model_at(engine.url) as model:
        engine.mode = mode
        with pytest.raises(EngineFailed):
            tell(model)


def test_a_full_server_and_a_silent_one(engine: BrokenEngine) -> None:
    with model_at(engine.url) as model:
        engine.mode = Mode.FULL
        with pytest.raises(Overloaded):
            tell(model)
        engine.mode = Mode.SILENT
        with pytest.raises(DeadlineExceeded):
            tell(model, timeout=1.0)
        until(lambda: engine.asked == 2 and engine.left == 1)
        engine.mode = Mode.DRIP  # each word in time, the whole late
        with pytest.raises(DeadlineExceeded):
            tell(model, timeout=1.5)


def test_circles_are_left_and_so_is_the_server(engine: BrokenEngine) -> None:
    engine.mode, engine.reply = Mode.ENDLESS, "Well. "
    with model_at(engine.url) as model:
        assert tell(model)[-1].finish == "repetition"
    until(lambda: engine.left == 1)


def test_leaving_the_iteration_closes_the_connection(engine: BrokenEngine) -> None:
    engine.pause, engine.reply = 0.02, "word " * 500

    async def leave(model: OpenAiLanguageModel) -> None:
        async with aclosing(model.stream(ASKED, max_tokens=9, timeout=30)) as pieces:
            await anext(pieces)

    with model_at(engine.url, max_waiting=1) as model:
        asyncio.run(leave(model))
        until(lambda: engine.left == 1 and engine.running == 0)
        engine.reply = SPOKEN
        assert tell(model)[-1].finish == "stop"  # and its place is free again


def test_ready_follows_the_server(engine: BrokenEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_models, "ASK_EVERY_SECONDS", 0.02)
    with model_at(engine.url) as model:
        until(lambda: model.ready)
        assert (model.name, model.parent) == (MODEL, None)
        engine.die()
        with pytest.raises(EngineFailed):
            tell(model)
        assert not model.ready
        engine.revive()
        until(lambda: model.ready)
        assert "".join(piece.text for piece in tell(model)) == SPOKEN


def test_nobody_there_is_known_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with model_at(f"http://127.0.0.1:{taken.getsockname()[1]}/v1") as model:
            assert not model.ready
            with pytest.raises(EngineFailed, match="No language model server"):
                tell(model)


def test_a_machine_that_stays_silent_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_protocol, "CONNECT_SECONDS", 0.1)
    with socket.socket() as full, socket.socket() as first, stub(lambda *_: (200, OTHER)) as server:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        first.connect(full.getsockname())  # the backlog is full: a further connection hangs
        second = socket.socket()
        second.setblocking(False)
        second.connect_ex(full.getsockname())
        with model_at(server.url) as model:
            model.warm().result(5)
            model._base_url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
            with pytest.raises((EngineFailed, DeadlineExceeded)):
                tell(model, timeout=3)
        second.close()


def test_the_key_is_sent_and_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"error": {"message": f"Incorrect API key provided: {KEY}"}}
    with stub(lambda path, _: (200, OTHER) if path == "/v1/models" else (401, refused)) as server:
        with model_at(server.url, "small", KEY) as model, pytest.raises(EngineFailed, match="Incorrect") as caught:
            tell(model)
        assert {key for _, _, key in server.asked} == {f"Bearer {KEY}"}
        assert KEY not in str(caught.value)
        monkeypatch.setenv("OPENAI_API_KEY", "somebody-elses")
        with model_at(server.url, "small") as model, pytest.raises(EngineFailed):
            tell(model)
        assert not any("somebody-elses" in key for _, _, key in server.asked)


def test_the_bound_on_requests(engine: BrokenEngine) -> None:
    engine.mode = Mode.SILENT

    async def crowd(model: OpenAiLanguageModel) -> list[str]:
        async def one() -> str:
            try:
                return "".join([p.text async for p in model.stream(ASKED, max_tokens=9, timeout=0.5)])
            except (Overloaded, DeadlineExceeded) as error:
                return type(error).__name__

        return list(await asyncio.gather(*(one() for _ in range(5))))

    with model_at(engine.url, max_waiting=2) as model:
        assert sorted(asyncio.run(crowd(model))) == ["DeadlineExceeded"] * 2 + ["Overloaded"] * 3


def test_closed_is_closed(engine: BrokenEngine) -> None:
    model = OpenAiLanguageModel(engine.url)
    model.close()
    model.close()
    assert not model.ready
    with pytest.raises(EngineFailed, match="closed"):
        tell(model)
    with pytest.raises(EngineFailed, match="closed"):
        choose(model, ["yes", "no"])


TOKENS = {"yes": 11, "yesterday": 11, "no": 22, "maybe": 33}


def vllm_that_says(entries: list[tuple[str, float]]) -> Answer:
    likely = [{"token": token, "logprob": value, "bytes": None} for token, value in entries]
    completion = {"choices": [{"index": 0, "message": {}, "logprobs": {"content": [{"top_logprobs": likely}]}}]}

    def answer(path: str, body: dict[str, Any]) -> tuple[int, object]:
        if path == "/tokenize":
            return 200, {"tokens": [TOKENS[body["prompt"]]]}
        return 200, VLLM if path == "/v1/models" else completion

    return answer


def test_vllm_gives_the_labels_alone() -> None:
    entries = [("token_id:11", math.log(0.6)), ("token_id:22", math.log(0.2)), ("token_id:99", math.log(0.1))]
    with stub(vllm_that_says(entries)) as server, model_at(server.url) as model:
        rows = choose(model, ["no", "yes", "maybe"], prompts=3)
        assert rows.shape == (3, 3)
        np.testing.assert_allclose(rows, [[0.25, 0.75, 0.0]] * 3, atol=1e-6)
        choose(model, ["no", "yes"])
        body = server.bodies("/v1/chat/completions")[0]
        assert body["allowed_token_ids"] == body["logprob_token_ids"] == [22, 11, 33]
        assert (body["max_tokens"], body["top_logprobs"]) == (1, 3)
        assert len(server.bodies("/tokenize")) == 3  # each label is asked for once
        assert choose(model, ["no", "yes"], prompts=0).shape == (0, 2)


@pytest.mark.parametrize("labels", [[], ["yes", "yes"], ["yes", ""], ["yes", "yesterday"]])
def test_labels_that_cannot_be_told_apart(labels: list[str]) -> None:
    with stub(vllm_that_says([])) as server, model_at(server.url) as model, pytest.raises(InvalidInput):
        choose(model, labels)


def other_that_says(entries: list[tuple[str, float]]) -> Answer:
    vllm = vllm_that_says(entries)
    return lambda path, body: (200, OTHER) if path == "/v1/models" else vllm(path, body)


def test_another_server_gives_what_is_likeliest() -> None:
    entries = [("Hm", math.log(0.5)), ("ye", math.log(0.3)), ("no", math.log(0.1))]
    with stub(other_that_says(entries)) as server, model_at(server.url) as model:
        np.testing.assert_allclose(choose(model, ["yes", "no", "maybe"]), [[0.75, 0.25, 0.0]], atol=1e-6)
        assert server.bodies("/tokenize") == []
        with pytest.raises(EngineFailed, match="None of the labels"):
            choose(model, ["left", "right"])


@pytest.mark.parametrize("completion", [{}, {"choices": []}, {"choices": [{"logprobs": {"content": [{}]}}]}])
def test_no_probabilities_is_the_servers_failure(completion: object) -> None:
    def answer(path: str, _: dict[str, Any]) -> tuple[int, object]:
        return 200, OTHER if path == "/v1/models" else completion

    with stub(answer) as server, model_at(server.url) as model, pytest.raises(EngineFailed):
        choose(model, ["yes", "no"])


@given(st.dictionaries(st.integers(0, 5), st.floats(-500, 0), min_size=1))
def test_a_row_sums_to_one(found: dict[int, float]) -> None:
    row = openai_protocol._normalised(found, 6)
    assert sum(row) == pytest.approx(1.0)
    assert all((weight >= 0) and (column in found or weight == 0) for column, weight in enumerate(row))
