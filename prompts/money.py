"""Amounts as people write them. Knows the number of decimals of a currency, no exchange rate and no locale."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from tasteline.types import Price

_EXPONENTS: Final = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV"), 0),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""Digits after the point where it is not two (ISO 4217)."""

SYMBOLS: Final = {
    "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩", "CAD": "CA$",
    "AUD": "A$", "NZD": "NZ$", "CNY": "CN¥",
}  # fmt: skip


def amount_of(price: Price) -> Decimal:
    """The amount in the currency's main unit.

    >>> amount_of(Price(129900, "USD")), amount_of(Price(1500, "JPY"))
    (Decimal('1299.00'), Decimal('1500'))
    """
    return Decimal(price.amount).scaleb(-_EXPONENTS.get(price.currency, 2))


def price_text(price: Price) -> str:
    """Symbol or code first, thousands parted, as many decimals as the currency has.

    >>> price_text(Price(129900, "USD")), price_text(Price(1500, "JPY")), price_text(Price(2000, "CHF"))
    ('$1,299.00', '¥1,500', 'CHF 20.00')
    >>> price_text(Price(-500, "EUR")), price_text(Price(12345, "KWD"))
    ('-€5.00', 'KWD 12.345')
    """
    amount = amount_of(price)
    symbol = SYMBOLS.get(price.currency) or f"{price.currency} "
    return f"{'-' if amount < 0 else ''}{symbol}{abs(amount):,f}"
