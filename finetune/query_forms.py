"""The forms of queries that a shopper types, each made from a product by its own rule.

Takes the words of a catalogue, the place of a product and a source of chance; gives the words of a query and the places
of all products that fit them (known-item search; Azzopardi, de Rijke and Balog, SIGIR 2007). A product answers a query
when it fits all parts that went into it, so near-identical products count alike. Sees nothing of judgements.

Six forms are for choosing settings too (`eval.known_item`): `fragment` (some title words, reordered, plural changed,
now and then a typo), `kind` ("toner cartridge"), `brand_kind`, `attribute` (kind and a value that the title does not
say), `description` (kind and words of the description that the title does not say) and `synonym` (a fragment with the
shop's word replaced by another that means the same). Five more are only learned from: `combination` (kind and what the
title says of this one, "wireless mini keyboard"), `category` (a department's name), `brand_category`, `model` (brand
and number, as somebody types who has the thing before them) and `title` (the beginning of the title, as it stands).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Literal, get_args

from finetune.catalogue_words import CatalogueWords, content_of, having, words_of
from finetune.word_variants import OTHER_WORDS, misspelt, other_number

Form = Literal[
    "fragment",
    "kind",
    "brand_kind",
    "attribute",
    "description",
    "synonym",
    "combination",
    "category",
    "brand_category",
    "model",
    "title",
]
FORMS: tuple[Form, ...] = get_args(Form)

TYPO_SHARE = 0.15
"""Of fragment queries; 10 to 15 % of web queries are misspelt (Cucerzan and Brill, EMNLP 2004)."""
_UNWORDED = frozenset(("true", "false", "yes", "none"))

Drawn = tuple[list[str], set[int]] | None
"""Words that were drawn for a query, and the places of the products that fit them."""
Maker = Callable[[CatalogueWords, int, random.Random], Drawn]


def _fragment(words: CatalogueWords, place: int, chance: random.Random) -> Drawn:
    title = content_of(words.titles[place])
    if len(title) < 3:
        return None
    kept = chance.sample(title, k=min(len(title) - 1, chance.randint(2, 4)))
    if chance.random() < 0.5:
        kept.sort(key=title.index)  # half keep the order of the title
    relevant = having(words.in_title, kept)
    typed = [other_number(word) if chance.random() < 0.2 else word for word in kept]
    if chance.random() < TYPO_SHARE:
        spoiled = chance.randrange(len(typed))
        typed[spoiled] = misspelt(typed[spoiled], chance)
    return typed, relevant


def _kind(words: CatalogueWords, place: int, chance: random.Random) -> Drawn:
    kind = words.kinds[place]
    if kind is None:
        return None
    typed = kind.split()
    if chance.random() < 0.5:
        typed[-1] = other_number(typed[-1])
    return typed, words.of_kind[kind]


def _brand_kind(words: CatalogueWords, place: int, chance: random.Random) -> Drawn:
    brand, kind = words.products[place].brand, _kind(words, place, chance)
    if not brand or kind is None:
        return None
    same_brand = {each for each in kind[1] if words.products[each].brand == brand}
    parts = [words_of(brand), kind[0]]
    chance.shuffle(parts)
    return [*parts[0], *parts[1]], same_brand


def _attribute(words: CatalogueWords, place: int, chance: random.Random) -> Drawn:
    kind = _kind(words, place, chance)
    values = [
        (name, value)
        for name, of_name in words.products[place].attributes.items()
        for value in of_name
        if _is_worded(value) and not set(words_of(value)) & set(words.titles[place])
    ]
    if kind is None or not values:
        return None
    name, value = chance.choice(values)
    equal = {each for each in kind[1] if value in words.products[each].attributes.get(name, ())}
    return [*words_of(value), *kind[0]], equal


def _is_worded(value: str) -> bool:
    """Whether somebody would type the value: short, letters only, not a yes or no."""
    return value.replace(" ", "").isalpha() and 3 <= len(value) <= 24 and value.casefold() not in _UNWORDED


def _description(words: CatalogueWords, place: int, chance: random.Random) -> Drawn:
    kind = _kind(words, place, chance)
    said = set(words.titles[place])
    fresh = [
        word
        for word in dict.fromkeys(content_of(words.descriptions[place]))
        if word.isalpha() and len(word) > 3 and word not in said and len(words.in_description[word]) >= 3
    ]
    if kind is None or len(fresh) < 2:
        return None
    told = chance.sample(fresh, k=2)
    return [*told, *kind[0]], kind[1] & having(words.in_description, told)


def _synonym(words: CatalogueWords, place: int, chance: random.Random) -> Drawn:
    title = content_of(words.titles[place])
    known = [word for word in title if word in OTHER_WORDS]
    if not known or len(title) < 3:
        return None
    replaced = chance.choice(known)
    others = [word for word in title if word != replaced and word.isalpha() and len(words.in_title[word]) >= 5]
    kept = chance.sample(others, k=min(len(others), chance.randint(0, 2)))
    return [*kept, chance.choice(OTHER_WORDS[replaced])], having(words.in_title, [*kept, replaced])


def _combination(words: CatalogueWords, place: int, chance: random.Random) -> Drawn:
    kind = _kind(words, place, chance)
    told = {*(words.kinds[place] or "").split(), *words_of(words.products[place].brand or "")}
    fresh = [
        word
        for word in content_of(words.titles[place])
        if word.isalpha() and len(word) > 2 and word not in told and len(words.in_title[word]) >= 3
    ]
    if kind is None or not fresh:
        return None
    said = chance.sample(fresh, k=min(len(fresh), chance.randint(1, 2)))
    return [*said, *kind[0]], kind[1] & having(words.in_title, said)


def _category(words: CatalogueWords, place: int, chance: random.Random) -> Drawn:
    """The narrowest department, or the one above it now and then."""
    path = words.products[place].categories
    if not path:
        return None
    name = path[-2] if len(path) > 2 and chance.random() < 0.25 else path[-1]
    typed = content_of(words_of(name.replace("_", " ")))
    return (typed, words.of_category[name]) if typed else None


def _brand_category(words: CatalogueWords, place: int, chance: random.Random) -> Drawn:
    brand, category = words.products[place].brand, _category(words, place, chance)
    if not brand or category is None:
        return None
    same_brand = {each for each in category[1] if words.products[each].brand == brand}
    return [*words_of(brand), *category[0]], same_brand


def _model(words: CatalogueWords, place: int, chance: random.Random) -> Drawn:
    """A code of letters and digits, with the brand where the feed has one."""
    codes = [word for word in words.titles[place][:6] if len(word) > 3 and _is_code(word)]
    if not codes:
        return None
    code, brand = chance.choice(codes), words.products[place].brand
    return [*words_of(brand or ""), code], having(words.in_title, [code])


def _is_code(word: str) -> bool:
    """
    >>> [_is_code(word) for word in ("tn-2110", "500", "laserjet")]
    [True, False, False]
    """
    return any(letter.isalpha() for letter in word) and any(letter.isdigit() for letter in word)


def _title(words: CatalogueWords, place: int, chance: random.Random) -> Drawn:
    """Up to seven words: what somebody pastes, or takes from a list."""
    start = words.titles[place][: chance.randint(4, 7)]
    known = content_of(start)
    return (start, having(words.in_title, known)) if len(known) >= 3 else None


MAKERS: Mapping[Form, Maker] = {
    "fragment": _fragment,
    "kind": _kind,
    "brand_kind": _brand_kind,
    "attribute": _attribute,
    "description": _description,
    "synonym": _synonym,
    "combination": _combination,
    "category": _category,
    "brand_category": _brand_category,
    "model": _model,
    "title": _title,
}
