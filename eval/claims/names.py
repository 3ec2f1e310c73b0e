"""Which products a line of text names, and which of its names are nobody's. Part of `eval.claims`.

Takes a line and the products that it may be about; gives `Mention`s. A name is a title, or words of one in their
order; a capitalised run that is neither that, nor a brand, a category or an ordinary word, names what does not exist.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from eval.claims.shelf import Shelf, Word, words

NameKind = Literal["product", "unknown", "brand", "category", "quality"]
"""`quality`: capitalised words after a name and a comma, which say what the named product is like ("…, Black")."""

_ORDINARY = frozenset(
    [
        "a",
        "about",
        "add",
        "all",
        "alongside",
        "also",
        "among",
        "an",
        "and",
        "another",
        "any",
        "as",
        "at",
        "because",
        "best",
        "both",
        "but",
        "buy",
        "by",
        "check",
        "choose",
        "consider",
        "discover",
        "enjoy",
        "explore",
        "find",
        "for",
        "from",
        "get",
        "give",
        "going",
        "great",
        "have",
        "hello",
        "here",
        "hi",
        "how",
        "i",
        "i'd",
        "i'll",
        "i'm",
        "i've",
        "if",
        "in",
        "introducing",
        "is",
        "it",
        "it's",
        "its",
        "just",
        "let",
        "let's",
        "like",
        "look",
        "looking",
        "love",
        "matches",
        "meet",
        "much",
        "my",
        "need",
        "not",
        "nothing",
        "of",
        "on",
        "one",
        "only",
        "or",
        "our",
        "perfect",
        "pick",
        "please",
        "similar",
        "since",
        "so",
        "some",
        "such",
        "sure",
        "take",
        "tell",
        "that",
        "that's",
        "the",
        "their",
        "there",
        "there's",
        "these",
        "they",
        "this",
        "those",
        "to",
        "try",
        "want",
        "we",
        "we're",
        "welcome",
        "what",
        "when",
        "which",
        "with",
        "without",
        "you",
        "you'd",
        "you'll",
        "you're",
        "you've",
        "your",
        "yes",
        "see",
        "say",
        "color",
        "size",
        "brand",
        "model",
        "material",
        "stars",
        "say",
        "ok",
        "popular",
        "side",
        "new",
        "fits",
        "rated",
        "goes",
        "close",
    ]
)
"""Words that begin sentences and name nothing."""
_JOINERS = frozenset(["and", "of", "or", "the", "for", "with", "in", "to", "on", "by", "a", "at"])
"""May stand inside a name, never at its ends."""
_UNITS = frozenset(
    [
        "g",
        "kg",
        "mg",
        "ml",
        "l",
        "cl",
        "cm",
        "mm",
        "m",
        "km",
        "w",
        "v",
        "lm",
        "oz",
        "lb",
        "gb",
        "tb",
        "mah",
        "inch",
        "inches",
    ]
)
_GAP = re.compile(r"[\s,&'\"×/+-]*$")
"""What may stand between two words of one name."""
_CUT = re.compile(r"\s?(?:\.\.\.|…)")
_FEWEST_BEFORE_CUT = 3
_COMMON = 30
"""Titles with the same word, from which on it is no name by itself; a family of a brand has a dozen products."""


@dataclass(frozen=True, slots=True)
class Mention:
    kind: NameKind
    text: str
    start: int
    end: int
    ids: tuple[str, ...] = ()
    """Of the products that it can mean; of a quality, those it is said of; of an unknown name, those it resembles."""
    known: bool = True
    """Among the products that the line may be about."""


class Names:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._by_first: dict[str, list[str]] = defaultdict(list)
        for each, title in shelf.titles.items():
            if title:
                self._by_first[title[0]].append(each)

    def mentions(self, line: str, scope: Sequence[str]) -> list[Mention]:
        """In the order of the line; places that are blank (masked by the caller) name nothing."""
        tokens = words(line)
        found: list[Mention] = []
        place = 0
        while place < len(tokens):
            if low := self._low_title(tokens, place, scope):
                first, last = tokens[place], tokens[place + len(low[0]) - 1]
                found.append(Mention("product", line[first.start : last.end], first.start, last.end, low[1]))
                place += len(low[0])
                continue
            run = _run(line, tokens, place)
            if run:
                found += _Run(line, run, scope, self._shelf, self._by_first).read()
            place += max(len(run), 1)
        return found

    def _low_title(
        self, tokens: Sequence[Word], place: int, scope: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """A whole title of the scope that begins here without a capital, and whose it is."""
        if tokens[place].capital:
            return None
        keys = tuple(word.key for word in tokens[place:])
        whole = [title for e in scope if (title := self._shelf.titles[e]) and keys[: len(title)] == title]
        longest = max((title for title in whole if len(title) > 1), key=len, default=None)
        if longest is None:
            return None
        return longest, tuple(each for each in dict.fromkeys(scope) if self._shelf.titles[each] == longest)


def _run(line: str, tokens: Sequence[Word], start: int) -> list[Word]:
    """The words from `start` on that could be one name; empty where none begins there."""
    first = tokens[start]
    if not first.capital and not (first.text[0].isdigit() and start + 1 < len(tokens) and tokens[start + 1].capital):
        return []
    run = [first]
    for word in tokens[start + 1 :]:
        gap = line[run[-1].end : word.start]
        inside = word.capital or word.text[0].isdigit() or word.key in _JOINERS
        unit = word.key in _UNITS and run[-1].text[0].isdigit()
        if not (_GAP.match(gap) and (inside or unit)):
            break
        run.append(word)
    while run and run[-1].key in _JOINERS and not run[-1].capital:
        run.pop()
    return run


@dataclass(slots=True)
class _Run:
    """One capitalised run, taken apart from left to right."""

    line: str
    run: list[Word]
    scope: Sequence[str]
    shelf: Shelf
    by_first: dict[str, list[str]]

    def read(self) -> list[Mention]:
        found: list[Mention] = []
        place = 0
        while place < len(self.run):
            length, mention = self._at(place, found)
            if mention is not None:
                self._append(found, mention)
            place += length
        return found

    def _at(self, place: int, found: Sequence[Mention]) -> tuple[int, Mention | None]:
        """How many words are read at `place`, and as what."""
        full, ids, cut = self._full(place)
        part, candidates = self._part(place)
        category = self._longest(place, set(self.shelf.categories))
        brand = self._longest(place, self.shelf.brands)
        last = found[-1] if found else None
        said_on = last is not None and last.kind in ("product", "quality") and bool(last.ids)
        if last is not None and said_on and not brand and not full and self._after_comma(place, last):
            return self._quality(place, last)
        if full and full >= part:
            known = tuple(each for each in ids if each in self.scope)
            return full, self._mention("product", place, full, known or ids, known=bool(known), cut=cut)
        if category > max(part, brand, full):
            return category, self._mention("category", place, category)
        if part == 1 and self.run[place].key in _ORDINARY:
            return self._other(place)
        if part == 1 and not brand and self._common_word(place):
            return 1, self._mention("quality", place, 1)
        if part > brand or (part and part == brand and len(candidates) == 1):
            return part, self._mention("product", place, part, candidates)
        if brand:
            return brand, self._mention("brand", place, brand)
        return self._other(place)

    def _other(self, place: int) -> tuple[int, Mention | None]:
        word = self.run[place]
        if word.key in _JOINERS or word.key in _ORDINARY or word.text[0].isdigit() or word.key in _UNITS:
            return 1, None
        return 1, self._mention("unknown", place, 1)

    def _append(self, found: list[Mention], mention: Mention) -> None:
        """A piece that touches another without comma or joiner is part of the same, then unknown, name."""
        last = found[-1] if found else None
        gap = self.line[last.end : mention.start] if last else ","
        touching = last is not None and not gap.strip(" -'×/&") and "unknown" in (last.kind, mention.kind)
        two_names = last is not None and not gap.strip() and last.kind == mention.kind == "product"
        branded = last is not None and not gap.strip() and last.kind == "brand" and mention.kind == "product"
        if last is None or not (touching or two_names or branded) or mention.kind == "quality":
            found.append(mention)
            return
        alike = last.ids if len(last.text) > len(mention.text) and last.ids else mention.ids or last.ids
        text = self.line[last.start : mention.end]
        found[-1] = Mention("unknown", text, last.start, mention.end, alike, known=False)

    def _quality(self, place: int, said_of: Mention) -> tuple[int, Mention | None]:
        """Up to the next comma or joiner."""
        length = 1
        while place + length < len(self.run):
            word = self.run[place + length]
            if "," in self.line[self.run[place + length - 1].end : word.start] or word.key in _JOINERS:
                break
            length += 1
        if length == 1 and self.run[place].key in _JOINERS:
            return 1, None
        return length, self._mention("quality", place, length, said_of.ids)

    def _after_comma(self, place: int, last: Mention) -> bool:
        return self.line[last.end : self.run[place].start].strip() == ","

    def _full(self, place: int) -> tuple[int, tuple[str, ...], int]:
        """The longest whole title that begins here, its products, and the dots of one that was cut."""
        keys = [word.key for word in self.run[place:]]
        ids: list[str] = []
        best, cut = 0, 0
        for each in self.by_first.get(keys[0], ()):
            title = self.shelf.titles[each]
            length = _common(keys, title)
            dots = _CUT.match(self.line, self.run[place + length - 1].end) if length else None
            whole = length == len(title) or (dots is not None and length >= _FEWEST_BEFORE_CUT)
            if whole and length >= best:
                ids = [*ids, each] if length == best else [each]
                best, cut = length, dots.end() if dots else 0
        return best, tuple(ids), cut

    def _part(self, place: int) -> tuple[int, tuple[str, ...]]:
        """The most words from here on that stand in this order in a title of the scope, and whose."""
        ids: list[str] = []
        best = 0
        for each in dict.fromkeys(self.scope):
            length = self._in_order(place, self.shelf.titles.get(each, ()))
            if length and length >= best:
                ids = [*ids, each] if length == best else [each]
                best = length
        return best, tuple(ids)

    def _in_order(self, place: int, title: Sequence[str]) -> int:
        at, length = 0, 0
        for number, word in enumerate(self.run[place:], 1):
            if word.key not in title[at:]:
                break
            at = title.index(word.key, at) + 1
            length = number if word.key not in _JOINERS else length
        return length

    def _common_word(self, place: int) -> bool:
        """In too many titles to name one product: "Black"."""
        return self.shelf.title_counts[self.run[place].key] > _COMMON

    def _longest(self, place: int, known: set[tuple[str, ...]]) -> int:
        keys = tuple(word.key for word in self.run[place:])
        return next((length for length in range(len(keys), 0, -1) if keys[:length] in known), 0)

    def _mention(
        self,
        kind: NameKind,
        place: int,
        length: int,
        ids: tuple[str, ...] = (),
        *,
        known: bool = True,
        cut: int = 0,
    ) -> Mention:
        start, end = self.run[place].start, max(self.run[place + length - 1].end, cut)
        return Mention(kind, self.line[start:end], start, end, ids, known=known)


def _common(keys: Sequence[str], title: Sequence[str]) -> int:
    """Length of the shared beginning."""
    for place, (said, written) in enumerate(zip(keys, title, strict=False)):
        if said != written:
            return place
    return min(len(keys), len(title))
