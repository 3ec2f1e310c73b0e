"""What a shop's own catalogue says about words: which are brands, categories, colours, and how sure that is.

Built from the products in memory (`Vocabulary.from_products`), immutable afterwards and picklable. It judges ambiguity
by counting: a word is a brand if the products that carry it in the title are of that brand; a colour is a limit if
the kind of thing asked for has its colours filled in. It knows no request and no index.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from retrieval.understanding import words_en as en
from retrieval.understanding.request import split
from tasteline.types import Product

Phrase = tuple[str, ...]
Phrases = Mapping[str, tuple[Phrase, ...]]
"""First word -> the phrases that begin with it, longest first."""

BRAND_SHARE: Final = 0.6
"""Of the titles with the word, so many must be of the brand before the bare word limits to it."""
FACET_SHARE: Final = 0.6
"""Of the titles with "blue", so many must have blue among their colours before the bare word limits to it."""
COVERAGE: Final = 0.6
"""Of the products of the kind asked for, so many must have the attribute at all; the others would be lost."""
LED_COVERAGE: Final = 0.4
"""The same where the attribute is named ("size 42"): running vests without a size do not unsay it for shoes."""
BARE_COVERAGE: Final = 0.1
"""The same over the whole catalogue, where the request names no kind but clearly the attribute ("in blue")."""
ENOUGH: Final = 3
"""Titles below which a share says nothing."""
SMALL_LETTER_SHARE: Final = 0.1
"""A brand's name written small this often in descriptions is an everyday word too."""
OTHER_MEANING_SHARE: Final = 0.1
"""Attribute values equal to the brand's name, as a share of its products, that make the name ambiguous."""


@dataclass(frozen=True, slots=True)
class BrandEvidence:
    """How a brand's name is used in the catalogue's titles."""

    names: tuple[str, ...]
    """As the feed writes it, the commonest first."""
    products: int
    own: int = 0
    """Titles with the name, of the brand."""
    foreign: int = 0
    """Titles with the name, of other brands ("case for …")."""
    contested: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Title word beside a foreign use -> (own, foreign) titles with both words."""
    everyday: bool = False
    """Also an everyday word, a category or an attribute value of this shop."""

    def is_meant(self, beside: Iterable[str]) -> bool:
        """Does the bare name, said beside these words, mean products of the brand?"""
        if self.everyday or not _share(self.own, self.own + self.foreign, BRAND_SHARE):
            return False
        contested = (self.contested[form] for word in beside for form in forms(word) if form in self.contested)
        return all(_share(own, own + foreign, BRAND_SHARE) for own, foreign in contested)


@dataclass(frozen=True, slots=True)
class Facet:
    """One attribute whose values shoppers say without naming it: colour, size, material, gender."""

    concept: str
    name: str
    """The attribute's name in the feed."""
    products: int
    values: Mapping[Phrase, str]
    """Words of a value -> the value."""
    phrases: Phrases
    holding: Mapping[str, tuple[str, ...]]
    """Word -> every value that contains it: "blue" -> "Blue", "Navy blue"."""
    covered: Mapping[str, int]
    """Title word -> products with it that have the attribute."""
    agreement: Mapping[str, tuple[int, int]]
    """Value word -> (titles with it whose attribute agrees, titles with it)."""

    def widened(self, phrase: Phrase) -> tuple[str, ...]:
        """All values that say the phrase, with more precision or less: a hard limit must not lose "Navy blue"."""
        holding = self.holding.get(phrase[0], ())
        return tuple(v for v in holding if _says(split(v), phrase))

    def agrees(self, phrase: Phrase) -> bool:
        """Do titles with these words mostly mean this attribute's value?"""
        return all(_share(*self.agreement.get(word, (0, 0)), FACET_SHARE) for word in phrase)


