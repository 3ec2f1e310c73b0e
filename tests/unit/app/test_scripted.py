"""The scripted model's tricks; what it shares with the real ones is in the contract suite."""

from __future__ import annotations

import asyncio

import pytest

from app.llm.scripted import GARBAGE, ScriptedLanguageModel
from tasteline.errors import DeadlineExceeded, EngineFailed, Overloaded
from tasteline.types import ChatMessage, Piece

ASKED = (ChatMessage("user", "Say hello to all of us"),)


async def gather(model: ScriptedLanguageModel, timeout: float = 5.0, schema: str | None = None) -> list[Piece]:
    return [piece async for piece in model.stream(ASKED, max_tokens=99, timeout=timeout, schema=schema)]


def said(model: ScriptedLanguageModel) -> str:
    return "".join(piece.text for piece in asyncio.run(gather(model)))


def test_replies_come_in_turn_and_the_last_one_stays() -> None:
    model = ScriptedLanguageModel(["one", "two"])
    assert [said(model) for _ in range(3)] == ["one", "two", "two"]
    assert model.requests == [ASKED] * 3


def test_replies_may_depend_on_the_messages() -> None:
    assert said(ScriptedLanguageModel(lambda messages: messages[-1].content.upper())) == "SAY HELLO TO ALL OF US"


def test_schemas_are_kept_beside_the_requests() -> None:
    model = ScriptedLanguageModel(["{}"])
    asyncio.run(gather(model, schema="{}"))
    said(model)
    assert model.schemas == ["{}", None]


def test_it_breaks_when_told_to() -> None:
    pieces: list[Piece] = []

    async def run() -> None:
        async for piece in ScriptedLanguageModel(["a b c d"], fail_after=2).stream(ASKED, max_tokens=9, timeout=9):
            pieces.append(piece)

    with pytest.raises(EngineFailed):
        asyncio.run(run())
    assert pieces == [Piece("a"), Piece(" b")]


def test_choosing_breaks_when_told_to() -> None:
    with pytest.raises(EngineFailed):
        asyncio.run(ScriptedLanguageModel(["yes"], fail_after=0).choose([ASKED], ["yes", "no"], timeout=9))


def test_it_is_silent_for_a_while() -> None:
    model = ScriptedLanguageModel(["hello"], first_delay=60)
    with pytest.raises(DeadlineExceeded):
        asyncio.run(gather(model, timeout=0.02))


def test_it_refuses() -> None:
    with pytest.raises(Overloaded):
        asyncio.run(gather(ScriptedLanguageModel(["hello"], max_waiting=0)))


def test_it_turns_in_circles_when_told_to() -> None:
    assert (
        asyncio.run(gather(ScriptedLanguageModel(["round and round"], finish="repetition")))[-1].finish == "repetition"
    )


def test_garbage_arrives_as_it_is() -> None:
    assert said(ScriptedLanguageModel([GARBAGE])) == GARBAGE


def test_it_needs_a_reply() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ScriptedLanguageModel([])
