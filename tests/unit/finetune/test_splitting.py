"""Nobody and nothing is on both sides, and what leaks is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from finetune.examples import Question
from finetune.splitting import Divided, check_division, divide, person_part, product_part
from tasteline.errors import InvalidInput

BEGINNING = datetime(2026, 3, 1, tzinfo=UTC)


def products_for(part: str) -> Iterable[str]:
    return (name for name in (f"p{number}" for number in range(10_000)) if product_part(name) == part)


def people_for(part: str) -> Iterable[str]:
    return (name for name in (f"u{number}" for number in range(10_000)) if person_part(name) == part)


TRAIN_PRODUCT, VALID_PRODUCT, TEST_PRODUCT = (next(iter(products_for(part))) for part in ("train", "valid", "test"))
TRAIN_PERSON, VALID_PERSON = (next(iter(people_for(part))) for part in ("train", "valid"))


def made(query: str, positive: str = TRAIN_PRODUCT, **fields: object) -> Question:
    return Question(query=query, positive=positive, origin="kind", **fields)  # type: ignore[arg-type]


def did(query: str, user_id: str | None, hours: int, positive: str = TRAIN_PRODUCT) -> Question:
    time = BEGINNING + timedelta(hours=hours)
    return Question(query=query, positive=positive, origin="search_click", user_id=user_id, time=time)


def many() -> list[Question]:
    """Two hundred people over a hundred hours, beside queries of five hundred products, some texts the same."""
    people = [did(f"words {number % 40}", f"u{number % 200}", number % 100, f"p{number % 90}") for number in range(800)]
    catalogue = [
        made(f"words {number}" if number % 3 else f"head {number % 60}", f"p{number}") for number in range(900)
    ]
    return [*people, *catalogue]


@pytest.fixture(scope="module")
def divided() -> Divided:
    return divide(many())


def test_what_is_divided_does_not_leak(divided: Divided) -> None:
    assert divided.train
    assert divided.valid
    check_division(divided.train, divided.valid, divided.cut)
    assert {row.origin for row in divided.valid} == {"kind", "search_click"}


def test_every_row_is_on_one_side_or_accounted_for(divided: Divided) -> None:
    assert len(divided.train) + len(divided.valid) + sum(divided.left_out.values()) == len(many())
    assert set(divided.left_out) == {
        "held out for test",
        "person and time disagree",
        "product held out",
        "text of the other side",
    }


def test_each_side_gets_some_of_the_texts_that_both_would_have(divided: Divided) -> None:
    heads = [{row.query for row in side if row.query.startswith("head")} for side in (divided.train, divided.valid)]
    assert not heads[0] & heads[1]
    assert len(heads[0]) > len(heads[1]) > 0


def test_without_times_people_alone_divide() -> None:
    rows = [replace(did("a", TRAIN_PERSON, 0), time=None), replace(did("b", VALID_PERSON, 0), time=None)]
    divided = divide(rows)
    assert (divided.train, divided.valid, divided.cut) == ((rows[0],), (rows[1],), None)


def test_whoever_is_not_named_is_divided_by_time() -> None:
    rows = [did(f"words {hour}", None, hour) for hour in range(10)]
    divided = divide(rows)
    assert (divided.train, divided.valid) == (tuple(rows[:9]), tuple(rows[9:]))


CUT = BEGINNING + timedelta(hours=10)


@pytest.mark.parametrize(
    ("train", "valid", "complaint"),
    [
        ([did("a", "u1", 1)], [did("b", "u1", 11)], "1 people are in train and in valid, such as 'u1'"),
        ([made("A  mug")], [made("a mug", VALID_PRODUCT)], "queries are in train and in valid, such as 'a mug'"),
        ([did("a", "u1", 10)], [], "train has something of 2026-03-01T10"),
        ([], [did("a", "u1", 9)], "valid has something of 2026-03-01T09"),
        ([made("a", VALID_PRODUCT)], [], f"train has product '{VALID_PRODUCT}', which is for valid"),
        ([made("a", TEST_PRODUCT)], [], f"train has product '{TEST_PRODUCT}', which is for test"),
        ([did("a", "u1", 1, VALID_PRODUCT)], [], f"train has product '{VALID_PRODUCT}'"),
        ([made("a", negatives=(VALID_PRODUCT,))], [], f"train has product '{VALID_PRODUCT}'"),
        ([], [made("a", TRAIN_PRODUCT)], f"valid has a query of product '{TRAIN_PRODUCT}', which is for train"),
    ],
)
def test_a_leak_is_refused(train: list[Question], valid: list[Question], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        check_division(train, valid, CUT)


def test_the_parts_are_the_same_everywhere_and_have_their_shares() -> None:
    parts = [product_part(f"p{number}") for number in range(4_000)]
    assert 0.04 < parts.count("valid") / 4_000 < 0.06
    assert 0.04 < parts.count("test") / 4_000 < 0.06
    assert 0.08 < sum(person_part(f"u{number}") == "valid" for number in range(4_000)) / 4_000 < 0.12
    assert [product_part(f"p{number}") for number in range(9)] == ["valid", *["train"] * 7, "valid"]
