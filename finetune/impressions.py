"""What was shown where, joined with what was typed before and clicked after; and what a click at each place counts.

Takes the rankings that a store kept and its events, gives the weight of a click by ranking and product. Only rankings
of searches that quote their `ranking_id` are looked at: of others it is not known what was asked. The estimate itself
is `finetune.position_bias`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.event_questions import STRENGTHS
from finetune.position_bias import POSITIONS, click_weights, propensities
from tasteline.ports import Shown
from tasteline.types import Event, EventType


@dataclass(frozen=True, slots=True)
class PlaceWeights:
    """Callable as `finetune.event_questions.PlaceWeight`."""

    places: dict[tuple[str, str], int]
    """(ranking id, product id) → position from 0, of what was clicked."""
    weights: NDArray[np.float64]
    """By position; deeper ones count as the last."""
    corrected: bool
    """False where too little had moved between positions for an estimate: then every click counts the same."""

    def __call__(self, ranking_id: str, product_id: str) -> float:
        place = self.places.get((ranking_id, product_id))
        return 1.0 if place is None else float(self.weights[min(place, len(self.weights) - 1)])


def place_weights(rankings: Iterable[Shown], events: Iterable[Event]) -> PlaceWeights:
    """Estimated from these rankings and events themselves."""
    texts, clicked = _asked_and_clicked(events)
    places: dict[tuple[str, str], int] = {}
    numbers: dict[tuple[str, str], int] = {}
    pairs, positions, clicks = array("q"), array("q"), array("b")
    for shown in rankings:
        text = texts.get(shown.ranking_id)
        for position, product_id in enumerate(shown.product_ids if text is not None else ()):
            was_clicked = (shown.ranking_id, product_id) in clicked
            if was_clicked:  # of the others nobody will ask, and they are many
                places[shown.ranking_id, product_id] = position
            pairs.append(numbers.setdefault((text or "", product_id), len(numbers)))
            positions.append(position)
            clicks.append(was_clicked)
    chances = propensities(
        np.array(pairs, dtype=np.int64), np.array(positions, dtype=np.int64), np.array(clicks, dtype=np.bool_)
    )
    return PlaceWeights(places, click_weights(chances, POSITIONS), chances is not None)


def _asked_and_clicked(events: Iterable[Event]) -> tuple[dict[str, str], set[tuple[str, str]]]:
    """What each ranking was asked for, and which of its products somebody turned to."""
    texts: dict[str, str] = {}
    clicked: set[tuple[str, str]] = set()
    for event in events:
        if event.ranking_id is None:
            continue
        if event.type is EventType.SEARCH and event.query:
            texts[event.ranking_id] = " ".join(event.query.casefold().split())
        elif event.type in STRENGTHS and event.product_id:
            clicked.add((event.ranking_id, event.product_id))
    return texts, clicked
