"""Every question to the language model passes here: bounded in time, counted, and never an error for who asks.

Takes a `Prompt` and the function that reads its answer; gives a `Reading` whose outcome says what became of it. An
engine that broke is left alone for a while, so that a dead server costs one request its patience and not all of them.
Does not know what the prompts say.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing, contextmanager
from typing import TypeVar

import structlog

from app.telemetry import Metrics
from prompts.prompt import Outcome, Prompt, Reading
from tasteline.errors import DeadlineExceeded, EngineFailed, Overloaded, TastelineError
from tasteline.ports import LanguageModel
from tasteline.types import ChatMessage, Piece, Scores

REST_SECONDS = 10.0
"""After a broken answer; a late or refused one is nobody's fault, and the next may come in time."""

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
        self._resting_until = 0.0

    @property
    def name(self) -> str:
        return self._model.name if self._model is not None else ""

    @property
    def available(self) -> bool:
        """Is there an engine, loaded, that did not just break?"""
        return self._model is not None and self._model.ready and self._clock() >= self._resting_until

    async def stream(self, prompt: Prompt, timeout: float) -> AsyncGenerator[Piece, None]:
        """The pieces as they come. Raises EngineSilent where they stop; the caller counts what it made of them."""
        with self._watched(prompt) as model:
            pieces = model.stream(prompt.messages, max_tokens=prompt.max_tokens, timeout=timeout, schema=prompt.schema)
            async with aclosing(pieces) as open_pieces:
                async for piece in open_pieces:
                    self._count_tokens(prompt, piece)
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
            with self._watched(prompt) as model:
                chosen = await model.choose(prompts, labels, timeout=timeout)
        except EngineSilent as silence:
            self.count(prompt, silence.outcome)
            return None
        self.count(prompt, "ok")
        return chosen

    def count(self, prompt: Prompt, outcome: str) -> None:
        """For callers of `stream`, who alone know what became of the answer."""
        self._metrics.model_answers.labels(prompt.name, outcome).inc()

    def _counted(self, prompt: Prompt, reading: Reading[Value]) -> Reading[Value]:
        self.count(prompt, reading.outcome)
        return reading

    def _count_tokens(self, prompt: Prompt, piece: Piece) -> None:
        if piece.usage is not None:
            self._metrics.model_tokens.labels(prompt.name, "prompt").inc(piece.usage.prompt_tokens)
            self._metrics.model_tokens.labels(prompt.name, "cached").inc(piece.usage.cached_tokens)
            self._metrics.model_tokens.labels(prompt.name, "completion").inc(piece.usage.completion_tokens)

    @contextmanager
    def _watched(self, prompt: Prompt) -> Generator[LanguageModel, None, None]:
        """Errors of the engine become EngineSilent; one that broke gets its rest."""
        if self._model is None or not self.available:
            raise EngineSilent("busy")
        try:
            yield self._model
        except DeadlineExceeded as error:
            raise EngineSilent("late") from error
        except Overloaded as error:
            raise EngineSilent("busy") from error
        except (EngineFailed, TastelineError) as error:
            self._resting_until = self._clock() + REST_SECONDS
            log.warning("engine_failed", prompt=prompt.name, error=str(error))
            raise EngineSilent("failed") from error
