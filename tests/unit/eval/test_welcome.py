"""Simulated newcomers answer truthfully: by most of what they have, and by nothing else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from eval.data.interactions import Histories
from eval.welcome import FIXED, Answers, dialogues, strategies, truthful
from retrieval.welcome import ANYTHING, Facet, Option, Question, Welcome
from tasteline.types import Choice


def facet(name: str, codes: list[int]) -> Facet:
    names = tuple(f"{name}-{group}" for group in range(max(codes) + 1))
    return Facet(name, name, "?", names, names, np.array(codes), np.eye(len(names) + 1))


CODES = [0, 0, 0, 1, 1, 2, 2, -1]
WELCOME = Welcome(
    np.ones(8), [facet("category-1", CODES), facet("brand", [0, 1] * 4), facet("color", [0, 0, 1, 1] * 2)]
)
QUESTION = Question("category-1", "?", tuple(Option(o, o) for o in ("category-1-0", "category-1-1", ANYTHING)), 1.0)


@pytest.mark.parametrize(
    ("own", "option"),
    [
        ([0, 1, 3], "category-1-0"),
        ([3], "category-1-1"),
        ([0, 3], "category-1-0"),  # as many of both: the one that is read first
        ([5], ANYTHING),  # a group that was not offered
        ([0, 5, 6], ANYTHING),  # mostly what was not offered
        ([0, 7, 7], "category-1-0"),  # what is of no group has no say
        ([7], ANYTHING),
        ([], ANYTHING),
    ],
)
def test_the_option_that_most_of_their_own_fall_in(own: list[int], option: str) -> None:
    assert truthful(WELCOME, QUESTION, np.array(own, dtype=np.int64)) == Choice("category-1", option)


def test_every_way_to_choose_asks_only_what_is_open_and_each_thing_once() -> None:
    histories = Histories.of([[0], [3, 4], [5], []])
    rows = np.arange(8)
    for name, choose in strategies(WELCOME, seed=1).items():
        found = dialogues(WELCOME, rows, histories, choose)
        assert len(found) == 4
        assert found[0].answers == [()] * 4
        for before, after in pairwise(found):
            for shorter, longer in zip(before.answers, after.answers, strict=True):
                assert longer[: len(shorter)] == shorter
                assert len(longer) <= len(shorter) + 1
        for answers in found[-1].answers:
            assert len({answer.question for answer in answers}) == len(answers)
            if name == "fixed":
                assert [answer.question for answer in answers] == [q for q in FIXED if q != "price"]


def test_drawn_questions_come_with_the_seed() -> None:
    histories = Histories.of([[0]] * 20)

    def asked(seed: int) -> list[Answers]:
        return list(dialogues(WELCOME, np.arange(8), histories, strategies(WELCOME, seed)["random"])[1].answers)

    assert asked(1) == asked(1)
    assert asked(1) != asked(2)
    assert len({answers[0].question for answers in asked(1)}) > 1


def test_items_that_the_shop_lacks_have_no_say() -> None:
    rows = np.array([-1, 3])
    [_, first, *_] = dialogues(WELCOME, rows, Histories.of([[0, 0, 1]]), lambda answers, case: QUESTION)
    assert first.answers == [(Choice("category-1", "category-1-1"),)]
    assert first.described() == {"questions": 1.0, "anything": 0.0}
