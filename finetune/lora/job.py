"""The training loop of all LoRA jobs: one pass over examples in seeded steps, on one process or several.

Takes a model, of which some weights learn, and an `Objective` that knows examples and loss; leaves the best weights in
the model and gives the learning curve. A job that was killed goes on from its checkpoint, in the midst of an epoch, to
the same weights bit by bit, on one machine with one number of threads: order and chance of each step follow from its
number, so that nothing but weights, optimiser and place has to be kept. Knows neither texts nor adapters.

Several processes share the examples of a step. What learns is small, so its gradients are summed in one message after
the step; the model is not wrapped, and an objective may call it as often as it likes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from transformers import get_scheduler

from finetune.checkpoint import read_checkpoint, write_checkpoint
from finetune.lora.hardware import Hardware
from finetune.lora.settings import LoraSettings
from finetune.training import Epoch, Told, Weights
from retrieval.models.sequences import Numbers
from tasteline.errors import InvalidInput

Backward = Callable[[Tensor], None]


@dataclass(frozen=True, slots=True)
class Learned:
    """What some examples have given to a step."""

    loss: float = 0.0
    """Summed, as its gradients are."""
    weight: float = 0.0
    """What it is divided by, to be a mean."""
    tokens: int = 0
    """That were read, without padding; once, even where a forward pass was computed twice."""
    padding: int = 0

    def __add__(self, other: Learned) -> Learned:
        return Learned(
            self.loss + other.loss,
            self.weight + other.weight,
            self.tokens + other.tokens,
            self.padding + other.padding,
        )


class Objective(Protocol):
    """Examples and what is wanted of them."""

    def __len__(self) -> int:
        """How many examples there are."""

    def learn(self, rows: Numbers, seed: int, backward: Backward) -> Learned:
        """Add the gradients of the summed loss of some examples, by `backward`. Chance comes from `seed` alone."""


@dataclass(frozen=True, slots=True)
class Step:
    """Where a job stands, for a progress bar."""

    number: int
    of: int
    loss: float
    tokens_per_second: float
    """Of this step, in this process."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job went."""

    curve: tuple[Epoch, ...]
    """Number 0 is the model before it has learned, where anything was measured."""
    kept: int
    """The epoch whose weights the model has now; 0: nothing that was learned is better than the base."""
    steps: int
    tokens: int
    """Of the examples, as often as they were read, without padding; of this process."""
    padding: int
    seconds: float
    """Of learning, over all sittings, without measuring."""


@dataclass(slots=True)
class _State:
    """All that a checkpoint holds beside weights and optimiser."""

    epoch: int = 0
    """That are finished."""
    place: int = 0
    """Examples of the present epoch that were read."""
    step: int = 0
    seconds: float = 0.0
    measuring: float = 0.0
    tokens: int = 0
    padding: int = 0
    loss: float = 0.0
    weight: float = 0.0
    best: float = float("-inf")
    best_epoch: int = 0
    over: bool = False
    curve: list[Epoch] = field(default_factory=list)


