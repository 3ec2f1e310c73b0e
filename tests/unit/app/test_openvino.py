"""What the in-process engine does beyond the port: its parts without an engine, its loading, its breaking."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.llm.openvino_genai import OpenVinoLanguageModel
from app.llm.openvino_generation import Generation, Request
from app.llm.text import TextStream
from retrieval.adapters.weights import language_model_path
from tasteline.errors import EngineFailed, InvalidInput, MissingExtra, Overloaded, TooLarge
from tasteline.types import ChatMessage, Piece, Usage

HELLO = (ChatMessage("user", "Say hello"),)
END = 0
"""The stop token of the byte tokenizer below."""


def decode(tokens: list[int]) -> str:
    """One token a byte: the worst case for characters of several bytes."""
    return bytes(tokens).decode(errors="replace")


@dataclass
class Tokens:
    """A source that has everything at once."""

    waiting: list[int]
    still_running: bool = True
    cancelled: bool = False

    def read(self) -> list[int]:
        taken, self.waiting = self.waiting, []
        return taken

    def running(self) -> bool:
        return self.still_running

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Asked:
    """A generation over bytes and all that came of it."""

    text: str | bytes
    max_tokens: int = 1000
    still_running: bool = True
    emitted: list[Piece | Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        given = self.text.encode() if isinstance(self.text, str) else self.text
        self.source = Tokens(list(given), self.still_running)
        self.request = Request(HELLO, self.max_tokens, None, self.emitted.append)
        self.generation = Generation(self.request, 7, self.source, TextStream(decode), frozenset({END}))

    def written(self) -> str:
        return "".join(piece.text for piece in self.emitted if isinstance(piece, Piece))


@given(st.text(st.characters(exclude_characters="\x00\ufffd", exclude_categories=["Cs"])))
def test_text_comes_out_in_whole_characters(text: str) -> None:
    stream = TextStream(decode)
    pieces = [stream.push(token) for token in text.encode()]
    assert "".join(pieces) + stream.rest() == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_half_a_character_at_the_end_is_left_out() -> None:
    asked = Asked("tea 🫖".encode()[:-1], max_tokens=7)
    asked.generation.attend()
    assert asked.written() == "tea "
    assert asked.emitted[-1] == Piece(finish="length", usage=Usage(7, 7))


def test_a_stop_token_ends_it() -> None:
    asked = Asked("hello\x00more")
    asked.generation.attend()
    assert asked.written() == "hello"
    assert asked.emitted[-1] == Piece(finish="stop", usage=Usage(7, 6))
    assert asked.source.cancelled


def test_circles_end_it() -> None:
    asked = Asked("It is a good pot. " * 20)
    asked.generation.attend()
    assert asked.emitted[-1].finish == "repetition"  # type: ignore[union-attr]
    assert len(asked.written()) < 18 * 5
    assert asked.source.cancelled


def test_who_has_left_hears_no_more() -> None:
    asked = Asked("hello")
    asked.request.left.set()
    asked.generation.attend()
    assert asked.emitted == []
    assert asked.generation.done
    assert asked.source.cancelled


def test_an_engine_that_stops_by_itself_had_no_room() -> None:
    asked = Asked("", still_running=False)
    asked.generation.attend()
    assert isinstance(asked.emitted[-1], TooLarge)


def test_only_the_first_failure_is_told() -> None:
    asked = Asked("")
    asked.generation.fail(EngineFailed("first"))
    asked.generation.fail(EngineFailed("second"))
    assert [str(error) for error in asked.emitted] == ["first"]


async def gather(model: OpenVinoLanguageModel, schema: str | None = None, max_tokens: int = 12) -> list[Piece]:
    return [piece async for piece in model.stream(HELLO, max_tokens=max_tokens, timeout=60, schema=schema)]


def weights() -> Path:
    try:
        return Path(language_model_path("embedded"))
    except MissingExtra as error:
        pytest.skip(str(error))


def test_missing_weights_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingExtra, match="make setup"):
        OpenVinoLanguageModel(tmp_path / "none.gguf", tmp_path)


def test_damaged_weights_are_the_engines_failure(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF, but not really")
    model = OpenVinoLanguageModel(damaged, tmp_path / "graph")
    for _ in range(2):
        with pytest.raises(EngineFailed, match="cannot be loaded"):
            asyncio.run(gather(model))
    with pytest.raises(EngineFailed):
        asyncio.run(model.choose([HELLO], ["yes", "no"], timeout=60))
    assert not model.ready
    assert list((tmp_path / "graph").iterdir()) == []
    model.close()


def test_a_full_line_turns_the_next_one_away(tmp_path: Path) -> None:
    (tmp_path / "never-loaded.gguf").touch()
    model = OpenVinoLanguageModel(tmp_path / "never-loaded.gguf", tmp_path, max_waiting=0)
    with pytest.raises(Overloaded):
        asyncio.run(gather(model))
    model.close()


@pytest.mark.parametrize("schema", ["no json", "[]", "7"])
def test_a_schema_that_is_none_is_refused_before_the_engine(tmp_path: Path, schema: str) -> None:
    (tmp_path / "never-loaded.gguf").touch()
    model = OpenVinoLanguageModel(tmp_path / "never-loaded.gguf", tmp_path)
    with pytest.raises(InvalidInput):
        asyncio.run(gather(model, schema))
    assert not model.ready
    model.close()


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graphs")


@pytest.mark.slow
def test_the_graph_is_made_once_and_a_folder_of_it_will_do(graphs: Path) -> None:
    answers = []
    for path in (weights(), weights(), None):
        model = OpenVinoLanguageModel(path or next(graphs.iterdir()), graphs)
        answers.append(asyncio.run(gather(model)))
        model.close()
    assert answers[0][:3] == answers[1][:3] == answers[2][:3]
    assert len(list(graphs.iterdir())) == 1


@pytest.mark.slow
def test_a_schema_that_the_engine_refuses_leaves_it_working(graphs: Path) -> None:
    model = OpenVinoLanguageModel(weights(), graphs)
    with pytest.raises(InvalidInput, match="nonsense"):
        asyncio.run(gather(model, '{"type": "nonsense"}'))
    assert model.ready
    assert len(asyncio.run(gather(model))) > 1
    model.close()


@pytest.mark.slow
def test_a_prompt_too_long_to_lead_joins(graphs: Path) -> None:
    from app.llm.openvino_batching import LEAD_TOKENS

    model = OpenVinoLanguageModel(weights(), graphs)

    async def run() -> list[Piece]:
        long = (ChatMessage("user", "tea " * 1500),)
        return [piece async for piece in model.stream(long, max_tokens=2, timeout=60)]

    usage = asyncio.run(run())[-1].usage
    assert usage is not None
    assert usage.prompt_tokens > LEAD_TOKENS
    assert usage.completion_tokens >= 1
    model.close()


class Broken:
    """In the pipeline's place after it was loaded: every step fails."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def generate(self, *_: object) -> None:
        raise RuntimeError("the processor is on fire")


@pytest.mark.slow
def test_an_engine_that_crashes_is_loaded_afresh_but_not_twice_in_a_row(graphs: Path) -> None:
    model = OpenVinoLanguageModel(weights(), graphs)

    def crash() -> None:
        model.warm().result(timeout=60)
        batcher: Any = model._batcher
        batcher._pipeline = Broken(batcher._pipeline)
        with pytest.raises(EngineFailed, match="on fire"):
            asyncio.run(gather(model))

    crash()
    model.warm().result(timeout=60)
    assert asyncio.run(gather(model))[-1].finish
    crash()
    crash()
    with pytest.raises(EngineFailed, match="on fire"):
        asyncio.run(gather(model))
    assert not model.ready
    model.close()
