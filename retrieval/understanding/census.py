"""Counting a catalogue: what `Vocabulary` knows, gathered from the products in two short passes over memory."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from retrieval.understanding import words_en as en
from retrieval.understanding.request import fold, split
from retrieval.understanding.vocabulary import (
    ENOUGH,
    OTHER_MEANING_SHARE,
    SMALL_LETTER_SHARE,
    BrandEvidence,
    Facet,
    Measured,
    Phrase,
    Vocabulary,
    by_first_word,
    longest,
)
from tasteline.types import Product

_LONGEST_VALUE: Final = 40
_SAMPLED_DESCRIPTIONS: Final = 3000
"""Enough to see how a word is used; reading all of 25,000 long descriptions would take seconds."""
_NEIGHBOUR_SHARE: Final = 0.3
_ONE_UNIT_SHARE: Final = 0.95
_RAW_WORD: Final = re.compile(r"[^\W\d_]+")
_NEGATED: Final = re.compile(r"([^\W\d_]+)[\s-]free\b|\b(?:non[\s-]?|no[\s-]|without\s)([^\W\d_]+)")
_NEGATED_LONG: Final = re.compile(r"([^\W\d_]+)[\s-]free\b|\bnon[\s-]([^\W\d_]+)")
_WITH_UNIT: Final = re.compile(r"\s*[0-9]+(?:[.,][0-9]+)?\s*([a-z]+)\s*$")
_FACET_OF: Final = {name: concept for concept, names in en.FACETS.items() for name in names}


@dataclass(slots=True)
class _AttributeCount:
    is_eligible: bool
    """May a bare word or measure mean it?"""
    products: int = 0
    values: dict[str, int] = field(default_factory=dict)
    covered: Counter[str] = field(default_factory=Counter)
    """Title word -> products with it that have the attribute; counted where eligible."""


@dataclass(slots=True)
class _Census:
    """The running counts of one catalogue."""

    titles: list[list[str]] = field(default_factory=list)
    brands: Counter[str] = field(default_factory=Counter)
    currencies: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    attributes: dict[str, _AttributeCount] = field(default_factory=dict)
    title_words: Counter[str] = field(default_factory=Counter)
    after_number: Counter[str] = field(default_factory=Counter)
    before_number: Counter[str] = field(default_factory=Counter)
    before_max: set[str] = field(default_factory=set)
    negated: set[str] = field(default_factory=set)
    written: Counter[str] = field(default_factory=Counter)
    """Words of the sampled descriptions, as written."""

    def count(self, product: Product) -> None:
        words = split(product.title)
        self.titles.append(words)
        self.title_words.update(set(words))
        if product.brand:
            self.brands[product.brand] += 1
        if product.price is not None:
            self.currencies[product.price.currency] += 1
        self.categories.update(product.categories)
        self._count_attributes(product, words)
        self._count_neighbours(product.title, words)
        self._count_negated(product)

    def _count_attributes(self, product: Product, words: Sequence[str]) -> None:
        for name, values in product.attributes.items():
            attribute = self.attributes.get(name)
            if attribute is None:
                attribute = self.attributes[name] = _AttributeCount(is_eligible=_attribute_name(name) in _ELIGIBLE)
            attribute.products += 1
            counts = attribute.values
            for value in values:
                counts[value] = counts.get(value, 0) + 1
            if attribute.is_eligible:
                attribute.covered.update(set(words))

    def _count_neighbours(self, title: str, words: Sequence[str]) -> None:
        lowered = title.lower()
        if "max" in lowered or "min" in lowered:
            self.before_max.update(a for a, b in pairwise(words) if b in en.NAME_BOUNDS)
        for i, word in enumerate(words):
            if word[0].isdigit() and word[-1].isdigit():
                if i + 1 < len(words):
                    self.after_number[words[i + 1]] += 1
                if i:
                    self.before_number[words[i - 1]] += 1

    def _count_negated(self, product: Product) -> None:
        title = product.title.lower()
        if "free" in title or "no" in title or "without" in title:
            self.negated.update(_either(_NEGATED.findall(title)))
        description = product.description
        if "free" in description or "non" in description:
            self.negated.update(_either(_NEGATED_LONG.findall(description.lower())))


def _either(found: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (fold(a or b) for a, b in found)


def _attribute_name(name: str) -> str:
    return " ".join(split(name))


_ELIGIBLE: Final = frozenset(_FACET_OF) | {n for names in en.MEASURE_ATTRIBUTES.values() for n in names}


def take_census(products: Iterable[Product]) -> Vocabulary:
    """Everything that `Vocabulary` holds, counted."""
    catalogue = list(products)
    census = _Census()
    stride = max(1, len(catalogue) // _SAMPLED_DESCRIPTIONS)
    for i, product in enumerate(catalogue):
        census.count(product)
        if i % stride == 0:
            census.written.update(_RAW_WORD.findall(product.description))
    values = _values(census)
    names = sorted(census.attributes, key=lambda name: census.attributes[name].products)
    brands = _brand_evidence(census, catalogue, values)
    attributes = {tuple(split(name)): name for name in names}
    return Vocabulary(
        size=len(catalogue),
        currency=census.currencies.most_common(1)[0][0] if census.currencies else None,
        brands={name.casefold(): name for name, _ in reversed(census.brands.most_common())},
        categories={tuple(_without_and(split(name))): name for name in census.categories},
        values=values,
        attributes=attributes,
        evidence=brands,
        brand_phrases=by_first_word(brands),
        attribute_phrases=by_first_word(attributes),
        facets=_facets(names[::-1], census, catalogue),
        measured=_measured(census),
        titles=dict(census.title_words),
        words=_all_words(census),
        negated=frozenset(census.negated),
        counted=_frequent(census.after_number, census.title_words),
        numbered=_frequent(census.before_number, census.title_words),
        before_max=frozenset(census.before_max),
    )


def _without_and(words: Iterable[str]) -> list[str]:
    return [word for word in words if word != "and"]


def _values(census: _Census) -> dict[str, dict[tuple[str, str], int]]:
    values: dict[str, dict[tuple[str, str], int]] = {}
    for name, attribute in census.attributes.items():
        for value, n in attribute.values.items():
            if len(value) <= _LONGEST_VALUE:
                values.setdefault(value.casefold(), {})[name, value] = n
    return values


def _all_words(census: _Census) -> frozenset[str]:
    words = set(census.title_words)
    for attribute in census.attributes.values():
        words.update(split(" ".join(attribute.values)))
    words.update(split(" ".join(census.categories)))
    words.update(fold(w) for w in census.written)
    return frozenset(words)


def _frequent(beside_number: Counter[str], titles: Counter[str]) -> frozenset[str]:
    return frozenset(w for w, n in beside_number.items() if n >= ENOUGH and n >= _NEIGHBOUR_SHARE * titles[w])


# --- brands -----------------------------------------------------------------------------------------------------------


def _brand_evidence(
    census: _Census, catalogue: Sequence[Product], values: dict[str, dict[tuple[str, str], int]]
) -> dict[Phrase, BrandEvidence]:
    names: dict[Phrase, list[str]] = {}
    for name, _ in census.brands.most_common():
        names.setdefault(tuple(split(name)), []).append(name)
    names.pop((), None)
    own: Counter[Phrase] = Counter()
    foreign: Counter[Phrase] = Counter()
    mentions: defaultdict[Phrase, list[tuple[bool, list[str]]]] = defaultdict(list)
    for phrase, product, words in _mentions(names, census, catalogue):
        is_own = product.brand in names[phrase]
        (own if is_own else foreign)[phrase] += 1
        mentions[phrase].append((is_own, words))
    everyday = _everyday(names, census, values)
    return {
        phrase: BrandEvidence(
            names=tuple(spellings),
            products=sum(census.brands[s] for s in spellings),
            own=own[phrase],
            foreign=foreign[phrase],
            contested=_contested(phrase, mentions[phrase]) if foreign[phrase] else {},
            everyday=phrase in everyday,
        )
        for phrase, spellings in names.items()
    }


def _mentions(
    names: dict[Phrase, list[str]], census: _Census, catalogue: Sequence[Product]
) -> Iterator[tuple[Phrase, Product, list[str]]]:
    """Each brand named in each title, once."""
    index = by_first_word(names)
    for product, words in zip(catalogue, census.titles, strict=True):
        seen = {phrase for i, word in enumerate(words) if word in index and (phrase := longest(index, words, i))}
        for phrase in seen:
            yield phrase, product, words


def _contested(phrase: Phrase, mentions: Sequence[tuple[bool, list[str]]]) -> dict[str, tuple[int, int]]:
    foreign = Counter(w for is_own, words in mentions if not is_own for w in set(words))
    own = Counter(w for is_own, words in mentions if is_own for w in set(words) if w in foreign)
    return {w: (own[w], n) for w, n in foreign.items() if w not in phrase}


def _everyday(
    names: dict[Phrase, list[str]], census: _Census, values: dict[str, dict[tuple[str, str], int]]
) -> set[Phrase]:
    """Brands whose bare name may mean something else in this shop."""
    small: Counter[str] = Counter()
    capital: Counter[str] = Counter()
    for word, n in census.written.items():
        (small if word.islower() else capital)[fold(word)] += n
    category_names = {" ".join(split(name)) for name in census.categories}
    found: set[Phrase] = set()
    for phrase, spellings in names.items():
        name = " ".join(phrase)
        said = small[name] + capital[name]
        written_small = small[name] > 1 and small[name] >= SMALL_LETTER_SHARE * said and not spellings[0].islower()
        as_value = sum(
            n
            for (a, _), n in values.get(spellings[0].casefold(), {}).items()
            if _attribute_name(a) not in en.BRAND_ATTRIBUTES
        )
        products = sum(census.brands[s] for s in spellings)
        too_short = len(name) < 2 or name.isdigit()
        other = as_value >= max(1, OTHER_MEANING_SHARE * products) or name in category_names
        if name in en.ORDINARY or written_small or other or too_short:
            found.add(phrase)
    return found


# --- attributes -------------------------------------------------------------------------------------------------------


def _facets(names: Sequence[str], census: _Census, catalogue: Sequence[Product]) -> dict[str, Facet]:
    """One attribute for each concept, the commonest: limits on several attributes would all have to hold."""
    chosen: dict[str, str] = {}
    for name in names:
        concept = _FACET_OF.get(_attribute_name(name))
        if concept:
            chosen.setdefault(concept, name)
    return {concept: _facet(concept, name, census, catalogue) for concept, name in chosen.items()}


def _facet(concept: str, name: str, census: _Census, catalogue: Sequence[Product]) -> Facet:
    counted = census.attributes[name]
    holding: defaultdict[str, list[str]] = defaultdict(list)
    phrases: dict[Phrase, str] = {}
    for value in sorted(counted.values, key=lambda v: (-counted.values[v], v)):
        words = tuple(split(value))
        phrases.setdefault(words, value)
        for word in set(words):
            holding[word].append(value)
    phrases.pop((), None)
    return Facet(
        concept=concept,
        name=name,
        products=counted.products,
        values=phrases,
        phrases=by_first_word(phrases),
        holding={word: tuple(held) for word, held in holding.items()},
        covered=dict(counted.covered),
        agreement=_agreement(name, set(holding), census, catalogue),
    )


def _agreement(
    name: str, words_of_values: set[str], census: _Census, catalogue: Sequence[Product]
) -> dict[str, tuple[int, int]]:
    agreeing: Counter[str] = Counter()
    for product, words in zip(catalogue, census.titles, strict=True):
        values = product.attributes.get(name)
        said = words_of_values.intersection(words) if values else None
        if said and values:
            agreeing.update(said.intersection(split(" ".join(values))))
    return {word: (agreeing[word], census.title_words[word]) for word in words_of_values}


def _measured(census: _Census) -> dict[Phrase, Measured]:
    """Attributes whose values nearly all are a number and the same known unit: only those can be compared."""
    found: dict[Phrase, Measured] = {}
    for name, attribute in census.attributes.items():
        units: Counter[str] = Counter()
        for value, n in attribute.values.items():
            match = _WITH_UNIT.match(value.lower()) if value[:1].isdigit() and not value[-1].isdigit() else None
            if match and match[1] in en.MEASURES:
                units[match[1]] += n
        if units:
            unit, n = units.most_common(1)[0]
            if n >= _ONE_UNIT_SHARE * sum(attribute.values.values()):
                found[tuple(split(name))] = Measured(name, unit, attribute.products, dict(attribute.covered))
    return found
