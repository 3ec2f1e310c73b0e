"""Keeps a question only where a search for its text finds its product again.

Takes questions and the shop's own search, gives those that came back and how many of each origin did not. A query that
the search cannot bring home is mostly a bad query: words that say nothing, or a product that hardly fits them
(round-trip consistency; Alberti et al., ACL 2019; for made-up queries Dai et al., "Promptagator", ICLR 2023).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from finetune.examples import Question

WITHIN = 100
"""Places from the top: far enough that what an untuned search ranks badly is still learned from."""
BATCH = 256
Search = Callable[[Sequence[str], int], Sequence[Sequence[str]]]
"""(texts, how many) → ids of the products that each finds, best first."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Returned:
    kept: tuple[Question, ...]
    dropped: Mapping[str, int]
    """How many questions of each origin were not found again."""


def found_again(
    questions: Sequence[Question], search: Search, within: int = WITHIN, progress: Progress | None = None
) -> Returned:
    """Those whose product is among the first `within`, in the order given; each text is searched once."""
    texts = list(dict.fromkeys(question.query for question in questions))
    found: dict[str, frozenset[str]] = {}
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        found.update(zip(batch, map(frozenset, search(batch, within)), strict=True))
        if progress is not None:
            progress(start + len(batch), len(texts))
    kept = [question for question in questions if question.positive in found[question.query]]
    came, asked = Counter(question.origin for question in kept), Counter(question.origin for question in questions)
    return Returned(tuple(kept), dict(asked - came))
