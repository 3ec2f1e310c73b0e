"""A language model inside another object: passes everything on, so that a measurement overrides what it watches."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from tasteline.ports import LanguageModel
from tasteline.types import ChatMessage, Piece, Scores


class WrappedModel:
    """Implements `tasteline.ports.LanguageModel` by `model`, which the caller closes."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def parent(self) -> str | None:
        return self._model.parent

    @property
    def ready(self) -> bool:
        return self._model.ready

    def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, timeout: float, schema: str | None = None
    ) -> AsyncGenerator[Piece, None]:
        return self._model.stream(messages, max_tokens=max_tokens, timeout=timeout, schema=schema)

    async def choose(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], *, timeout: float
    ) -> Scores:
        return await self._model.choose(prompts, labels, timeout=timeout)

    def close(self) -> None:
        self._model.close()
