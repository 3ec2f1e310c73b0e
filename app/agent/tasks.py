"""What the assistant may ask a language model for, task by task; each answers without one as well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.agent.interest_words import InterestWriter
from app.agent.judging import Judge
from app.agent.understanding import Understanding
from app.agent.voice import Voice
from app.llm.asking import Asker
from app.telemetry import Metrics
from retrieval.live import LiveIndex
from retrieval.understanding import Vocabulary
from tasteline.ports import Store
from tasteline.settings import Settings

TASK_SECONDS = 2.0
"""For each task before the reply begins: the shopper waits, and the rules' own reading is there already."""


@dataclass(frozen=True, slots=True)
class ModelTasks:
    understanding: Understanding
    judge: Judge
    writer: InterestWriter
    voice: Voice

    @classmethod
    def of(
        cls,
        settings: Settings,
        asker: Asker,
        vocabulary: Callable[[], Vocabulary],
        live: LiveIndex,
        store: Store,
        metrics: Metrics,
    ) -> ModelTasks:
        """Those that the settings switch on do ask; the others answer by rules and templates."""
        return cls(
            Understanding(asker, vocabulary, asks=settings.model_understands),
            Judge(asker, settings.model_judges),
            InterestWriter(asker, live, store, settings.model_describes),
            Voice(asker, metrics, settings.worded_products, settings.wording_seconds),
        )
