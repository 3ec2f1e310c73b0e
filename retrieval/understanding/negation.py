"""What is not wanted: "not leather", "without wireless", "leather-free", "anything but Canon".

The catalogue decides: "non-stick" and "sugar free" are product words where titles say them, and a word that the
catalogue does not know can exclude nothing. Vague wishes ("not too big") are dropped.
"""

from __future__ import annotations

import re
from typing import Final

from retrieval.understanding import words_en as en
from retrieval.understanding.request import BARRIER, Request
from retrieval.understanding.vocabulary import Phrase, Vocabulary, longest
from tasteline.types import Constraint, Filters

_NEGATOR: Final = re.compile(rf"(?<![\w'-])(?P<said>{en.NEGATORS})(?= [^\W_])")
_FREE: Final = re.compile(r"(?<![\w-])([^\W\d_]+)[ -]free(?![\w-])")
_NON: Final = re.compile(r"(?<![\w-])non[- ]?([^\W\d_]{3,})(?![\w-])")
_MINUS: Final = re.compile(r"(?:^|(?<= ))-([^\W\d_]{2,})(?![\w-])")
_FILLERS_AT_MOST: Final = 3


def read_negations(request: Request, vocabulary: Vocabulary) -> None:
    text = request.open_text
    for match in _NEGATOR.finditer(text):
        if request.open_text[match.start()] != BARRIER:
            _read_negator(request, vocabulary, match)
    if "free" in text:
        _read_compounds(request, vocabulary, _FREE)
    if "non" in text:
        _read_compounds(request, vocabulary, _NON)
    if "-" in text:
        _read_minus(request, vocabulary)


def _read_negator(request: Request, vocabulary: Vocabulary, match: re.Match[str]) -> None:
    said = match["said"].split()[-1]
    i = request.index(match.end())
    start = match.start()
    skipped = 0
    while i < len(request.words) and request.is_open(request.words[i]):
        word = request.words[i].text
        if skipped == 0 and (word in en.DEGREES or word in en.VAGUE or said == "nothing"):
            end = i + 2 if word in en.DEGREES and request.adjacent(i, i + 1) else i + 1
            request.take(start, request.words[end - 1].end)
            return
        if word not in en.NEGATION_FILLERS and word not in en.BRAND_NEGATION_FILLERS:
            break
        i, skipped = i + 1, skipped + 1
        if skipped > _FILLERS_AT_MOST or not request.adjacent(i - 1, i):
            return
    _read_list(request, vocabulary, start, i, said)


def _read_list(request: Request, vocabulary: Vocabulary, start: int, i: int, said: str) -> None:
    """ "not leather, nylon or Canon": each of them is excluded."""
    previous_end = start
    while i < len(request.words) and request.is_open(request.words[i]):
        found = _excluded(request, vocabulary, i, said)
        if found is None:
            return
        constraint, end = found
        request.add(constraint)
        request.take(previous_end, request.words[end - 1].end)
        previous_end = request.words[end - 1].end
        if end >= len(request.words):
            return
        link = request.words[end].text
        gap = request.open_text[previous_end : request.words[end].start]
        if link in ("or", "nor") and not gap.strip() and end + 1 < len(request.words):
            i = end + 1
        elif gap.strip() == "," and _is_before_last(request, vocabulary, end):
            i = end
        else:
            return


def _excluded(request: Request, vocabulary: Vocabulary, i: int, said: str) -> tuple[Constraint, int] | None:
    """The constraint for what stands at word i, and one past its last word."""
    words = [w.text for w in request.words[i : i + 6]]
    brand = longest(vocabulary.brand_phrases, words, 0)
    if brand and request.phrase_at(i, brand) and not _is_rather_a_word(vocabulary, brand):
        return _without_brand(vocabulary, brand), i + len(brand)
    value = next(
        (
            p
            for c in en.BARE_FACETS
            if c in vocabulary.facets and (p := longest(vocabulary.facets[c].phrases, words, 0))
        ),
        None,
    )
    if value and request.phrase_at(i, value):
        return _without_term(value), i + len(value)
    word = words[0]
    if not word.isalpha() or len(word) < 3 or word in en.STOP_WORDS or not vocabulary.knows(word):
        return None
    said_so = word in vocabulary.negated or (said == "no" and word in en.NO_COMPOUNDS)
    return None if said_so else (_without_term((word,)), i + 1)


def _is_before_last(request: Request, vocabulary: Vocabulary, i: int) -> bool:
    """Is word i, after a comma, followed by "or", and so still denied? In "no leather, blue" the blue is wanted."""
    word = request.words[i].text
    typed = (word,) in vocabulary.evidence or vocabulary.is_facet_value(word)
    return typed and i + 1 < len(request.words) and request.words[i + 1].text in ("or", "nor")


def _is_rather_a_word(vocabulary: Vocabulary, brand: Phrase) -> bool:
    """A brand whose name is a colour or the like here excludes the word, not the brand."""
    evidence = vocabulary.evidence[brand]
    return evidence.everyday and any(brand in f.values for f in vocabulary.facets.values())


def _without_brand(vocabulary: Vocabulary, brand: Phrase) -> Constraint:
    names = vocabulary.evidence[brand].names
    return Constraint(f"without:{'-'.join(brand)}", f"not {names[0]}", Filters(exclude_brands=names))


def _without_term(words: Phrase) -> Constraint:
    term = " ".join(words)
    return Constraint(f"without:{'-'.join(words)}", f"not {term}", Filters(exclude_terms=(term,)))


def _read_compounds(request: Request, vocabulary: Vocabulary, pattern: re.Pattern[str]) -> None:
    for match in pattern.finditer(request.open_text):
        word = match[1]
        is_value = any((word,) in vocabulary.facets[c].values for c in en.BARE_FACETS if c in vocabulary.facets)
        product_word = (
            word in vocabulary.negated
            or word in en.FREE_COMPOUNDS
            or f"non{word}" in vocabulary.words
            or match[0] in vocabulary.words
        )
        if not product_word and (is_value or (vocabulary.knows(word) and word not in en.STOP_WORDS)):
            request.add(_without_term((word,)))
            request.take(*match.span())


def _read_minus(request: Request, vocabulary: Vocabulary) -> None:
    for match in _MINUS.finditer(request.open_text):
        phrase = (match[1],)
        if phrase in vocabulary.evidence and not _is_rather_a_word(vocabulary, phrase):
            request.add(_without_brand(vocabulary, phrase))
        elif any(phrase in vocabulary.facets[c].values for c in en.BARE_FACETS if c in vocabulary.facets):
            request.add(_without_term(phrase))
        else:
            continue
        request.take(*match.span())
