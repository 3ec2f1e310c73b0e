"""Requests made from the shop's own catalogue, asked as the service asks, with the form that a model is to fill in.

Takes products, frames with blanks (`request_frames.toml`) and how the service asks about a message; gives rows. Every
blank is filled from one product, so that what is asked for exists. What the rules read by themselves is asked of nobody
and gives no row. Some kinds of product and some frames are kept for looking (`Part`); nothing here comes from a person.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from finetune.chats.drawing import drawn
from finetune.chats.parts import Part, part_of
from finetune.examples import ChatExample
from prompts.understanding import WORD_LIMIT, Choice, Intent, RequestReading, Slot, write_understanding
from tasteline.types import ChatMessage, Product, Sort

FRAMES = Path(__file__).with_name("request_frames.toml")
SHOWN = 4
"""Products on the screen when a shopper says something about them."""
NAMING: Final = frozenset({"model", "series", "collection", "line", "name", "sku", "mpn"})
"""Attributes that say what a product is called: nobody wants a thing for being, or not being, a "Sunday"."""
NOTHING_SAID: Final = (None, (), "", False, "relevance")
TRIES = 40
"""For one row: many requests the rules read alone."""
_ONES: Final = tuple(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "  # noqa: SIM905
    "eighteen nineteen".split()
)
_TENS: Final = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_PLACES: Final = ("first", "second", "third", "fourth")
_MONEY: Final = ("{} dollars", "{} bucks", "{}", "{} usd")
_SYMBOLS: Final[Mapping[str, tuple[str, ...]]] = {
    "USD": ("${}",),
    "EUR": ("€{}", "{} euros", "{} eur"),
    "GBP": ("£{}", "{} quid"),
}
_BLANK: Final = re.compile(r"\{(\w+)\}")
_TELLING: Final = 4
"""Letters of a word that can point at a title."""
_SPOKEN: Final = re.compile(r"[a-z][a-z -]{2,}", re.IGNORECASE)
"""Values that a shopper would say: "red", "stainless steel"; not "6.5 kg"."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the service asks about a message."""

    messages: tuple[ChatMessage, ...]
    slots: Mapping[Slot, Sequence[Choice]]


Asking = Callable[[str, Sequence[str], Sequence[str]], Asked | None]
"""(message, what the shopper said before, ids of the products shown) → the question; None where the rules suffice."""


