from __future__ import annotations

from datetime import UTC, datetime

import pytest

from retrieval.importing.values import currency_code, parse_count, parse_price, parse_rating, parse_time
from tasteline.errors import InvalidInput
from tasteline.types import Price


@pytest.mark.parametrize(
    ("value", "currency", "expected"),
    [
        (1999, "USD", Price(1999, "USD")),
        (19.99, "USD", Price(1999, "USD")),
        (19.990000000000002, "USD", Price(1999, "USD")),
        ("1995", "USD", Price(199500, "USD")),
        ("19.99 USD", None, Price(1999, "USD")),
        ("USD 19.99", "EUR", Price(1999, "USD")),
        ("$19.99", None, Price(1999, "USD")),
        ("$19.99", "CAD", Price(1999, "CAD")),
        ("$19.99", "EUR", Price(1999, "USD")),
        ("1.299,50 €", None, Price(129950, "EUR")),
        ("£1,299.00", None, Price(129900, "GBP")),
        ("1,299", "USD", Price(129900, "USD")),
        ("19,99", "EUR", Price(1999, "EUR")),
        ("1'299.50 CHF", None, Price(129950, "CHF")),
        ("¥1500", None, Price(1500, "JPY")),
        (1500.0, "JPY", Price(1500, "JPY")),
        ("1.234 KWD", None, Price(1234, "KWD")),
        ("0", "USD", Price(0, "USD")),
        ({"amount": 1999, "currency": "eur"}, None, Price(1999, "EUR")),
        ({"value": "19.99", "currency": "EUR"}, None, Price(1999, "EUR")),
        ({"amount": 19.99}, "EUR", Price(1999, "EUR")),
    ],
)
def test_a_price_is_read_in_the_unit_it_is_written_in(value: object, currency: str | None, expected: Price) -> None:
    assert parse_price(value, None, default=currency) == expected


def test_the_currency_of_the_row_beats_that_of_the_import() -> None:
    assert parse_price("$5.00", "CAD", default="USD") == Price(500, "CAD")


def test_a_column_in_minor_units_is_so_however_it_is_written() -> None:
    assert parse_price("1995", None, minor=True, default="USD") == Price(1995, "USD")


@pytest.mark.parametrize(
    "value",
    [
        "-1",
        -5,
        -0.5,
        "NaN",
        "inf",
        "1e400",
        "free",
        "",
        "1.299",
        True,
        [],
        {},
        {"amount": {}},
        10**14,
        "$5 EUR",
        "1" * 99,
    ],
)
def test_what_is_no_price_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_price(value, None, default="USD")
    assert caught.value.field == "price"


def test_a_price_without_a_currency_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no currency"):
        parse_price(1999, None)


@pytest.mark.parametrize(
    "value",
    [
        "2024-05-01T12:30:00Z",
        "2024-05-01T14:30:00+02:00",
        "2024-05-01 12:30:00 UTC",
        "2024-05-01 12:30:00",
        1714566600,
        1714566600000,
        1714566600000000,
        "1714566600",
        "1714566600.0",
    ],
)
def test_a_time_is_utc_however_it_is_written(value: object) -> None:
    assert parse_time(value) == datetime(2024, 5, 1, 12, 30, tzinfo=UTC)
    assert parse_time(value).utcoffset() == UTC.utcoffset(None)


def test_eight_digits_are_a_date() -> None:
    assert parse_time("20240501") == datetime(2024, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", ["yesterday", "", 0, "0", 1e30, True, None, "²", "9" * 400, "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_time(value)
    assert caught.value.field == "time"


@pytest.mark.parametrize("value", [-0.1, 5.01, "nan", "inf", "good", True, "1e999"])
def test_stars_lie_between_0_and_5(value: object) -> None:
    assert [parse_rating(0), parse_rating("4.5"), parse_rating(5.0)] == [0.0, 4.5, 5.0]
    with pytest.raises(InvalidInput):
        parse_rating(value)


@pytest.mark.parametrize("value", [-1, "1.5", "many", None, True, 2**31, "9" * 5000, "1e999999999", "١٢a"])
def test_counts_are_whole_and_bounded(value: object) -> None:
    assert [parse_count("67", "stock"), parse_count("67.0", "stock"), parse_count(67.0, "stock")] == [67, 67, 67]
    with pytest.raises(InvalidInput) as caught:
        parse_count(value, "stock")
    assert caught.value.field == "stock"


def test_a_currency_has_three_letters() -> None:
    assert currency_code(" usd ") == "USD"
    with pytest.raises(InvalidInput, match="three letters"):
        currency_code("dollars")
