"""What the bench of exchanges makes: two models that differ, and figures of what its clients got."""

from pathlib import Path

import numpy as np
import pytest

from eval.bench import swap
from eval.bench.swap import Heard
from retrieval.registry import Registry
from tasteline.errors import InvalidInput


def test_two_encoders_differ_from_each_other_and_from_the_published_one(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    from retrieval.adapters.weights import encoder_path

    registry = Registry(tmp_path)
    folders = [Path(encoder_path("embedded"))]
    folders += [swap._registered(registry, "encoder", seed).folder / "merged" for seed in range(2)]
    weights = [load_file(folder / "model.safetensors") for folder in folders]
    assert len({tuple(sorted(each)) for each in weights}) == 1
    name = next(name for name, values in weights[0].items() if values.ndim > 1 and values.dtype == np.float32)
    spread = weights[0][name].std()
    for one, other in ((0, 1), (0, 2), (1, 2)):
        difference = (weights[one][name] - weights[other][name]).std()
        assert 0.01 * spread < difference < 0.05 * spread


def test_only_what_was_asked_in_a_time_counts() -> None:
    heard = Heard([(1.0, 10.0), (2.0, 20.0), (3.0, 30.0)])
    assert heard.between(1.5, 3.0) == [20.0]


def test_other_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="encoder, reranker"):
        swap.run([], tmp_path, "llm")
