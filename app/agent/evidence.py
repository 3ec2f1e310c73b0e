"""Is what a model read in a request there in the shopper's own words? The judge of every hard limit it proposes.

Takes a text and the shop's vocabulary; finds amounts in figures and in words, names of categories, brands and values
with their inflections, what is denied, and which way a bound points. Gives the positions of the words that bear a
limit, so that they need not be searched for. English; knows neither models nor conversations.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from retrieval.understanding import Vocabulary
from retrieval.understanding.request import Request, Word, split
from retrieval.understanding.vocabulary import forms, longest
from retrieval.understanding.words_en import FITTING, FITTING_REACH, STOP_WORDS
from tasteline.types import Sort

Side = Literal["min", "max"]
Bearing = tuple[int, int]
"""Words i to j-1 of the text, which say a limit."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ONES: Final = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS: Final = {
    word: 10 * value
    for value, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2
    )
}
_TIMES: Final = {"hundred": 100, "thousand": 1000, "grand": 1000}
NUMBER_WORDS: Final = frozenset(_ONES) | frozenset(_TENS) | frozenset(_TIMES)
_FIGURE: Final = re.compile(r"([0-9]+(?:[.,][0-9]{1,2})?)(k?)")

MONEY: Final = _words("dollar dollars buck bucks usd euro euros eur quid gbp grand money cash budget")
BOUNDS: Final = _words(
    """
    under below over above beyond past exceed exceeding exceeds most least max maximum min minimum than up within
    spend spending pay paying cost costs costing price priced budget ceiling limit cap top tops from to between less
    more cheaper afford about around go going
    """
)
"""One of these, or a word for money, makes a number an amount."""
_UPWARDS: Final = _words("over above beyond past exceed exceeding exceeds more least minimum min from upwards")
_DOWNWARDS: Final = _words("under below less most max maximum up within to")
_STOPS: Final = re.compile(r"[,.;:!?]")
_DENYING: Final = _words("not no nothing never don dont cannot cant can't won wont isn t without rather stay")
_SPENT: Final = _words(
    """
    a an the i i'd i've i'm we d ve ll m t s re my our and but so or it it's that's that which is are be was with for
    of on in at to by only just about around exactly have has got can could would should will want wants need rather
    not no nothing never don dont cannot cant won wont any other else more less than up down under below over above
    beyond past exceed most least max maximum min minimum spend spending pay paying cost costs costing price priced
    budget ceiling limit cap tops keep go going stay within between from say so thing allergic hate avoid except
    excluding excluded bar without done rated stars star rating reviews review better higher and-up stock available
    dollar dollars buck bucks usd euro euros quid grand please first all
    """
)
"""Words that state a limit and name nothing: they go with the amount or the denied word beside them."""
_DENIED_BEFORE: Final = re.compile(
    r"\b(?:without|except|excluding|exclude|bar|avoid|hate|dislike|allergic|skip|done with|instead of|other than|"
    r"rather than|sick of|fed up with|tired of)\b[^.;:!?,]*$|\b(?:not|no|never|nothing) (?:(?:a|an|any|the|in|of) )*$"
)
"""Not "don't" alone: "I don't mind the price" and "can't hear" deny no property."""
_DENIED_AFTER: Final = re.compile(r"^\W*(?:is |are )?(?:excluded|free\b|out\b|unwanted|won't do)")
_RATED: Final = re.compile(r"\b(?:stars?|rat(?:ed|ings?)|reviews?|reviewed|scores?)\b")
_STOCK: Final = re.compile(r"\b(?:stock|available|availability|sold out|ship(?:s|ped|ping)?|deliver(?:ed|y)?)\b")
_AT_LEAST: Final = _words("least min minimum over above below under rated rating ratings reviews score scored")
_SORTS: Final[dict[Sort, re.Pattern[str]]] = {
    "price_asc": re.compile(
        r"\b(?:cheapest|(?:least|lowest|low)\b.{0,20}\b(?:first|pric|expens|cost)|cheap.{0,12}first)"
    ),
    "price_desc": re.compile(r"\b(?:most expensive|priciest|dearest|high(?:est)?\b.{0,20}\b(?:first|pric|cost))"),
    "rating": re.compile(r"\b(?:best|highest|top|better)\b.{0,20}\b(?:rat|review|star|scor)"),
    "popular": re.compile(r"\b(?:popular|best.?sell\w*|most (?:bought|sold|loved)|favou?rites?)\b"),
}
_BETWEEN: Final = _words("and to or but from between under over up not dollars bucks")
_NEAR: Final = 4
"""Words between a denial, or a bound, and what it is about."""
_NAMING: Final = frozenset(
    {"model", "series", "collection", "line", "name", "model name", "product name", "sku", "mpn"}
)
"""Attributes that say what a product is called and not what it is like."""
_STEM: Final = 3
"""Letters that a word and its inflections share: what does not begin alike need not be compared."""
_TELLING: Final = 4
"""Letters from which on a word of a title points at its product ("the Boltwright")."""
_PLACES: Final = tuple(
    _words(names)
    for names in ("first 1st 1", "second 2nd 2", "third 3rd three 3", "fourth 4th four 4", "fifth 5th 5", "sixth 6th 6")
)


