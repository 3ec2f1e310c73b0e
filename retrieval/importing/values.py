"""Single values of a feed: prices, times, counts, stars. Takes a JSON value or a cell, gives ours or InvalidInput.

Prices. A JSON integer is in minor units (the contract of this program's own API). A decimal number, and any text
("19.99 USD", "$19.99", "1.299,00 €", "1995"), is in major units: whoever writes 1995 into a spreadsheet means 1,995
dollars. A column called `price_minor` or `price_cents` is in minor units however it is written. `$` means the currency
given for the import where that is a dollar, else USD; other symbols mean one currency each.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from tasteline.errors import InvalidInput
from tasteline.types import Price

NO_CURRENCY = "the price has no currency"
MAX_AMOUNT = 10**13
"""Minor units; more is a mistake of units (and a database's integer ends somewhere)."""
MAX_COUNT = 2**31 - 1
MAX_PRICE_TEXT = 60
"""Characters; keeps the pattern from running long over text that is no price."""

_ZERO_DECIMALS = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"]
)
_THREE_DECIMALS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])
_DOLLARS = frozenset(["USD", "CAD", "AUD", "NZD", "SGD", "HKD", "TWD", "MXN", "BRL", "ARS", "CLP", "COP"])
_SYMBOLS = {"€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "₽": "RUB", "₺": "TRY", "₴": "UAH", "zł": "PLN"}
_PRICE_TEXT = re.compile(r"(?P<before>[^\d\s.,+-]*)\s*(?P<number>[+-]?[\d.,' \u00a0]*\d)\s*(?P<after>[^\d\s.,+-]*)")
_CODE = re.compile(r"[A-Z]{3}")
_UTC_SUFFIX = " UTC"
_FIRST_YEAR, _LAST_YEAR = 1990, 2100
"""Outside of these a time is a mistake of units: milliseconds read as seconds, or zero."""


def currency_code(value: object) -> str:
    """An ISO 4217 code in capitals."""
    code = value.strip().upper() if isinstance(value, str) else ""
    if not _CODE.fullmatch(code):
        raise InvalidInput(
            f"{code[:20]!r} is not a currency; use a code of three letters such as USD", field="currency"
        )
    return code


def parse_price(value: object, currency: str | None, *, minor: bool = False, default: str | None = None) -> Price:
    """`currency` is the row's own, `default` that of the import, `minor` says that the column is in minor units."""
    if isinstance(value, dict):
        return _price_object(value, currency, minor, default)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidInput("not a price", field="price")
    if isinstance(value, str):
        number, currency = _read_price_text(value, currency, default)
    else:
        number = _finite(value, "price")
        minor = minor or isinstance(value, int)
    code = currency or default
    if number < 0:
        raise InvalidInput("the price is negative", field="price")
    if code is None:
        raise InvalidInput(NO_CURRENCY, field="price")
    return Price(_to_minor(number, code, minor, exact=isinstance(value, str)), code)


def _price_object(value: dict[str, object], currency: str | None, minor: bool, default: str | None) -> Price:
    own = value.get("currency") or value.get("currency_code") or value.get("currencyCode")
    amount = next((value[key] for key in ("amount", "value", "price") if value.get(key) is not None), None)
    if amount is None or isinstance(amount, dict):
        raise InvalidInput("a price object needs `amount` and `currency`", field="price")
    return parse_price(amount, currency_code(own) if own else currency, minor=minor, default=default)


def _read_price_text(text: str, currency: str | None, default: str | None) -> tuple[Decimal, str | None]:
    match = _PRICE_TEXT.fullmatch(text.strip()) if len(text) <= MAX_PRICE_TEXT else None
    if match is None:
        raise InvalidInput(f"{text[:40]!r} is not a price", field="price")
    if match["before"] and match["after"]:
        raise InvalidInput(f"{text[:40]!r} names two currencies", field="price")
    mark = match["before"] or match["after"]
    return _read_number(match["number"]), (_currency_of(mark, currency or default) if mark else currency)


def _currency_of(mark: str, default: str | None) -> str:
    if mark == "$":
        return default if default in _DOLLARS else "USD"
    if mark == "¥" and default == "CNY":
        return "CNY"
    return _SYMBOLS.get(mark) or currency_code(mark)


def _read_number(text: str) -> Decimal:
    """Both separators: the last is the decimal one. One comma: thousands where three digits follow, else decimal."""
    digits = re.sub("[' \u00a0]", "", text)
    comma, dot = digits.rfind(","), digits.rfind(".")
    if comma > dot >= 0 or digits.count(".") > 1:
        digits = digits.replace(".", "").replace(",", ".")
    elif dot < 0 and digits.count(",") == 1 and len(digits) - comma != 4:
        digits = digits.replace(",", ".")
    else:
        digits = digits.replace(",", "")
    try:
        return Decimal(digits)
    except InvalidOperation:
        raise InvalidInput(f"{text[:40]!r} is not a number", field="price") from None


def _to_minor(number: Decimal, code: str, minor: bool, *, exact: bool) -> int:
    exponent = 0 if minor or code in _ZERO_DECIMALS else 3 if code in _THREE_DECIMALS else 2
    if number.adjusted() > 15:
        raise InvalidInput("the price is too large", field="price")
    scaled = number.scaleb(exponent)
    amount = scaled.to_integral_value(rounding=ROUND_HALF_EVEN)
    # A binary float carries noise and is rounded; digits that somebody wrote are not thrown away: "1.299" may be 1,299.
    if exact and amount != scaled:
        raise InvalidInput(f"{number} has more decimals than {code} has", field="price")
    if amount > MAX_AMOUNT:
        raise InvalidInput("the price is too large", field="price")
    return int(amount)


def _finite(value: object, field: str) -> Decimal:
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise InvalidInput(f"{str(value)[:40]!r} is not a number", field=field) from None
    if not number.is_finite():
        raise InvalidInput("not a finite number", field=field)
    return number


def parse_rating(value: object) -> float:
    """Mean stars, 0 to 5."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidInput("not a number", field="rating")
    number = float(_finite(value, "rating"))
    if not 0.0 <= number <= 5.0:
        raise InvalidInput(f"{number:g} is outside 0 to 5", field="rating")
    return number


def parse_count(value: object, field: str, *, least: int = 0) -> int:
    """A whole number from `least`; "67.0" is one too, because spreadsheets write it."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        number = int(value)
    elif isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidInput("not a whole number", field=field)
    else:
        exact = _finite(value, field)
        if exact.adjusted() > 15 or exact != exact.to_integral_value():
            raise InvalidInput(f"{str(value)[:40]!r} is not a whole number", field=field)
        number = int(exact)
    if not least <= number <= MAX_COUNT:
        raise InvalidInput(f"{number} is outside {least} to {MAX_COUNT}", field=field)
    return number


def parse_time(value: object) -> datetime:
    """UTC from RFC 3339, "… UTC", a date, or an epoch in s, ms or µs, told apart by size. No zone means UTC."""
    try:
        if isinstance(value, str):
            time = _time_of_text(value.strip())
        elif isinstance(value, int | float) and not isinstance(value, bool):
            time = _time_of_epoch(float(value))
        else:
            raise ValueError
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidInput(f"{str(value)[:40]!r} is not a time; use RFC 3339 or an epoch", field="time") from None
    if not _FIRST_YEAR <= time.year <= _LAST_YEAR:
        raise InvalidInput(f"{time.year} is outside {_FIRST_YEAR} to {_LAST_YEAR}: wrong unit?", field="time")
    return time


def _time_of_text(text: str) -> datetime:
    if text.endswith(_UTC_SUFFIX):
        return datetime.fromisoformat(text[: -len(_UTC_SUFFIX)]).replace(tzinfo=UTC)
    if len(text) != 8 and text.replace(".", "", 1).isdigit():  # eight digits are a date: GA4's event_date
        return _time_of_epoch(float(text))
    return datetime.fromisoformat(text)


def _time_of_epoch(number: float) -> datetime:
    """Seconds below 10^11 (year 5138), milliseconds below 10^14, else microseconds."""
    size = abs(number)
    return datetime.fromtimestamp(number / (1 if size < 1e11 else 1e3 if size < 1e14 else 1e6), tz=UTC)