class _Says(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    intent: Intent | None = None
    in_stock: bool = False
    sort: Sort = "relevance"


class Frame(BaseModel):
    """A request with blanks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    says: _Says = _Says()
    """What its own words mean."""
    talk: bool = False
    """Said of products shown."""
    part: Part = "train"


class _Frames(BaseModel):
    frame: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One message and what it says."""

    text: str
    form: RequestReading
    before: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shelf:
    """The products of one kind, with what can be said of them."""

    kind: str
    products: tuple[Product, ...]

    def values(self, product: Product) -> list[str]:
        found = [value for name, values in product.attributes.items() if name not in NAMING for value in values]
        return [value.casefold() for value in found if len(value) <= WORD_LIMIT and _SPOKEN.fullmatch(value)]


@cache
def frames(part: Part) -> tuple[Frame, ...]:
    """The frames of one part, in the order of their file."""
    return tuple(
        frame for frame in _Frames.model_validate(tomllib.loads(FRAMES.read_text())).frame if frame.part == part
    )


def understanding_chats(
    products: Sequence[Product], asking: Asking, *, part: Part, count: int, seed: int
) -> Iterator[ChatExample]:
    """At most `count` rows, no message twice; fewer where a shop gives no more. Empty for one without categories."""
    shelves = shelves_of(products, part, seed)
    if not shelves:
        return
    rng = np.random.default_rng([seed, part == "valid", 1])
    said: set[str] = set()
    for _ in range(count):
        for _ in range(TRIES):
            request = drawn_request(shelves, part, rng)
            if request is None or request.text.casefold() in said:
                continue
            asked = asking(request.text, request.before, request.shown)
            if asked is None:
                continue
            answer = write_understanding(request.form, asked.slots)
            if not _unsaid(request.form, answer):
                said.add(request.text.casefold())
                yield ChatExample(task="understanding", messages=asked.messages, answer=answer)
                break


def _unsaid(form: RequestReading, answer: str) -> bool:
    """Is something that the request states no choice of its slot? A null would teach that it was not said."""
    return any(value is None and getattr(form, slot) not in NOTHING_SAID for slot, value in json.loads(answer).items())


def shelves_of(products: Sequence[Product], part: Part, seed: int) -> list[Shelf]:
    """Kinds with at least two products that belong to `part`."""
    kinds: defaultdict[str, list[Product]] = defaultdict(list)
    for product in products:
        if product.categories and part_of(product.categories[-1], seed) == part:
            kinds[product.categories[-1]].append(product)
    return [Shelf(kind, tuple(kinds[kind])) for kind in sorted(kinds) if len(kinds[kind]) > 1]


def drawn_request(shelves: Sequence[Shelf], part: Part, rng: np.random.Generator) -> Request | None:
    """A frame with its blanks filled; None where the product that was drawn cannot fill them."""
    frame = drawn(frames(part), rng)
    shelf = drawn(shelves, rng)
    blanks = _Blanks(shelf, drawn(shelf.products, rng), rng)
    filled = {name: blanks.fill(name) for name in dict.fromkeys(_BLANK.findall(frame.text))}
    if None in filled.values():
        return None
    text = _BLANK.sub(lambda match: str(filled[match[1]]), frame.text)
    form = RequestReading.model_validate({**frame.says.model_dump(), **blanks.form})
    if not frame.talk:
        return Request(text, form)
    wanted = form if form.intent else form.model_copy(update={"intent": "refine"})
    return Request(text, wanted, (blanks.kind(),), tuple(product.id for product in blanks.shown))


class _Blanks:
    """Fills blanks from one product of a shelf, and notes in `form` what each says."""

    def __init__(self, shelf: Shelf, product: Product, rng: np.random.Generator) -> None:
        self._shelf, self._product, self._rng = shelf, product, rng
        others = [each for each in shelf.products if each is not product]
        chosen = rng.permutation(len(others))[: SHOWN - 1]
        unordered = [product, *(others[place] for place in chosen)]
        self.shown = [unordered[place] for place in rng.permutation(len(unordered))]
        self._places = [int(place) + 1 for place in sorted(rng.permutation(len(self.shown))[:2])]
        self.form: dict[str, object] = {}
        self._low, self._high = self._limits()

    def fill(self, name: str) -> str | None:
        ways: Mapping[str, Callable[[], str | None]] = {
            "kind": self.kind,
            "max": lambda: self._amount("price_max", self._high),
            "min": lambda: self._amount("price_min", self._low),
            "other": lambda: _figure(self._low + 5, self._rng),
            "value": lambda: self._named("attributes", self._shelf.values(self._product)),
            "not": lambda: self._named("exclude", self._unwanted()),
            "brand": self._brand,
            "stars": self._stars,
            "place": lambda: self._place(0),
            "place2": lambda: self._place(1),
            "name": self._name,
        }
        return ways[name]()

    def kind(self) -> str:
        """As people write it: "espresso machines", now and then one of them."""
        kind = re.split(r" & |, | and ", self._shelf.kind.casefold())[0]
        return kind.removesuffix("s") if kind.endswith("s") and not kind.endswith("ss") and self._chance(0.5) else kind

    def _limits(self) -> tuple[int, int]:
        """Around the product's price, in round numbers; apart, so that they cannot be confused."""
        price = self._product.price.amount / 100 if self._product.price else 40.0
        step = 5 if price < 100 else 50
        low = max(step, int(price * self._rng.uniform(0.3, 0.8)) // step * step)
        return low, low + step * int(self._rng.integers(1, 12))

    def _amount(self, slot: str, amount: int) -> str:
        self.form[slot] = amount
        symbols = _SYMBOLS.get(self._product.price.currency, ()) if self._product.price else ()
        ways = (*_MONEY, *symbols) if "${}" in symbols or not symbols else symbols
        return drawn(ways, self._rng).format(_figure(amount, self._rng))

    def _named(self, slot: str, names: Sequence[str]) -> str | None:
        if not names:
            return None
        name = drawn(names, self._rng)
        self.form[slot] = (name,)
        return name

    def _unwanted(self) -> list[str]:
        wanted = set(self._shelf.values(self._product))
        return sorted({v for product in self._shelf.products for v in self._shelf.values(product)} - wanted)

    def _brand(self) -> str | None:
        self.form["brand"] = self._product.brand
        return self._product.brand

    def _stars(self) -> str:
        stars = int(self._rng.integers(3, 6))
        self.form["rating_min"] = stars
        return _ONES[stars] if self._chance(0.5) else f"{stars}"

    def _place(self, number: int) -> str | None:
        """The first or the second of two products pointed at."""
        if len(self._places) < 2:
            return None
        self.form["references"] = tuple(self._places[: number + 1])
        return _PLACES[self._places[number] - 1]

    def _name(self) -> str | None:
        """A word that only one title on the screen has."""
        place = int(self._rng.integers(len(self.shown)))
        words = [set(re.findall(r"[^\W\d_]+", product.title)) for product in self.shown]
        own: set[str] = words[place].difference(*(other for i, other in enumerate(words) if i != place))
        telling = sorted(word for word in own if len(word) >= _TELLING and word.istitle())
        if not telling:
            return None
        self.form["references"] = (place + 1,)
        return drawn(telling, self._rng)

    def _chance(self, share: float) -> bool:
        return bool(self._rng.random() < share)


def _figure(amount: int, rng: np.random.Generator) -> str:
    return spelt(amount) if rng.random() < 0.4 else f"{amount}"


def spelt(number: int) -> str:
    """A whole number under 10,000 in words.

    >>> spelt(65), spelt(120), spelt(1050), spelt(2000)
    ('sixty five', 'one hundred and twenty', 'one thousand and fifty', 'two thousand')
    """
    if number < 20:
        return _ONES[number]
    if number < 100:
        return " ".join([_TENS[number // 10], *([_ONES[number % 10]] if number % 10 else [])])
    unit, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    rest = number % unit
    joint = "and " if rest and (unit == 100 or rest < 100) else ""
    return " ".join([spelt(number // unit), name, *([joint + spelt(rest)] if rest else [])])
