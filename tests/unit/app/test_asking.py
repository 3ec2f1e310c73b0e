"""Whatever an engine does becomes an outcome that is counted; one that broke is left alone and then tried by one."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import TypeVar

import numpy as np
import pytest

from app.llm import asking
from app.llm.asking import LOADING_SECONDS, REST_SECONDS, SILENCES, Asker, EngineSilent
from app.llm.scripted import ScriptedLanguageModel
from app.telemetry import Metrics
from prompts.prompt import Prompt, Reading
from tasteline.errors import DeadlineExceeded, EngineFailed, InvalidInput, Overloaded, SetupError, TooLarge
from tasteline.types import ChatMessage, Piece, Scores, Usage

PROMPT = Prompt("greeting_v1", (ChatMessage("user", "say hello"),), 20)
Step = Piece | BaseException | Awaitable[object]
Result = TypeVar("Result")


class Engine(ScriptedLanguageModel):
    """Does in each request what `steps` says for it: gives pieces, raises, waits. The last entry again and again."""

    def __init__(self, *steps: Callable[[], Sequence[Step]]) -> None:
        super().__init__(["unused"])
        self._steps = steps
        self.asked = 0
        self.closed: list[int] = []
        self.loaded = True

    @property
    def ready(self) -> bool:
        return self.loaded

    async def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, timeout: float, schema: str | None = None
    ) -> AsyncGenerator[Piece, None]:
        number, self.asked = self.asked, self.asked + 1
        try:
            for step in self._steps[min(number, len(self._steps) - 1)]():
                if isinstance(step, Piece):
                    yield step
                elif isinstance(step, BaseException):
                    raise step
                else:
                    await step
        finally:
            self.closed.append(number)

    async def choose(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], *, timeout: float
    ) -> Scores:
        async with aclosing(self.stream((), max_tokens=1, timeout=timeout)) as pieces:
            async for _ in pieces:
                pass
        return np.full((len(prompts), len(labels)), 1 / len(labels), dtype=np.float32)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def hello() -> list[Step]:
    return [Piece("Hello "), Piece("there."), Piece(finish="stop", usage=Usage(12, 2, 8))]


def nothing() -> list[Step]:
    return [asyncio.sleep(60)]


def failing(error: BaseException) -> Callable[[], list[Step]]:
    return lambda: [Piece("Hel"), error]


def silent(error: BaseException) -> Callable[[], list[Step]]:
    return lambda: [error]


def upper(text: str) -> Reading[str]:
    return Reading("ok", text.upper()) if text.startswith("Hello") else Reading("wrong_format")


class Asked:
    """An asker over one engine, and what it counted."""

    def __init__(self, engine: ScriptedLanguageModel | None) -> None:
        self.engine = engine
        self.metrics = Metrics()
        self.clock = Clock()
        self.asker = Asker(engine, self.metrics, self.clock)

    def ask(self, timeout: float = 5.0) -> Reading[str]:
        return asyncio.run(self.asker.ask(PROMPT, upper, timeout))

    def counted(self, outcome: str, prompt: str = PROMPT.name) -> float:
        labels = {"model": self.engine.name if self.engine else "", "prompt": prompt, "outcome": outcome}
        return self.metrics.registry.get_sample_value("tasteline_model_answers_total", labels) or 0.0

    def tokens(self, kind: str) -> float | None:
        return self.metrics.registry.get_sample_value(
            "tasteline_model_tokens_total", {"model": "scripted", "prompt": PROMPT.name, "kind": kind}
        )


def within(seconds: float, work: Coroutine[object, object, Result]) -> Result:
    async def bounded() -> Result:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(bounded())


def test_a_good_answer_is_read_and_its_tokens_counted() -> None:
    asked = Asked(Engine(hello))
    assert asked.ask() == Reading("ok", "HELLO THERE.")
    assert asked.counted("ok") == 1
    assert [asked.tokens(kind) for kind in ("prompt", "cached", "completion")] == [12, 8, 2]


@pytest.mark.parametrize(
    ("steps", "outcome", "asked_again"),
    [
        (lambda: [Piece("Good day."), Piece(finish="stop")], "wrong_format", True),
        (lambda: [Piece(" \n"), Piece(finish="stop")], "missing", True),
        (lambda: [], "missing", True),
        (lambda: [Piece("Hello Hello Hello"), Piece(finish="repetition")], "repetition", True),
        (failing(DeadlineExceeded("late")), "late", True),
        (silent(TimeoutError()), "late", True),
        (silent(Overloaded("full")), "busy", True),
        (silent(TooLarge("the prompt has 9,000 tokens")), "failed", True),
        (silent(InvalidInput("two labels begin alike")), "failed", True),
        (failing(EngineFailed("gone")), "failed", False),
        (silent(SetupError("no weights", remedy="make setup")), "failed", False),
        (silent(ValueError("a mistake of the adapter")), "failed", False),
        (silent(ConnectionResetError()), "failed", False),
    ],
)
def test_what_became_of_it(steps: Callable[[], Sequence[Step]], outcome: str, asked_again: bool) -> None:
    asked = Asked(Engine(steps, hello))
    assert asked.ask() == Reading(outcome)  # type: ignore[arg-type]
    assert asked.counted(outcome) == 1
    assert asked.asker.available is asked_again
    assert asked.ask() == (Reading("ok", "HELLO THERE.") if asked_again else Reading("busy"))


def test_no_engine_and_one_that_loads_are_not_asked() -> None:
    assert Asked(None).ask() == Reading("busy")
    engine = Engine(hello)
    engine.loaded = False
    asked = Asked(engine)
    assert not asked.asker.present
    assert asked.ask() == Reading("busy")
    assert engine.asked == 0
    asked.clock.now += LOADING_SECONDS + 1
    assert asked.asker.present
    assert not asked.asker.available


def test_an_engine_that_has_gone_is_missed() -> None:
    engine = Engine(hello)
    asked = Asked(engine)
    assert asked.ask().outcome == "ok"
    engine.loaded = False
    assert asked.asker.present
    assert asked.ask() == Reading("busy")
    engine.loaded = True
    assert asked.ask().outcome == "ok"


def test_no_time_left_asks_nobody() -> None:
    engine = Engine(hello)
    asked = Asked(engine)
    assert asked.ask(timeout=0) == Reading("late")
    assert asked.ask(timeout=-1) == Reading("late")
    assert engine.asked == 0


def test_an_engine_that_does_not_keep_the_time_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "GRACE_SECONDS", 0.01)
    engine = Engine(lambda: [Piece("Hello"), *nothing()])
    asked = Asked(engine)
    assert within(2, asked.asker.ask(PROMPT, upper, 0.02)) == Reading("late")
    assert engine.closed == [0]
    assert within(2, asked.asker.choose("judging_v1", [()], ["yes", "no"], 0.02)) is None
    assert asked.counted("late", "judging_v1") == 1


def test_after_its_rest_one_request_tries_it_and_the_others_go_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "GRACE_SECONDS", 0.01)
    engine = Engine(silent(EngineFailed("dead")), nothing, hello)
    asked = Asked(engine)
    asked.ask()
    asked.clock.now += REST_SECONDS - 0.1
    assert asked.ask() == Reading("busy")
    asked.clock.now += 0.2

    async def crowd() -> list[Reading[str]]:
        return await asyncio.gather(*(asked.asker.ask(PROMPT, upper, 0.02) for _ in range(20)))

    outcomes = sorted(reading.outcome for reading in within(5, crowd()))
    assert outcomes == ["busy"] * 19 + ["late"]
    assert engine.asked == 2
    assert not asked.asker.available
    asked.clock.now += REST_SECONDS
    assert asked.ask() == Reading("ok", "HELLO THERE.")
    assert [reading.outcome for reading in within(5, crowd())] == ["ok"] * 20


def test_a_shopper_who_leaves_while_trying_it_gives_the_next_the_chance() -> None:
    asked = Asked(Engine(silent(EngineFailed("dead")), nothing, hello))
    asked.ask()
    asked.clock.now += REST_SECONDS

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await asked.asker.ask(PROMPT, upper, 5)

    within(2, leave())
    assert asked.ask() == Reading("ok", "HELLO THERE.")


def test_an_engine_that_says_nothing_again_and_again_is_left_alone() -> None:
    engine = Engine(silent(DeadlineExceeded("late")))
    asked = Asked(engine)
    assert [asked.ask().outcome for _ in range(SILENCES + 5)] == ["late"] * SILENCES + ["busy"] * 5
    slow = Asked(Engine(failing(DeadlineExceeded("late"))))
    assert [slow.ask().outcome for _ in range(SILENCES + 5)] == ["late"] * (SILENCES + 5)


def test_leaving_the_stream_ends_the_engines_work() -> None:
    engine = Engine(hello)
    asked = Asked(engine)

    async def first() -> str:
        async with aclosing(asked.asker.stream(PROMPT, 5)) as pieces:
            async for piece in pieces:
                assert engine.closed == []
                return piece.text
        return ""

    async def check() -> None:
        assert await first() == "Hello "
        assert engine.closed == [0]

    within(2, check())
    assert asked.asker.available


def test_a_cancelled_request_ends_the_engines_work_and_blames_nobody() -> None:
    engine = Engine(nothing, hello)
    asked = Asked(engine)

    async def cancelled() -> None:
        task = asyncio.create_task(asked.asker.ask(PROMPT, upper, 5))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.closed == [0]

    within(2, cancelled())
    assert asked.ask() == Reading("ok", "HELLO THERE.")


def test_no_more_is_read_than_was_asked_for() -> None:
    engine = Engine(lambda: [Piece("Hello"), Piece("o" * 100_000), Piece("never"), Piece(finish="stop")])
    answer = Asked(engine).ask().value
    assert answer is not None
    assert len(answer) == asking.CHARACTERS_A_TOKEN * PROMPT.max_tokens
    assert set(answer) == set("HELLO")
    assert engine.closed == [0]


def test_a_broken_stream_says_why_and_keeps_what_came() -> None:
    asked = Asked(Engine(failing(EngineFailed("gone"))))
    came: list[str] = []

    async def read() -> None:
        async with aclosing(asked.asker.stream(PROMPT, 5)) as pieces:
            async for piece in pieces:
                came.append(piece.text)

    with pytest.raises(EngineSilent) as silence:
        within(2, read())
    assert (came, silence.value.outcome) == (["Hel"], "failed")
    assert asked.counted("failed") == 0  # the caller alone knows what it made of the pieces


def test_choices_are_counted_by_template() -> None:
    asked = Asked(Engine(hello, silent(EngineFailed("gone"))))
    chosen = within(2, asked.asker.choose("judging_v1", [(), ()], ["yes", "no"], 5))
    assert chosen is not None
    assert chosen.shape == (2, 2)
    assert within(2, asked.asker.choose("judging_v1", [()], ["yes", "no"], 5)) is None
    assert (asked.counted("ok", "judging_v1"), asked.counted("failed", "judging_v1")) == (1, 1)
