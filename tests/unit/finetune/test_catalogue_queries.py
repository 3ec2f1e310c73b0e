"""Several queries for each product: repeatable, answered by it, few of each text."""

from __future__ import annotations

from collections import Counter

import pytest

from finetune.catalogue_queries import MOST_ANSWERS, Made, catalogue_queries
from finetune.query_forms import FORMS
from tests.unit.finetune.small_catalogue import catalogue


@pytest.fixture(scope="module")
def made() -> Made:
    return catalogue_queries(catalogue(), each=3, seed=1)


def test_every_form_is_there_and_no_product_has_more_than_asked(made: Made) -> None:
    assert {question.origin for question in made.questions} == set(FORMS)
    assert max(Counter(question.positive for question in made.questions).values()) <= 3
    of_one = Counter((question.positive, question.origin) for question in made.questions)
    assert max(of_one.values()) == 1


def test_the_product_is_among_the_answers_and_so_are_others_that_fit(made: Made) -> None:
    for question in made.questions:
        assert question.positive in made.answers[question.query]
    kinds = {question.query for question in made.questions if question.origin == "kind"}
    assert all(len(made.answers[text]) == 40 for text in kinds)


def test_a_head_query_is_asked_a_few_times_only(made: Made) -> None:
    asked = Counter(question.query for question in made.questions)
    assert max(asked.values()) == MOST_ANSWERS
    assert asked.most_common(1)[0][0] in made.answers


def test_the_same_seed_gives_the_same(made: Made) -> None:
    assert catalogue_queries(catalogue(), each=3, seed=1) == made
    assert catalogue_queries(catalogue(), each=3, seed=2).questions != made.questions


def test_a_product_keeps_its_queries_when_the_feed_comes_in_another_order() -> None:
    one = catalogue_queries(catalogue(), each=2, forms=("fragment", "title", "model"))
    other = catalogue_queries(catalogue()[::-1], each=2, forms=("fragment", "title", "model"))
    assert set(one.questions) == set(other.questions)


def test_an_empty_catalogue_gives_nothing() -> None:
    assert catalogue_queries([]) == Made((), {})
