"""Every question to the language model passes here: bounded in time, counted, and never an error for who asks.

Takes a `Prompt` and the function that reads its answer; gives a `Reading` whose outcome says what became of it. An
engine that broke is left alone for a while and then tried by one request, so that a dead server costs that one its
patience and not all of them. Does not know what the prompts say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing, contextmanager
from typing import TypeVar

import structlog

from app.telemetry import Metrics
from prompts.prompt import Outcome, Prompt, Reading
from tasteline.errors import DeadlineExceeded, InputError, Overloaded
from tasteline.ports import LanguageModel
from tasteline.types import ChatMessage, Piece, Scores

REST_SECONDS = 10.0
"""After a broken answer; a late or refused one is nobody's fault, and the next may come in time."""
LOADING_SECONDS = 180.0
"""A server with a large model takes one or two minutes to start; what takes longer is counted as gone."""
SILENCES = 3
"""Answers in a row of which no beginning came in time: as good as broken. A slow engine still says something."""
CHARACTERS_A_TOKEN = 24
"""The most that is read of an answer, for each token asked for: a broken server knows no `max_tokens`, and checking
what it writes costs more than linear time."""
GRACE_SECONDS = 0.2
"""For an engine to end by itself when its time is over; one that does not is cancelled."""

Value = TypeVar("Value")
log = structlog.get_logger(__name__)


class EngineSilent(Exception):
    """Ours only: the engine gave nothing, and `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Asker:
    """One per service, shared by all who ask. `clock` gives seconds."""

    def __init__(
        self, model: LanguageModel | None, metrics: Metrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._model = model
        self._metrics = metrics
        self._clock = clock
        self._began = clock()
        self._loaded = False
        self._resting_until = 0.0
        self._silences = 0
        self._doubted = False
        """It broke, and has given nothing since."""
        self._tried = False
        """By the one request that finds out whether it works again."""

    @property
    def name(self) -> str:
        return self._model.name if self._model is not None else ""

    @property
    def present(self) -> bool:
        """Is there an engine that should answer? One that still loads is not missed, one that has gone is."""
        if self._model is None:
            return False
        self._loaded = self._loaded or self._model.ready or self._clock() - self._began > LOADING_SECONDS
        return self._loaded

    @property
    def available(self) -> bool:
        """Is there an engine, loaded, that did not just break?"""
        if self._model is None or not self.present or not self._model.ready:
            return False
        return self._clock() >= self._resting_until and not self._tried

    async def stream(self, prompt: Prompt, timeout: float) -> AsyncGenerator[Piece, None]:
        """The pieces as they come. Raises EngineSilent where they stop; the caller counts what it made of them."""
        end = asyncio.get_running_loop().time() + timeout + GRACE_SECONDS
        with self._watched(prompt, timeout) as model:
            pieces = model.stream(prompt.messages, max_tokens=prompt.max_tokens, timeout=timeout, schema=prompt.schema)
            room = CHARACTERS_A_TOKEN * prompt.max_tokens
            async with aclosing(pieces):
                while (piece := await _next(pieces, end)) is not None:
                    self._trusted()
                    self._count_tokens(prompt, piece)
                    if len(piece.text) > room:
                        yield Piece(piece.text[:room], finish="length")
                        return
                    room -= len(piece.text)
                    yield piece

    async def ask(self, prompt: Prompt, read: Callable[[str], Reading[Value]], timeout: float) -> Reading[Value]:
        """The whole answer, read. Never raises for anything that an engine does."""
        written: list[str] = []
        finish = None
        try:
            async with aclosing(self.stream(prompt, timeout)) as pieces:
                async for piece in pieces:
                    written.append(piece.text)
                    finish = piece.finish or finish
        except EngineSilent as silence:
            return self._counted(prompt, Reading(silence.outcome))
        text = "".join(written)
        if finish == "repetition":
            return self._counted(prompt, Reading("repetition"))
        return self._counted(prompt, read(text) if text.strip() else Reading("missing"))

    async def choose(
        self, name: str, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], timeout: float
    ) -> Scores | None:
        """As the port's `choose`; None where the engine gave nothing. `name` is the template's."""
        prompt = Prompt(name, (), 1)
        try:
            with self._watched(prompt, timeout) as model:
                async with asyncio.timeout(timeout + GRACE_SECONDS):
                    chosen = await model.choose(prompts, labels, timeout=timeout)
                self._trusted()
        except EngineSilent as silence:
            self.count(prompt, silence.outcome)
            return None
        self.count(prompt, "ok")
        return chosen

    def count(self, prompt: Prompt, outcome: str) -> None:
        """For callers of `stream`, who alone know what became of the answer."""
        self._metrics.model_answers.labels(self.name, prompt.name, outcome).inc()

    def _counted(self, prompt: Prompt, reading: Reading[Value]) -> Reading[Value]:
        self.count(prompt, reading.outcome)
        return reading

    def _count_tokens(self, prompt: Prompt, piece: Piece) -> None:
        if piece.usage is not None:
            counted = (
                ("prompt", piece.usage.prompt_tokens),
                ("cached", piece.usage.cached_tokens),
                ("completion", piece.usage.completion_tokens),
            )
            for kind, tokens in counted:
                self._metrics.model_tokens.labels(self.name, prompt.name, kind).inc(tokens)

    @contextmanager
    def _watched(self, prompt: Prompt, timeout: float) -> Generator[LanguageModel, None, None]:
        """Whatever goes wrong with the engine becomes EngineSilent; one that broke gets its rest."""
        if self._model is None or not self.available:
            raise EngineSilent("busy")
        if timeout <= 0:
            raise EngineSilent("late")
        trying = self._tried = self._doubted
        name, began = self.name, self._clock()
        try:
            yield self._model
        except (DeadlineExceeded, TimeoutError) as error:
            self._missed()
            raise EngineSilent("late") from error
        except Overloaded as error:
            raise EngineSilent("busy") from error
        except InputError as error:
            # Of this prompt: it says nothing about the next.
            log.warning("prompt_refused", prompt=prompt.name, error=str(error))
            raise EngineSilent("failed") from error
        except Exception as error:  # the edge: an engine's mistake must not become a shopper's error
            self._rest()
            log.warning("engine_failed", prompt=prompt.name, error=f"{type(error).__name__}: {error}")
            raise EngineSilent("failed") from error
        finally:
            self._metrics.model_seconds.labels(name, prompt.name).observe(self._clock() - began)
            if trying:
                self._tried = False

    def _trusted(self) -> None:
        """It gave something."""
        self._silences = 0
        self._doubted = self._tried = False

    def _missed(self) -> None:
        self._silences += 1
        if self._doubted or self._silences >= SILENCES:
            self._rest()

    def _rest(self) -> None:
        self._resting_until = self._clock() + REST_SECONDS
        self._silences = 0
        self._doubted = True


async def _next(pieces: AsyncGenerator[Piece, None], end: float) -> Piece | None:
    """None after the last. Raises TimeoutError at `end`, in the event loop's time."""
    async with asyncio.timeout_at(end):
        return await anext(pieces, None)
