"""The training core: a job that is broken off goes on to the very same weights; the best averaged weights are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from finetune.training import Epoch, Job, Schedule, best_of
from tasteline.errors import InvalidInput

SCHEDULE = Schedule(epochs=6, measure_from=1, measure_every=1, patience=9, checkpoint_seconds=0.0, learning_rate=0.01)
X = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
Y = X @ torch.tensor([1.0, -2.0, 0.5])


class PowerCut(Exception):
    pass


def module() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.Linear(8, 1))


def job(
    made: nn.Module,
    checkpoint: Path | None = None,
    schedule: Schedule = SCHEDULE,
    fingerprint: str = "same",
    cut_at: int | None = None,
    values: list[float] | None = None,
) -> Job:
    def loss(batch: object) -> Tensor:
        assert isinstance(batch, Tensor)
        return ((made(X[batch]).squeeze(1) - Y[batch]) ** 2).mean()

    def batches(rng: np.random.Generator) -> Iterator[object]:
        order = rng.permutation(len(X))
        yield from (torch.from_numpy(order[start : start + 16]) for start in range(0, len(X), 16))

    def told(epoch: Epoch) -> None:
        if epoch.number == cut_at:
            raise PowerCut

    def measure() -> float:
        if values is not None:
            return values.pop(0)
        with torch.no_grad():
            return -float(((made(X).squeeze(1) - Y) ** 2).mean())

    return Job(made, loss, batches, measure, schedule, 5, told, checkpoint, fingerprint)


def weights(made: nn.Module) -> list[Tensor]:
    return [each.detach().clone() for each in made.parameters()]


def test_broken_off_and_resumed_it_reaches_bit_equal_weights(tmp_path: Path) -> None:
    whole, broken = module(), module()
    curve = job(whole).run()
    checkpoint = tmp_path / "job.pt"
    with pytest.raises(PowerCut):
        job(broken, checkpoint, cut_at=4).run()
    assert checkpoint.is_file()
    resumed = module()
    again = job(resumed, checkpoint).run()
    assert [(each.number, each.loss, each.value) for each in again] == [
        (each.number, each.loss, each.value) for each in curve
    ]
    for one, other in zip(weights(resumed), weights(whole), strict=True):
        assert torch.equal(one, other)
    assert not checkpoint.exists()  # a finished job leaves nothing to go on with


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PowerCut):
        job(module(), tmp_path / "job.pt", cut_at=3).run()
    with pytest.raises(InvalidInput, match="delete the file"):
        job(module(), tmp_path / "job.pt", fingerprint="other").run()


def test_the_weights_of_the_best_epoch_are_kept_and_it_stops_when_patience_ends() -> None:
    made = module()
    schedule = replace(SCHEDULE, patience=2, epochs=50)
    curve = job(made, schedule=schedule, values=[0.1, 0.3, 0.2, 0.25, 0.9]).run()
    assert [each.number for each in curve] == [1, 2, 3, 4]
    assert best_of(curve).number == 2
    stopped = module()
    job(stopped, schedule=replace(SCHEDULE, epochs=2), values=[0.1, 0.3]).run()
    for one, other in zip(weights(made), weights(stopped), strict=True):
        assert torch.equal(one, other)


def test_what_is_kept_is_the_average_of_the_weights() -> None:
    average, last = module(), module()
    job(average).run()
    job(last, schedule=replace(SCHEDULE, average=0.0)).run()
    assert any(not torch.allclose(one, other) for one, other in zip(weights(average), weights(last), strict=True))


def test_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    made = module()
    torch.manual_seed(3)
    job(made).run()
    assert torch.equal(torch.rand(1), expected)
