"""What the LoRA jobs learn from, as rows on disk: questions with their product, and chats with the answer.

A question names products by id. Their texts are those that are embedded (`retrieval.text.product_text`), rendered when
a job begins, so that training and serving read the same bytes. A row that comes from what a person did names that
person, so that it can be found and removed. Knows neither how rows are made nor what learns from them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from tasteline.errors import InvalidInput
from tasteline.types import ChatMessage

Task = Literal["judging", "interests", "understanding", "wording"]
"""What the service asks its language model for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody may type, and a product that answers it."""

    query: str
    positive: str
    """Product id."""
    negatives: tuple[str, ...] = ()
    """Ids of products that look like an answer and are none, the most alike first."""
    answers: tuple[str, ...] = ()
    """Ids of other products that answer it, as far as it matters here: those are no wrong answers."""
    weight: float = 1.0
    """Of its loss, above 0: a click far down a ranking weighs more than one at its top."""
    origin: str
    """How it was made, such as "brand_kind" or "search"."""
    user_id: str | None = None
    """Whose events it comes from; None where it comes from the catalogue alone."""
    time: AwareDatetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatExample:
    """A prompt as the service sends it, and the answer that is wanted."""

    task: Task
    messages: tuple[ChatMessage, ...]
    answer: str
    weight: float = 1.0
    user_id: str | None = None
    time: AwareDatetime | None = None


T = TypeVar("T", Question, ChatExample)


def write_examples(rows: Iterable[T], kind: type[T], path: Path) -> int:
    """One JSON object in each line; how many. The file appears whole or not at all."""
    adapter, count = TypeAdapter(kind), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_suffix(".tmp")
    with writing.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # an erasure waits, and then finds the rows in their file
        for row in rows:
            file.write(adapter.dump_json(row, exclude_defaults=True) + b"\n")
            count += 1
        file.flush()
        os.replace(writing, path)
    return count


def read_examples(path: Path, kind: type[T]) -> Iterator[T]:
    """The rows of `write_examples`. Raises InvalidInput for a line that is none, with its number."""
    adapter = TypeAdapter(kind)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield adapter.validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                field = ".".join(str(part) for part in first["loc"]) or "the row"
                raise InvalidInput(f"{path}, line {number}: {field}: {first['msg']}") from error