@dataclass(frozen=True, slots=True)
class Measured:
    """An attribute that holds numbers of one unit."""

    name: str
    unit: str
    products: int
    covered: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of one catalogue. Empty is valid: then only prices, stars and stock are understood."""

    size: int = 0
    currency: str | None = None
    """The commonest of the prices; what a bare number is taken to be in."""
    brands: Mapping[str, str] = field(default_factory=dict)
    """Casefolded -> as the feed writes it."""
    categories: Mapping[Phrase, str] = field(default_factory=dict)
    """Words of a category's name, at any level -> the name."""
    values: Mapping[str, Mapping[tuple[str, str], int]] = field(default_factory=dict)
    """Casefolded attribute value of at most 40 characters -> {(attribute, value): products}."""
    attributes: Mapping[Phrase, str] = field(default_factory=dict)
    """Words of an attribute's name -> the name."""
    evidence: Mapping[Phrase, BrandEvidence] = field(default_factory=dict)
    """Words of a brand's name -> how it is used."""
    brand_phrases: Phrases = field(default_factory=dict)
    attribute_phrases: Phrases = field(default_factory=dict)
    facets: Mapping[str, Facet] = field(default_factory=dict)
    measured: Mapping[Phrase, Measured] = field(default_factory=dict)
    titles: Mapping[str, int] = field(default_factory=dict)
    """Word -> products with it in the title."""
    words: frozenset[str] = frozenset()
    """Every word of titles, categories and attribute values, and of a sample of the descriptions."""
    negated: frozenset[str] = frozenset()
    """X of every "X-free", "non-X", "no X" and "without X" that the catalogue itself says."""
    counted: frozenset[str] = frozenset()
    """Words that titles put after a number: "piece", "person"."""
    numbered: frozenset[str] = frozenset()
    """Words that titles put before a number: "iphone", "size"."""
    before_max: frozenset[str] = frozenset()
    """Words that titles put before "max" and its like: "air", "pro"."""

    @classmethod
    def from_products(cls, products: Iterable[Product]) -> Vocabulary:
        """Read every product once."""
        from retrieval.understanding.census import take_census

        return take_census(products)

    def covers(
        self,
        covered: Mapping[str, int],
        products: int,
        beside: Iterable[str],
        *,
        alone: float = COVERAGE,
        share: float = COVERAGE,
    ) -> bool:
        """Does an attribute exist on most products of the kind that the words beside it name?

        Without such words, or where no title knows them, the share of the whole catalogue must be at least `alone`.
        """
        kinds = [forms(word) for word in beside if not self.is_facet_value(word)]
        totals = [(sum(covered.get(w, 0) for w in kind), sum(self.titles.get(w, 0) for w in kind)) for kind in kinds]
        known = [(part, whole) for part, whole in totals if whole >= ENOUGH]
        if not known:
            return products >= alone * self.size
        return all(part >= share * whole for part, whole in known)

    def is_facet_value(self, word: str) -> bool:
        """Is it a colour, a material or a size rather than a kind of thing?"""
        return any((word,) in facet.values for facet in self.facets.values())

    def knows(self, word: str) -> bool:
        return any(form in self.words for form in forms(word))

    def is_counted(self, word: str) -> bool:
        """Does a number before this word count or measure something?"""
        return word in en.UNITS or word in self.counted or word.removesuffix("s") in self.counted

    def is_numbered(self, word: str) -> bool:
        """Is a number after this word a part of a name or a measure?"""
        return word not in en.PRICE_NAMES and (word in en.MEASURED or word in self.numbered)


def longest(phrases: Phrases, words: Sequence[str], i: int, limit: int = 6) -> Phrase | None:
    """The longest phrase that stands at position i of `words`."""
    for phrase in phrases.get(words[i], ()):
        if len(phrase) <= limit and tuple(words[i : i + len(phrase)]) == phrase:
            return phrase
    return None


def by_first_word(phrases: Collection[Phrase]) -> dict[str, tuple[Phrase, ...]]:
    index: dict[str, list[Phrase]] = {}
    for phrase in phrases:
        if phrase:
            index.setdefault(phrase[0], []).append(phrase)
    return {first: tuple(sorted(group, key=len, reverse=True)) for first, group in index.items()}


def forms(word: str) -> tuple[str, ...]:
    """The word as said, and as one or many."""
    return (word, word[:-1]) if word.endswith("s") else (word, word + "s")


def _share(part: int, whole: int, at_least: float) -> bool:
    """Too few to tell counts as yes: the words' own sense then decides."""
    return whole < ENOUGH or part >= at_least * whole


def _says(value: Sequence[str], phrase: Phrase) -> bool:
    n = len(phrase)
    for i in range(len(value) - n + 1):
        if tuple(value[i : i + n]) != phrase:
            continue
        others = [*value[:i], *value[i + n :]]
        imitation = i > 0 and value[i - 1] in en.IMITATION
        other_number = any(c.isdigit() for c in phrase[0]) and any(o[0].isdigit() for o in others)
        if not imitation and not other_number:
            return True
    return False
