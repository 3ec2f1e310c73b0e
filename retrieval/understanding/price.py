"""Price limits: "under $80", "20-40 usd", "80 or less", "around 100".

A number without a currency is taken for money only where nothing says otherwise: no unit, count, age, model or size
beside it, as far as English and this shop's titles tell. "under" and "over" leave the amount itself out, "up to" and
"at least" take it in; "around" means 20 % either way, as no shopper means the cent. Nothing is ever converted: an
amount in another currency limits to that currency.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from retrieval.understanding import words_en as en
from retrieval.understanding.amounts import END, START, amount, amount_currency, amount_value, is_money
from retrieval.understanding.merging import IMPOSSIBLE
from retrieval.understanding.money import currency_of, minor_units, money
from retrieval.understanding.request import BARRIER, Request, Span
from retrieval.understanding.vocabulary import ENOUGH, Vocabulary
from tasteline.types import Constraint, Filters

KEY: Final = "price"
AROUND: Final = Decimal("0.2")
_PLAUSIBLE: Final = 20
"""Below this a bare number before a plural ("under 3 devices") is rather a count."""


def _any(phrases: dict[str, en.Bound]) -> str:
    return "|".join(re.escape(p).replace(r"\ ", " ") for p in sorted(phrases, key=len, reverse=True))


_AFTER_WORDS: Final = {words: bound for words, bound in en.BOUNDS_AFTER.items() if words != "+"}
_A, _B = amount("a"), amount("b")
_BETWEEN: Final = re.compile(
    rf"(?:\b(?:between|from) (?:about )?{_A} ?(?:and|to|-|&) ?{_B}|{START}{amount('c')} ?(?:-|to) ?{amount('d')}){END}"
)
_BEFORE: Final = re.compile(
    rf"(?<![\w-])(?P<bound>{_any(en.BOUNDS)})(?: (?:about|around|the|just|only|:))? {{0,2}}{_A}{END}"
)
_AFTER: Final = re.compile(rf"{START}{_A}(?: (?P<bound>{_any(_AFTER_WORDS)})\b|(?P<plus> ?\+)(?![\w+]))")
_BUDGET_AFTER: Final = re.compile(rf"{START}{_A} budget\b")
_NEXT: Final = re.compile(r"[ -]{0,2}([^\W\d_]+|[\"″”′'°%#×])")
_TAIL: Final = re.compile(rf" {{0,2}}(?:{en.PRICE_TAILS})\b")


@dataclass(frozen=True, slots=True)
class _Limit:
    """One thing said about the price, minor units inclusive."""

    minimum: int | None
    maximum: int | None
    currency: str | None
    label: str

    def binds(self, minimum: int | None, maximum: int | None) -> bool:
        """Is it one of those that make these limits?"""
        return (minimum is not None and self.minimum == minimum) or (maximum is not None and self.maximum == maximum)


def read_price(request: Request, vocabulary: Vocabulary) -> None:
    """All price limits of a request become one constraint; what contradicts stays, and then nothing fits."""
    if not any(c.isdigit() for c in request.open_text):
        return
    limits: list[_Limit] = []
    spans: list[Span] = []
    for reader in (_ranges, _bounds_before, _bounds_after):
        for limit, span in reader(request, vocabulary):
            limits.append(limit)
            spans.append(span)
        for start, end in spans:
            request.take(*_widened(request, start, end))
        spans.clear()
    if limits:
        request.add(_constraint(limits))


def _constraint(limits: list[_Limit]) -> Constraint:
    minimum = max((x.minimum for x in limits if x.minimum is not None), default=None)
    maximum = min((x.maximum for x in limits if x.maximum is not None), default=None)
    clash = len({x.currency for x in limits}) > 1
    label = ", ".join(dict.fromkeys(x.label for x in limits if clash or x.binds(minimum, maximum)))
    if clash:
        minimum, maximum = IMPOSSIBLE.price_min, IMPOSSIBLE.price_max
    return Constraint(KEY, label, Filters(price_min=minimum, price_max=maximum, currency=limits[0].currency))


# --- the three forms --------------------------------------------------------------------------------------------------


def _ranges(request: Request, vocabulary: Vocabulary) -> Iterator[tuple[_Limit, Span]]:
    for match in _BETWEEN.finditer(request.open_text):
        a, b = ("a", "b") if match["num_a"] else ("c", "d")
        written = amount_currency(match, a) or amount_currency(match, b)
        if not is_money(written, vocabulary.currency) and (
            a == "c" or written or not _bare_is_money(request, match, vocabulary, plain=False)
        ):
            continue
        currency = currency_of(written, vocabulary.currency) if written else vocabulary.currency
        low, high = amount_value(match, a), amount_value(match, b)
        if match[f"k_{b}"] and not match[f"k_{a}"] and low < high / 1000:
            low *= 1000
        least, most = sorted((minor_units(low, currency), minor_units(high, currency)))
        yield _Limit(least, most, currency, f"{money(least, currency)}–{money(most, currency)}"), match.span()


def _bounds_before(request: Request, vocabulary: Vocabulary) -> Iterator[tuple[_Limit, Span]]:
    for match in _BEFORE.finditer(request.open_text):
        written, bound = amount_currency(match, "a"), match["bound"]
        if is_money(written, vocabulary.currency) or (
            written is None and _bare_bound_is_money(request, match, vocabulary)
        ):
            yield _limit(en.BOUNDS[bound], match, vocabulary), match.span()


def _bounds_after(request: Request, vocabulary: Vocabulary) -> Iterator[tuple[_Limit, Span]]:
    for match in _AFTER.finditer(request.open_text):
        written = amount_currency(match, "a")
        bare = written is None and _bare_after_is_money(request, match, vocabulary)
        if is_money(written, vocabulary.currency) or bare:
            yield _limit(en.BOUNDS_AFTER[match["bound"] or "+"], match, vocabulary), match.span()
    for match in _BUDGET_AFTER.finditer(request.open_text):
        if is_money(amount_currency(match, "a"), vocabulary.currency):
            yield _limit("up_to", match, vocabulary), match.span()


def _limit(bound: en.Bound, match: re.Match[str], vocabulary: Vocabulary) -> _Limit:
    written = amount_currency(match, "a")
    currency = currency_of(written, vocabulary.currency) if written else vocabulary.currency
    value = amount_value(match, "a")
    exact = minor_units(value, currency)
    said = money(exact, currency)
    if bound == "below":
        return _Limit(None, exact - 1, currency, f"under {said}")
    if bound == "up_to":
        return _Limit(None, exact, currency, f"up to {said}")
    if bound == "above":
        return _Limit(exact + 1, None, currency, f"over {said}")
    if bound == "from":
        return _Limit(exact, None, currency, f"{said} and up")
    least, most = minor_units(value * (1 - AROUND), currency), minor_units(value * (1 + AROUND), currency)
    return _Limit(least, most, currency, f"around {said} ({money(least, currency)}–{money(most, currency)})")


# --- is a bare number an amount? --------------------------------------------------------------------------------------


def _bare_bound_is_money(request: Request, match: re.Match[str], vocabulary: Vocabulary) -> bool:
    bound, value = match["bound"], amount_value(match, "a")
    previous = request.before(match.start())
    if bound in en.MONEY_BOUNDS or (bound == "about" and 1800 <= value <= 2100):
        return False
    if previous is not None:
        if bound in en.NAME_BOUNDS and (
            previous.text in vocabulary.before_max
            or previous.text in en.NAMES_BEFORE_MAX
            or previous.text[-1].isdigit()
        ):
            return False
        if previous.text in en.PEOPLE and _may_be_age(bound, value):
            return False
        if previous.text in en.MEASURED:
            return False
    names_price = "price" in bound or "budget" in bound
    plain = names_price or (en.BOUNDS[bound] == "below" and value >= _PLAUSIBLE)
    return _bare_is_money(request, match, vocabulary, plain=plain)


def _may_be_age(bound: str, value: Decimal) -> bool:
    oldest = en.OLDEST_AGE if en.BOUNDS[bound] in ("above", "from") else en.ADULT_AGE
    return value <= oldest


def _bare_after_is_money(request: Request, match: re.Match[str], vocabulary: Vocabulary) -> bool:
    previous = request.before(match.start())
    if previous is not None and (
        vocabulary.is_numbered(previous.text) or previous.text in en.PEOPLE or previous.text[-1].isdigit()
    ):
        return False
    if match["plus"] and (amount_value(match, "a") < 100 or (previous is not None and not previous.text.isalpha())):
        return False
    if match["bound"] in ("max", "maximum") and previous is not None and previous.text not in en.PRICE_LEADS:
        return False
    return _bare_is_money(request, match, vocabulary, plain=False)


def _bare_is_money(request: Request, match: re.Match[str], vocabulary: Vocabulary, *, plain: bool) -> bool:
    """By what follows: the end, a small word, or (where `plain`) a thing of the catalogue that numbers do not count."""
    following = _NEXT.match(request.open_text, match.end())
    if following is None:
        return True
    word = following[1]
    if word in en.UNITS - {"in", "a"} or not word.isalpha():
        return False
    if word in en.AFTER_AMOUNT:
        return True
    return plain and vocabulary.titles.get(word, 0) >= ENOUGH and not vocabulary.is_counted(word)


# --- the words around -------------------------------------------------------------------------------------------------


def _widened(request: Request, start: int, end: int) -> Span:
    """The span with the small words that belong to it: "that costs [under $80] in total"."""
    tail = _TAIL.match(request.open_text, end)
    if tail:
        end = tail.end()
    for word in reversed(request.words):
        if word.end > start:
            continue
        gap = request.open_text[word.end : start]
        if word.text not in en.PRICE_LEADS or BARRIER in gap or gap.strip(" :'"):
            break
        start = word.start
    return start, end
