"""What the assistant may ask a language model for, task by task; each answers without one as well.

While an experiment compares two language models there are two of each task, and a shopper gets those of one arm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from app.agent.interest_words import InterestWriter, KeptWords
from app.agent.judging import Judge
from app.agent.understanding import Understanding
from app.agent.voice import Voice
from app.llm.asking import Asker
from app.telemetry import Metrics
from app.trained import TrainedModels
from retrieval.live import LiveIndex
from retrieval.understanding import Vocabulary
from tasteline.ports import Store
from tasteline.settings import Settings
from tasteline.trials import Trial

TASK_SECONDS = 2.0
"""For each task before the reply begins: the shopper waits, and the rules' own reading is there already."""


@dataclass(frozen=True, slots=True)
class ModelTasks:
    understanding: Understanding
    judge: Judge
    writer: InterestWriter
    voice: Voice
    trial: Trial | None = None
    """In which arm of which experiment they are done; None outside of one."""


TasksOf = Callable[[str | None, str | None], ModelTasks]
"""A person and a session → the tasks that they get, for the whole of an answer."""


class TriedTasks:
    """`trying` gives the arm of a person or session; None: there are no experiments."""

    def __init__(
        self, usual: ModelTasks, candidate: ModelTasks, trying: Callable[[str | None, str | None], Trial | None] | None
    ) -> None:
        self._usual = usual
        self._candidate = candidate
        self._trying = trying

    @classmethod
    def of(
        cls,
        settings: Settings,
        models: TrainedModels,
        vocabulary: Callable[[], Vocabulary],
        live: LiveIndex,
        store: Store,
        metrics: Metrics,
    ) -> TriedTasks:
        """Those that the settings switch on do ask; the others answer by rules and templates."""
        kept, trials = KeptWords(), models.llm_trials

        def tasks(asker: Asker) -> ModelTasks:
            return ModelTasks(
                Understanding(asker, vocabulary, asks=settings.model_understands),
                Judge(asker, settings.model_judges),
                InterestWriter(asker, live, store, settings.model_describes, kept),
                Voice(asker, metrics, settings.worded_products, settings.wording_seconds),
            )

        # An engine that broke is left alone by its own asker: the other arm has nothing to do with it.
        usual, candidate = (
            tasks(Asker(engine, metrics)) for engine in (models.language_model, trials.engine if trials else None)
        )
        return cls(usual, candidate, trials if _asks(settings) else None)

    def __call__(self, user_id: str | None, session_id: str | None = None) -> ModelTasks:
        """Of this moment: keep them for as long as one answer takes."""
        trial = self._trying(user_id, session_id) if self._trying else None
        if trial is None:
            return self._usual
        return replace(self._candidate if trial.arm == "B" else self._usual, trial=trial)


def _asks(settings: Settings) -> bool:
    """Is a model asked for anything? Where it is not, no arm makes a difference, and nothing is counted."""
    judges = settings.model_judges != "off"
    return bool(settings.worded_products or settings.model_understands or judges or settings.model_describes)
