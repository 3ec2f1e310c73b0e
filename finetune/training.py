"""The training core that all jobs share: seeded epochs with averaged weights, early stopping, checkpoints, progress.

Takes a module, batches and a loss; gives the best weights and the learning curve. A job that was broken off goes on
from its checkpoint to the same weights, on one machine with one number of threads. Knows no data and no metric.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from finetune.checkpoint import read_checkpoint, write_checkpoint

Weights = dict[str, Tensor]
WARM_AVERAGE = 10
"""Steps over which the average of weights begins to hold still; before, it follows the weights closely."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a job learns, whatever it learns."""

    learning_rate: float = 1e-3
    epochs: int = 60
    """At most."""
    patience: int = 2
    """Measurements without a better one until it stops."""
    measure_from: int = 8
    """The first epoch that is measured: before, it is never the best, and measuring costs as much as learning."""
    measure_every: int = 2
    blind_epochs: int = 18
    """How long it learns where nobody measures."""
    average: float = 0.998
    """Of the weights over steps (Polyak and Juditsky, 1992): what is measured and kept. On Beauty nDCG@10 on valid
    .0763 with and .0715 without, where it jumped by .003 from one epoch to the next."""
    checkpoint_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Epoch:
    """A point of the learning curve."""

    number: int
    """From 1."""
    seconds: float
    """Of learning and measuring since the start, over all sittings."""
    loss: float
    value: float
    """What was measured, larger is better; NaN where nothing was."""


@dataclass(slots=True)
class _State:
    """All that a checkpoint holds beside weights and optimiser."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: float = -1.0
    best_epoch: int = 0
    curve: list[Epoch] = field(default_factory=list)


Told = Callable[[Epoch], None]
Batches = Callable[[np.random.Generator], Iterator[object]]
"""All batches of an epoch in an order drawn from the generator."""


class Job:
    """One training. `loss(batch)` is the mean over the batch; `measure()` looks at the module as it then stands."""

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[[object], Tensor],
        batches: Batches,
        measure: Callable[[], float] | None,
        schedule: Schedule,
        seed: int,
        told: Told = lambda epoch: None,
        checkpoint: Path | None = None,
        fingerprint: str = "",
    ) -> None:
        """`fingerprint`: of data and settings; a checkpoint of another one is refused."""
        self._module, self._loss, self._batches, self._measure = module, loss, batches, measure
        self._schedule, self._seed, self._told = schedule, seed, told
        self._checkpoint, self._fingerprint = checkpoint, fingerprint
        self._optimiser = torch.optim.Adam(
            module.parameters(), schedule.learning_rate, betas=(0.9, 0.98), fused=_on_fused_device(module)
        )
        self._parameters = dict(module.named_parameters())
        self._average = {name: each.detach().clone() for name, each in self._parameters.items()}
        self._best = self._copy(self._average)
        self._state = _State()

    def run(self) -> list[Epoch]:
        """Learn until it no longer gets better; the module then holds the best averaged weights.

        Goes on from the checkpoint, if there is one, and takes it away when done. Raises InvalidInput for a checkpoint
        of other data or settings.
        """
        state = self._state
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            self._resume()
            last = self._schedule.epochs if self._measure else self._schedule.blind_epochs
            saved = time.perf_counter()
            while state.epoch < last and not self._has_stopped():
                self._epoch()
                if self._checkpoint and time.perf_counter() - saved > self._schedule.checkpoint_seconds:
                    self._save()
                    saved = time.perf_counter()
        self._load(self._best)
        self._module.eval()
        if self._checkpoint:
            self._checkpoint.unlink(missing_ok=True)
        return state.curve

    def _has_stopped(self) -> bool:
        waited = self._state.epoch - self._state.best_epoch
        return bool(self._state.best_epoch) and waited >= self._schedule.patience * self._schedule.measure_every

    def _epoch(self) -> None:
        state, started = self._state, time.perf_counter()
        state.epoch += 1
        rng = np.random.default_rng([self._seed, state.epoch])
        loss = self._learn(rng)
        value = self._measured()
        state.seconds += time.perf_counter() - started
        state.curve.append(Epoch(state.epoch, state.seconds, loss, value))
        self._told(state.curve[-1])

    def _learn(self, rng: np.random.Generator) -> float:
        self._module.train()
        total, batches = 0.0, 0
        for batch in self._batches(rng):
            self._optimiser.zero_grad()
            loss = self._loss(batch)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
            self._state.step += 1
            self._follow()
            total, batches = total + float(loss.detach()), batches + 1
        return total / max(batches, 1)

    @torch.no_grad()
    def _follow(self) -> None:
        step = self._state.step
        kept = min(self._schedule.average, (1 + step) / (WARM_AVERAGE + step))
        names = list(self._parameters)
        torch._foreach_mul_([self._average[name] for name in names], kept)
        torch._foreach_add_(
            [self._average[name] for name in names], [self._parameters[name].detach() for name in names], alpha=1 - kept
        )

    def _measured(self) -> float:
        state, schedule = self._state, self._schedule
        if self._measure is None:
            self._best = self._average  # the last is kept
            return float("nan")
        if state.epoch < schedule.measure_from or (state.epoch - schedule.measure_from) % schedule.measure_every:
            return float("nan")
        live = self._copy(self._parameters)
        self._load(self._average)
        self._module.eval()
        value = self._measure()
        self._load(live)
        if value > state.best or not state.best_epoch:
            state.best, state.best_epoch, self._best = value, state.epoch, self._copy(self._average)
        return value

    @staticmethod
    def _copy(weights: Mapping[str, Tensor]) -> Weights:
        return {name: each.detach().clone() for name, each in weights.items()}

    @torch.no_grad()
    def _load(self, weights: Mapping[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(weights[name])

    def _save(self) -> None:
        assert self._checkpoint is not None
        state = {**asdict(self._state), "curve": [asdict(epoch) for epoch in self._state.curve]}
        content = {
            "state": state,
            "weights": self._copy(self._parameters),
            "average": self._average,
            "best": self._best,
            "optimiser": self._optimiser.state_dict(),
            "random": torch.random.get_rng_state(),
        }
        write_checkpoint(self._checkpoint, self._fingerprint, content)

    def _resume(self) -> None:
        stored = read_checkpoint(self._checkpoint, self._fingerprint)
        if stored is None:
            return
        self._load(stored["weights"])
        self._average, self._best = stored["average"], stored["best"]
        self._optimiser.load_state_dict(stored["optimiser"])
        torch.random.set_rng_state(stored["random"])
        curve = [Epoch(**epoch) for epoch in stored["state"].pop("curve")]
        for name, value in stored["state"].items():
            setattr(self._state, name, value)
        self._state.curve = curve


def _on_fused_device(module: nn.Module) -> bool:
    return all(parameter.device.type in ("cpu", "cuda") for parameter in module.parameters())


def best_of(curve: list[Epoch]) -> Epoch:
    """The epoch whose weights were kept."""
    measured = [epoch for epoch in curve if epoch.value == epoch.value]
    return max(measured, key=lambda epoch: epoch.value) if measured else curve[-1]
