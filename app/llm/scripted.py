"""A language model that says what it was told to say: for tests, and for a service that must run without an engine.

Takes a list of replies, or a function from the messages to a reply; gives them word by word. It can be slow, refuse,
break off or return garbage on request, which is how the rest of the program learns to live with a real engine.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Literal

import numpy as np

from tasteline.errors import DeadlineExceeded, EngineFailed, InvalidInput, Overloaded
from tasteline.types import ChatMessage, Piece, Scores, Usage

GARBAGE = '�\x00}{"": [nul, <|im_end|> ```json ⁂ ' + "\u200b" * 3 + " 0x7f" * 8
"""What a broken engine may say: neither prose nor JSON, with control and zero-width characters."""
_WORD = re.compile(r"\s*\S+")


class ScriptedLanguageModel:
    """Implements `tasteline.ports.LanguageModel`.

    `replies` are given one per request and the last one again and again; a function may look at the messages, and with
    them at the schema that was asked for. `delay` is the wait before each word, `first_delay` that before the first,
    in seconds; after `fail_after` words the stream breaks with EngineFailed; beyond `max_waiting` requests at once it
    gives Overloaded (0: refuses all). `finish` is how a whole reply ends. What was asked is kept in `requests`.
    """

    def __init__(
        self,
        replies: Sequence[str] | Callable[[Sequence[ChatMessage]], str],
        delay: float = 0.0,
        fail_after: int | None = None,
        *,
        first_delay: float = 0.0,
        finish: Literal["stop", "repetition"] = "stop",
        max_waiting: int = 1024,
    ) -> None:
        if not callable(replies) and not replies:
            raise ValueError("a scripted language model needs at least one reply")
        self._replies = replies
        self._delay = delay
        self._fail_after = fail_after
        self._first_delay = first_delay
        self._finish = finish
        self._max_waiting = max_waiting
        self._waiting = 0
        self._closed = False
        self.requests: list[tuple[ChatMessage, ...]] = []
        self.schemas: list[str | None] = []
        """What each request of `requests` was to follow."""

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
        with self._place_in_line():
            deadline = monotonic() + timeout
            reply = self._reply(messages, schema)
            asked = sum(len(message.content.split()) for message in messages)
            await self._wait(self._first_delay, deadline, timeout)
            words = _WORD.findall(reply)
            for count, word in enumerate(words):
                if count == max_tokens:
                    yield Piece(finish="length", usage=Usage(asked, count))
                    return
                if count == self._fail_after:
                    raise EngineFailed(f"The scripted language model breaks after {count} words, as told.")
                await self._wait(self._delay, deadline, timeout)
                yield Piece(word)
            yield Piece(finish=self._finish, usage=Usage(asked, len(words)))

    async def choose(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], *, timeout: float
    ) -> Scores:
        """All on the label that the next reply begins with; even where it begins with none.

        Labels with the same first word count as beginning with the same token.
        """
        _check_labels(labels)
        with self._place_in_line():
            deadline = monotonic() + timeout
            chosen = np.full((len(prompts), len(labels)), 1.0 / len(labels), dtype=np.float32)
            for line, messages in enumerate(prompts):
                await self._wait(self._first_delay + self._delay, deadline, timeout)
                if self._fail_after is not None and line >= self._fail_after:
                    raise EngineFailed(f"The scripted language model breaks after {line} prompts, as told.")
                reply = self._reply(messages, None)
                for column, label in enumerate(labels):
                    if reply.startswith(label):
                        chosen[line] = 0.0
                        chosen[line, column] = 1.0
            return chosen

    def close(self) -> None:
        self._closed = True

    @contextmanager
    def _place_in_line(self) -> Generator[None, None, None]:
        if self._closed:
            raise EngineFailed("The scripted language model is closed.")
        if self._waiting >= self._max_waiting:
            raise Overloaded(f"{self._waiting} requests wait for the scripted language model.")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def _reply(self, messages: Sequence[ChatMessage], schema: str | None) -> str:
        self.requests.append(tuple(messages))
        self.schemas.append(schema)
        if callable(self._replies):
            return self._replies(messages)
        return self._replies[min(len(self.requests), len(self._replies)) - 1]

    async def _wait(self, seconds: float, deadline: float, timeout: float) -> None:
        remaining = deadline - monotonic()
        await asyncio.sleep(max(0.0, min(seconds, remaining)))
        if seconds >= remaining:
            raise DeadlineExceeded(f"The language model did not finish within {timeout:g} s.")


def _check_labels(labels: Sequence[str]) -> None:
    if not labels:
        raise InvalidInput("There is nothing to choose from.", field="labels")
    firsts = [label.split(maxsplit=1)[0] for label in labels if label.strip()]
    if len(set(firsts)) < len(labels):
        raise InvalidInput(f"Two of the labels {list(labels)} begin with the same word, or with none.", field="labels")
