"""The first sentence of a reply, by the language model: used where it comes in time and every claim in it is true.

Takes the facts of an answer, gives an `Opened`. A late or broken engine is left alone for a while. Never raises for
anything that an engine does.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog

from app.agent.grounding import check
from app.telemetry import Metrics
from prompts.facts import ReplyFacts
from prompts.wording import render_wording_messages
from tasteline.errors import TastelineError
from tasteline.ports import LanguageModel

TEMPLATES = "templates"
WORDING_SECONDS = 1.5
"""A shopper waits no longer for eloquence."""
REST_SECONDS = 30.0
"""After a late or broken wording: an engine in trouble is not waited for again and again."""
WORDING_TOKENS = 48
WORDED = {"found", "refined", "recommended", "similar", "complement"}
"""Kinds of answer whose opening a model may word; the others are facts alone."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    text: str = ""
    engine: str = TEMPLATES
    """Which voice spoke."""
    failed: bool = False


class Opening:
    def __init__(self, model: LanguageModel | None, metrics: Metrics) -> None:
        self._model = model
        self._metrics = metrics
        self._silent_until = 0.0

    async def of(self, facts: ReplyFacts) -> Opened:
        """What the model says about these facts, as far as it is true."""
        if self._model is None or facts.kind not in WORDED or not facts.products:
            return Opened()
        if not self._model.ready or time.monotonic() < self._silent_until:
            return Opened()
        written = []
        try:
            messages = render_wording_messages(facts)
            async for piece in self._model.stream(messages, max_tokens=WORDING_TOKENS, timeout=WORDING_SECONDS):
                written.append(piece.text)
        except TastelineError as error:
            self._metrics.wording.labels("failed").inc()
            log.info("wording_failed", error=type(error).__name__)
            self._silent_until = time.monotonic() + REST_SECONDS
            return Opened(failed=True)
        checked = check("".join(written), facts)
        self._metrics.wording.labels(checked.verdict).inc()
        return Opened(checked.text, self._model.name) if checked.text else Opened()
