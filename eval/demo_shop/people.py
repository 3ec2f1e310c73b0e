"""Shoppers composed from the vocabulary, with the interests that we planned for them.

Takes a seed, gives `Shopper`s; the planned `Phase`s are the ground truth that an evaluation of drifting interests
compares with. Knows nothing of products or of single events.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from eval.demo_shop import lexicon
from eval.demo_shop.chance import between, generator, happens, pick

YEAR = 365
"""Days that a shopper's plan covers."""
ORDINARY = 300
"""Shoppers beside the featured ones."""
Gender = Literal["women", "men"]


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time in which a shopper looks for `topics`."""

    start: int
    end: int
    """First and last day, counted from the end of the log: -365 is a year before, 0 the last day."""
    topics: tuple[str, ...]
    """Category names as in `Product.categories`, the most wanted first."""
    weight: float
    """Attention, relative to the shopper's other phases."""
    interest: str
    """The vocabulary's name for it, for example "espresso"."""
    months: tuple[int, ...] = ()
    """Calendar months (1 to 12) in which a seasonal phase is awake; empty: always."""

    def active(self, time: datetime, end: datetime) -> bool:
        """Is the phase awake at `time`, in a log that ends at `end`?"""
        day = (time - end).total_seconds() / 86_400
        return self.start <= day <= self.end and (not self.months or time.month in self.months)


@dataclass(frozen=True, slots=True)
class Shopper:
    """A person whom we made up."""

    id: str
    name: str
    taste: str
    """One public line about what the person likes."""
    phases: tuple[Phase, ...]
    gender: Gender
    sessions: int
    """Visits in the year; 0 for a newcomer."""
    joined: int
    """Day of the first possible visit, counted like the phases."""
    dearness: float
    """Price that feels right, as a factor on what a kind of thing usually costs."""
    utc_offset: int
    brands: tuple[str, ...] = field(default=())
    """Makers that the person prefers."""
    featured: bool = False


class Interest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    nature: Literal["lasting", "turn", "season"]
    tells: str
    kinds: Mapping[str, float]
    months: tuple[int, ...] = ()
    women_only: bool = False
    popularity: float = 1.0
    """How many people share it, relative to the others of its nature."""

    def phase(self, start: int, end: int, weight: float) -> Phase:
        kinds = sorted(self.kinds, key=lambda kind: -self.kinds[kind])
        topics = tuple(lexicon.kinds()[kind].shelf for kind in kinds)
        return Phase(start, end, topics, weight, self.id, self.months)


