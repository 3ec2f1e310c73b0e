"""Which of two models of a kind somebody gets: the live one, or while an experiment runs the arm that they are in.

Takes the experiments and both models as they are followed; gives for a person or session the trial and the model of its
arm. Knows nothing of what a model is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from retrieval.experiment import Experiment, Experiments, assigned, key_of
from retrieval.live_model import LiveModel
from tasteline.trials import Trial

T = TypeVar("T")


class Split(Generic[T]):
    """Arm A is the live model (`usual`), arm B the candidate.

    Nobody is in an experiment until both are loaded: an arm that answers with another model would be counted wrong.
    """

    def __init__(self, experiments: Experiments, usual: LiveModel[T], candidate: LiveModel[T]) -> None:
        self._experiments = experiments
        self.usual = usual
        self.candidate = candidate
        self._running: Experiment | None = None

    def __call__(self, user_id: str | None, session_id: str | None = None) -> tuple[Trial, T] | None:
        running, key = self._running, key_of(user_id, session_id)
        if running is None or key is None:
            return None
        a, b = self.usual.current(), self.candidate.current()
        if a is None or b is None or (a.entry.id, b.entry.id) != (running.a, running.b):
            return None
        trial = assigned(running, key)
        return trial, a.model if trial.arm == "A" else b.model

    def follow(self, usual: Callable[[], None] | None = None, candidate: Callable[[], None] | None = None) -> None:
        """See what was promoted, started or stopped. The two steps, where given, stand for those of the models."""
        (usual or self.usual.follow)()
        running = self._experiments.running(self.usual.kind)
        if running != self._running:
            self._running = None  # whatever changes, no ranking is counted for the wrong arm meanwhile
        (candidate or self.candidate.follow)()
        self._running = running
