"""Currencies as shoppers write them: symbols and words to ISO 4217 codes, amounts to minor units and back to text.

Knows no exchange rates: an amount is never converted.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

_EXPONENTS: Final = {
    **dict.fromkeys(("JPY", "KRW", "VND", "CLP", "ISK", "UGX", "XAF", "XOF", "PYG", "RWF"), 0),
    **dict.fromkeys(("KWD", "BHD", "OMR", "JOD", "TND", "IQD", "LYD"), 3),
}
"""Digits after the point, where it is not two."""

_SYMBOLS: Final = {
    "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "CAD": "CA$",
    "AUD": "A$", "NZD": "NZ$", "CNY": "CN¥", "KRW": "₩",
}  # fmt: skip

MEANINGS: Final[dict[str, tuple[str, ...]]] = {
    "$": ("USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN"),
    "us$": ("USD",),
    "ca$": ("CAD",),
    "a$": ("AUD",),
    "nz$": ("NZD",),
    "€": ("EUR",),
    "£": ("GBP",),
    "¥": ("JPY", "CNY"),
    "₹": ("INR",),
    "₩": ("KRW",),
    "zł": ("PLN",),
    "usd": ("USD",),
    "dollar": ("USD", "CAD", "AUD", "NZD", "SGD", "HKD"),
    "dollars": ("USD", "CAD", "AUD", "NZD", "SGD", "HKD"),
    "bucks": ("USD", "CAD", "AUD", "NZD"),
    "eur": ("EUR",),
    "euro": ("EUR",),
    "euros": ("EUR",),
    "gbp": ("GBP",),
    "quid": ("GBP",),
    "pound": ("GBP",),
    "pounds": ("GBP",),
    "jpy": ("JPY",),
    "yen": ("JPY",),
    "inr": ("INR",),
    "rupees": ("INR",),
    "chf": ("CHF",),
    "francs": ("CHF",),
    "cad": ("CAD",),
    "aud": ("AUD",),
    "nzd": ("NZD",),
    "sek": ("SEK",),
    "nok": ("NOK",),
    "dkk": ("DKK",),
    "kr": ("SEK", "NOK", "DKK", "ISK"),
    "kronor": ("SEK",),
    "pln": ("PLN",),
    "cny": ("CNY",),
    "yuan": ("CNY",),
    "rmb": ("CNY",),
}
"""A symbol or word -> the currencies that it may stand for, the likeliest first."""

WEIGHTS: Final = frozenset({"pound", "pounds"})
"""Also a weight: money only in a shop that sells in that currency."""


def currency_of(written: str, shop: str | None) -> str | None:
    """The code that `written` stands for in a shop pricing in `shop`; None where it is rather a weight.

    >>> currency_of("$", "CAD"), currency_of("$", "EUR"), currency_of("pounds", "USD")
    ('CAD', 'USD', None)
    """
    meanings = MEANINGS[written]
    if shop in meanings:
        return shop
    return None if written in WEIGHTS else meanings[0]


def minor_units(number: Decimal, currency: str | None) -> int:
    """An amount in the currency's smallest unit, half rounded up; two decimals where the currency is not known."""
    scaled = number.scaleb(_EXPONENTS.get(currency or "", 2))
    return int(scaled.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def money(amount: int, currency: str | None) -> str:
    """Minor units as people write them, without needless zeros.

    >>> money(8000, "USD"), money(129999, "EUR"), money(500, "JPY"), money(8050, "SEK"), money(900, None)
    ('$80', '€1,299.99', '¥500', '80.50 SEK', '9')
    """
    exponent = _EXPONENTS.get(currency or "", 2)
    whole, rest = divmod(amount, 10**exponent)
    text = f"{whole:,}" + (f".{rest:0{exponent}d}" if rest else "")
    if currency is None:
        return text
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{text}" if symbol else f"{text} {currency}"
