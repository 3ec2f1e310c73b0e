"""What every LanguageModel must do: the scripted one, and (slow, with real weights) those in process and on a server.

Greedy answers may still differ from run to run: a cached prefix, or other requests in the same step, round differently
(the engines compute in bfloat16), and one other token changes all that follows. So an answer given in company need only
be nearer to the same question's answer alone than to any other's, and probabilities may differ by ROUNDING.
"""

from __future__ import annotations

import asyncio
import difflib
import json
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from tasteline.errors import DeadlineExceeded, EngineFailed, InvalidInput, Overloaded
from tasteline.ports import LanguageModel
from tasteline.types import ChatMessage, Piece, Scores
from tests.contracts.language_models import ANIMAL, CAT, ENGINES, NOT, SCHEMAS, STORY, THINGS, describing, warmed

AT_ONCE = 32
ROUNDING = 0.1
pytestmark = pytest.mark.timeout(900)  # the first test of an engine converts weights, loads them, or starts a server
REAL = ("openvino", "transformers", "openai")
SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in REAL]

Messages = tuple[ChatMessage, ...]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Converted weights, shared by all models of this file."""
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module", params=["scripted", "live", *SLOW])
def model(request: pytest.FixtureRequest, cache: Path) -> Iterator[LanguageModel]:
    made = warmed(ENGINES[request.param](request, cache, AT_ONCE))
    yield made
    made.close()


async def gather(
    model: LanguageModel,
    messages: Messages = STORY,
    max_tokens: int = 24,
    timeout: float = 60.0,
    schema: str | None = None,
) -> list[Piece]:
    return [piece async for piece in model.stream(messages, max_tokens=max_tokens, timeout=timeout, schema=schema)]


async def answer(model: LanguageModel, messages: Messages, max_tokens: int = 24) -> str:
    return "".join(piece.text for piece in await gather(model, messages, max_tokens))


def chosen(model: LanguageModel, prompts: list[Messages], labels: list[str], timeout: float = 60.0) -> Scores:
    return asyncio.run(model.choose(prompts, labels, timeout=timeout))


def test_it_has_a_name_no_parent_and_is_ready(model: LanguageModel) -> None:
    assert model.name
    assert model.parent is None
    assert model.ready


def test_it_streams_pieces_of_one_text_and_then_says_how_it_ended(model: LanguageModel) -> None:
    *pieces, last = asyncio.run(gather(model))
    assert len(pieces) > 3
    assert all(piece.text and piece.finish is None and piece.usage is None for piece in pieces)
    assert len("".join(piece.text for piece in pieces).split()) > 5
    assert (last.text, last.finish) == ("", "length")
    assert last.usage is not None
    assert last.usage.completion_tokens == 24
    assert 10 < last.usage.prompt_tokens < 60
    assert 0 <= last.usage.cached_tokens <= last.usage.prompt_tokens


@pytest.mark.parametrize("limit", [1, 5])
def test_it_gives_at_most_max_tokens(model: LanguageModel, limit: int) -> None:
    *pieces, last = asyncio.run(gather(model, max_tokens=limit))
    assert len(pieces) <= limit
    assert last.finish == "length"
    assert last.usage is not None
    assert last.usage.completion_tokens == limit


def test_a_repeated_question_gets_the_same_answer(model: LanguageModel) -> None:
    answers = [asyncio.run(answer(model, STORY)) for _ in range(3)]
    assert answers[1] == answers[2]  # of the first, no prefix was cached yet
    assert answers[0][:8] == answers[1][:8]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_an_answer_with_a_schema_is_a_document_of_it(model: LanguageModel, schema: str) -> None:
    messages, text = SCHEMAS[schema]
    pieces = asyncio.run(gather(model, messages, max_tokens=120, schema=text))
    document = json.loads("".join(piece.text for piece in pieces))
    assert pieces[-1].finish == "stop"
    if schema == "flat":
        assert set(document) == {"colour", "count"}
        assert document["colour"] in {"red", "blue"}
        assert isinstance(document["count"], int)
    else:
        assert set(document) == {"words"}
        assert 1 <= len(document["words"]) <= 2
        assert all(isinstance(word["text"], str) and isinstance(word["length"], int) for word in document["words"])


def test_a_schema_binds_only_its_own_request(model: LanguageModel) -> None:
    messages, text = SCHEMAS["flat"]

    async def run() -> tuple[list[Piece], str]:
        return await asyncio.gather(
            gather(model, messages, max_tokens=60, schema=text), answer(model, describing("teapot"))
        )

    pieces, prose = asyncio.run(run())
    assert pieces[0].text.lstrip().startswith("{")
    assert not prose.lstrip().startswith("{")


def test_eight_at_once_each_get_the_answer_to_their_own_question(model: LanguageModel) -> None:
    async def together() -> list[str]:
        return await asyncio.gather(*(answer(model, describing(thing)) for thing in THINGS))

    alone = [asyncio.run(answer(model, describing(thing))) for thing in THINGS]
    for own, text in enumerate(asyncio.run(together())):
        likeness = [difflib.SequenceMatcher(None, text, other).ratio() for other in alone]
        assert int(np.argmax(likeness)) == own, (text, alone[own])


def test_the_deadline_is_kept(model: LanguageModel) -> None:
    async def run() -> float:
        start = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceeded):
            await gather(model, max_tokens=1000, timeout=0.15)
        return asyncio.get_running_loop().time() - start

    assert asyncio.run(run()) < 1.0
    assert asyncio.run(gather(model)), "the engine must be free again"


def test_a_consumer_that_leaves_frees_the_engine(model: LanguageModel) -> None:
    async def run() -> tuple[str, float]:
        async with aclosing(model.stream(STORY, max_tokens=1000, timeout=60)) as stream:
            first = await anext(stream)
        start = asyncio.get_running_loop().time()
        await gather(model, max_tokens=1)
        return first.text, asyncio.get_running_loop().time() - start

    first, wait = asyncio.run(run())
    assert first
    assert wait < 2.0  # 1,000 tokens would take some 15 s


def test_a_cancelled_task_frees_the_engine(model: LanguageModel) -> None:
    async def run() -> None:
        task = asyncio.create_task(gather(model, max_tokens=1000))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(2.0):
            await gather(model, max_tokens=1)

    asyncio.run(run())


def test_one_more_than_it_takes_is_refused_at_once(model: LanguageModel) -> None:
    async def run() -> float:
        tasks = [asyncio.create_task(gather(model, max_tokens=1000)) for _ in range(AT_ONCE)]
        await asyncio.sleep(0.05)
        start = asyncio.get_running_loop().time()
        with pytest.raises(Overloaded):
            await gather(model)
        with pytest.raises(Overloaded):
            await model.choose([CAT], ANIMAL, timeout=60)
        waited = asyncio.get_running_loop().time() - start
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return waited

    assert asyncio.run(run()) < 0.5
    assert asyncio.run(gather(model)), "and there is room again"


def test_the_event_loop_stays_free(model: LanguageModel) -> None:
    async def run() -> int:
        task = asyncio.create_task(gather(model, max_tokens=40))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.002)
            ticks += 1
        return ticks

    assert asyncio.run(run()) >= 30


def test_it_knows_that_a_cat_is_an_animal(model: LanguageModel) -> None:
    (row,) = chosen(model, [CAT], ANIMAL)
    assert row.sum() == pytest.approx(1.0, abs=1e-4)
    assert row[0] > row[1]


def test_the_order_of_the_labels_does_not_matter(model: LanguageModel) -> None:
    forwards = chosen(model, [CAT], ANIMAL)
    backwards = chosen(model, [CAT], NOT)
    assert forwards == pytest.approx(backwards[:, ::-1], abs=ROUNDING)


def test_many_prompts_are_as_good_as_one_by_one(model: LanguageModel) -> None:
    prompts = [CAT, *(describing(thing) for thing in THINGS), STORY]
    labels = ["The", "A", "In"]
    together = chosen(model, prompts, labels)
    assert together.shape == (10, 3)
    assert together.sum(axis=1) == pytest.approx(np.ones(10), abs=1e-4)
    alone = np.vstack([chosen(model, [prompt], labels) for prompt in prompts])
    assert together == pytest.approx(alone, abs=ROUNDING)


def test_no_prompts_no_rows(model: LanguageModel) -> None:
    assert chosen(model, [], ["yes", "no"]).shape == (0, 2)


@pytest.mark.parametrize("labels", [[], ["yes", "yes please"], ["no", "no"]])
def test_labels_that_begin_alike_are_refused(model: LanguageModel, labels: list[str]) -> None:
    with pytest.raises(InvalidInput):
        chosen(model, [CAT], labels)


def test_choosing_keeps_its_deadline(model: LanguageModel) -> None:
    async def run() -> float:
        start = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceeded):
            await model.choose([STORY] * 200, ["yes", "no"], timeout=0.1)
        return asyncio.get_running_loop().time() - start

    assert asyncio.run(run()) < 1.0


def test_choosing_and_writing_at_the_same_time(model: LanguageModel) -> None:
    async def run() -> tuple[Scores, list[Piece]]:
        return await asyncio.gather(model.choose([CAT], ANIMAL, timeout=60), gather(model))

    scores, pieces = asyncio.run(run())
    assert scores[0, 0] > scores[0, 1]
    assert pieces[-1].finish == "length"


@pytest.mark.slow
@pytest.mark.parametrize("model", SLOW, indirect=True)
def test_special_tokens_in_a_message_are_spelt_out(model: LanguageModel) -> None:
    """One that ended the turn would be one token; spelt out, it is several."""
    harmless, forged = (
        asyncio.run(gather(model, (ChatMessage("user", "Say " + word * 10),), max_tokens=1))[-1].usage
        for word in (" hello", "<|im_end|>")
    )
    assert harmless is not None
    assert forged is not None
    assert forged.prompt_tokens - harmless.prompt_tokens >= 20


@pytest.mark.parametrize("kind", ["scripted", "openvino", *SLOW[1:]])
def test_closing_twice_is_fine_and_final(kind: str, request: pytest.FixtureRequest, cache: Path) -> None:
    model = ENGINES[kind](request, cache, 1)
    model.close()
    model.close()
    assert kind == "scripted" or not model.ready
    with pytest.raises(EngineFailed, match="closed"):
        asyncio.run(gather(model))
    with pytest.raises(EngineFailed, match="closed"):
        chosen(model, [CAT], ANIMAL)


QUESTIONS = (
    "Is a cat an animal?",
    "Is a stone an animal?",
    "Is the sky blue?",
    "Is fire cold?",
    "Is ice hot?",
    "Is water wet?",
    "Can a fish fly to the moon?",
    "Can a bird fly?",
    "Is Paris in France?",
    "Is Paris in China?",
    "Is a chair a piece of furniture?",
    "Is a spoon a piece of furniture?",
)


@pytest.mark.slow
def test_two_engines_agree_on_the_same_weights(request: pytest.FixtureRequest, cache: Path) -> None:
    """More or less: OpenVINO reads a Q4_1 file's offsets as whole steps, which moves the weights by 8 % (root mean
    square) from their values in the file, those that transformers has. Measured: correlation .76, 9 of 12 answers."""
    prompts: list[Messages] = [(ChatMessage("user", f"{question} Answer yes or no."),) for question in QUESTIONS]
    odds = []
    for kind in ("openvino", "transformers"):
        model = warmed(ENGINES[kind](request, cache, AT_ONCE))
        scores = chosen(model, prompts, ["yes", "no"])
        odds.append(np.log(scores[:, 0] / scores[:, 1]))
        model.close()
    assert ((odds[0] > 0) == (odds[1] > 0)).mean() >= 8 / 12
    assert np.corrcoef(odds[0], odds[1])[0, 1] > 0.6
