"""Categories said as such: "in Kitchen", "category: tents", "the Audio department". Bare words stay soft."""

from __future__ import annotations

import re
from typing import Final

from retrieval.understanding import words_en as en
from retrieval.understanding.request import Request, split
from retrieval.understanding.vocabulary import Phrase, Vocabulary
from tasteline.types import Constraint, Filters

_NAMED: Final = re.compile(rf"\b(?:in |from )?(?:the )?{en.CATEGORY_WORDS}(?: ?[:=] ?| (?:is |of )?)(?=[^\W_])")
_DEPARTMENT: Final = re.compile(
    rf"\b(?P<not>not )?(?:in|from) (?:the |your )?(?P<name>[^\x1f.,;:!?]{{2,60}}?) {en.CATEGORY_WORDS}\b"
)
_IN: Final = re.compile(r"(?<![\w-])(?P<not>not )?in (?=[^\W_])")
_LONGEST: Final = 6


def read_categories(request: Request, vocabulary: Vocabulary) -> None:
    if not vocabulary.categories:
        return
    for match in _DEPARTMENT.finditer(request.open_text):
        phrase = _phrase(split(match["name"]))
        name = _known(vocabulary, phrase)
        if name is not None:
            _add(request, name, phrase, match.span(), match.span("name"), negated=bool(match["not"]))
    for match in _NAMED.finditer(request.open_text):
        _read_after(request, vocabulary, match.start(), match.end(), negated=False, bare=False)
    for match in _IN.finditer(request.open_text):
        _read_after(request, vocabulary, match.start(), match.end(), negated=bool(match["not"]), bare=True)


def _read_after(request: Request, vocabulary: Vocabulary, start: int, end: int, *, negated: bool, bare: bool) -> None:
    """The longest category name that begins at `end`; after a bare "in" it must mean nothing else here."""
    i = request.index(end)
    if i == len(request.words) or not request.is_open(request.words[i]):
        return
    for length in range(min(_LONGEST, len(request.words) - i), 0, -1):
        words = [w.text for w in request.words[i : i + length]]
        phrase = _phrase(words)
        name = _known(vocabulary, phrase)
        if name is None or not request.phrase_at(i, words):
            continue
        ambiguous = bare and any(phrase in facet.values for facet in vocabulary.facets.values())
        if not ambiguous:
            span = request.span(i, i + length)
            _add(request, name, phrase, (start, span[1]), span, negated=negated)
        return


def _phrase(words: list[str]) -> Phrase:
    return tuple(word for word in words if word != "and")


def _known(vocabulary: Vocabulary, phrase: Phrase) -> str | None:
    """The category of this name, one or many: "tent" finds "Tents"."""
    if not phrase:
        return None
    last = phrase[-1]
    forms = (last, last + "s", last + "es", last.removesuffix("s"), last.removesuffix("es"))
    return next((name for form in forms if (name := vocabulary.categories.get((*phrase[:-1], form)))), None)


def _add(
    request: Request, name: str, phrase: Phrase, span: tuple[int, int], said: tuple[int, int], *, negated: bool
) -> None:
    key = "-".join(phrase)
    if negated:
        request.add(Constraint(f"without:{key}", f"not in {name}", Filters(exclude_categories=(name,))))
    else:
        request.add(Constraint(f"category:{key}", f"in {name}", Filters(categories=(name,))), said)
    request.take(*span)
