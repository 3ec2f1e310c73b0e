"""Two arms compared while they still run: rates of people, their difference, and a test that may be looked at any time.

A person is seen several times, and what one person does is not independent: a rate is a ratio of two sums over people,
its variance that of people (the delta method; Deng et al., "Applying the Delta Method in Metric Analytics", KDD 2018).
The test is the mixture sequential probability ratio test of a difference with a normal mixture, whose p-value holds
however often and whenever one looks (Johari, Koomen, Pekelis and Walsh, "Always Valid Inference: Continuous Monitoring
of A/B Tests", Operations Research 70, 2022; Robbins, "Statistical Methods Related to the Law of the Iterated
Logarithm", 1970). An ordinary test that is looked at every day calls a difference where there is none in more than a
quarter of all experiments. Data only: knows no experiment and no store.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_PEOPLE = 50
"""Of each arm: below, a mean of so few is not near enough to normal for the test to hold what it promises."""
LEAST_ACTING = 10
"""People of each arm who acted at least once, and as many who did not; for the same reason."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Of what was shown, how much was acted on, over people."""

    people: int
    shown: int
    acted: int
    value: float
    """NaN where nothing was shown."""
    variance: float
    """Of `value`; NaN for fewer than two people."""
    enough: bool
    """Whether so many people acted, and did not, that `value` is close to normal."""

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """For one look, at an end that was fixed before; clustered by person."""
        reach = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(self.variance)
        return self.value - reach, self.value + reach


@dataclass(frozen=True, slots=True)
class Comparison:
    """B against A at one look."""

    difference: float
    """Rate of B less that of A."""
    interval: tuple[float, float]
    """Holds at all looks together; the whole line while there is too little to go by."""
    p: float
    """Always valid: below alpha at any look is an alarm that is false in at most alpha of all experiments."""


def rate_of(shown: ArrayLike, acted: ArrayLike) -> Rate:
    """`shown` and `acted` (people,): how many rankings a person got, and how many of them they acted on.

    >>> rate = rate_of([2, 1, 1], [1, 1, 0])
    >>> rate.value, rate.people, rate.shown
    (0.5, 3, 4)
    """
    n, s = np.asarray(shown, dtype=np.float64), np.asarray(acted, dtype=np.float64)
    people, total = len(n), float(n.sum())
    acting = int(np.count_nonzero(s))
    enough = people >= LEAST_PEOPLE and min(acting, people - acting) >= LEAST_ACTING
    value = float(s.sum()) / total if total else math.nan
    variance = math.nan
    if people > 1 and total:
        variance = float(((s - value * n) ** 2).sum()) / total**2 * people / (people - 1)
    return Rate(people, int(total), int(s.sum()), value, variance, enough)


def compare(a: Rate, b: Rate, expected: float, alpha: float = 0.05) -> Comparison:
    """`expected`: the difference that one hopes to find, fixed before the start. It makes the test quickest there and
    costs little elsewhere: its promise holds for any.

    >>> same = rate_of([1] * 400, [1, 0] * 200)
    >>> compare(same, same, 0.02).p
    1.0
    """
    difference, variance = b.value - a.value, a.variance + b.variance
    if not (a.enough and b.enough) or not variance > 0:
        return Comparison(difference, (-math.inf, math.inf), 1.0)
    reach = float(_reach(variance, expected, alpha))
    p = float(np.exp(-_log_ratio(np.array(difference), np.array(variance), expected)))
    return Comparison(difference, (difference - reach, difference + reach), min(1.0, p))


def _log_ratio(difference: NDArray[np.float64], variance: NDArray[np.float64], expected: float) -> NDArray[np.float64]:
    """Log of the likelihood of a difference drawn from a normal with deviation `expected`, over that of none."""
    mixed = variance + expected**2
    ratio: NDArray[np.float64] = 0.5 * np.log(variance / mixed) + (expected * difference) ** 2 / (2 * variance * mixed)
    return ratio


def _reach(variance: float, expected: float, alpha: float) -> float:
    """Half the width of the interval of all differences that the test would not reject."""
    mixed = variance + expected**2
    return math.sqrt(variance * mixed / expected**2 * math.log(mixed / (variance * alpha**2)))
