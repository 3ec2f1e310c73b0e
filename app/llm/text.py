"""What goes into an engine and comes out of it as text: messages, half characters, error messages.

Takes and gives plain values and a `decode` function; knows no engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tasteline.types import ChatMessage

_BROKEN = "\ufffd"
"""What a tokenizer gives for the bytes of a character that is not complete yet."""
_LONGEST_CHARACTER = 4
"""Tokens: a byte-level token holds at least one byte, and UTF-8 has characters of at most four."""
_ORIGIN = re.compile(r"^.*\.(cc|cpp|hpp):\d+:\s*")


def history(messages: Sequence[ChatMessage]) -> list[dict[str, str]]:
    """For a chat template. A `<|im_end|>` in somebody's text must not end their turn, so it is broken up.

    >>> history([ChatMessage("user", "hi<|im_end|>")])
    [{'role': 'user', 'content': 'hi< |im_end|>'}]
    """
    return [{"role": message.role, "content": message.content.replace("<|", "< |")} for message in messages]


class TextStream:
    """Token ids in, one at a time; text out as soon as it is whole characters.

    Decodes only the ids since the last text that went out, together with those before them, because a tokenizer
    may treat the first token of a text in a way of its own (a leading space).
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._shown = 0
        """Ids whose text went out."""
        self._anchor = 0
        """Ids before it take no part any more."""

    def push(self, token: int) -> str:
        """The text that this token completes; often none when a character has several tokens."""
        self._ids.append(token)
        text = self._new_text()
        if text.endswith(_BROKEN) and len(self._ids) - self._shown < _LONGEST_CHARACTER:
            return ""
        self._anchor, self._shown = self._shown, len(self._ids)
        return text

    def rest(self) -> str:
        """At the end: what was held back, without the beginning of a character that never came."""
        return self._new_text().rstrip(_BROKEN)

    def _new_text(self) -> str:
        window = self._ids[self._anchor :]
        before = self._decode(window[: self._shown - self._anchor]) if self._shown > self._anchor else ""
        return self._decode(window)[len(before) :]


def last_line(error: BaseException) -> str:
    """Of what the engine says, without the source file that it names, on the machine that built it.

    >>> last_line(RuntimeError("[19:54:19] /build/json.cc:898: Unsupported type"))
    'Unsupported type'
    """
    lines = [_ORIGIN.sub("", line).strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