@dataclass(frozen=True, slots=True)
class Number:
    value: float
    first: int
    end: int
    """Words first to end-1."""


def numbers(words: Sequence[str]) -> list[Number]:
    """Numbers in figures and in words, in order.

    >>> [n.value for n in numbers("up to one hundred and twenty or a grand or 45 or 1k or half a grand".split())]
    [120.0, 1000.0, 45.0, 1000.0, 500.0]
    """
    found: list[Number] = []
    i = 0
    while i < len(words):
        number = _figure(words, i) or _spelt(words, i)
        if number is not None:
            found.append(number)
        i = number.end if number else i + 1
    return found


def _figure(words: Sequence[str], i: int) -> Number | None:
    match = _FIGURE.fullmatch(words[i])
    return Number(float(match[1].replace(",", ".")) * (1000 if match[2] else 1), i, i + 1) if match else None


def _spelt(words: Sequence[str], i: int) -> Number | None:
    """From word i on; "a hundred" and "half a grand" begin before their number."""
    total, part, j = 0.0, 0.0, i
    if words[i] in ("a", "half") and (lead := _times_after(words, i)):
        return lead
    while j < len(words):
        word = words[j]
        if word in _ONES or word in _TENS:
            part += _ONES.get(word, 0) + _TENS.get(word, 0)
        elif word in _TIMES and j > i:
            if _TIMES[word] == 1000:
                total, part = total + part * 1000, 0.0
            else:
                part *= 100
        elif not (word == "and" and j > i and words[j - 1] in _TIMES and words[j + 1 : j + 2] and _small(words[j + 1])):
            break
        j += 1
    return Number(total + part, i, j) if j > i else None


def _small(word: str) -> bool:
    return word in _ONES or word in _TENS


def _times_after(words: Sequence[str], i: int) -> Number | None:
    half = words[i] == "half"
    j = i + 1 + (half and words[i + 1 : i + 2] == ["a"])
    if j < len(words) and words[j] in _TIMES:
        return Number(_TIMES[words[j]] / (2 if half else 1), i, j + 1)
    return None


