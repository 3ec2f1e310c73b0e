"""Questions with texts: what is left out, and what counts as an answer."""

from __future__ import annotations

import pytest

from finetune.examples import Question
from finetune.questions import Asked
from tasteline.errors import InvalidInput

TEXTS = {"k1": "red kettle", "k2": "blue kettle", "k3": "red kettle", "m1": "mug", "blank": " "}


def asked(*questions: tuple[str, str, tuple[str, ...]], negatives: int = 9) -> Asked:
    rows = [Question(query=query, positive=best, negatives=rest, origin="test") for query, best, rest in questions]
    return Asked.of(rows, TEXTS, negatives)


def test_what_answers_a_query_is_never_its_wrong_answer() -> None:
    made = asked(("kettle", "k1", ("m1", "k2", "k3")), ("kettle", "k2", ("m1",)), ("mug", "m1", ("k3", "k1", "gone")))
    assert made.queries == ("kettle", "mug")
    assert made.documents == ("red kettle", "blue kettle", "mug")
    assert made.answers == (frozenset({0, 1}), frozenset({2}))
    assert [each.tolist() for each in made.negatives_of] == [[2], [2], [0]]  # k3 reads like k1, which is an answer
    assert made.query_of.tolist() == [0, 0, 1]
    assert made.positive_of.tolist() == [0, 1, 2]


def test_what_is_known_to_answer_is_an_answer_where_others_name_it() -> None:
    rows = [
        Question(query="kettle", positive="k1", answers=("k2", "k9"), origin="test"),
        Question(query="blue", positive="k2", origin="test"),
    ]
    made = Asked.of(rows, {**TEXTS, "k9": "a third kettle"}, 9)
    assert made.documents == ("red kettle", "blue kettle")  # nobody asks for the third
    assert made.answers == (frozenset({0, 1}), frozenset({1}))
    beside = Asked.of(rows, {**TEXTS, "k9": "a third kettle"}, 9, beside=["mug", "a third kettle"])
    assert sorted(beside.documents) == ["a third kettle", "blue kettle", "mug", "red kettle"]
    assert {beside.documents[row] for row in beside.answers[0]} == {"red kettle", "blue kettle", "a third kettle"}


def test_only_so_many_of_the_first_wrong_answers() -> None:
    assert [each.tolist() for each in asked(("mug", "m1", ("k2", "k1")), negatives=1).negatives_of] == [[1]]


def test_rows_without_words_or_text_are_left_out() -> None:
    assert len(asked(("kettle", "k1", ()), (" ", "k1", ()), ("kettle", "gone", ()), ("kettle", "blank", ()))) == 1
    with pytest.raises(InvalidInput, match="import products"):
        asked(("kettle", "gone", ()))
