"""What every prompt is made of and what may become of its answer: the typed border between templates and engines.

A module of this package that asks a model for something has a `render_…` that gives a `Prompt` and a `read_…` that
turns what was written into a `Reading`. Messages begin with what never changes (instruction, examples), then the
conversation, then what is new, because an engine keeps the beginning that repeats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from tasteline.types import ChatMessage

Outcome = Literal["ok", "wrong_format", "repetition", "missing", "late", "busy", "failed"]
"""Of one answer: usable; not of the form asked for; turning in circles; nothing there; and, when the engine gave none:
too slow, queue full (or resting after a failure), broken."""
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Prompt:
    name: str
    """Of its template, with the version: "wording_v2". Goes into metrics and traces."""
    messages: tuple[ChatMessage, ...]
    max_tokens: int
    """Of the answer."""
    schema: str | None = None
    """JSON Schema that the answer must follow."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[Value]):
    """An answer that was read: `value` is None unless `outcome` is ok."""

    outcome: Outcome
    value: Value | None = None


def tokens_at_most(text: str) -> int:
    """An upper guess of the tokens of a text, for budgets: no engine at hand, a common BPE in mind.

    A token holds about 4 characters of English words, fewer of names; a digit or a mark may be one of its own, and a
    character of CJK or an emoji two or three.

    >>> tokens_at_most("A teapot for four people"), tokens_at_most("$79.00"), tokens_at_most("茶壶")
    (9, 7, 5)
    """
    wide = sum(1 for character in text if ord(character) > 0x2E7F)
    single = sum(
        1 for character in text if not character.isalpha() and not character.isspace() and ord(character) < 0x2E80
    )
    return 1 + (len(text) - wide - single) // 3 + single + 2 * wide
