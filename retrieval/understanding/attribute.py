"""Colours, sizes, materials and other attributes, where a limit is safe: things of the kind asked for must have them.

A bare "blue" limits only if most products of the kind named beside it have a colour, and titles that say "blue" agree
with that attribute. Otherwise the word stays in the query, where it can only help.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from retrieval.understanding import words_en as en
from retrieval.understanding.request import Request, Span, any_of
from retrieval.understanding.vocabulary import BARE_COVERAGE, COVERAGE, LED_COVERAGE, Facet, Phrase, Vocabulary, longest
from tasteline.types import AttributeFilter, Constraint, Filters

_NAMED: Final = re.compile(r"(?<![\w-])(?P<name>[^\W_]+(?:[ _][^\W_]+){0,3}?) ?[:=] ?(?=[^\W_])")
_GROUP_OF: Final = {word: group for group, words in en.PEOPLE_GROUPS.items() for word in words}
_SIZE_LEADS: Final = frozenset({"size", "sizes", "sized"})


def read_attributes(request: Request, vocabulary: Vocabulary) -> None:
    if not vocabulary.attributes:
        return
    _read_named(request, vocabulary)
    if "size" in vocabulary.facets:
        _read_size(request, vocabulary, vocabulary.facets["size"])
    for concept in en.BARE_FACETS:
        if concept in vocabulary.facets:
            _read_facet(request, vocabulary, vocabulary.facets[concept])
    if "gender" in vocabulary.facets:
        _read_people(request, vocabulary, vocabulary.facets["gender"])


# --- "material: cotton" -----------------------------------------------------------------------------------------------


def _read_named(request: Request, vocabulary: Vocabulary) -> None:
    if ":" not in request.open_text and "=" not in request.open_text:
        return
    for match in _NAMED.finditer(request.open_text):
        words = tuple(match["name"].replace("_", " ").split())
        name = next(
            (vocabulary.attributes[words[k:]] for k in range(len(words)) if words[k:] in vocabulary.attributes), None
        )
        facet = vocabulary.facets.get(next((c for c, names in en.FACETS.items() if words[-1] in names), ""))
        name = name or (facet.name if facet else None)
        i = request.index(match.end())
        if name is None or i == len(request.words):
            continue
        value = _value_of(request, vocabulary, name, i)
        if value is not None:
            display, end = value
            constraint = _constraint(" ".join(words), name, (display,), f"{words[-1]} {display}")
            request.add(constraint, request.span(i, end))
            request.take(match.start(), request.words[end - 1].end)


def _value_of(request: Request, vocabulary: Vocabulary, name: str, i: int) -> tuple[str, int] | None:
    """The longest value of attribute `name` that is written from word i on."""
    for length in range(min(5, len(request.words) - i), 0, -1):
        start, end = request.span(i, i + length)
        for (attribute, display), _ in vocabulary.values.get(request.open_text[start:end], {}).items():
            if attribute == name:
                return display, i + length
    return None


def _constraint(key: str, name: str, values: tuple[str, ...], label: str, key_value: str | None = None) -> Constraint:
    said = key_value or "-".join(values[0].casefold().split())
    return Constraint(f"{key}:{said}", label, Filters(attributes=(AttributeFilter(name, values),)))


# --- "size 42", "42 eu", "in XL" --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Sizes said together, any of which will do, at words first..end-1."""

    first: int
    end: int
    phrases: tuple[Phrase, ...]


def _read_size(request: Request, vocabulary: Vocabulary, facet: Facet) -> None:
    words = [w.text for w in request.words]
    for i, word in enumerate(words):
        if not request.is_open(request.words[i]):
            continue
        found: _Sizes | None = None
        if word in _SIZE_LEADS or (word == "in" and i + 1 < len(words) and (words[i + 1],) in facet.values):
            found = _sizes_after(request, facet, words, i)
        elif word in en.SIZE_SYSTEMS:
            found = _size_beside(request, facet, words, i)
        if found is not None:
            _add_sizes(request, vocabulary, facet, found)


def _add_sizes(request: Request, vocabulary: Vocabulary, facet: Facet, found: _Sizes) -> None:
    span = request.span(found.first, found.end)
    values = tuple(dict.fromkeys(v for phrase in found.phrases for v in facet.widened(phrase)))
    said = {w.text for w in request.words[found.first : found.end]} | _SIZE_LEADS
    beside = [word for word in request.content() if word not in said and not word[0].isdigit()]
    # Who writes "size" means the attribute, wherever things of the kind have one at all.
    share = LED_COVERAGE if request.words[found.first].text in _SIZE_LEADS else COVERAGE
    if values and vocabulary.covers(facet.covered, facet.products, beside, alone=BARE_COVERAGE, share=share):
        label = "size " + any_of(_size_label(phrase) for phrase in found.phrases)
        key = ",".join("-".join(phrase) for phrase in found.phrases)
        request.add(_constraint("size", facet.name, values, label, key), span)
        request.take(*span)


def _size_label(phrase: Phrase) -> str:
    said = " ".join(phrase)
    return said.upper() if len(said) <= 4 else said


def _sizes_after(request: Request, facet: Facet, words: list[str], i: int) -> _Sizes | None:
    j = i + 1
    if j < len(words) and words[j] in ("of", "is", *_SIZE_LEADS, *en.SIZE_SYSTEMS):
        j += 1
    phrases: list[Phrase] = []
    while j < len(words):
        phrase = longest(facet.phrases, words, j) or ((words[j],) if words[j] in facet.holding else None)
        if phrase is None or not request.phrase_at(j, phrase):
            return None
        phrases.append(phrase)
        j += len(phrase)
        if j < len(words) and words[j] in en.SIZE_SYSTEMS and request.adjacent(j - 1, j):
            j += 1
        if not (j < len(words) and words[j] == "or" and request.adjacent(j - 1, j)):
            return _Sizes(i, j, tuple(phrases))
        j += 1
    return None