class Evidence:
    """One text, ready to be asked; positions are those of `words`."""

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        request = Request(text)
        self.text = text
        self._low = request.open_text
        self._vocabulary = vocabulary
        self._places: tuple[Word, ...] = request.words
        self.words: list[str] = [word.text for word in self._places]
        self.numbers: list[Number] = numbers(self.words)
        self._said = self._digits()

    def amount(self, value: float, side: Side) -> Bearing | None:
        """Where the shopper says this amount of money, unless its bound clearly points the other way."""
        for number in self.amounts():
            if number.value == value and self._side(number) in (side, None):
                return self._widened(number.first, number.end)
        return None

    def amounts(self) -> list[Number]:
        """Numbers that may be amounts of money; not the two halves of one that is misspelt ("one hunderd twenty")."""
        halves = {
            half
            for a, b in pairwise(self.numbers)
            if b.first - a.end == 1 and self.words[a.end] not in _BETWEEN
            for half in (a, b)
        }
        return [number for number in self.numbers if self._is_money(number) and number not in halves]

    def star_counts(self) -> list[Number]:
        """Numbers that may be a least rating: "five stars above the lake" is none."""
        if not _RATED.search(self._low):
            return []
        return [
            n for n in self.numbers if n.value <= 5 and not self._is_paid(n) and _AT_LEAST.intersection(self._lead(n))
        ]

    def stars(self, value: float) -> Bearing | None:
        found = next((number for number in self.star_counts() if number.value == value), None)
        return self._widened(found.first, found.end) if found else None

    def stock(self) -> Bearing | None:
        return self._matched(_STOCK)

    def orders(self) -> list[Sort]:
        return [sort for sort, pattern in _SORTS.items() if pattern.search(self._low)]

    def order(self, sort: Sort) -> Bearing | None:
        return self._matched(_SORTS[sort]) if sort in _SORTS else None

    def deniable(self) -> list[str]:
        """Words and values of the shop that stand where something is denied."""
        named = [value for value in self.values() if " " in value]
        words = [word for word in content(self.words) if word.isalpha() and self._names_something(word)]
        return [name for name in dict.fromkeys((*named, *words)) if self.denied(name)]

    def values(self) -> list[str]:
        """Attribute values of the shop that are said, the longest first: none within another, a category or a price."""
        said, found = self._said, list[str]()
        stems = {word[:_STEM] for word in said}
        near = (name for words, name in self._vocabulary.categories.items() if any(w[:_STEM] in stems for w in words))
        taken = {i for name in near for i in range(*(self.any_part(name) or (0, 0)))}
        taken |= {i for number in (*self.amounts(), *self.star_counts()) for i in range(number.first, number.end)}
        for length in (3, 2, 1):
            for i in range(len(said) - length + 1):
                value = " ".join(said[i : i + length])
                if "like" in said[max(0, i - 2) : i] or not taken.isdisjoint(range(i, i + length)):
                    continue  # "hands like old leather" are not of leather
                if self.attribute(value) and _is_telling(value):
                    found.append(value)
                    taken |= set(range(i, i + length))
        return found

    def attribute(self, value: str) -> str | None:
        """What most products have this value in; none where it is only a part of names."""
        meanings = Counter[str]()
        for (name, _), count in self._vocabulary.values.get(value.casefold(), {}).items():
            if name.casefold() not in _NAMING:
                meanings[name] += count
        return meanings.most_common(1)[0][0] if meanings else None

    def brands(self) -> list[str]:
        """Brands of the shop that are named, unless as an everyday word or as what something fits."""
        known, found = self._vocabulary, list[str]()
        for i in range(len(self.words)):
            phrase = longest(known.brand_phrases, self.words, i)
            fits = FITTING.intersection(self.words[max(0, i - FITTING_REACH) : i])
            if phrase and not fits and not known.evidence[phrase].everyday:
                found.append(known.evidence[phrase].names[0])
        return list(dict.fromkeys(found))

    def places(self, titles: Sequence[str]) -> list[int]:
        """Products of a list, from 1, that are pointed at: by their place, or by a word that only their title has."""
        said = set(self.words)
        words = [set(split(title)) for title in titles]
        found = {place for place, names in enumerate(_PLACES[: len(titles)], 1) if names & said}
        if titles and said & {"last", "latter"}:
            found.add(len(titles))
        for place, own in enumerate(words, 1):
            others = set().union(*(other for other in words if other is not own))
            if any(len(word) >= _TELLING and not word.isdigit() for word in said & (own - others)):
                found.add(place)
        return sorted(found)

    def phrase(self, name: str) -> Bearing | None:
        """Where the words of `name` stand together, as said or as one or many of it."""
        wanted = [word for word in split(name) if word != "and"]
        said = self._said
        for i in range(len(said) - len(wanted) + 1 if wanted else 0):
            if all(_same(a, b) for a, b in zip(wanted, said[i : i + len(wanted)], strict=True)):
                return i, i + len(wanted)
        return None

    def any_part(self, name: str) -> Bearing | None:
        """As `phrase`, of a name like "Cat Trees & Scratchers" one of the things named."""
        return next((found for part in (name, *re.split(r"[&,/]| and ", name)) if (found := self.phrase(part))), None)

    def denied(self, name: str) -> Bearing | None:
        """Where `name` is said not to be wanted; a number never is."""
        found = self.phrase(name)
        if found is None or all(word in NUMBER_WORDS or word[0].isdigit() for word in self.words[found[0] : found[1]]):
            return None
        first = self._places[max(0, found[0] - _NEAR)].start
        before, after = self._low[first : self._places[found[0]].start], self._low[self._places[found[1] - 1].end :]
        return self._widened(*found) if _DENIED_BEFORE.search(before) or _DENIED_AFTER.match(after) else None

    def in_figures(self) -> str:
        """The text with its numbers in figures: a small model copies "60" and makes up what "sixty" is."""
        left = list(self.text)
        for number in self.numbers:
            start, end = self._places[number.first].start, self._places[number.end - 1].end
            left[start:end] = [f"{number.value:g}", *[""] * (end - start - 1)]
        return "".join(left)

    def without(self, bearings: Sequence[Bearing]) -> str:
        """The text without these words."""
        left = list(self.text)
        for i, j in bearings:
            start, end = self._places[i].start, self._places[j - 1].end
            left[start:end] = [""] * (end - start)
            left[start] = " "
        return " ".join("".join(left).split()).strip(" ,;:-")

    def _names_something(self, word: str) -> bool:
        return any(form in self._vocabulary.titles for form in forms(word)) or self.attribute(word) is not None

    def _digits(self) -> list[str]:
        """The words with numbers in figures ("two people" is the shop's "2 people"), one for each position."""
        said = list(self.words)
        for number in self.numbers:
            if number.end - number.first == 1:
                said[number.first] = f"{number.value:g}"
        return said

    def _is_money(self, number: Number) -> bool:
        after = self.words[number.end : number.end + 1]
        paid = self._is_paid(number)
        if after and not paid and (self._vocabulary.is_counted(after[0]) or _RATED.fullmatch(after[0])):
            return False
        before = self._lead(number)
        if not paid and any(_RATED.fullmatch(word) for word in before):
            return False
        return paid or bool(BOUNDS.intersection(before + self.words[number.end : number.end + 3]))

    def _lead(self, number: Number) -> list[str]:
        return self.words[max(0, number.first - _NEAR) : number.first]

    def _is_paid(self, number: Number) -> bool:
        """Does a currency stand beside it, or in it ("half a grand")?"""
        inside = self.words[number.first : number.end + 1]
        sign = self._low[max(0, self._places[number.first].start - 1) : self._places[number.first].start]
        return bool(MONEY.intersection(inside)) or sign in ("$", "€", "£")

    def _side(self, number: Number) -> Side | None:
        """Which way the nearest bound before it points: "not over fifty" is a maximum, "over fifty" a minimum."""
        first = max(0, number.first - _NEAR)
        for i in range(number.first - 1, first - 1, -1):
            if self.words[i] in _UPWARDS or self.words[i] in _DOWNWARDS:
                start = self._places[max(0, i - _NEAR)].start
                clause = _STOPS.split(self._low[start : self._places[i].start])[-1]
                denied = "n't" in clause or bool(_DENYING.intersection(split(clause)))
                return "min" if (self.words[i] in _UPWARDS) != denied else "max"
        return None

    def _matched(self, pattern: re.Pattern[str]) -> Bearing | None:
        match = pattern.search(self._low)
        if match is None:
            return None
        within = [i for i, word in enumerate(self._places) if word.start < match.end() and word.end > match.start()]
        return self._widened(within[0], within[-1] + 1)

    def _widened(self, first: int, end: int) -> Bearing:
        while first > 0 and self.words[first - 1] in _SPENT:
            first -= 1
        while end < len(self.words) and self.words[end] in _SPENT:
            end += 1
        return first, end


def content(words: Sequence[str]) -> list[str]:
    """Those that say something by themselves."""
    return [word for word in words if word not in STOP_WORDS and word not in _SPENT and word not in NUMBER_WORDS]


def _is_telling(value: str) -> bool:
    """Does it say something outside its column? "s" and "4" are sizes and counts there and nothing here."""
    words = value.split()
    return len(value) > 1 and bool(content(words) or (value.isdigit() and int(value) >= 10))


def _same(a: str, b: str) -> bool:
    """
    >>> _same("knives", "knife"), _same("boxes", "box"), _same("tent", "tend")
    (True, True, False)
    """
    if a == b or b in forms(a) or a in forms(b):
        return True
    return a in _many(b) or b in _many(a)


def _many(word: str) -> tuple[str, ...]:
    endings = {"y": "ies", "fe": "ves", "f": "ves"}
    return (word + "es", *(word.removesuffix(one) + many for one, many in endings.items() if word.endswith(one)))
