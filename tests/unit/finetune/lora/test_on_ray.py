"""A job on a cluster: what Ray Train is told, by a stand-in for it; and what is said where it is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import pytest

from finetune.lora.on_ray import on_cluster
from finetune.lora.settings import EncoderSettings
from tasteline.errors import InvalidInput, MissingExtra


@dataclass
class ScalingConfig:
    num_workers: int
    use_gpu: bool


@dataclass
class TorchTrainer:
    job: Callable[[], None]
    scaling_config: ScalingConfig

    def fit(self) -> None:
        for _ in range(self.scaling_config.num_workers):
            self.job()


def test_every_worker_runs_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, held in (("ray", ()), ("ray.train", (ScalingConfig,)), ("ray.train.torch", (TorchTrainer,))):
        module = ModuleType(name)
        for each in held:
            setattr(module, each.__name__, each)
        monkeypatch.setitem(sys.modules, name, module)
    ran: list[int] = []
    on_cluster(lambda: ran.append(1), EncoderSettings(workers=3))
    assert len(ran) == 3


def test_without_ray_and_without_workers_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.train", None)
    with pytest.raises(MissingExtra, match=r"pip install 'ray\[train\]'"):
        on_cluster(lambda: None, EncoderSettings(workers=2))
    with pytest.raises(InvalidInput, match="workers=2"):
        on_cluster(lambda: None, EncoderSettings())
