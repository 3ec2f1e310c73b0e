"""Does a topic come back? Bursts of attention with a silence between them, about a year apart.

Takes a person's steps and the places of one topic's; gives the season or nothing. Two returns at least, and silences in
which the person was there and did other things: somebody who shops twice a year has no seasons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrieval.interests import DAY
from retrieval.steps import Numbers, Steps

QUIET_DAYS = 45.0
"""A shorter silence is a habit that pauses, not a season that ends."""
LEAST_RETURNS = 2
YEAR_DAYS, YEAR_UNEVEN = 365.0, 45.0
"""From one beginning to the next. Of other distances hardly any was a season: a habit that pauses now and then."""
UNEVEN = 0.15
"""How far a distance may be from the middle one, as its share."""
BY_CHANCE = 0.002
"""A silence counts when somebody with this share of the topic would keep it by chance less often: a person has some
twenty topics, each of which could look like a season."""


@dataclass(frozen=True, slots=True)
class Season:
    every_days: float
    """Middle distance from one beginning to the next."""
    returns: tuple[str, ...]
    """Id of the first event of each time, the oldest first."""
    awake: bool
    """Is the last time going on when the history ends?"""


def season_of(steps: Steps, mine: Numbers) -> Season | None:
    if not steps.timed or len(mine) < LEAST_RETURNS + 1:
        return None
    days = steps.times[mine] / DAY
    begins = np.flatnonzero(np.diff(days, prepend=-np.inf) > QUIET_DAYS)
    if len(begins) < LEAST_RETURNS + 1:
        return None
    distances = np.diff(days[begins])
    middle = float(np.median(distances))
    if abs(middle - YEAR_DAYS) > YEAR_UNEVEN:
        return None
    ends = np.append(begins[1:], len(mine)) - 1
    if np.abs(distances - middle).max() > UNEVEN * middle or (days[ends] - days[begins]).max() > middle / 2:
        return None
    others = mine[begins[1:]] - mine[ends[:-1]] - 1
    rarity = 1.0 - len(mine) / len(steps)
    if rarity <= 0.0 or (rarity**others).max() > BY_CHANCE:
        return None
    awake = bool(steps.times[-1] / DAY - days[-1] <= QUIET_DAYS)
    return Season(middle, tuple(steps.events[place].id for place in mine[begins]), awake)
