"""The language model exchanged under its callers: none is broken off, none goes to the one that was replaced."""

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from threading import Thread
from typing import TypeVar

import numpy as np
import pytest

from app.llm import live as module
from app.llm.golden import check_language_model
from app.llm.live import LiveLanguageModel
from app.llm.scripted import ScriptedLanguageModel
from tasteline.errors import EngineFailed, InvalidInput
from tasteline.types import ChatMessage, Product, Scores
from tests.integration.running_service import until

HELLO = (ChatMessage("user", "hello"),)
Value = TypeVar("Value")


class Engine(ScriptedLanguageModel):
    """Says its own name, word by word, and whether it was closed."""

    def __init__(self, name: str, delay: float = 0.0) -> None:
        super().__init__([f"{name} " * 5], delay)
        self._name = name
        self.closed = False

    @property
    def name(self) -> str:
        return self._name

    def close(self) -> None:
        self.closed = True
        super().close()


async def said(model: LiveLanguageModel) -> str:
    return "".join([piece.text async for piece in model.stream(HELLO, max_tokens=9, timeout=10)]).strip()


def in_thread(work: Coroutine[object, object, Value]) -> tuple[Thread, list[Value]]:
    results: list[Value] = []
    thread = Thread(target=lambda: results.append(asyncio.run(work)))
    thread.start()
    return thread, results


def test_empty_it_is_not_ready_and_fails_as_an_engine_does() -> None:
    model = LiveLanguageModel()
    assert (model.name, model.parent, model.ready, model.empty) == ("", None, False, True)
    with pytest.raises(EngineFailed):
        asyncio.run(said(model))
    with pytest.raises(EngineFailed):
        asyncio.run(model.choose([HELLO], ["a", "b"], timeout=1))
    model.close()


def test_names_are_those_given_or_the_engines_own() -> None:
    model = LiveLanguageModel()
    model.exchange(Engine("base"))
    assert (model.name, model.parent, model.ready) == ("base", None, True)
    model.exchange(Engine("merged"), "20261128-1", "base")
    assert (model.name, model.parent) == ("20261128-1", "base")
    assert asyncio.run(said(model)) == " ".join(["merged"] * 5)


def test_what_runs_ends_on_its_engine_which_is_closed_after() -> None:
    slow, fast = Engine("slow", delay=0.1), Engine("fast")
    model = LiveLanguageModel()
    model.exchange(slow)
    asking, answers = in_thread(said(model))
    until(lambda: slow.requests)
    exchanging = Thread(target=lambda: model.exchange(fast))
    exchanging.start()
    until(lambda: model.name == "fast")
    assert asyncio.run(said(model)) == " ".join(["fast"] * 5), "nobody waits for the old one"
    assert not slow.closed
    asking.join()
    exchanging.join()
    assert answers == [" ".join(["slow"] * 5)]
    assert (slow.closed, fast.closed) == (True, False)


def test_a_request_that_hangs_does_not_keep_the_old_one_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.05)
    hanging = Engine("hanging", delay=0.5)
    model = LiveLanguageModel()
    model.exchange(hanging)
    asking, _ = in_thread(said(model))
    until(lambda: hanging.requests)
    model.exchange(Engine("next"))
    assert hanging.closed
    asking.join()


def test_leaving_an_answer_early_counts_as_its_end() -> None:
    model = LiveLanguageModel()
    model.exchange(Engine("old"))

    async def first_word() -> None:
        pieces = model.stream(HELLO, max_tokens=9, timeout=5)
        await anext(pieces)
        await pieces.aclose()

    asyncio.run(first_word())
    model.exchange(Engine("new"))  # would wait
    assert model.name == "new"


def test_released_it_is_empty_once_its_last_request_has_ended() -> None:
    slow = Engine("slow", delay=0.1)
    model = LiveLanguageModel()
    model.release()  # there is nothing yet
    model.exchange(slow)
    asking, answers = in_thread(said(model))
    until(lambda: slow.requests)
    releasing = Thread(target=model.release)
    releasing.start()
    until(lambda: model.empty)
    assert not slow.closed
    asking.join()
    releasing.join()
    assert (answers, slow.closed, model.name) == ([" ".join(["slow"] * 5)], True, "")
    model.exchange(Engine("next"))
    assert asyncio.run(said(model)) == " ".join(["next"] * 5)
    model.close()
    model.release()


def test_closing_ends_a_waiting_exchange_and_takes_no_more() -> None:
    hanging, late = Engine("hanging", delay=1.0), Engine("late")
    model = LiveLanguageModel()
    model.exchange(hanging)
    asking, _ = in_thread(said(model))
    until(lambda: hanging.requests)
    exchanging = Thread(target=lambda: model.exchange(Engine("next")))
    exchanging.start()
    model.close()
    exchanging.join(5)
    assert not exchanging.is_alive()
    with pytest.raises(EngineFailed):
        model.exchange(late)
    assert late.closed
    asking.join()


PRODUCTS = [Product(f"p{i}", title) for i, title in enumerate(["Kettle", "Lamp", "Tent", "Bag", "Boot"])]


class Judge(ScriptedLanguageModel):
    """Gives the same probabilities in every row but for what `change` adds."""

    def __init__(self, change: float, writes: str = "Hello!") -> None:
        super().__init__([writes])
        self.change = change
        self.asked = 0

    async def choose(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], *, timeout: float
    ) -> Scores:
        self.asked = len(prompts)
        first = 0.5 + self.change * np.arange(len(prompts))
        return np.stack([first, *[1 - first] * (len(labels) - 1)], axis=1).astype(np.float32)


def test_one_that_tells_products_apart_passes() -> None:
    judge = Judge(0.01)
    asyncio.run(check_language_model(judge, PRODUCTS))
    assert judge.asked == 8
    asyncio.run(check_language_model(Judge(0.01), []))


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        (Judge(0.0), "everything the same score"),
        (Judge(float("nan")), "not all numbers"),
        (Judge(0.01, writes="  "), "writes nothing"),
    ],
)
def test_a_broken_one_is_refused(judge: Judge, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        asyncio.run(check_language_model(judge, PRODUCTS))


def test_the_engine_of_a_test_runs_no_trained_model(tmp_path: Path) -> None:
    from app.engines import open_trained_language_model
    from tasteline.settings import Settings

    settings = Settings(home=tmp_path, language_model="scripted", _env_file=None)  # type: ignore[call-arg]
    with pytest.raises(InvalidInput, match="runs no trained model"):
        open_trained_language_model(tmp_path, "x", settings)
