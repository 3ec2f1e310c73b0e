"""Which language model a shopper gets while an experiment runs: the live one, or the candidate.

Takes the live one as it is followed and what opens another; gives the arm of a person or session, and the candidate's
engine, which is loaded behind the live one as a promotion loads it. On a server both are only names; in process there
are two engines in memory, which share the cores, until the experiment is over. Knows nothing of what they are asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from app.llm.live import LiveLanguageModel
from retrieval.experiment import Experiments
from retrieval.live_model import Followed, LiveModel
from retrieval.registry import Entry
from retrieval.split import Split
from tasteline.ports import LanguageModel
from tasteline.trials import Trial


class LlmTrials:
    """`usual` and `answering` are the live one and its engine; `load` gives an engine that was checked.

    `patience` is the longest that an answer may take, in seconds: so long the candidate stays after the end of its
    experiment, for who was being answered by it.
    """

    def __init__(
        self,
        experiments: Experiments,
        usual: LiveModel[str],
        answering: LiveLanguageModel,
        load: Callable[[Entry], LanguageModel],
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = LiveLanguageModel()
        """The candidate's; empty while there is none."""
        self._answering = answering
        self._load = load
        self._patience = patience
        self._clock = clock
        self._candidate: LiveModel[str] = LiveModel(experiments, usual.kind, self._taken, role="candidate")
        self._split = Split(experiments, usual, self._candidate)
        self._ended: float | None = None

    @property
    def candidate(self) -> Followed:
        return self._candidate

    def __call__(self, user_id: str | None, session_id: str | None = None) -> Trial | None:
        """None for everybody outside an experiment, and for all while one of the two engines changes."""
        tried = self._split(user_id, session_id)
        return tried[0] if tried is not None and self._settled() else None

    def follow(self, usual: Callable[[], None]) -> None:
        """See what was promoted, started or stopped; `usual` is the step of the live one."""
        self._split.follow(usual, self._follow_candidate)

    def close(self) -> None:
        self.engine.close()

    def _settled(self) -> bool:
        """An engine answers as soon as it is exchanged, which is before its model counts as the current one."""
        in_use = (self._split.usual.current(), self._candidate.current())
        engines = (self._answering, self.engine)
        return all(loaded and loaded.model == engine.name for loaded, engine in zip(in_use, engines, strict=True))

    def _follow_candidate(self) -> None:
        self._candidate.follow()
        if self._candidate.current() is not None or self.engine.empty:
            self._ended = None
        elif self._ended is None:
            self._ended = self._clock()
        elif self._clock() - self._ended > self._patience:
            self.engine.release()

    def _taken(self, entry: Entry) -> str:
        model = self._load(entry)
        self.engine.exchange(model, entry.id, model.parent or entry.card.base)
        return entry.id