def _size_beside(request: Request, facet: Facet, words: list[str], i: int) -> _Sizes | None:
    """ "42 eu" or "eu 42"."""
    if i and words[i - 1][0].isdigit() and words[i - 1] in facet.holding and request.adjacent(i - 1, i):
        return _Sizes(i - 1, i + 1, ((words[i - 1],),))
    if (
        i + 1 < len(words)
        and words[i + 1][0].isdigit()
        and words[i + 1] in facet.holding
        and request.adjacent(i, i + 1)
    ):
        return _Sizes(i, i + 2, ((words[i + 1],),))
    return None


# --- "blue", "in red or black leather" --------------------------------------------------------------------------------


def _read_facet(request: Request, vocabulary: Vocabulary, facet: Facet) -> None:
    """All values of one facet form one constraint, as any of them will do."""
    words = [w.text for w in request.words]
    found: list[tuple[int, int, Phrase]] = []
    i = 0
    while i < len(words):
        phrase = longest(facet.phrases, words, i) if words[i] in facet.phrases else None
        if phrase and phrase[0] not in en.STOP_WORDS and not phrase[0].isdigit() and request.phrase_at(i, phrase):
            found.append((i, i + len(phrase), phrase))
            i += len(phrase)
        else:
            i += 1
    if not found or not _is_safe(request, vocabulary, facet, words, found):
        return
    phrases = list(dict.fromkeys(p for _, _, p in found))
    values = tuple(dict.fromkeys(v for p in phrases for v in facet.widened(p)))
    if not values:
        return
    label = any_of(" ".join(p) for p in phrases)
    constraint = _constraint(facet.concept, facet.name, values, label, ",".join("-".join(p) for p in phrases))
    request.add(constraint, *(request.span(a, b) for a, b, _ in found))
    _take(request, words, found)


def _is_safe(
    request: Request, vocabulary: Vocabulary, facet: Facet, words: list[str], found: list[tuple[int, int, Phrase]]
) -> bool:
    inside = {k for a, b, _ in found for k in range(a, b)}
    beside = [
        w.text
        for k, w in enumerate(request.words)
        if k not in inside and request.is_open(w) and w.text not in en.STOP_WORDS
    ]
    others = [f for f in vocabulary.facets.values() if f.concept != facet.concept]
    clearly = all(a > 0 and words[a - 1] in en.VALUE_LEADS for a, _, _ in found)
    if not vocabulary.covers(facet.covered, facet.products, beside, alone=BARE_COVERAGE if clearly else COVERAGE):
        return False
    return all(_means_facet(vocabulary, facet, others, words, a, b, phrase) for a, b, phrase in found)


def _means_facet(
    vocabulary: Vocabulary, facet: Facet, others: Iterable[Facet], words: list[str], a: int, b: int, phrase: Phrase
) -> bool:
    alternative = b < len(words) and words[b] == "or" and not (b + 1 < len(words) and words[b + 1] in facet.phrases)
    if alternative or (a and words[a - 1] == "for"):
        return False
    said_in = a > 0 and words[a - 1] == "in" and facet.concept == "color"
    elsewhere = (
        phrase in vocabulary.evidence or any(phrase in f.values for f in others) or phrase in vocabulary.categories
    )
    return said_in or (not elsewhere and facet.agrees(phrase))


def _take(request: Request, words: list[str], found: list[tuple[int, int, Phrase]]) -> None:
    previous_end = -1
    for a, b, _ in found:
        linked = previous_end == a - 1 and words[a - 1] in en.LIST_WORDS and request.adjacent(a - 1, a)
        led = a > 0 and words[a - 1] in ("in", "color", "colour", "of") and request.adjacent(a - 1, a)
        end = (
            b + 1
            if b < len(words) and words[b] in ("color", "colour", "colored", "coloured") and request.adjacent(b - 1, b)
            else b
        )
        span: Span = request.span(a - 1 if linked or led else a, end)
        request.take(*span)
        previous_end = b


# --- "for women", "men's" ---------------------------------------------------------------------------------------------


def _read_people(request: Request, vocabulary: Vocabulary, facet: Facet) -> None:
    for i, word in enumerate(request.words):
        group = _GROUP_OF.get(word.text)
        if group is None or not request.is_open(word):
            continue
        said_for = i > 0 and request.words[i - 1].text == "for" and request.adjacent(i - 1, i)
        has_s = request.open_text[word.end : word.end + 2] == "'s"
        values = tuple(v for w in sorted(en.PEOPLE_GROUPS[group]) for v in facet.holding.get(w, ()))
        beside = [w for w in request.content() if w != word.text]
        if not values or not (said_for or has_s or word.text.endswith("s")):
            continue
        if vocabulary.covers(facet.covered, facet.products, beside):
            everybody = tuple(v for w in sorted(en.EVERYBODY) for v in facet.holding.get(w, ()))
            allowed = tuple(dict.fromkeys(values + everybody))
            request.add(_constraint("for", facet.name, allowed, f"for {group}", group), (word.start, word.end))
            request.take(request.words[i - 1].start if said_for else word.start, word.end + 2 if has_s else word.end)
            return
