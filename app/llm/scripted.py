"""A language model that says what it was told to say: for tests, and for a service that must run without an engine.

Takes a list of replies, or a function from the messages to a reply; gives them word by word. It can be slow, break off
or return garbage on request, which is how the rest of the program learns to live with a real engine.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from time import monotonic

import numpy as np

from tasteline.errors import DeadlineExceeded, EngineFailed
from tasteline.types import ChatMessage, Piece, Scores, Usage

_WORD = re.compile(r"\s*\S+")


class ScriptedLanguageModel:
    """Implements `tasteline.ports.LanguageModel`.

    `replies` are given one per request and the last one again and again; `delay` is the wait before each word in
    seconds; after `fail_after` words the stream breaks with EngineFailed. What was asked is kept in `requests`.
    """

    def __init__(
        self,
        replies: Sequence[str] | Callable[[Sequence[ChatMessage]], str],
        delay: float = 0.0,
        fail_after: int | None = None,
    ) -> None:
        if not callable(replies) and not replies:
            raise ValueError("a scripted language model needs at least one reply")
        self._replies = replies
        self._delay = delay
        self._fail_after = fail_after
        self._closed = False
        self.requests: list[tuple[ChatMessage, ...]] = []

    @property
    def name(self) -> str:
        return "scripted"

    @property
    def parent(self) -> str | None:
        return None

    @property
    def ready(self) -> bool:
        return True

    async def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, timeout: float, schema: str | None = None
    ) -> AsyncGenerator[Piece, None]:
        """The next reply, one word a piece, a word counting as a token; `schema` is left to who wrote the script."""
        if self._closed:
            raise EngineFailed("The scripted language model is closed.")
        deadline = monotonic() + timeout
        reply = self._reply(messages)
        asked = sum(len(message.content.split()) for message in messages)
        for count, match in enumerate(_WORD.finditer(reply)):
            if count == max_tokens:
                yield Piece(finish="length", usage=Usage(asked, count))
                return
            if count == self._fail_after:
                raise EngineFailed(f"The scripted language model breaks after {count} words, as told.")
            await self._wait(deadline, timeout)
            yield Piece(match.group())
        yield Piece(finish="stop", usage=Usage(asked, len(reply.split())))

    async def choose(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], *, timeout: float
    ) -> Scores:
        """All on the label that the next reply begins with; even where it begins with none."""
        chosen = np.full((len(prompts), len(labels)), 1.0 / len(labels), dtype=np.float32)
        for line, messages in enumerate(prompts):
            reply = self._reply(messages)
            for column, label in enumerate(labels):
                if reply.startswith(label):
                    chosen[line] = 0.0
                    chosen[line, column] = 1.0
        return chosen

    def close(self) -> None:
        self._closed = True

    def _reply(self, messages: Sequence[ChatMessage]) -> str:
        self.requests.append(tuple(messages))
        if callable(self._replies):
            return self._replies(messages)
        return self._replies[min(len(self.requests), len(self._replies)) - 1]

    async def _wait(self, deadline: float, timeout: float) -> None:
        remaining = deadline - monotonic()
        await asyncio.sleep(max(0.0, min(self._delay, remaining)))
        if self._delay >= remaining:
            raise DeadlineExceeded(f"The language model did not finish within {timeout:g} s.")
