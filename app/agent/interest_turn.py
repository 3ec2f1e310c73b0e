"""The latest turn of a person's interests, as a fact that may be told: only what the timeline found, and only lately.

Takes a history and the indexes, gives an `InterestTurn` with the steps that show it, or None: no turn, one that is old
or not sure enough (as for reasons, `retrieval.turn_reasons`), or one whose events or products are not there any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from prompts.interest_turn import InterestTurn
from prompts.step import Step
from retrieval.drifts import Drift
from retrieval.live import LiveIndex
from retrieval.turn_reasons import LATELY, is_news
from retrieval.turning import turning
from tasteline.types import Event


def latest_turn(
    history: Sequence[Event], live: LiveIndex, now: datetime, drifts: Sequence[Drift] | None = None
) -> InterestTurn | None:
    """`history` oldest first. `drifts`: those of it, where they are known; they are looked for otherwise."""
    latest = next((event.time for event in reversed(history) if event.time), None)
    if latest is None or now - latest > LATELY:
        return None
    found = turning(history, live).drifts if drifts is None else drifts
    if not found or not is_news(found[-1], now):
        return None
    drift = found[-1]
    shown = _steps(drift.evidence, history, live)
    if shown is None:
        return None
    turn = InterestTurn(drift.before, drift.after, shown[: drift.shown_before], shown[drift.shown_before :])
    return turn if turn.can_be_said else None


def _steps(event_ids: Sequence[str], history: Sequence[Event], live: LiveIndex) -> tuple[Step, ...] | None:
    """None where one of them is not there: a turn is told with all that shows it, or not at all."""
    events = {event.id: event for event in history}
    steps: list[Step] = []
    with live.read() as indexes:
        for event_id in event_ids:
            event = events.get(event_id)
            row = indexes.catalogue.row(event.product_id or "") if event else None
            if event is None or row is None:
                return None
            steps.append(Step(event, indexes.catalogue.product(row)))
    return tuple(steps)
