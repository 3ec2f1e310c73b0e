"""What a language model adds to the reading of a message: asked only for what the rules leave open, believed only
where the shopper's own words bear it out.

Takes a Situation as the rules made it; gives one completed, and a trace of what was taken, softened or left. A limit
that holds up is written into the request in the rules' own words ("under $50", "not wool"), so that it shows as a
chip, is remembered and can be taken back like any other; what does not is a wish that ranks, or nothing. Nothing that
the rules found is ever removed. Facts are the catalogue's: knows neither store nor index.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.agent.dialogue import Intent
from app.agent.evidence import Bearing, Evidence, Side, content
from app.agent.situation import POINTING, Situation, reworded, turned
from app.llm.asking import Asker
from prompts.prompt import Prompt
from prompts.understanding import (
    MOST_NAMES,
    MOST_WORDS,
    Choice,
    RequestReading,
    Slot,
    read_understanding,
    render_understanding,
)
from prompts.untrusted import plain
from retrieval.understanding import Vocabulary, understand
from retrieval.understanding.request import split
from retrieval.understanding.vocabulary import forms
from tasteline.types import Constraint, Understood

Trace = tuple[str, ...]

LONG: Final = 6
"""Content words beyond which a request is told rather than typed, and what is wanted stands somewhere in it."""
NAMED: Final = 0.5
"""Of the words of a category, more must be said for it to be meant: "hearts" are no "Heart Rate Monitors"."""
SEARCHING: Final[frozenset[Intent]] = frozenset({"find", "refine"})
_ORDERS: Final = {
    "price_asc": "cheapest",
    "price_desc": "most expensive",
    "rating": "best rated",
    "popular": "most popular",
}


@dataclass(frozen=True, slots=True)
class Open:
    """A slot that the rules left open."""

    why: str
    choices: tuple[Choice, ...] = ()
    """What the answer can be at all, by the shopper's words and the shop's; empty: free words."""


def leaves_open(
    text: str,
    understood: Understood,
    vocabulary: Vocabulary,
    situation: Situation | None = None,
    *,
    free_words: bool = False,
) -> dict[Slot, Open]:
    """What the model should be asked; empty where the rules have read enough.

    Only what the words may mean is asked: a limit for which there is no evidence could not be taken anyway.

    >>> shop = Vocabulary()
    >>> leaves_open("up to sixty dollars", understand("up to sixty dollars", shop), shop)["price_max"].choices
    (60.0,)
    >>> leaves_open("under $50", understand("under $50", shop), shop)
    {}
    """
    left = Evidence(understood.query if understood.constraints else text, vocabulary)
    slots = _limits_open(left)
    if free_words:
        slots |= _words_open(left, vocabulary)
    unread = not understood.constraints and understood.sort == "relevance"
    if situation is not None and unread and _is_doubtful(situation):
        slots |= _moves_open(situation, left, vocabulary)
    settled = _settled(understood)
    return {slot: found for slot, found in slots.items() if slot not in settled}


def _limits_open(left: Evidence) -> dict[Slot, Open]:
    slots: dict[Slot, Open] = {}
    if amounts := tuple(dict.fromkeys(number.value for number in left.amounts())):
        slots |= {"price_max": Open("amount", amounts), "price_min": Open("amount", amounts)}
    if stars := tuple(dict.fromkeys(number.value for number in left.star_counts())):
        slots["rating_min"] = Open("stars", stars)
    if left.stock():
        slots["in_stock"] = Open("stock")
    if denied := tuple(left.deniable()):
        slots["exclude"] = Open("denial", denied)
    if values := tuple(value for value in left.values() if value not in denied):
        slots["attributes"] = Open("value", values)
    if brands := tuple(left.brands()):
        slots["brand"] = Open("brand", brands)
    if orders := tuple(left.orders()):
        slots["sort"] = Open("order", orders)
    return slots


def _words_open(left: Evidence, vocabulary: Vocabulary) -> dict[Slot, Open]:
    """What is wanted in few words, where it is told at length or in words that the shop does not know."""
    telling = content(left.words)
    unknown = [word for word in telling if word.isalpha() and len(word) > 2 and not vocabulary.knows(word)]
    if len(unknown) <= len(telling) / 2 and len(telling) <= LONG:
        return {}
    why = "long" if len(telling) > LONG else "unknown words"
    names = tuple(named_in(left.text, vocabulary))
    slots: dict[Slot, Open] = {"query": Open(why)}
    return slots | ({"category": Open(why, names)} if names else {})


def _moves_open(situation: Situation, left: Evidence, vocabulary: Vocabulary) -> dict[Slot, Open]:
    """Moves that the words allow; "find" stays where nothing else is possible."""
    places = tuple(left.places(situation.titles))
    intents: list[Intent] = ["find"]
    if places:
        intents += ["details", "similar", "complement"]
    if len(places) > 1:
        intents.append("compare")
    if not named_in(left.text, vocabulary):
        intents += ["refine"] if situation.before.fragments else []
        intents += ["more", "recommend", "thanks", "help", "off_topic"]
    slots: dict[Slot, Open] = {"intent": Open("talk", tuple(intents))} if len(intents) > 1 else {}
    return slots | ({"references": Open("talk", places)} if places else {})


@dataclass(frozen=True, slots=True)
class Question:
    """What the model is asked about a message."""

    prompt: Prompt
    asked: Mapping[Slot, Open]
    understood: Understood
    """By the rules, of what the message adds to the request."""


def question_about(situation: Situation, vocabulary: Vocabulary, *, free_words: bool = False) -> Question | None:
    """None where the message adds nothing to search for, or the rules have read enough."""
    if not _adds_words(situation):
        return None
    said = situation.state.fragments[-1]
    understood = understand(said, vocabulary, situation.state.ignore)
    asked = leaves_open(said, understood, vocabulary, situation, free_words=free_words)
    if not asked:
        return None
    prompt = render_understanding(
        Evidence(situation.move.text, vocabulary).in_figures(),
        {slot: found.choices for slot, found in asked.items()},
        known=[constraint.label for constraint in understood.constraints],
        words=[str(name) for name in asked["category"].choices] if "category" in asked else (),
        earlier=situation.before.fragments if "intent" in asked else (),
        shown=situation.titles if "references" in asked else (),
    )
    return Question(prompt, asked, understood)


class Understanding:
    """One per service. `vocabulary()` gives the words of the catalogue as it is now.

    `asks`: put to the model what the rules leave open. Without it, and whenever the model gives nothing, a limit counts
    where the shopper's words bear it out (`evident`), which is as good as a model of 135M parameters.
    `free_words`: also ask what is wanted in the model's own words, to rank by. Those of a 135M model are mostly wrong
    ("heart rate monitor" for who wants hearts on a coffee); meant for models of several billion.
    """

    def __init__(
        self, asker: Asker, vocabulary: Callable[[], Vocabulary], *, asks: bool = True, free_words: bool = False
    ) -> None:
        self._asker = asker
        self._vocabulary = vocabulary
        self._asks = asks
        self._free_words = free_words

    async def completed(self, situation: Situation, timeout: float) -> tuple[Situation, Trace]:
        """The situation with what the model adds, and what became of each slot.

        Takes at most `timeout` seconds and never raises for the engine. An empty trace: there was nothing to add.
        """
        if not _adds_words(situation):
            return situation, ()
        vocabulary = self._vocabulary()
        if not self._asks or not self._asker.present:
            return await asyncio.to_thread(evident, situation, vocabulary)
        question = question_about(situation, vocabulary, free_words=self._free_words)
        if question is None:
            return situation, ()
        prompt, asked, understood = question.prompt, question.asked, question.understood
        reading = await self._asker.ask(prompt, read_understanding, timeout)
        why = tuple(f"asked {slot}: {found.why}" for slot, found in asked.items())
        if reading.value is None:
            completed, trace = evident(situation, vocabulary)
            return completed, (*why, f"model: {reading.outcome}", *trace)
        completed, trace = merged(situation, reading.value, understood, vocabulary)
        return completed, (*why, *trace)


def evident(situation: Situation, vocabulary: Vocabulary) -> tuple[Situation, Trace]:
    """As if a model had said yes to every limit that the words may mean: what a real one is measured against."""
    if not _adds_words(situation):
        return situation, ()
    said = situation.state.fragments[-1]
    understood = understand(said, vocabulary, situation.state.ignore)
    limits = _limits_open(Evidence(understood.query if understood.constraints else said, vocabulary))
    amounts = sorted(float(amount) for amount in limits["price_max"].choices) if "price_max" in limits else []
    form: dict[str, object] = {
        "price_max": amounts[-1] if amounts else None,
        "price_min": amounts[0] if amounts else None,
        "rating_min": limits["rating_min"].choices[0] if "rating_min" in limits else None,
        "in_stock": "in_stock" in limits,
        "brand": limits["brand"].choices[0] if "brand" in limits else None,
        "exclude": limits["exclude"].choices[:MOST_NAMES] if "exclude" in limits else (),
        "attributes": limits["attributes"].choices[:MOST_NAMES] if "attributes" in limits else (),
        "sort": limits["sort"].choices[0] if "sort" in limits else None,
    }
    return merged(situation, RequestReading.model_validate(form), understood, vocabulary)


def merged(
    situation: Situation, reading: RequestReading, understood: Understood, vocabulary: Vocabulary
) -> tuple[Situation, Trace]:
    """The situation with all of `reading` that holds up; `understood` is what the rules read in the last fragment."""
    said = situation.state.fragments[-1]
    taking = _Taking(Evidence(said, vocabulary), vocabulary, understood)
    intent = reading.intent or "find"
    if _is_doubtful(situation) and intent != "find":
        moves = _moves_open(situation, taking.evidence, vocabulary)
        places = [
            place for place in reading.references if "references" in moves and place in moves["references"].choices
        ]
        if _is_possible(intent, moves, places):
            taking.trace.append(f"took intent {intent}")
            situation = turned(situation, intent, places, vocabulary.currency)
        else:
            taking.trace.append(f"left intent {intent}: the words do not bear it out")
    if situation.move.intent not in SEARCHING:
        return situation, tuple(taking.trace)
    taking.all_of(reading)
    return reworded(situation, taking.fragments(), taking.soft()), tuple(taking.trace)


def named_in(text: str, vocabulary: Vocabulary) -> list[str]:
    """Categories of the shop of whose words the text has most, those with the larger share first."""
    said = {form for word in content(Evidence(text, vocabulary).words) if len(word) > 1 for form in forms(word)}
    shares = {
        name: max(_share_of(split(part), said) for part in re.split(r"[&,/]| and ", name))
        for name in vocabulary.categories.values()
    }
    near = [name for name, share in shares.items() if share > NAMED]
    return sorted(near, key=lambda name: (-shares[name], name))[:MOST_WORDS]


def _share_of(words: Sequence[str], said: Collection[str]) -> float:
    return sum(any(form in said for form in forms(word)) for word in words) / len(words) if words else 0.0


@dataclass(slots=True)
class _Taking:
    """One reading being gone through, slot by slot: `limits` in the rules' words, `wishes`, and what was decided."""

    evidence: Evidence
    vocabulary: Vocabulary
    understood: Understood
    trace: list[str] = field(default_factory=list)
    _limits: list[str] = field(default_factory=list)
    _wishes: list[str] = field(default_factory=list)
    _spent: list[Bearing] = field(default_factory=list)

    def all_of(self, reading: RequestReading) -> None:
        settled = _settled(self.understood)
        self._denied(reading.exclude)
        if not settled & {"price_min", "price_max"}:
            self._price(reading.price_min, reading.price_max)
        if reading.rating_min is not None and "rating_min" not in settled:
            limit = f"at least {reading.rating_min:g} stars"
            self._take("rating_min", limit, self.evidence.stars(reading.rating_min))
        if reading.in_stock and "in_stock" not in settled:
            self._take("in_stock", "in stock", self.evidence.stock())
        if reading.sort != "relevance" and "sort" not in settled:
            self._take("sort", _ORDERS[reading.sort], self.evidence.order(reading.sort))
        self._named(reading, settled)
        for wish in (reading.query, *reading.wishes):
            self._soften("wish", wish)

    def fragments(self) -> list[str]:
        """The shopper's words without those that a limit now says, then each limit; what the rules read stays."""
        rest = self.evidence.without(self._spent)
        read = understand(rest, self.vocabulary)
        if not set(self.understood.constraints) <= set(read.constraints) or read.sort != self.understood.sort:
            rest = self.evidence.text
        return [*([rest] if rest or not self._limits else []), *self._limits]

    def soft(self) -> list[str]:
        return list(dict.fromkeys(self._wishes))

    def _price(self, least: float | None, most: float | None) -> None:
        """One limit: of two in two sentences the rules would let the later replace the earlier."""
        if least is not None and most is not None and least > most:
            least, most = most, least
        low, high = self._amount("min", least), self._amount("max", most)
        currency = self.vocabulary.currency or ""
        if low and high and least != most:
            self._take("price", f"from {least:g} to {most:g} {currency}", low, high)
        elif high:
            self._take("price_max", f"at most {most:g} {currency}", high)
        elif low:
            self._take("price_min", f"at least {least:g} {currency}", low)

    def _amount(self, side: Side, amount: float | None) -> Bearing | None:
        bearing = None if amount is None else self.evidence.amount(amount, side)
        if amount is not None and bearing is None:
            self.trace.append(f"left price_{side}: not in the shopper's words")
        return bearing

    def _denied(self, names: Sequence[str]) -> None:
        # A value that the rules took for wanted cannot also be unwanted: nothing would be left.
        settled = {word for constraint in self.understood.constraints for word in split(constraint.key)}
        for name in names:
            if settled.isdisjoint(split(name)):
                self._take("exclude", f"not {_plain(name)}", self.evidence.denied(name))

    def _named(self, reading: RequestReading, settled: frozenset[Slot]) -> None:
        """Category, brand and values: words of the shop, which stay in the request as something to rank by."""
        if reading.category and "category" not in settled:
            name = _category(reading.category, self.vocabulary)
            # One word ("desk") may as well be said of where the thing goes.
            borne_out = bool(name and self._said(name) and len(split(name)) > 1)
            self._take_name("category", f"category: {name}", reading.category, borne_out)
        if reading.brand and "brand" not in settled:
            name = self.vocabulary.brands.get(reading.brand.casefold())
            self._take_name("brand", f"by {name}", reading.brand, bool(name and self._said(name)))
        for value in dict.fromkeys(reading.attributes):
            attribute = self._attribute(value)
            limit = f"{attribute}: {value}" if attribute else ""
            self._take_name("attributes", limit, value, bool(attribute and self._said(value)))

    def _attribute(self, value: str) -> str | None:
        """What the value is of, unless the request limits that already."""
        name = self.evidence.attribute(value)
        limited = {f.name for c in self.understood.constraints for f in c.filters.attributes}
        return None if name in limited else name

    def _said(self, name: str) -> bool:
        return self.evidence.any_part(name) is not None and self.evidence.denied(name) is None

    def _take_name(self, slot: Slot, limit: str, name: str, borne_out: bool) -> None:
        if borne_out and self._reads(limit):
            self._limits.append(limit)
            self.trace.append(f"took {slot}")
        else:
            self._soften(slot, name)

    def _take(self, slot: str, limit: str, *bearings: Bearing | None) -> None:
        borne = [bearing for bearing in bearings if bearing is not None]
        if not borne or not self._reads(limit):
            self.trace.append(f"left {slot}: not in the shopper's words")
            return
        self._limits.append(limit)
        self._spent += borne
        self.trace.append(f"took {slot}")

    def _reads(self, limit: str) -> bool:
        """Do the rules read it as one limit, or an order, with nothing left over?"""
        read = understand(limit, self.vocabulary)
        return len(read.constraints) == 1 or (read.sort != "relevance" and not read.constraints)

    def _soften(self, slot: str, name: str) -> None:
        """To rank by, where the shop knows every word of it and the shopper has not denied it."""
        wish = _plain(name)
        words = content(Evidence(wish, self.vocabulary).words)
        if not words:
            return
        if all(self.vocabulary.knows(word) for word in words) and not any(map(self.evidence.denied, words)):
            self._wishes.append(wish)
            self.trace.append(f"softened {slot}")
        else:
            self.trace.append(f"left {slot}: no words of this shop")


