"""What a message means in its conversation: which move it makes, and what "it" and "the second one" are.

Rules only; takes the message and the state after the turn before, gives a `Move`. Knows neither store nor index.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from app.agent.phrases_en import (
    ABOUT,
    ALSO_SOLD_OUT,
    ANY,
    ANYTHING_GOES,
    ARTICLE,
    ASKS_AFTER,
    BARE_NUMBER,
    BARE_PLACE,
    BY_NUMBER,
    BY_PLACE,
    CHEAPER,
    COMPARE,
    COMPLEMENT,
    DEARER,
    DETAILS,
    FILLER,
    FIRST_FEW,
    GREETING,
    HELP,
    IS_FINE,
    IT,
    LINKS,
    MORE,
    NAMES_A_THING,
    NO_MATTER,
    NODDED,
    OFF_TOPIC,
    ORDINALS,
    POINTS,
    PRICED,
    PRONOUN,
    RECOMMEND,
    REFINES,
    SIMILAR,
    THANKED,
    THANKS,
    THESE,
    WORD,
    WRAPPING,
)
from retrieval.welcome import ANYTHING
from tasteline.types import Choice

Intent = Literal[
    "find",
    "refine",
    "more",
    "recommend",
    "similar",
    "complement",
    "choose",
    "details",
    "compare",
    "greeting",
    "thanks",
    "help",
    "off_topic",
]


@dataclass(frozen=True, slots=True)
class DialogueState:
    """What the assistant remembers after a turn."""

    fragments: tuple[str, ...] = ()
    """The request so far: what was asked first, then each refinement."""
    price_min: int | None = None
    price_max: int | None = None
    """From "cheaper" and its opposite, in minor units."""
    ignore: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    """Product ids of the last answer, in the order that the shopper sees."""
    seen: tuple[str, ...] = ()
    """All that was shown for this request: "more" leaves them out."""
    focus: str | None = None
    """What "it" is."""
    mode: Literal["search", "recommend", "similar"] = "search"
    """What "more" is more of."""
    anchor: str | None = None
    """In mode "similar": what the products are like."""
    answers: tuple[Choice, ...] = ()
    """Of a newcomer, to the questions of the shop so far."""
    asked: str = ""
    """The question that the last answer closed with."""
    options: tuple[tuple[str, str], ...] = ()
    """Its options: ids and what they are called."""

    def to_json(self) -> str:
        return STATE.dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str) -> DialogueState:
        """An unreadable state is an empty one: the shopper is asked again rather than refused."""
        try:
            return STATE.validate_json(text)
        except ValueError:
            return cls()

    def starting(self, text: str, ignore: Sequence[str]) -> DialogueState:
        """A new request forgets the old one's limits; what was shown stays nameable."""
        return DialogueState(
            fragments=(text,), ignore=tuple(ignore), shown=self.shown, focus=self.focus, answers=self.answers
        )


STATE = TypeAdapter(DialogueState)


@dataclass(frozen=True, slots=True)
class Move:
    intent: Intent
    text: str
    references: tuple[str, ...] = ()
    """Ids of shown products that the message points at."""
    cheaper: bool = False
    dearer: bool = False
    further: str = ""
    """What a refinement adds to the request in words."""
    takes_back: tuple[str, ...] = ()
    """Constraint keys, or their first parts, that the shopper lifts: "any color"."""
    chosen: str = ""
    """Id of the option with which the shop's own question is answered."""


COSTS = frozenset({"cost", "costs"})
SMALL_TALK: tuple[tuple[Intent, re.Pattern[str]], ...] = (
    ("greeting", GREETING),
    ("thanks", NODDED),
    ("help", HELP),
    ("off_topic", OFF_TOPIC),
)


def read_move(message: str, state: DialogueState, titles: Mapping[str, str]) -> Move:
    """`titles`: id → title of the products last shown. A message without sense is a search, which may find nothing."""
    text = " ".join(message.replace("’", "'").split())
    if match := THANKS.match(text.casefold()):
        asked = text[match.end() :]
        if not _content(asked.casefold(), THANKED):
            return Move("thanks", text)
        if asked.startswith((",", ".", "!")):
            text = asked.lstrip(" ,.!")
    low = text.casefold()
    if chosen := _option(low, state.options):
        return Move("choose", text, chosen=chosen)
    if small := next((intent for intent, pattern in SMALL_TALK if pattern.search(low)), None):
        return Move(small, text)
    if state.fragments and (taken_back := _taken_back(low)):
        return Move("refine", text, takes_back=taken_back)
    references = _references(low, state, titles)
    if (state.shown or state.focus) and (move := _about_shown(low, text, references, state, titles)):
        return move
    if state.fragments and (_refines(low) or CHEAPER.search(low) or DEARER.search(low)):
        return _refinement(low, text, references, state, titles)
    if RECOMMEND.search(low) and not _content(RECOMMEND.sub(" ", low)):
        return Move("recommend", text)
    return Move("find", text)


def _option(low: str, options: Sequence[tuple[str, str]]) -> str:
    """Id of the option that a message names, in full or by words that only one of them has; "" for none."""
    if not options:
        return ""
    if ANYTHING_GOES.match(low):
        return ANYTHING
    for option, label in options:
        if low.strip(" .!?") == label.casefold():
            return option
    said = _stems(_content(low))
    named = [option for option, label in options if said and said <= _stems([label])]
    return named[0] if len(named) == 1 else ""


