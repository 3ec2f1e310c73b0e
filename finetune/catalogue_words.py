"""What the makers of queries look up in a catalogue, counted once: words, kinds, categories, and who shares them.

Takes products, gives for each its title's and description's words, the phrase that says what it is, and for words,
kinds and categories the places of all products that have them. Knows no query and no judgement.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from finetune.word_variants import other_number
from tasteline.types import Product

KIND_PRODUCTS = 12
KIND_BRANDS = 3
"""A phrase names a kind when that many products of that many brands carry it; others are mostly names of models."""

COUNTED_PRODUCTS = 2
"""Products that speak of a thing in the other number: one may be a slip."""

_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
_SEGMENT_END = re.compile(r"[|,(\[;:/]|\s[-–—]\s|\s(?:for|with|by|from|in)\s")
_STOP_WORDS = frozenset(
    _WORD.findall(
        "a an and are as at be by for from has in into is it its of on or that the this to with you your our will can"
        " all any more new pc pcs set pack piece pieces cm mm inch oz kg ml"
    )
)
_QUALIFIERS = frozenset(
    _WORD.findall(
        "black white red blue green grey gray silver gold pink purple yellow orange brown beige transparent multi"
        " multicolour multicolor colour color original genuine compatible small medium large mini xl wired wireless"
        " indoor outdoor high low"
    )
)


class CatalogueWords:
    """A product is its place in `products`; every set holds places."""

    def __init__(self, products: Sequence[Product], sure: bool = False) -> None:
        """With `sure`, kinds are as a trainer wants them and not as settings have been chosen by.

        A kind of one word is none unless the catalogue also has its plural (or singular), and a product whose kind is
        not where it is looked for has the longest kind of several words that its title names.
        """
        self.products = products
        self.titles = [words_of(product.title) for product in products]
        self.in_title = postings_of(self.titles)
        self.descriptions = [words_of(product.description) for product in products]
        self.in_description = postings_of(self.descriptions)
        self.kinds = kinds_of(products)
        if sure:
            things = {kind for kind in set(self.kinds) if kind is not None and self._is_thing(kind)}
            self.kinds = [
                kind if kind in things else _named_in(title, things)
                for kind, title in zip(self.kinds, self.titles, strict=True)
            ]
        self.of_kind: dict[str, set[int]] = defaultdict(set)
        for place, kind in enumerate(self.kinds):
            if kind is not None:
                self.of_kind[kind].add(place)
        self.of_category: dict[str, set[int]] = defaultdict(set)
        for place, product in enumerate(products):
            for category in product.categories:
                self.of_category[category].add(place)

    def _is_thing(self, kind: str) -> bool:
        """Things are counted: feeds speak of printers and laptops, and not of digitals, universals or gigabits."""
        other = other_number(kind)
        found = self.in_title.get(other, set()) | self.in_description.get(other, set())
        return " " in kind or (other != kind and len(found) >= COUNTED_PRODUCTS)


def _named_in(title: Sequence[str], things: AbstractSet[str]) -> str | None:
    """Of several words, since one alone is often what a product is for ("memory for notebook"); the last of equals."""
    for length in (3, 2):
        for start in range(len(title) - length, -1, -1):
            if (phrase := " ".join(title[start : start + length])) in things:
                return phrase
    return None


def kinds_of(products: Sequence[Product]) -> list[str | None]:
    """The phrase that says what a product is: the longest one, of at most three words, that enough titles share.

    Feeds write titles in one of two ways. "Brand model kind details": the kind begins after brand and model.
    "Any praise of a kind, details": the kind ends the first segment.
    """
    candidates = [_kind_phrases(product) for product in products]
    frequency = Counter(phrase for phrases in candidates for phrase in phrases)
    brands: dict[str, set[str]] = defaultdict(set)
    for product, phrases in zip(products, candidates, strict=True):
        for phrase in phrases:
            brands[phrase].add(product.brand or product.id)  # without a brand each product speaks for itself
    named = {phrase for phrase, of in brands.items() if frequency[phrase] >= KIND_PRODUCTS and len(of) >= KIND_BRANDS}
    return [next((phrase for phrase in phrases if phrase in named), None) for phrases in candidates]


def _kind_phrases(product: Product) -> list[str]:
    """Phrases that could name the kind, longest first."""
    if product.brand and product.title.casefold().startswith(product.brand.casefold()):
        title = words_of(product.title)
        coded = [place for place, word in enumerate(title[:6]) if not word.isalpha()]
        rest = title[max(coded[0] + 1 if coded else 0, len(words_of(product.brand))) :]
        head = _until_qualifier(rest)[:3]
        return [" ".join(head[:length]) for length in range(len(head), 0, -1)]
    segment = words_of(_SEGMENT_END.split(product.title, maxsplit=1)[0])
    tail = _until_qualifier(segment[::-1])[:2][::-1]
    return [" ".join(tail[-length:]) for length in range(len(tail), 0, -1)]


def _until_qualifier(words: Sequence[str]) -> list[str]:
    """The first words up to a colour, a size, a number or a filler, which describe but do not name."""
    kept: list[str] = []
    for word in words:
        if not word.isalpha() or len(word) < 3 or word in _QUALIFIERS or word in _STOP_WORDS:
            break
        kept.append(word)
    return kept


def words_of(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def content_of(words: Iterable[str]) -> list[str]:
    """Each word once, fillers left out."""
    return [word for word in dict.fromkeys(words) if word not in _STOP_WORDS and len(word) > 1]


def postings_of(texts: Sequence[Sequence[str]]) -> dict[str, set[int]]:
    postings: dict[str, set[int]] = defaultdict(set)
    for place, words in enumerate(texts):
        for word in words:
            postings[word].add(place)
    return dict(postings)


def having(postings: Mapping[str, set[int]], words: Sequence[str]) -> set[int]:
    """Places that have all the words; `words` is never empty here."""
    return set.intersection(*(postings[word] for word in words))
