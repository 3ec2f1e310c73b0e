"""Numbers and amounts of money as pieces of patterns, and their values."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from retrieval.understanding.money import MEANINGS, currency_of

NUMBER: Final = r"[1-9][0-9]{0,2}(?:[,.][0-9]{3})+(?:[.,][0-9]{1,2})?|[0-9]{1,9}(?:[.,][0-9]{1,2})?"
"""1,299.99 · 1.299,99 · 25.50 · 80"""

_SIGNS: Final = "|".join(re.escape(m) for m in sorted(MEANINGS, key=len, reverse=True) if not m.isalpha())
_WORDS: Final = "|".join(sorted((m for m in MEANINGS if m.isalpha()), key=len, reverse=True))
_THOUSANDS: Final = re.compile(r"[,.](?=[0-9]{3}(?![0-9]))")

START: Final = r"(?<![\w.,$€£/-])"
END: Final = r"(?![\w%°\"″”′×$€£]|[.,][0-9]|-\w| ?[x×/] ?[0-9])"
"""What may not follow an amount: more of the number, a unit, a dimension."""


def amount(name: str) -> str:
    """A pattern of one amount with the groups pre_, num_, k_ and post_ followed by `name`."""
    currency_before = rf"(?P<pre_{name}>{_SIGNS}|(?:{_WORDS})(?= ?[0-9])) ?"
    currency_after = rf" ?(?P<post_{name}>{_SIGNS}|(?:{_WORDS})\b)"
    return rf"(?:{currency_before})?(?P<num_{name}>{NUMBER})(?P<k_{name}>k\b)?(?:{currency_after})?"


def number(written: str) -> Decimal:
    """The value of a NUMBER: three digits after a comma or point are thousands.

    >>> number("1,299.99"), number("1.299,99"), number("25,50"), number("1.5")
    (Decimal('1299.99'), Decimal('1299.99'), Decimal('25.50'), Decimal('1.5'))
    """
    return Decimal(_THOUSANDS.sub("", written).replace(",", "."))


def amount_value(match: re.Match[str], name: str) -> Decimal:
    thousand = 1000 if match[f"k_{name}"] else 1
    return number(match[f"num_{name}"]) * thousand


def amount_currency(match: re.Match[str], name: str) -> str | None:
    """The currency as written, None where the number is bare."""
    written: str | None = match[f"pre_{name}"] or match[f"post_{name}"]
    return written


def is_money(written: str | None, shop: str | None) -> bool:
    """Is a number with this sign or word surely an amount of money in this shop?"""
    return written is not None and currency_of(written, shop) is not None
