"""The same job on the nodes of a cluster: Ray Train starts the workers, and each runs the function it is given.

Takes a job (what `accelerate launch` would run in each process) and its settings; gives nothing, since the first worker
writes the result, to a folder that all nodes see. Written after Ray's interface and tried only against a stand-in: no
cluster was at hand.
"""

from __future__ import annotations

from collections.abc import Callable

from finetune.lora.settings import LoraSettings
from tasteline.errors import InvalidInput, MissingExtra


def on_cluster(job: Callable[[], None], settings: LoraSettings) -> None:
    """Run `job` in `settings.workers` workers, one GPU each unless the device is "cpu"; wait for all of them.

    The workers form one process group, which `Hardware` finds. Raises MissingExtra where Ray Train is not installed,
    InvalidInput for no workers.
    """
    if settings.workers < 1:
        raise InvalidInput("a job on a cluster needs workers; set workers=2 or more", field="workers")
    try:
        from ray.train import ScalingConfig  # type: ignore[import-not-found,unused-ignore]
        from ray.train.torch import TorchTrainer  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise MissingExtra("A job on a cluster needs Ray Train.", remedy="pip install 'ray[train]'") from error
    scaling = ScalingConfig(num_workers=settings.workers, use_gpu=settings.device != "cpu")
    TorchTrainer(job, scaling_config=scaling).fit()
