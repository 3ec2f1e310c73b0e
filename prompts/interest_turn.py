"""A turn of somebody's interests as a fact: from what to what, and the steps that show it.

Takes what the timeline found, gives the names by which a sentence may call it, the line of it in a prompt, and the
sentence without a model. Names are the catalogue's own words, made plain. Finds no turn and checks no sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, permutations

from prompts import view
from prompts.rendering import template
from prompts.step import Step
from prompts.untrusted import plain

SPOKEN_TEMPLATE = "interest_turn_spoken_v1.txt.jinja"
NAME_CHARACTERS, TITLE_CHARACTERS = 40, 60
DEEDS = 2
"""Told of as examples: those that began it."""


@dataclass(frozen=True, slots=True)
class InterestTurn:
    before: tuple[str, ...]
    """Topics that the person turned away from, the one that lost most first."""
    after: tuple[str, ...]
    shown_before: tuple[Step, ...]
    """The last steps with the topics before, oldest first."""
    shown_after: tuple[Step, ...]
    """The first steps with the topics after, oldest first."""

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of the events that show it."""
        return tuple(step.event.id for step in (*self.shown_before, *self.shown_after))

    @property
    def can_be_said(self) -> bool:
        """Has it names on both sides, and events on both?"""
        return bool(names(self.before) and names(self.after) and self.shown_before and self.shown_after)


def names(topics: Sequence[str]) -> tuple[str, ...]:
    """As they are said: one plain line each, none that has no word.

    >>> names(["Kitchen", "<b>Pots & Pans</b>", "\\u200b"])
    ('Kitchen', 'Pots & Pans')
    """
    return tuple(name for topic in topics if (name := plain(topic, NAME_CHARACTERS)))


def callings(topics: Sequence[str]) -> tuple[str, ...]:
    """Every way to say one side of a turn, the longest first: all of its topics, or one of them.

    >>> callings(["Tea", "Mugs"])
    ('Mugs and Tea', 'Tea and Mugs', 'Mugs', 'Tea')
    """
    said = names(topics)
    ways = {" and ".join(way) for count in range(1, len(said) + 1) for way in permutations(said, count)}
    return tuple(sorted(ways, key=lambda way: (-len(way), way)))


def turn_line(turn: InterestTurn) -> str:
    """What a prompt says of it, after the number of the line."""
    return f"turned: from {' and '.join(names(turn.before))} to {' and '.join(names(turn.after))}"


def turn_told(turn: InterestTurn) -> str:
    """The sentence without a model; empty where it cannot be said."""
    if not turn.can_be_said:
        return ""
    first = {step.product.id: step for step in reversed(turn.shown_after)}
    shown = [step for step in turn.shown_after if first[step.product.id] is step][:DEEDS]
    deeds = [
        (act, [view.title(step.product, TITLE_CHARACTERS) for step in alike])
        for act, alike in groupby(shown, key=lambda step: step.act)
    ]
    spoken = template(SPOKEN_TEMPLATE).render(before=names(turn.before), after=names(turn.after), deeds=deeds)
    return spoken.strip()
