"""The language model of a running service, exchanged while requests are answered.

Implements the `LanguageModel` port over whatever engine is in use. A request keeps the engine that it began with; the
one that was replaced is closed when the last of its requests has ended. Knows nothing of where engines come from.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

from tasteline.errors import EngineFailed
from tasteline.ports import LanguageModel
from tasteline.types import ChatMessage, Piece, Scores

DRAIN_SECONDS = 60.0
"""What still runs on the old engine then is broken off: no request has so long a deadline."""


@dataclass(slots=True)
class _Engine:
    model: LanguageModel
    name: str | None
    parent: str | None
    requests: int = 0


class LiveLanguageModel:
    """Without an engine it is called "" and is not ready."""

    def __init__(self) -> None:
        self._engine: _Engine | None = None
        self._changed = threading.Condition()
        self._closed = False

    @property
    def name(self) -> str:
        engine = self._engine
        return "" if engine is None else engine.name or engine.model.name

    @property
    def parent(self) -> str | None:
        engine = self._engine
        return None if engine is None else engine.parent or engine.model.parent

    @property
    def ready(self) -> bool:
        engine = self._engine
        return engine is not None and engine.model.ready

    @property
    def empty(self) -> bool:
        return self._engine is None

    def exchange(self, model: LanguageModel, name: str | None = None, parent: str | None = None) -> None:
        """From now on requests go to `model`; returns when the one before has ended its own and is closed.

        `name` and `parent` stand in for the model's own, where those say nothing.
        """
        self._replace(_Engine(model, name, parent))

    def release(self) -> None:
        """From now on there is no engine; returns when the one before has ended its requests and is closed."""
        self._replace(None)

    def _replace(self, engine: _Engine | None) -> None:
        with self._changed:
            if self._closed and engine is not None:
                engine.model.close()
                raise EngineFailed("The service ends.")
            before, self._engine = self._engine, engine
            if before is not None:
                self._changed.wait_for(lambda: before.requests == 0 or self._closed, DRAIN_SECONDS)
        if before is not None:
            before.model.close()

    async def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, timeout: float, schema: str | None = None
    ) -> AsyncGenerator[Piece, None]:
        with self._using() as model:
            pieces = model.stream(messages, max_tokens=max_tokens, timeout=timeout, schema=schema)
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece

    async def choose(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], *, timeout: float
    ) -> Scores:
        with self._using() as model:
            return await model.choose(prompts, labels, timeout=timeout)

    def close(self) -> None:
        """Breaks off what runs. May be called again."""
        with self._changed:
            self._closed = True
            engine = self._engine
            self._changed.notify_all()
        if engine is not None:
            engine.model.close()

    @contextmanager
    def _using(self) -> Iterator[LanguageModel]:
        with self._changed:
            engine = self._engine
            if engine is None:
                raise EngineFailed("There is no language model yet.")
            engine.requests += 1
        try:
            yield engine.model
        finally:
            with self._changed:
                engine.requests -= 1
                self._changed.notify_all()
