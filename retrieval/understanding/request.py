"""A request while it is being read: its text, what has been taken out of it so far, and what was found.

The readers (`price.py`, `brand.py`, …) look at `open_text`, where everything already taken is blanked by BARRIER so
that no pattern matches across a gap, and add findings. At the end `query()` is what nobody took.
"""

from __future__ import annotations

import re
import string
import unicodedata
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from retrieval.understanding import words_en as en
from tasteline.types import Constraint, Sort

BARRIER: Final = "\x1f"
_WORD: Final = re.compile(r"[0-9]+[.,][0-9]+|[^\W_]+")
_PIECE: Final = re.compile(rf"{BARRIER}+|[^\s{BARRIER}]+")
_EDGE: Final = ",;:!?"
_PLAIN: Final = str.maketrans(
    {"’": "'", "‘": "'", "`": "'", "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "\n": ";", "\t": " ", "\r": " "}
    | dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000\u200b\x1f\x0b\x0c", " ")
)

Span = tuple[int, int]


def fold(text: str) -> str:
    """Lower case without accents: how words of the catalogue and of a request are compared."""
    text = text.casefold()
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def split(text: str) -> list[str]:
    """The folded words of a text.

    >>> split("TP-Link L’Oréal 4.5 stars")
    ['tp', 'link', 'l', 'oreal', '4.5', 'stars']
    """
    return _WORD.findall(fold(text))


def any_of(names: Iterable[str]) -> str:
    """For a label.

    >>> any_of(["red", "blue", "green"])
    'red, blue or green'
    """
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


class Word(NamedTuple):
    text: str
    """Folded."""
    start: int
    end: int


def _lower(text: str) -> str:
    """Lower case and plain punctuation, character for character, so that positions hold."""
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return lowered.translate(_PLAIN)


@dataclass(slots=True)
class Finding:
    """A constraint and the words that may go back into the query when the shopper removes it."""

    constraint: Constraint
    spans: tuple[Span, ...] = ()


@dataclass(slots=True)
class Request:
    """Mutable on purpose: one reader after the other takes its words out of `open_text`."""

    text: str
    open_text: str = ""
    words: tuple[Word, ...] = ()
    starts: tuple[int, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    sort: Sort = "relevance"

    def __post_init__(self) -> None:
        self.open_text = _lower(self.text)
        self.words = tuple(Word(fold(m.group()), m.start(), m.end()) for m in _WORD.finditer(self.open_text))
        self.starts = tuple(w.start for w in self.words)

    def take(self, start: int, end: int) -> None:
        self.open_text = self.open_text[:start] + BARRIER * (end - start) + self.open_text[end:]

    def is_open(self, word: Word) -> bool:
        return self.open_text[word.start] != BARRIER

    def before(self, position: int) -> Word | None:
        """The last word that ends at or before `position`, if it is open and only spaces or hyphens lie between."""
        i = self.index(position) - 1
        if i < 0:
            return None
        word = self.words[i]
        gap = self.open_text[word.end : position]
        return word if self.is_open(word) and not gap.strip(" -:") else None

    def index(self, position: int) -> int:
        """Of the first word that starts at or after `position`; the number of words where there is none."""
        return bisect_left(self.starts, position)

    def content(self) -> Iterator[str]:
        """Open words that say what kind of thing is wanted."""
        return (w.text for w in self.words if self.is_open(w) and w.text not in en.STOP_WORDS)

    def adjacent(self, i: int, j: int) -> bool:
        """Do words i < j follow each other with nothing but spaces, hyphens and the like between, all open?"""
        if not (0 <= i < j < len(self.words)):
            return False
        gap = self.open_text[self.words[i].end : self.words[j].start]
        return all(c in " -/&'+." for c in gap)

    def phrase_at(self, i: int, phrase: Sequence[str]) -> int:
        """One past the last word index if the open words from i on are `phrase`, else 0."""
        end = i + len(phrase)
        if end > len(self.words):
            return 0
        for k, part in enumerate(phrase):
            word = self.words[i + k]
            if word.text != part or not self.is_open(word) or (k and not self.adjacent(i + k - 1, i + k)):
                return 0
        return end

    def span(self, i: int, j: int) -> Span:
        """From the start of word i to the end of word j-1."""
        return self.words[i].start, self.words[j - 1].end

    def add(self, constraint: Constraint, *spans: Span) -> None:
        """Keep a constraint once: said twice it is still one."""
        if all(f.constraint.key != constraint.key for f in self.findings):
            self.findings.append(Finding(constraint, spans))

    def query(self, ignore: Collection[str] = ()) -> str:
        """The words that nobody took and those of ignored constraints; if that is nothing, those of all constraints."""
        query = self._assemble([s for f in self.findings if f.constraint.key in ignore for s in f.spans])
        if not query:
            query = self._assemble([s for f in self.findings for s in f.spans])
        if not query and not self.findings and self.sort == "relevance":
            query = " ".join(self.text.split())
        return query

    def _assemble(self, given_back: Sequence[Span]) -> str:
        left = [
            "" if taken == BARRIER else c
            for c, taken in zip(self.text.replace(BARRIER, " "), self.open_text, strict=True)
        ]
        for start, end in given_back:
            left[start:end] = self.text[start:end]
        pieces = [m.group() for m in _PIECE.finditer("".join(c or BARRIER for c in left))]
        return " ".join(_tidied(pieces))


def _tidied(pieces: Sequence[str]) -> Iterator[str]:
    """Pieces without bare punctuation and without the small words left hanging beside a gap."""
    kept: list[str] = []
    for piece in pieces:
        if piece[0] == BARRIER:
            while kept and kept[-1] != BARRIER and kept[-1].lower() in en.BEFORE_LIMIT:
                kept.pop()
            if not kept or kept[-1] != BARRIER:
                kept.append(BARRIER)
            continue
        word = piece.strip(_EDGE).rstrip(".")
        hanging = kept[-1:] == [BARRIER] and word.lower() in (en.AFTER_LIMIT if kept[:-1] else en.AFTER_LIMIT | {"for"})
        if word.strip(string.punctuation) and not hanging:
            kept.append(word)
    return (piece for piece in kept if piece != BARRIER)
