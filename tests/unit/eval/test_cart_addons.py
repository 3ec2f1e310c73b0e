"""The measurement of cart add-ons: nothing of the month that is asked about is counted, and true pairs are found."""

import numpy as np
import polars as pl
import pytest

from eval.cart_addons import DAYS, K, Question, _values, divided, measure, questions_of
from retrieval.offers.deeds import BOUGHT, DAY, SCHEMA
from tasteline.errors import InvalidInput


def shop(days: int = 120, people: int = 30) -> pl.DataFrame:
    """Each buys one of 30 pairs and something out of 60 others, every fifth day."""
    chance, rows = np.random.default_rng(0), []
    for person in range(people):
        for day in range(person % 5, days, 5):
            pair = int(chance.integers(30))
            for thing in (f"left{pair}", f"right{pair}", f"other{int(chance.integers(60))}"):
                rows.append((f"p{person}", thing, BOUGHT, day * DAY, day))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("person", "moment")


def test_nothing_of_the_month_that_is_asked_about_is_counted() -> None:
    known, asked = divided(shop(), "test")
    assert known["day"].max() == 120 - DAYS - 1
    assert (asked["day"].min(), asked["day"].max()) == (120 - DAYS, 119)
    known, asked = divided(shop(), "valid")
    assert (known["day"].max(), asked["day"].max()) == (120 - 2 * DAYS - 1, 120 - DAYS - 1)
    with pytest.raises(InvalidInput, match="three months"):
        divided(shop(80), "valid")


def test_a_question_hides_one_product_of_the_basket() -> None:
    asked = divided(shop(), "test")[1]
    questions = questions_of(asked, 0, 50)
    assert len(questions) == 50
    baskets = {tuple(sorted(each)) for each in asked.group_by("person", "day").agg("product")["product"].to_list()}
    for question in questions:
        assert question.hidden not in question.cart
        assert tuple(sorted((*question.cart, question.hidden))) in baskets
    assert questions == questions_of(asked, 0, 50)


def test_values_by_hand() -> None:
    asked = [Question("p", ("x",), "a"), Question("p", ("x",), "b")]
    values = _values(asked, [["c", "a"], ["c"]])
    assert values[f"recall@{K}"].tolist() == [1.0, 0.0]
    assert values[f"ndcg@{K}"] == pytest.approx([1 / np.log2(3), 0.0])


def test_what_belongs_together_is_found_where_the_popular_is_not() -> None:
    report = measure(shop(), {}, "made up", "c0ffee").as_mapping()
    systems: dict[str, dict[str, float]] = report["systems"]  # type: ignore[assignment]
    assert systems["tasteline"]["recall@10"] > 0.6  # of three products, the third is chance
    assert systems["cooccurrence"]["recall@10"] > 0.6
    assert systems["popular"]["recall@10"] < 0.3
