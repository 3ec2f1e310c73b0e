"""What products are said to be like: colours, materials, features, sizes, kinds of thing, and numbers that remain."""

from __future__ import annotations

import re
from decimal import Decimal

from eval.claims import patterns
from eval.claims.line import Holds, Line, number_of
from eval.claims.shelf import Shelf, stem, words

_SAID_OF_ALL = ("color", "colour", "material")


def lexicon(shelf: Shelf) -> frozenset[str]:
    """Words, by their stem, that are true or false of a product: common ones, and those of the shop's attributes."""
    common = f"{patterns.COLORS} {patterns.MATERIALS} {patterns.FEATURES}".split()
    own = [value for p in shelf.products.values() for name in _SAID_OF_ALL for value in p.attributes.get(name, ())]
    single = [word.text for value in own if len(value.split()) == 1 for word in words(value)]
    return frozenset(stem(word) for word in (*common, *single) if "-" not in word) - patterns.AMBIGUOUS


def read_features(line: Line, qualities: frozenset[str]) -> None:
    for found in line.taking(patterns.COMPOUNDS):
        _quality(line, found.group(), found.start(), _carrying(line, found.group().replace("-", " ")))
    for word in words(line.text):
        before = line.text[: word.start]
        if stem(word.text) not in qualities or word.text.isupper() or patterns.SOUGHT.search(before):
            continue
        if patterns.NEGATED.search(before):
            _quality(line, f"not {word.text}", word.start, _lacking(line, word.text))
        else:
            _quality(line, word.text, word.start, _having(line, word.text))


def _carrying(line: Line, phrase: str) -> Holds:
    return lambda each: line.shelf.carries(each, phrase)


def _having(line: Line, feature: str) -> Holds:
    return lambda each: line.shelf.has(each, feature)


def _lacking(line: Line, feature: str) -> Holds:
    return lambda each: not line.shelf.has(each, feature)


def _quality(line: Line, text: str, place: int, holds: Holds) -> None:
    """Of the product nearby; where none is named, of all that are shown."""
    subject = line.subject(place, fallback=bool(line.mentions) or bool(patterns.PRONOUN.match(line.sentence(place))))
    if subject:
        line.of_products("attribute", text, subject, holds)
    elif line.told.shown:
        line.of_every("attribute", text, holds)


def read_sizes(line: Line) -> None:
    for found in line.taking(patterns.SIZE):
        _quality(line, found.group(), found.start(), _in_size(line, found["a"]))
    for found in line.taking(patterns.QUANTITY):
        _quality(line, found.group(), found.start(), _measuring(line, _quantity(found)))


def _in_size(line: Line, size: str) -> Holds:
    def comes(product_id: str) -> bool:
        sizes = line.shelf.values(product_id, "size")
        return size in sizes or any(value.split()[0] == size for value in sizes if value)

    return comes


def _measuring(line: Line, quantity: tuple[Decimal, str]) -> Holds:
    return lambda each: quantity in map(_quantity, patterns.QUANTITY.finditer(line.shelf.texts[each]))


def _quantity(found: re.Match[str]) -> tuple[Decimal, str]:
    unit = stem(found["u"])
    return number_of(found["a"]), patterns.SHORT_UNITS.get(unit, unit)


def read_kinds(line: Line) -> None:
    """ "is a … lamp": where that is a noun of the shop's categories, the shop must use it of the product."""
    nouns = {stem(name[-1]) for name in line.shelf.categories}
    for found in patterns.IS_A.finditer(line.text):
        noun = found["a"].split()[-1]
        if stem(noun) in nouns and noun.islower() and noun not in patterns.NOT_KINDS:
            _quality(line, noun, found.start(), _carrying(line, noun))


def read_numbers(line: Line) -> None:
    """Any number that nothing else has read: somewhere in the store's words of the product it must stand."""
    for found in patterns.ANY_NUMBER.finditer(line.text):
        said, subject = found.group(), line.subject(found.start())
        if any(said in patterns.ANY_NUMBER.findall(line.shelf.texts[each]) for each in subject):
            line.claim("number", said, "supported", subject[0])
        elif said in patterns.ANY_NUMBER.findall(line.told.request):
            line.claim("number", said, "unverifiable", "the shopper's own")
        else:
            line.claim("number", said, "unsupported", "nothing in the store has it")
