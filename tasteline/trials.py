"""What an experiment leaves behind: in which arm a ranking was made, and what it led to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

Arm = Literal["A", "B"]
"""Of an experiment: the model that is live, and the one that it is compared with."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Which experiment a ranking was made in."""

    experiment: str
    arm: Arm
    unit: str
    """Stands for who got it, by a salted hash: the same for all rankings of one person or session."""


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """One ranking of an experiment, and whether somebody acted on it."""

    arm: Arm
    unit: str
    clicked: bool
    """Opened a product: view_item or select_item."""
    carted: bool
    bought: bool


class TrialStore(Protocol):
    """Part of the port `Store`."""

    def trial_outcomes(self, experiment: str) -> Iterator[TrialOutcome]:
        """What came of each ranking of an experiment: of events that quote it, whatever product they name."""
        ...