class LoraJob:
    """One training of what requires a gradient in `model`."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        settings: LoraSettings,
        hardware: Hardware,
        *,
        measure: Callable[[], float] | None = None,
        told: Told = lambda epoch: None,
        stepped: Callable[[Step], None] = lambda step: None,
        checkpoint: Path | None = None,
        fingerprint: str = "",
    ) -> None:
        """`measure` looks at the model as it stands, larger is better; without it the last weights are kept.

        `fingerprint`: of data and settings; a checkpoint of another one is refused.
        """
        self._model, self._objective, self._settings, self._hardware = model, objective, settings, hardware
        self._measure, self._told, self._stepped = measure, told, stepped
        self._checkpoint, self._fingerprint = checkpoint, fingerprint
        self._accelerator = hardware.accelerator
        self._weights = {name: each for name, each in model.named_parameters() if each.requires_grad}
        self._optimiser = torch.optim.AdamW(
            self._weights.values(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self._steps = settings.epochs * -(-len(objective) // settings.batch)
        self._rate = get_scheduler(
            settings.schedule, self._optimiser, max(1, int(settings.warmup * self._steps)), self._steps
        )
        self._best = self._copy()
        self._state = _State()
        self._saved = time.perf_counter()

    def run(self) -> Outcome:
        """Learn until the last epoch, the time limit, or until it no longer gets better. Takes the checkpoint away.

        Raises InvalidInput for no example, a checkpoint of other data or settings, and a loss that is no number.
        """
        if not len(self._objective):
            raise InvalidInput("there is nothing to learn from: no example is left")
        settings = self._settings
        with torch.random.fork_rng(devices=self._gpus()):
            self._resume()
            state = self._state
            if not state.curve:
                self._look(float("nan"))
            while state.epoch < settings.epochs and not self._is_over():
                self._epoch()
        if self._measure:
            self._load(self._best)
        self._model.eval()
        if self._checkpoint and self._accelerator.is_main_process:
            self._checkpoint.unlink(missing_ok=True)
        kept = state.best_epoch if self._measure else state.epoch
        seconds = state.seconds - state.measuring
        return Outcome(tuple(state.curve), kept, state.step, state.tokens, state.padding, seconds)

    def _gpus(self) -> list[torch.device]:
        return [self._hardware.device] if self._hardware.device.type == "cuda" else []

    def _is_over(self) -> bool:
        state = self._state
        waited = state.epoch - state.best_epoch
        return state.over or (self._measure is not None and waited >= self._settings.patience)

    def _epoch(self) -> None:
        state, size = self._state, self._settings.batch
        order = np.random.default_rng([self._settings.seed, state.epoch]).permutation(len(self._objective))
        self._model.train()
        while state.place < len(order) and not state.over:
            self._step(order[state.place : state.place + size])
            state.place += size
            self._save_now_and_then()
        loss = state.loss / max(state.weight, 1e-9)
        state.epoch, state.place, state.loss, state.weight = state.epoch + 1, 0, 0.0, 0.0
        self._look(loss)

    def _step(self, rows: Numbers) -> None:
        state, started = self._state, time.perf_counter()
        own = rows[self._accelerator.process_index :: self._accelerator.num_processes]
        learned = self._objective.learn(own, self._seed(), self._accelerator.backward)
        loss, weight = self._share(learned)
        norm = self._accelerator.clip_grad_norm_(self._weights.values(), self._settings.clip)
        if not torch.isfinite(norm):
            raise InvalidInput(f"the gradient of step {state.step + 1} is no number; try a lower learning_rate")
        self._optimiser.step()
        self._rate.step()
        self._optimiser.zero_grad()
        seconds = time.perf_counter() - started
        state.step += 1
        state.seconds += seconds
        state.tokens, state.padding = state.tokens + learned.tokens, state.padding + learned.padding
        state.loss, state.weight = state.loss + loss, state.weight + weight
        self._stepped(Step(state.step, self._steps, loss / max(weight, 1e-9), learned.tokens / seconds))

    def _seed(self) -> int:
        """Of the present step, another one in each process."""
        parts = [self._settings.seed, self._state.step, self._accelerator.process_index]
        return int(np.random.SeedSequence(parts).generate_state(1)[0])

    def _share(self, learned: Learned) -> tuple[float, float]:
        """Mean gradients over the examples of all processes; loss and weight of all, and whether the time is over."""
        limit = self._settings.minutes
        over = limit is not None and self._state.seconds - self._state.measuring > 60 * limit
        if self._accelerator.num_processes == 1:
            self._state.over = over
            for each in self._weights.values():
                if each.grad is not None:
                    each.grad /= max(learned.weight, 1e-9)
            return learned.loss, learned.weight
        facts = torch.tensor([learned.loss, learned.weight, float(over)], device=self._hardware.device)
        slopes = [torch.zeros_like(each) if each.grad is None else each.grad for each in self._weights.values()]
        message = self._accelerator.reduce(torch.cat([facts, *(each.flatten() for each in slopes)]), "sum")
        loss, weight, votes = message[:3].tolist()
        parts = (message[3:] / max(weight, 1e-9)).split([each.numel() for each in slopes])
        for each, part in zip(self._weights.values(), parts, strict=True):
            each.grad = part.view_as(each)
        self._state.over = votes > 0
        return loss, weight

    def _look(self, loss: float) -> None:
        """Measure, and keep the weights if they are the best so far; the base is number 0."""
        state, started = self._state, time.perf_counter()
        value = float("nan")
        if self._measure:
            self._model.eval()
            seen = self._measure() if self._accelerator.is_main_process else 0.0
            value = float(self._accelerator.reduce(torch.tensor(seen, device=self._hardware.device), "sum"))
            if value > state.best:
                state.best, state.best_epoch, self._best = value, state.epoch, self._copy()
        took = time.perf_counter() - started
        state.seconds, state.measuring = state.seconds + took, state.measuring + took
        if self._measure or state.epoch:
            state.curve.append(Epoch(state.epoch, state.seconds, loss, value))
            self._told(state.curve[-1])

    def _copy(self) -> Weights:
        return {name: each.detach().clone() for name, each in self._weights.items()}

    @torch.no_grad()
    def _load(self, weights: Weights) -> None:
        for name, each in self._weights.items():
            each.copy_(weights[name])

    def _save_now_and_then(self) -> None:
        due = time.perf_counter() - self._saved > self._settings.checkpoint_seconds
        if self._checkpoint is None or not due or not self._accelerator.is_main_process:
            return
        content = {
            "state": {**asdict(self._state), "curve": [asdict(epoch) for epoch in self._state.curve]},
            "weights": self._copy(),
            "best": self._best,
            "optimiser": self._optimiser.state_dict(),
            "rate": self._rate.state_dict(),
        }
        write_checkpoint(self._checkpoint, self._fingerprint, content)
        self._saved = time.perf_counter()

    def _resume(self) -> None:
        stored = read_checkpoint(self._checkpoint, self._fingerprint)
        if stored is None:
            return
        self._load(stored["weights"])
        self._best = {name: each.to(self._hardware.device) for name, each in stored["best"].items()}
        self._optimiser.load_state_dict(stored["optimiser"])
        self._rate.load_state_dict(stored["rate"])
        curve = [Epoch(**epoch) for epoch in stored["state"]["curve"]]
        self._state = _State(**{**stored["state"], "curve": curve})