class Culture(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    utc_offset: int
    women: tuple[str, ...]
    men: tuple[str, ...]
    families: tuple[str, ...]


class Star(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    gender: Gender
    taste: str
    dearness: float
    sessions: int
    utc_offset: int
    phases: tuple[tuple[str, int, int, float], ...]


class People(BaseModel):
    """The whole of `people.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: Mapping[str, Culture]
    interest: tuple[Interest, ...]
    star: tuple[Star, ...]


@cache
def people() -> People:
    return People.model_validate(lexicon.read("people.toml"))


@cache
def interests() -> Mapping[str, Interest]:
    return {interest.id: interest for interest in people().interest}


def shoppers(seed: int = 7) -> list[Shopper]:
    """The featured ones first, then some three hundred others; names are unique."""
    found = {star.name: _star(star) for star in people().star}
    number = 0
    while len(found) < len(people().star) + ORDINARY:
        shopper = _shopper(f"u{len(found) + 1:03d}", generator(seed, f"shopper {number}"))
        found.setdefault(shopper.name, shopper)
        number += 1
    return list(found.values())


def featured(everyone: list[Shopper]) -> list[Shopper]:
    """Those whom the page offers by name: rich histories, each with a turn."""
    return [shopper for shopper in everyone if shopper.featured]


def passer_by(rng: np.random.Generator) -> Shopper:
    """Someone who visits once and never signs in; the id is empty."""
    interest = pick(rng, people().interest, [interest.popularity for interest in people().interest])
    gender: Gender = "women" if interest.women_only else pick(rng, ("women", "men"))
    return Shopper(
        id="",
        name="",
        taste="",
        phases=(interest.phase(-YEAR, 0, 1.0),),
        gender=gender,
        sessions=1,
        joined=-YEAR,
        dearness=_dearness(rng),
        utc_offset=between(rng, -8, 3),
    )


def _star(star: Star) -> Shopper:
    return Shopper(
        id=star.id,
        name=star.name,
        taste=star.taste,
        phases=tuple(interests()[name].phase(start, end, weight) for name, start, end, weight in star.phases),
        gender=star.gender,
        sessions=star.sessions,
        joined=-YEAR,
        dearness=star.dearness,
        utc_offset=star.utc_offset,
        featured=True,
    )


def _shopper(user_id: str, rng: np.random.Generator) -> Shopper:
    culture = people().names[pick(rng, list(people().names))]
    gender: Gender = pick(rng, ("women", "men"))
    phases = _plan(gender, rng)
    names = culture.women if gender == "women" else culture.men
    sessions = _sessions(rng)
    return Shopper(
        id=user_id,
        name=f"{pick(rng, names)} {pick(rng, culture.families)}",
        taste=_taste(phases),
        phases=phases,
        gender=gender,
        sessions=sessions,
        joined=-YEAR if happens(rng, 0.7) else -between(rng, 20, YEAR),
        dearness=_dearness(rng),
        utc_offset=culture.utc_offset,
        brands=_favorites(phases, rng),
    )


def _plan(gender: Gender, rng: np.random.Generator) -> tuple[Phase, ...]:
    """One or two lasting interests, often a turn, often a season: two to five phases in all."""
    open_to = [interest for interest in people().interest if gender == "women" or not interest.women_only]
    lasting = _some([i for i in open_to if i.nature == "lasting"], 1 + happens(rng, 0.55), rng)
    turns = _some([i for i in open_to if i.nature == "turn"], pick(rng, (0, 1, 2), (3, 6, 1)), rng)
    seasons = _some([i for i in open_to if i.nature == "season"], pick(rng, (0, 1), (3, 7)), rng)
    if not turns and not seasons:
        seasons = _some([i for i in open_to if i.nature == "season"], 1, rng)
    begins = {turn.id: -between(rng, 12, 320) for turn in turns}
    phases = [interest.phase(-YEAR, 0, 1.0) for interest in lasting]
    if turns and happens(rng, 0.5):  # The new thing crowds out an old one.
        phases[-1] = lasting[-1].phase(-YEAR, min(begins.values()), 1.6)
    phases += [turn.phase(begins[turn.id], _turn_end(begins[turn.id], rng), 3.0) for turn in turns]
    phases += [season.phase(-YEAR, 0, 2.0) for season in seasons]
    return tuple(phases)


def _turn_end(begin: int, rng: np.random.Generator) -> int:
    """Most turns stay, some are over after a few months."""
    return 0 if happens(rng, 0.65) else min(begin + between(rng, 60, 150), 0)


def _some(options: list[Interest], number: int, rng: np.random.Generator) -> list[Interest]:
    popularity = np.array([interest.popularity for interest in options])
    keys = rng.random(len(options)) ** (1.0 / popularity)
    return [options[int(i)] for i in np.argsort(-keys, kind="stable")[:number]]


def _taste(phases: tuple[Phase, ...]) -> str:
    tells = list(dict.fromkeys(interests()[phase.interest].tells for phase in phases))
    line = tells[0] if len(tells) == 1 else f"{', '.join(tells[:-1])} and {tells[-1]}"
    return f"{line[0].upper()}{line[1:]}."


def _sessions(rng: np.random.Generator) -> int:
    """Heavy-tailed: a few newcomers, some who came once, most a dozen times, some every week."""
    fate = rng.random()
    if fate < 0.04:
        return 0
    if fate < 0.1:
        return 1
    return min(max(int(math.exp(rng.normal(math.log(12), 0.95))), 1), 75)


def _dearness(rng: np.random.Generator) -> float:
    return round(math.exp(float(rng.normal(0.0, 0.28))), 2)


def _favorites(phases: tuple[Phase, ...], rng: np.random.Generator) -> tuple[str, ...]:
    """Up to three makers among those who serve the person's interests."""
    if happens(rng, 0.35):
        return ()
    kinds = [kind for phase in phases for kind in interests()[phase.interest].kinds]
    return tuple(dict.fromkeys(pick(rng, lexicon.kinds()[pick(rng, kinds)].brands) for _ in range(3)))
