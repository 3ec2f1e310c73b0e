"""A second reading of sentences about a person: is what they say in the person's own events?

Takes a sentence with the events that it quotes, everything that the person did and the products, gives a verdict. It
shares nothing with the check of the service: acts and turns are read out of the text here, and recounted from the raw
events. It knows no turn that was found: who is said to have turned must have done more with the one topic after the
first quoted event of it than before, and less with the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tasteline.types import Event, EventType, Product

Verdict = Literal["true", "false", "unread"]
VIEWS: Final = frozenset({EventType.VIEW_ITEM, EventType.SELECT_ITEM})
_DEEDS: Final = {
    "bought": frozenset({EventType.PURCHASE}),
    "looked at": VIEWS,
    "viewed": VIEWS,
    "saved": frozenset({EventType.ADD_TO_WISHLIST}),
    "put": frozenset({EventType.ADD_TO_CART}),
    "interested in": VIEWS | {EventType.PURCHASE, EventType.ADD_TO_WISHLIST, EventType.ADD_TO_CART},
}
_DEED = re.compile(r"\b(" + "|".join(_DEEDS) + r")\b", re.IGNORECASE)
_TURN = re.compile(r"\b(?:turned|moved|switched|shifted)\b", re.IGNORECASE)
_FILLING_WORDS = """
you are i a an the in of by for with and or to your cart this that also lately have
"""
_FILLING: Final = frozenset(_FILLING_WORDS.split())
_LETTERS = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Turned:
    """As a sentence says it; lower case."""

    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class Past:
    """What a person did, as the store has it."""

    events: Sequence[Event]
    """Oldest first."""
    products: Mapping[str, Product]

    def about(self, topic: str) -> list[Event]:
        """Events with products of a category of this name, whatever its case."""
        return [event for event in self.events if topic in self.categories(event)]

    def categories(self, event: Event) -> set[str]:
        product = self.products.get(event.product_id or "")
        return {name.casefold() for name in product.categories} if product else set()


def turn_in(text: str, past: Past) -> Turned | None:
    """The turn that a sentence tells of, with topics of the person's own categories; empty sides where it names others.

    >>> tent, pan = (Product(name, name, categories=(name.title(),)) for name in ("tent", "pan"))
    >>> seen = [Event(each.id, EventType.VIEW_ITEM, product_id=each.id) for each in (pan, tent)]
    >>> turn_in("You turned from Pan to Tent.", Past(seen, {"tent": tent, "pan": pan}))
    Turned(before=('pan',), after=('tent',))
    """
    if not _TURN.search(text):
        return None
    known = {name for event in past.events for name in past.categories(event)}
    said = text.casefold()
    away, towards = said.find(" from "), said.find(" to ")
    if away < 0 or towards < 0:
        return Turned((), ())
    first, second = sorted((away, towards))
    end = re.search(r"[:.!;]", said[second:])
    sides = {first: said[first:second], second: said[second : second + (end.start() if end else len(said))]}
    return Turned(_topics(sides[away], known), _topics(sides[towards], known))


def verdict(text: str, event_ids: Sequence[str], past: Past) -> Verdict:
    """Of one sentence. Unread: it says nothing that is known here how to recount."""
    quoted = [event for event in past.events if event.id in set(event_ids)]
    if len(quoted) < len(set(event_ids)) or not quoted:
        return "false"
    turned = turn_in(text, past)
    if turned is not None and not _has_turned(turned, quoted, past):
        return "false"
    rest = re.split(r"[:;]", text, maxsplit=1)[1:] if turned is not None else [text]
    deeds = [deed for part in rest for deed in _deeds(part)]
    if not deeds and turned is None:
        return "unread"
    return "true" if all(_is_done(kinds, words, quoted, past) for kinds, words in deeds) else "false"


def _topics(side: str, known: set[str]) -> tuple[str, ...]:
    """Longest names first, each taken out: "Coffee & Tea" is not "Tea" as well. Nothing where other words are left."""
    found = []
    for name in sorted(known, key=len, reverse=True):
        if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", side):
            side = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", side)
            found.append(name)
    left = set(_LETTERS.findall(side)) - {"from", "to", "and", "lately", "recently"}
    return () if left else tuple(found)


def _has_turned(turned: Turned, quoted: Sequence[Event], past: Past) -> bool:
    if not turned.before or not turned.after:
        return False
    ids = {event.id for event in quoted}
    began = [n for n, e in enumerate(past.events) if e.id in ids and set(turned.after) & past.categories(e)]
    ended = [n for n, e in enumerate(past.events) if e.id in ids and set(turned.before) & past.categories(e)]
    if not began or not ended or ended[0] >= began[0]:
        return False
    rose = all(_share(topic, past, began[0], after=True) > _share(topic, past, began[0]) for topic in turned.after)
    fell = all(_share(topic, past, began[0], after=True) < _share(topic, past, began[0]) for topic in turned.before)
    return rose and fell


def _share(topic: str, past: Past, place: int, *, after: bool = False) -> float:
    """Of the events after that place, or of as many before it: of what was done about then."""
    part = past.events[place:] if after else past.events[max(0, place - max(20, len(past.events) - place)) : place]
    return sum(topic in past.categories(event) for event in part) / max(1, len(part))


def _deeds(text: str) -> Iterator[tuple[frozenset[EventType], list[str]]]:
    """(kinds of event, words of what it was done with) for each thing that is said to have been done."""
    found = list(_DEED.finditer(text))
    ends = [*(deed.start() for deed in found), len(text)][1:]
    for deed, end in zip(found, ends, strict=False):
        for thing in re.split(r",| and ", text[deed.end() : end]):
            words = [word for word in _LETTERS.findall(thing.casefold()) if word not in _FILLING]
            if words:
                yield _DEEDS[deed[1].casefold()], words


def _is_done(kinds: frozenset[EventType], words: Sequence[str], quoted: Sequence[Event], past: Past) -> bool:
    """With one product that has all of these words."""
    for event in quoted:
        product = past.products.get(event.product_id or "")
        if event.type not in kinds or product is None:
            continue
        values = (value for each in product.attributes.values() for value in each)
        text = " ".join([product.title, product.brand or "", *product.categories, *values, *product.attributes])
        has = {_stem(word) for word in _LETTERS.findall(text.casefold())}
        if all(_stem(word) in has for word in words):
            return True
    return False


def _stem(word: str) -> str:
    return word[:-3] + "y" if word.endswith("ies") else word.rstrip("s")
