"""How many fit, which of them is cheapest or best rated, and promises."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from eval.claims import patterns
from eval.claims.line import Holds, Line, number_of, verdict_of
from tasteline.types import Constraint


def read_counts(line: Line) -> None:
    for found in line.taking(patterns.COUNT):
        said, sentence = number_of(found["a"]), line.sentence(found.start())
        if found["a"].casefold() == "one" and line.named_beside(found.start()):
            continue  # "one option is the …"
        if said == len(line.told.shown) and patterns.HERE.search(sentence) and not re.search(r"\bfits?\b", sentence):
            line.claim("count", found.group(), "supported", "as many are shown")
        else:
            recount(line, found.group(), said, line.told.constraints)


def recount(line: Line, text: str, said: Decimal, limits: Sequence[Constraint]) -> None:
    """Limits alone are counted exactly. Words are looked for by simpler means than a search's: a count of theirs is
    proven where both agree, and disproven where fewer keep the limits, or where all that were counted are shown and
    one of them does not carry the words."""
    query, shown = line.told.query, line.told.shown
    within = len(line.shelf.fitting(limits, ""))
    carrying = len(line.shelf.fitting(limits, query)) if query else within
    strange = _strangers(line) if said <= len(shown) and tuple(limits) == line.told.constraints else []
    why = f"{within} keep the limits, {carrying} of them carry the words"
    if said == carrying:
        line.claim("count", text, "supported", why)
    elif not query or said > within or strange:
        beside = f"; shown without them: {', '.join(strange)}" if strange else ""
        line.claim("count", text, "unsupported", f"{why}{beside}")
    else:
        line.claim("count", text, "unverifiable", why)


def _strangers(line: Line) -> list[str]:
    """Products shown that do not carry every word of the request."""
    return [each for each in line.told.shown if not line.shelf.carries(each, line.told.query)]


def read_first_of_them(line: Line) -> None:
    """ "12 products fit; these come first": then these fit."""
    if found := patterns.AMONG.search(line.text):
        strange = _strangers(line)
        why = f"without the words: {', '.join(strange)}" if strange else "all fit"
        line.claim("count", found.group(), verdict_of(not strange), why)


def read_nothing(line: Line) -> None:
    """ "Nothing in the shop fits" is a count of zero."""
    found = patterns.NONE.search(line.text)
    if found is not None and (line.told.query or line.told.constraints):
        carrying = line.shelf.fitting(line.told.constraints, line.told.query)
        why = f"{len(carrying)} fit: {', '.join(carrying[:3])}"
        line.claim("count", found.group(), verdict_of(not carrying), why)


def read_extremes(line: Line) -> None:
    for what, pattern in patterns.EXTREMES:
        for found in line.taking(pattern):
            if what == "untold":
                line.claim("comparison", found.group(), "unverifiable", "the catalogue does not tell")
            else:
                line.of_products("comparison", found.group(), line.subject(found.start()), _leading(line, what))


def _leading(line: Line, what: str) -> Holds:
    """Is nobody of the others shown ahead of it? Of "cheaper": is it ahead of any?"""

    def leads(product_id: str) -> bool:
        own = _figure(line, product_id, what)
        others = [figure for e in line.told.shown if e != product_id and (figure := _figure(line, e, what)) is not None]
        if own is None or not others:
            return False
        if what in ("cheaper", "dearer"):
            return own < max(others) if what == "cheaper" else own > min(others)
        return own <= min(others) if what in ("cheapest", "worst") else own >= max(others)

    return leads


def _figure(line: Line, product_id: str, what: str) -> Decimal | None:
    product = line.product(product_id)
    if what in ("best", "worst"):
        return None if product.rating is None else Decimal(str(product.rating))
    return Decimal(product.rating_count or 0) if what == "reviewed" else line.shelf.price(product_id)


def read_promises(line: Line) -> None:
    for found in line.taking(patterns.PROMISE):
        if "a great deal of" not in line.line:
            line.claim("promise", found.group(), "unsupported", "nothing in the catalogue promises anything")
