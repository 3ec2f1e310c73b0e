"""Plain text out of anything, and amounts of money."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.money import amount_of, price_text
from prompts.untrusted import plain
from tasteline.types import Price
from tests.unit.prompts.attacks import ATTACKS, FENCES, INVISIBLE, MARKUP

DANGEROUS = re.compile(r"[<>`*|\[\]{}\\#~]|==|__|://|javascript:|www\.|\|>|[\x00-\x1f\x7f]", re.IGNORECASE)


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_acts_survives(attack: str) -> None:
    text = plain(attack)
    assert not DANGEROUS.search(text), text
    assert all(unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cs", "Cn") for c in text)


def test_the_corpus_can_fail() -> None:
    """Each family holds texts that would be dangerous as they stand."""
    for family in (FENCES, MARKUP):
        assert sum(bool(DANGEROUS.search(attack)) for attack in family) >= len(family) - 3
    assert all(any(unicodedata.category(c)[0] == "C" for c in attack) for attack in INVISIBLE)
    assert len(set(ATTACKS)) == len(ATTACKS) >= 40


@given(st.text(max_size=400), st.integers(5, 80))
def test_it_is_one_short_line_and_stays_the_same(text: str, limit: int) -> None:
    once = plain(text, limit)
    assert len(once) <= limit
    assert "\n" not in once
    assert not DANGEROUS.search(once)
    assert plain(once, limit) == once


@pytest.mark.parametrize(
    "text",
    [
        "Café Crème & Co.",
        "Größe 42–44",
        '12 oz. mug, 3.5" wide',
        "抹茶 茶碗",
        "Men's T-shirt",
        "USB-C (2 m)",
        "50% wool",
    ],
)
def test_ordinary_titles_stay_as_they_are(text: str) -> None:
    assert plain(text) == unicodedata.normalize("NFKC", text)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (129900, "USD", "$1,299.00"),
        (2000, "EUR", "€20.00"),
        (1500, "JPY", "¥1,500"),
        (2000, "CHF", "CHF 20.00"),
        (5, "GBP", "£0.05"),
        (0, "USD", "$0.00"),
        (123456789, "KWD", "KWD 123,456.789"),
        (999, "KRW", "₩999"),
    ],
)
def test_price_text(amount: int, currency: str, text: str) -> None:
    assert price_text(Price(amount, currency)) == text


@given(st.integers(0, 10**12), st.sampled_from(["USD", "JPY", "KWD", "SEK"]))
def test_a_price_can_be_read_back(amount: int, currency: str) -> None:
    text = price_text(Price(amount, currency))
    assert Decimal(re.sub(r"[^\d.]", "", text)) == amount_of(Price(amount, currency))
