"""Fusion: worked by hand, and what must hold for any lists."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.fusion import Fused, fuse
from tasteline.types import Rows, Scores

Ranked = tuple[str, float, Rows, Scores]


def ranked(name: str, weight: float, **scores: float) -> Ranked:
    """`r7=4.0` is row 7 with score 4."""
    rows = np.array([int(row[1:]) for row in scores], dtype=np.int64)
    return name, weight, rows, np.array(list(scores.values()), dtype=np.float32)


def test_by_hand() -> None:
    fused = fuse([ranked("words", 0.4, r1=10, r2=5), ranked("meaning", 0.6, r2=0.9, r3=0.45)])
    assert [candidate.row for candidate in fused] == [2, 1, 3]
    assert [candidate.score for candidate in fused] == pytest.approx([0.8, 0.4, 0.3])
    assert fused[0].parts == pytest.approx({"words": 0.2, "meaning": 0.6})


def test_weight_zero_and_empty_lists_are_left_out() -> None:
    assert fuse([]) == []
    assert fuse([ranked("words", 1.0), ranked("meaning", 0.0, r1=1.0)]) == []


def test_scores_that_are_all_zero_keep_their_rows() -> None:
    assert [(c.row, c.score) for c in fuse([ranked("words", 1.0, r5=0.0, r2=0.0)])] == [(2, 0.0), (5, 0.0)]


def test_the_leader_gave_most_and_a_tie_goes_by_name() -> None:
    assert Fused(1, 1.0, {"words": 0.4, "meaning": 0.6}).leader == "meaning"
    assert Fused(1, 1.0, {"words": 0.5, "meaning": 0.5}).leader == "meaning"


scores = st.just(0.0) | st.floats(2.0**-20, 128, width=32)
one_list = st.dictionaries(st.integers(0, 30), scores, max_size=12)
lists = st.lists(st.tuples(one_list, st.floats(0.0625, 1, width=32)), max_size=4)


def made(drawn: list[tuple[dict[int, float], float]]) -> list[Ranked]:
    return [
        (f"s{i}", weight, np.array(list(of), dtype=np.int64), np.array(list(of.values()), dtype=np.float32))
        for i, (of, weight) in enumerate(drawn)
    ]


@given(lists)
def test_every_row_stands_once_and_no_score_exceeds_the_weights(
    drawn: list[tuple[dict[int, float], float]],
) -> None:
    fused = fuse(made(drawn))
    assert sorted(c.row for c in fused) == sorted({row for of, _ in drawn for row in of})
    assert all(c.score <= sum(weight for _, weight in drawn) + 1e-5 for c in fused)
    assert all(c.score == pytest.approx(sum(c.parts.values())) for c in fused)
    assert fused == sorted(fused, key=lambda c: (-c.score, c.row))


@given(lists, st.integers(0, 10))
def test_a_limit_gives_the_beginning(drawn: list[tuple[dict[int, float], float]], limit: int) -> None:
    assert fuse(made(drawn), limit) == fuse(made(drawn))[:limit]


@given(lists, st.permutations(range(4)))
def test_the_order_of_the_lists_does_not_matter(drawn: list[tuple[dict[int, float], float]], order: list[int]) -> None:
    given_lists = made(drawn)
    shuffled = [given_lists[place] for place in order if place < len(given_lists)]
    one, other = {c.row: c.score for c in fuse(given_lists)}, {c.row: c.score for c in fuse(shuffled)}
    assert one == pytest.approx(other)


@given(one_list.filter(bool), st.integers(-3, 3))
def test_the_unit_of_a_score_does_not_matter(of: dict[int, float], power: int) -> None:
    _, weight, rows, scores = made([(of, 1.0)])[0]
    scaled = scores * np.float32(2.0**power)
    one = [(c.row, c.score) for c in fuse([("s", weight, rows, scores)])]
    other = [(c.row, c.score) for c in fuse([("s", weight, rows, scaled)])]
    assert [row for row, _ in one] == [row for row, _ in other]
    assert [s for _, s in one] == pytest.approx([s for _, s in other])
