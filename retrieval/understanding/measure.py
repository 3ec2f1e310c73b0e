"""Limits with a unit over an attribute that holds numbers of one unit: "under 5 kg", "capacity at least 2 l".

The filter compares the leading number of a value, so the limit is converted to the attribute's unit. Both bounds are
inclusive, and the label says so.
"""

from __future__ import annotations

import re
from typing import Final

from retrieval.understanding import words_en as en
from retrieval.understanding.amounts import NUMBER, START, number
from retrieval.understanding.request import Request
from retrieval.understanding.vocabulary import Measured, Vocabulary
from tasteline.types import AttributeFilter, Constraint, Filters

_UNIT: Final = "|".join(sorted(en.MEASURES, key=len, reverse=True))
_BOUND: Final = "|".join(
    re.escape(b).replace(r"\ ", " ") for b in sorted(en.BOUNDS, key=len, reverse=True) if en.BOUNDS[b] != "around"
)
_AFTER: Final = "|".join(
    re.escape(b).replace(r"\ ", " ") for b in sorted(en.BOUNDS_AFTER, key=len, reverse=True) if b != "+"
)
_LIMIT: Final = re.compile(
    rf"(?<![\w-])(?P<bound>{_BOUND}) (?P<n>{NUMBER}) ?(?P<unit>{_UNIT})(?![\w-])"
    rf"|{START}(?P<n2>{NUMBER}) ?(?P<unit2>{_UNIT}) (?P<bound2>{_AFTER})(?![\w-])"
)


def read_measures(request: Request, vocabulary: Vocabulary) -> None:
    if not vocabulary.measured:
        return
    for match in _LIMIT.finditer(request.open_text):
        unit = match["unit"] or match["unit2"]
        bound = en.BOUNDS[match["bound"]] if match["bound"] else en.BOUNDS_AFTER[match["bound2"]]
        kind, factor = en.MEASURES[unit]
        attribute, start = _attribute(request, vocabulary, kind, match.start())
        if attribute is None:
            continue
        written = match["n"] or match["n2"]
        limit = round(float(number(written)) * factor / en.MEASURES[attribute.unit][1], 6)
        at_most = bound in ("below", "up_to")
        filters = AttributeFilter(attribute.name, (), None if at_most else limit, limit if at_most else None)
        label = f"{attribute.name} {'up to' if at_most else 'at least'} {written} {unit}"
        request.add(
            Constraint(
                f"{attribute.name.casefold()}:{'max' if at_most else 'min'}", label, Filters(attributes=(filters,))
            )
        )
        request.take(start, match.end())


def _attribute(request: Request, vocabulary: Vocabulary, kind: str, start: int) -> tuple[Measured | None, int]:
    """The attribute named right before the limit, or the one that such a limit usually means."""
    before = request.before(start)
    if before and before.text in ("of", "is"):
        before = request.before(before.start)
    named = vocabulary.measured.get((before.text,)) if before else None
    if before and named and en.MEASURES[named.unit][0] == kind:
        return named, before.start
    usual = en.MEASURE_ATTRIBUTES.get(kind, frozenset())
    fitting = [
        m for name, m in vocabulary.measured.items() if " ".join(name) in usual and en.MEASURES[m.unit][0] == kind
    ]
    beside = [w for w in request.content() if w.isalpha() and w not in en.MEASURES]
    if len(fitting) == 1 and vocabulary.covers(fitting[0].covered, fitting[0].products, beside):
        return fitting[0], start
    return None, start
