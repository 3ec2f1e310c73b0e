"""Stars, stock and order: "4 stars and up", "in stock", "cheapest"."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from retrieval.understanding import words_en as en
from retrieval.understanding.request import Request
from tasteline.types import Constraint, Filters

_MOST: Final = 5
_STAR: Final = "★⭐"
_N: Final = rf"(?P<n>[0-9](?:[.,][0-9]{{1,2}})?|{'|'.join(en.NUMBER_WORDS)})"
_LEAD: Final = r"(?:(?:with|that (?:is|are)|having|which (?:is|are)|has|have|and) ){0,2}(?:an? (?:average )?)?"
_OUT_OF: Final = r"(?: ?(?:/|out of) ?5)?"
_STARS: Final = rf"{_N}{_OUT_OF}[ -]?{en.RATING_NOUN}"
_SAID: Final = rf"{_LEAD}(?:{en.RATING_SAID} )?"
_OR_MORE: Final = rf" {en.RATING_OR_MORE}\b"
_FORMS: Final = tuple(
    re.compile(form)
    for form in (
        rf"(?<!\w){_SAID}(?:{en.RATING_AT_LEAST}) {_STARS}\b(?:{_OR_MORE})?",
        rf"(?<![\w.,]){_SAID}{_STARS}(?: ?\+|{_OR_MORE}| (?:minimum|at least)\b)",
        rf"(?<![\w.,]){_SAID}{_N} ?\+{_OUT_OF}[ -]?{en.RATING_NOUN}\b",
        rf"(?<![\w.,]){_SAID}{_N}{_OUT_OF}{_OR_MORE} {en.RATING_NOUN}\b",
        rf"(?<!\w){_LEAD}{en.RATING_SAID}:? (?:{en.RATING_AT_LEAST}) {_N}{_OUT_OF}(?![\w%]|[.,][0-9])",
        rf"(?<!\w){_LEAD}{en.RATING_SAID}:? {_N}{_OUT_OF}(?: ?\+(?!\w)|{_OR_MORE})",
        rf"(?<![\w.,]){_N}{_OUT_OF}{_OR_MORE} rat(?:ing|ed)\b",
    )
)
_DRAWN: Final = re.compile(rf"[{_STAR}]{{1,5}}\ufe0f?(?:☆{{0,4}})(?: ?\+| {en.RATING_OR_MORE}\b)?")
_STOCK: Final = re.compile(en.STOCK)
_SORTS: Final = tuple(
    (re.compile(rf"(?<!not )(?<!not the )(?<![\w-])(?:{words})(?![\w-])"), sort) for words, sort in en.SORTS
)


def read_stars(request: Request) -> None:
    """A least rating, 0 to 5; several: the highest. Always inclusive, "over 4 stars" too, and the label says so."""
    text = request.open_text
    if not ("star" in text or "rat" in text or "review" in text or "score" in text or any(s in text for s in _STAR)):
        return
    found: list[Decimal] = []
    for form in _FORMS:
        for match in form.finditer(request.open_text):
            stars = _value(match["n"])
            if 0 < stars <= _MOST:
                found.append(stars)
                request.take(*match.span())
    for match in _DRAWN.finditer(request.open_text):
        found.append(Decimal(sum(match[0].count(s) for s in _STAR)))
        request.take(*match.span())
    if found:
        stars = max(found).normalize()
        label = f"{stars:f} star{'' if stars == 1 else 's'} and up" if stars < _MOST else "5 stars"
        request.add(Constraint("rating", label, Filters(rating_min=float(stars))))


def _value(written: str) -> Decimal:
    word = en.NUMBER_WORDS.get(written)
    return Decimal(word) if word is not None else Decimal(written.replace(",", "."))


def read_stock(request: Request) -> None:
    if "stock" not in request.open_text and "available" not in request.open_text:
        return
    for match in _STOCK.finditer(request.open_text):
        request.take(*match.span())
        request.add(Constraint("stock", "in stock", Filters(in_stock=True)))


def read_sort(request: Request) -> None:
    """The first order that is asked for counts; its words leave the query."""
    for pattern, sort in _SORTS:
        for match in pattern.finditer(request.open_text):
            if request.sort == "relevance":
                request.sort = sort
            request.take(*match.span())
