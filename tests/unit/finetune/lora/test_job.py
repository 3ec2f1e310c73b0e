"""The loop of LoRA jobs: resumed it reaches the very same weights; the best are kept, the base's included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from finetune.lora.hardware import Hardware
from finetune.lora.job import Backward, Learned, LoraJob, Outcome, Step
from finetune.lora.settings import LlmSettings
from tasteline.errors import InvalidInput

SETTINGS = LlmSettings(
    device="cpu", precision="float32", epochs=4, batch=16, learning_rate=0.05, checkpoint_seconds=0.0, patience=9
)
X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
Y = X @ torch.tensor([1.0, -2.0, 0.5])


class PowerCut(Exception):
    pass


class Regression:
    """Squared error, the dropped units following from the seed; `parts` backward passes for each step."""

    def __init__(self, model: nn.Module, parts: int = 1, rows: int = len(X)) -> None:
        self._model, self._parts, self._rows = model, parts, rows
        self.seen: list[list[int]] = []

    def __len__(self) -> int:
        return self._rows

    def learn(self, rows: np.ndarray, seed: int, backward: Backward) -> Learned:
        self.seen.append(rows.tolist())
        learned = Learned()
        for part in np.array_split(rows, self._parts):
            torch.manual_seed(seed)
            loss = ((self._model(X[part]).squeeze(1) - Y[part]) ** 2).sum()
            backward(loss)
            learned += Learned(float(loss.detach()), len(part), len(part))
        return learned


def module(dropout: float = 0.2) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(dropout), nn.Linear(8, 1))


def job(
    model: nn.Module,
    objective: Regression | None = None,
    settings: LlmSettings = SETTINGS,
    checkpoint: Path | None = None,
    fingerprint: str = "same",
    cut_at: int | None = None,
    measure: Callable[[], float] | None = None,
) -> LoraJob:
    def stepped(step: Step) -> None:
        if step.number == cut_at:
            raise PowerCut

    def loss() -> float:
        with torch.no_grad():
            return -float(((model(X).squeeze(1) - Y) ** 2).mean())

    return LoraJob(
        model,
        Regression(model) if objective is None else objective,
        settings,
        Hardware.of(settings),
        measure=measure or loss,
        stepped=stepped,
        checkpoint=checkpoint,
        fingerprint=fingerprint,
    )


def weights(model: nn.Module) -> Tensor:
    return torch.cat([each.detach().flatten() for each in model.parameters()])


def points(outcome: Outcome) -> list[tuple[int, float]]:
    return [(each.number, each.value) for each in outcome.curve]


@pytest.mark.parametrize("cut_at", [2, 5, 8])
def test_cut_in_the_midst_of_an_epoch_it_goes_on_to_bit_equal_weights(tmp_path: Path, cut_at: int) -> None:
    whole, broken, resumed = module(), module(), module()
    expected = job(whole).run()
    with pytest.raises(PowerCut):
        job(broken, checkpoint=tmp_path / "job.pt", cut_at=cut_at).run()
    torch.manual_seed(99)  # another process begins with another chance
    objective = Regression(resumed)
    outcome = job(resumed, objective, checkpoint=tmp_path / "job.pt").run()
    assert torch.equal(weights(resumed), weights(whole))
    assert points(outcome) == points(expected)
    assert (outcome.steps, outcome.tokens) == (expected.steps, expected.tokens) == (12, 160)
    assert len(objective.seen) == 12 - (cut_at - 1)  # what was learned is not learned again
    assert not (tmp_path / "job.pt").exists()


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PowerCut):
        job(module(), checkpoint=tmp_path / "job.pt", cut_at=3).run()
    with pytest.raises(InvalidInput, match="delete the file"):
        job(module(), checkpoint=tmp_path / "job.pt", fingerprint="other").run()


def test_the_best_weights_are_kept_and_patience_ends() -> None:
    model, values = module(), [0.1, 0.3, 0.2, 0.25, 0.9]
    outcome = job(model, settings=replace(SETTINGS, patience=2, epochs=9), measure=lambda: values.pop(0)).run()
    assert (outcome.kept, [each.number for each in outcome.curve]) == (1, [0, 1, 2, 3])
    stopped, values = module(), [0.1, 0.3]
    constant = replace(SETTINGS, patience=2, epochs=9)  # the rate falls over nine epochs in both
    cut = job(stopped, settings=constant, measure=lambda: values.pop(0))
    with pytest.raises(IndexError):
        cut.run()
    assert torch.equal(weights(model), torch.cat([each.flatten() for each in cut._best.values()]))


def test_what_does_not_help_leaves_the_base() -> None:
    model, values = module(), [0.5, 0.5, 0.4, 0.3, 0.2]
    assert job(model, measure=lambda: values.pop(0)).run().kept == 0
    assert torch.equal(weights(model), weights(module()))


def test_parts_of_a_step_give_the_gradient_of_the_whole() -> None:
    whole, parts = module(dropout=0.0), module(dropout=0.0)
    job(whole, Regression(whole)).run()
    job(parts, Regression(parts, parts=5)).run()
    torch.testing.assert_close(weights(parts), weights(whole))


def test_each_epoch_reads_everything_once_in_another_order() -> None:
    model = module()
    objective = Regression(model)
    job(model, objective, settings=replace(SETTINGS, epochs=2)).run()
    first, second = ([row for step in objective.seen[start : start + 3] for row in step] for start in (0, 3))
    assert sorted(first) == sorted(second) == list(range(40))
    assert first != second
    assert [len(step) for step in objective.seen] == [16, 16, 8] * 2


def test_a_time_limit_ends_it_and_keeps_what_was_learned() -> None:
    model = module()
    outcome = job(model, settings=replace(SETTINGS, minutes=1e-9, epochs=50)).run()
    assert (outcome.steps, outcome.kept) == (2, 1)  # seen after the first step that is over it


def test_nothing_to_learn_and_a_gradient_that_is_no_number_are_told() -> None:
    with pytest.raises(InvalidInput, match="no example"):
        job(module(), Regression(module(), rows=0)).run()
    model = module()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(InvalidInput, match="lower learning_rate"):
        job(model).run()


def test_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    model = module()
    torch.manual_seed(3)
    job(model).run()
    assert torch.equal(torch.rand(1), expected)
