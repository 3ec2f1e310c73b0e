"""One request in the in-process engine: from its tokens to its pieces, and when it ends.

Takes tokens from a `Source`, gives pieces to the request's `emit`. Knows no engine, so it is tested without one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Literal, Protocol

from app.llm.repetition import turns_in_circles
from app.llm.text import TextStream
from tasteline.errors import TooLarge
from tasteline.types import ChatMessage, Piece, Usage


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. `emit` takes pieces, and an exception last where it failed; `left` is set when nobody listens."""

    messages: tuple[ChatMessage, ...]
    max_tokens: int
    schema: str | None
    emit: Callable[[Piece | Exception], None]
    left: Event = field(default_factory=Event)


class Source(Protocol):
    """Where the tokens of one request come out."""

    def read(self) -> list[int]:
        """Those that came since the last call; does not wait."""
        ...

    def running(self) -> bool: ...
    def cancel(self) -> None: ...


@dataclass(slots=True)
class Generation:
    """A request that the engine has taken."""

    request: Request
    prompt_tokens: int
    source: Source
    text: TextStream
    stop_ids: frozenset[int]
    written: str = ""
    count: int = 0
    done: bool = False

    def attend(self) -> None:
        """Give on what has come since; afterwards `done` says whether it has ended."""
        if self.request.left.is_set():
            self._end()
        still_running = self.source.running()  # asked before reading, so that the last tokens are not missed
        for token in self.source.read():
            if not self.done:
                self._take(token)
        if not (self.done or still_running):
            self.no_room()

    def no_room(self) -> None:
        """The engine ended it by itself, which it does for one thing."""
        self.fail(TooLarge(f"{self.prompt_tokens} tokens of prompt do not fit into the language model's memory."))

    def fail(self, error: Exception) -> None:
        if not self.done:
            self._end()
            self.request.emit(error)

    def _take(self, token: int) -> None:
        self.count += 1
        if token in self.stop_ids:
            self._finish("stop")
            return
        piece = self.text.push(token)
        self.written += piece
        if piece and turns_in_circles(self.written):
            self._finish("repetition")
            return
        if piece:
            self.request.emit(Piece(piece))
        if self.count >= self.request.max_tokens:
            self._finish("length")

    def _finish(self, how: Literal["stop", "length", "repetition"]) -> None:
        if rest := self.text.rest():
            self.request.emit(Piece(rest))
        self.request.emit(Piece(finish=how, usage=Usage(self.prompt_tokens, self.count)))
        self._end()

    def _end(self) -> None:
        self.done = True
        self.source.cancel()
