"""Rows of questions and chats on disk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from finetune.examples import ChatExample, Question, read_examples, write_examples
from tasteline.errors import InvalidInput
from tasteline.types import ChatMessage

QUESTIONS = [
    Question(query="red kettle", positive="p1", negatives=("p2", "p3"), origin="kind"),
    Question(
        query="kettle",
        positive="p2",
        weight=2.5,
        origin="search",
        user_id="u1",
        time=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC),
    ),
]


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    assert write_examples(QUESTIONS, Question, tmp_path / "new" / "questions.jsonl") == 2
    assert list(read_examples(tmp_path / "new" / "questions.jsonl", Question)) == QUESTIONS
    chats = [ChatExample(task="judging", messages=(ChatMessage("user", "Tee\nor\u2028coffee?"),), answer="2")]
    write_examples(chats, ChatExample, tmp_path / "chats.jsonl")
    assert list(read_examples(tmp_path / "chats.jsonl", ChatExample)) == chats


def test_a_line_that_is_no_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    write_examples(QUESTIONS, Question, path)
    with path.open("a") as file:
        file.write('{"query": "kettle", "origin": "kind"}\n')
    with pytest.raises(InvalidInput, match=r"questions\.jsonl, line 3: positive"):
        list(read_examples(path, Question))


def test_a_broken_writing_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    write_examples(QUESTIONS, Question, path)

    def breaking() -> Iterator[Question]:
        yield QUESTIONS[0]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_examples(breaking(), Question, path)
    assert list(read_examples(path, Question)) == QUESTIONS