def _about_shown(
    low: str, text: str, references: tuple[str, ...], state: DialogueState, titles: Mapping[str, str]
) -> Move | None:
    """Moves that only make sense once something is on the table."""
    pointed = references or ((state.focus,) if state.focus and IT.search(low) else ())
    if COMPARE.search(low):
        it = (state.focus,) if state.focus and IT.search(low) and len(references) == 1 else ()
        compared = tuple(dict.fromkeys((*it, *references)))
        return Move("compare", text, compared if len(compared) > 1 else state.shown[:2])
    if CHEAPER.search(low) or DEARER.search(low):
        return _refinement(low, text, pointed, state, titles)
    if COMPLEMENT.search(low):
        return Move("complement", text, pointed or state.shown[:1])
    if SIMILAR.search(low):
        return Move("similar", text, pointed or state.shown[:1])
    if MORE.match(low):
        return Move("more", text)
    if _asks_details(low, pointed):
        return Move("details", text, pointed or ((state.focus,) if state.focus else state.shown[:1]))
    nowhere = _places(low, BY_PLACE) or BY_NUMBER.fullmatch(low.rstrip(" .!?"))
    if (references and POINTS.search(low)) or (not _refines(low) and (references or nowhere)):
        # A place that nothing was shown at leaves the references empty: the reply asks which one is meant.
        return Move("details", text, references)
    return None


def _asks_details(low: str, pointed: tuple[str, ...]) -> bool:
    """Of what it points at, or of "it" unsaid; a place at which nothing stands is not "it"."""
    if REFINES.match(low):
        return False
    asks = DETAILS.search(low) or (ABOUT.search(low) and (pointed or not _content(ABOUT.sub(" ", low), COSTS)))
    return bool(asks and (pointed or not _places(low, BY_PLACE)))


def _refines(low: str) -> bool:
    """Does it turn the request so far, rather than make a new one?"""
    if match := ASKS_AFTER.match(low):
        return bool(REFINES.match(match[1]) or PRONOUN.search(f" {match[1]}") or not NAMES_A_THING.search(match[1]))
    return bool(REFINES.match(low) or PRONOUN.search(low))


def _refinement(low: str, text: str, pointed: tuple[str, ...], state: DialogueState, titles: Mapping[str, str]) -> Move:
    """ "Cheaper", alone or with more to it; of another thing ("cheaper tents" after jackets) it is a new request."""
    cheaper, dearer = bool(CHEAPER.search(low)), bool(DEARER.search(low))
    if not (cheaper or dearer):
        return Move("refine", text, pointed, further=_added(text))
    rest = " ".join((CHEAPER if cheaper else DEARER).sub(" ", low).split()).strip(" ,.!?")
    content = _content(rest)
    if PRICED.search(rest):
        return Move("refine", text, pointed, further=_added(rest))
    if not content or pointed:
        return Move("refine", text, pointed, cheaper, dearer)
    asked, named = _stems(state.fragments), _stems(titles.values())
    if not LINKS.search(rest) and not any(_stem(word) in asked | named for word in content):
        return Move("find", text)
    fresh = any(_stem(word) not in asked for word in content)
    return Move("refine", text, pointed, cheaper, dearer, further=_added(rest) if fresh else "")


def _added(text: str) -> str:
    return " ".join(WRAPPING.sub(" ", text).split()) or text


def _taken_back(low: str) -> tuple[str, ...]:
    """What "any price" and "leather is fine" lift, as constraint keys or their first parts."""
    if match := ANY.match(low) or NO_MATTER.match(low):
        return ({"colour": "color", "stars": "rating", "budget": "price"}.get(match[1], match[1]),)
    if ALSO_SOLD_OUT.search(low):
        return ("stock",)
    if match := IS_FINE.match(low):
        return (f"without:{'-'.join(match[1].split())}",)
    return ()


def _references(low: str, state: DialogueState, titles: Mapping[str, str]) -> tuple[str, ...]:
    shown = state.shown
    if not shown:
        return ()
    if match := FIRST_FEW.search(low):
        return shown[: 3 if match[1] in ("three", "3") else 2]
    compared = COMPARE.search(low)
    places = [ORDINALS[word] for match in BY_NUMBER.finditer(low) for word in match.groups() if word]
    places += [int(match[1]) - 1 for match in BARE_NUMBER.finditer(low)] if compared and not places else []
    places += [
        len(shown) - 1 if word == "last" else ORDINALS[word]
        for word in _places(low, BARE_PLACE if compared else BY_PLACE)
    ]
    if places:
        return tuple(dict.fromkeys(shown[place] for place in places if place < len(shown)))
    if THESE.search(low) and compared:
        return shown[:3]
    return _by_name(low, shown, titles)


def _places(low: str, pattern: re.Pattern[str]) -> list[str]:
    return [word for match in pattern.finditer(low) for word in match.groups() if word]


def _by_name(low: str, shown: Sequence[str], titles: Mapping[str, str]) -> tuple[str, ...]:
    """ "the Fernhollow one": words that name just one of the products shown, in a message that points at it."""
    if not ARTICLE.search(low):
        return ()
    words = {product_id: set(WORD.findall(titles.get(product_id, "").casefold())) for product_id in shown}
    said = set(_content(low))
    named = [product_id for product_id in shown if said and said <= words[product_id]]
    if not named and POINTS.search(low):
        named = [product_id for product_id in shown if said & words[product_id]]
    hits = {
        product_id: len(said & (words[product_id] - set().union(*(words[o] for o in shown if o != product_id))))
        for product_id in named
    }
    best = max(hits.values(), default=0)
    return tuple(product_id for product_id in named if hits[product_id] == best)[:1] if best else ()


def _content(low: str, also: Collection[str] = ()) -> list[str]:
    """The words that name a thing or a property, in order."""
    return [word for word in WORD.findall(low) if word not in FILLER and word not in also]


def _stems(texts: Iterable[str]) -> set[str]:
    return {_stem(word) for text in texts for word in WORD.findall(text.casefold())}


def _stem(word: str) -> str:
    return word.removesuffix("s") if len(word) > 3 else word