def _adds_words(situation: Situation) -> bool:
    """Did this message put words into the request? "Cheaper" and "any price" do not: earlier ones have been read."""
    added = situation.move.intent == "find" or bool(situation.move.further)
    return situation.move.intent in SEARCHING and added and bool(situation.state.fragments)


def _is_doubtful(situation: Situation) -> bool:
    """Taken for a new search for lack of better, where something else was possible?"""
    return situation.move.intent == "find" and bool(situation.before.shown or situation.before.fragments)


def _is_possible(intent: Intent, moves: Mapping[Slot, Open], places: Sequence[int]) -> bool:
    """A new search that is lost costs more than a chat that is: a move about products must say which."""
    if "intent" not in moves or intent not in moves["intent"].choices:
        return False
    return intent not in POINTING or len(places) >= (2 if intent == "compare" else 1)


def _settled(understood: Understood) -> frozenset[Slot]:
    """Slots that the rules have filled: the model is not asked for them, and not heard on them."""
    slots: set[Slot] = set()
    for constraint in understood.constraints:
        slots |= _slots_of(constraint)
    if understood.sort != "relevance":
        slots.add("sort")
    return frozenset(slots)


def _slots_of(constraint: Constraint) -> set[Slot]:
    """Exclusions and attributes add up, so those slots stay open."""
    filters, slots = constraint.filters, set[Slot]()
    if filters.price_min is not None or filters.price_max is not None:
        slots |= {"price_min", "price_max"}
    if filters.categories:
        slots.add("category")
    if filters.brands:
        slots.add("brand")
    if filters.rating_min is not None:
        slots.add("rating_min")
    if filters.in_stock:
        slots.add("in_stock")
    return slots


def _category(name: str, vocabulary: Vocabulary) -> str | None:
    """The shop's category of this name, or the only one that lists it ("Drills" of "Drills & Drivers")."""
    evidence = Evidence(name, vocabulary)
    fitting = [known for known in vocabulary.categories.values() if evidence.any_part(known)]
    exact = [known for known in fitting if known.casefold() == name.casefold()]
    return exact[0] if exact else fitting[0] if len(fitting) == 1 else None


def _plain(name: str) -> str:
    return plain(name, 40).strip(" .,;:!?\"'")
