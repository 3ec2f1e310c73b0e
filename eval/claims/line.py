"""One line of a reply while it is read: what is left of it, whom it speaks of, and the claims found so far."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from eval.claims import patterns
from eval.claims.names import Mention
from eval.claims.shelf import Shelf
from tasteline.types import Constraint, Product

Kind = Literal[
    "price", "rating", "rating_count", "stock", "count", "name", "attribute", "constraint", "comparison", "history",
    "number", "promise",
]  # fmt: skip
Verdict = Literal["supported", "unsupported", "unverifiable"]
Holds = Callable[[str], bool]
"""Is it so of the product with this id?"""
READ = "\x00"


@dataclass(frozen=True, slots=True)
class Claim:
    kind: Kind
    text: str
    verdict: Verdict
    why: str
    """What the store says instead, or of whom it is true."""
    line: str = ""
    """The line of the reply that it stands in."""

    @property
    def supported(self) -> bool:
        return self.verdict == "supported"


@dataclass(frozen=True, slots=True)
class Told:
    """What a reply was about. Only `shown` is needed; the rest lets more claims be verified."""

    shown: tuple[str, ...]
    """Ids of the products shown, in their order."""
    asked: tuple[str, ...] = ()
    """Ids of products that the shopper pointed at or has in the cart."""
    request: str = ""
    query: str = ""
    constraints: tuple[Constraint, ...] = ()
    deeds: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What the person did: event name → products."""
    shop_name: str = ""

    def touched(self) -> Iterator[str]:
        return (each for ids in self.deeds.values() for each in ids)


@dataclass(slots=True)
class Line:
    line: str
    told: Told
    shelf: Shelf
    about: tuple[str, ...] = ()
    """What the lines before spoke of."""
    expected: str | None = None
    """The product whose number in the list the line bears."""
    text: str = field(init=False)
    """The line, with READ in the place of what has been read; never shorter or longer."""
    mentions: list[Mention] = field(default_factory=list)
    found: list[Claim] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    """Of the sentences."""

    def __post_init__(self) -> None:
        self.text = self.line.replace("’", "'")
        if listed := patterns.LISTED.match(self.line):
            place = int(listed["n"]) - 1
            self.expected = self.told.shown[place] if 0 <= place < len(self.told.shown) else None
            self.mask(*listed.span())

    def product(self, product_id: str) -> Product:
        return self.shelf.products[product_id]

    def last_named(self) -> tuple[str, ...]:
        named = [mention.ids for mention in self.mentions if mention.kind == "product"]
        return named[-1] if named else ()

    def mask(self, start: int, end: int) -> None:
        self.text = f"{self.text[:start]}{READ * (end - start)}{self.text[end:]}"

    def taking(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """What matches; each is masked once the caller has looked at it."""
        for found in list(pattern.finditer(self.text)):
            yield found
            self.mask(*found.span())

    def part_into_sentences(self) -> None:
        """After the names are masked: a title may have full stops."""
        start = 0
        for end in patterns.SENTENCE_END.finditer(self.text):
            self.spans.append((start, end.end()))
            start = end.end()
        self.spans.append((start, len(self.text)))

    def span(self, place: int) -> tuple[int, int]:
        return next(((start, end) for start, end in self.spans if start <= place < end), (0, len(self.text)))

    def sentence(self, place: int) -> str:
        start, end = self.span(place)
        return self.text[start:end]

    def named_beside(self, place: int) -> list[Mention]:
        """Names in the sentence of `place` that stand for products, or resemble theirs."""
        start, end = self.span(place)
        return [m for m in self.mentions if start <= m.start < end and m.ids and m.kind in ("product", "unknown")]

    def subject(self, place: int, *, fallback: bool = True) -> tuple[str, ...]:
        """The product named last before `place` in its sentence, else first after it; else what was spoken of."""
        inside = self.named_beside(place)
        before = [mention for mention in inside if mention.end <= place]
        if inside:
            return (before[-1] if before else inside[0]).ids
        if not fallback:
            return ()
        start, _ = self.span(place)
        earlier = [each for each in self.mentions if each.end <= start and each.kind == "product" and each.ids]
        if earlier:
            return earlier[0].ids
        alone = self.told.shown if len(self.told.shown) == 1 else ()
        return (self.about or alone) if patterns.PRONOUN.match(self.text[start:]) else alone

    def claim(self, kind: Kind, text: str, verdict: Verdict, why: str) -> None:
        self.found.append(Claim(kind, text.strip(f" {READ}"), verdict, why, self.line))

    def of_products(self, kind: Kind, text: str, subject: Sequence[str], holds: Holds) -> None:
        """True of the one product, or of any that an ambiguous name may mean."""
        if not subject:
            self.claim(kind, text, "unsupported", "said of no product that can be told")
            return
        true = next((each for each in subject if holds(each)), None)
        self.claim(kind, text, verdict_of(true is not None), true or f"not so of {subject[0]}")

    def of_every(self, kind: Kind, text: str, holds: Holds, of: Sequence[str] | None = None) -> None:
        among = self.told.shown if of is None else of
        wrong = [each for each in among if not holds(each)]
        self.claim(kind, text, verdict_of(bool(among) and not wrong), f"not {', '.join(wrong)}" if wrong else "all")

    def kept_by_all(self, text: str, kept: Holds) -> None:
        """A limit that is said again: by every product that is shown; where none is, it must have been understood."""
        if self.told.shown:
            self.of_every("constraint", text, kept)
        else:
            known = any(text.strip() in limit.label for limit in self.told.constraints)
            self.claim("constraint", text, verdict_of(known), "as it was understood")


def verdict_of(holds: bool) -> Verdict:
    return "supported" if holds else "unsupported"


def number_of(text: str) -> Decimal:
    """
    >>> number_of("1,765"), number_of("Two")
    (Decimal('1765'), Decimal('2'))
    """
    low = text.casefold()
    return Decimal(patterns.WORDED[low]) if low in patterns.WORDED else Decimal(text.replace(",", ""))
