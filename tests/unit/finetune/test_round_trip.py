"""A question stays where a search for it brings its product back."""

from __future__ import annotations

from collections.abc import Sequence

from finetune.examples import Question
from finetune.round_trip import found_again

ROWS = [
    Question(query="mug", positive="a", origin="kind"),
    Question(query="mug", positive="c", origin="kind"),
    Question(query="red mug", positive="b", origin="attribute"),
    Question(query="nothing", positive="a", origin="attribute"),
]


class Counting:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str], k: int) -> list[list[str]]:
        self.asked += texts
        return [{"mug": ["b", "a", "c"], "red mug": ["b"]}.get(text, [])[:k] for text in texts]


def test_what_does_not_come_back_within_the_depth_is_dropped_and_counted() -> None:
    returned = found_again(ROWS, Counting(), within=2)
    assert returned.kept == (ROWS[0], ROWS[2])
    assert returned.dropped == {"kind": 1, "attribute": 1}
    assert found_again(ROWS, Counting(), within=3).dropped == {"attribute": 1}


def test_each_text_is_searched_once() -> None:
    search, heard = Counting(), []
    found_again(ROWS, search, progress=lambda done, whole: heard.append((done, whole)))
    assert sorted(search.asked) == ["mug", "nothing", "red mug"]
    assert heard == [(3, 3)]


def test_nothing_comes_of_nothing() -> None:
    assert found_again([], Counting()).kept == ()
