"""Settings of LoRA jobs: what overrides what, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.lora.settings import EncoderSettings, LlmSettings, RerankerSettings, read_settings
from tasteline.errors import InvalidInput, NotFound

FILE = """
rank = 8
learning_rate = 1e-4
[encoder]
temperature = 0.1
rank = 4
[llm]
targets = ["q_proj", "v_proj"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lora.toml"
    path.write_text(FILE)
    return path


def test_later_ones_win_and_the_rest_is_the_base(file: Path) -> None:
    encoder = read_settings(EncoderSettings(epochs=7), file, ["temperature=0.2", "symmetric=true"])
    assert (encoder.rank, encoder.learning_rate, encoder.temperature, encoder.epochs) == (4, 1e-4, 0.2, 7)
    assert encoder.symmetric is True
    llm = read_settings(LlmSettings(), file, ["minutes=5", "max_length=none"])
    assert (llm.rank, llm.targets, llm.minutes, llm.max_length) == (8, ("q_proj", "v_proj"), 5.0, None)
    assert read_settings(RerankerSettings()) == RerankerSettings()


def test_a_preset_changes_defaults_and_gives_way_to_what_is_said(file: Path) -> None:
    gpu = read_settings(RerankerSettings(), None, ["preset=gpu", "batch=48"])
    assert (gpu.device, gpu.batch, gpu.batch_tokens, gpu.graph_tokens) == ("gpu", 48, 65_536, 262_144)
    assert read_settings(LlmSettings(), None, ["preset=gpu"]).batch_tokens == 65_536
    with pytest.raises(InvalidInput, match=r"no preset 'tpu'; there are cpu, gpu"):
        read_settings(LlmSettings(), None, ["preset=tpu"])


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("rnak=8", r"no setting 'rnak'; there are preset, .*rank"),
        ("temperature=0.1", "no setting 'temperature'"),
        ("rank", "write name=value"),
        ("rank=many", "rank = 'many'"),
        ("rank=0", "rank = '0'.*greater"),
        ("warmup=1", "warmup = '1'.*less"),
        ("schedule=sometimes", "schedule"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_known(assignment: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        read_settings(LlmSettings(), None, [assignment])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("rank 8", "is not TOML"),
        ("temperature = 0.1", r"lora\.toml: there is no setting 'temperature'"),
        ("[decoder]\nrank = 8", r"no kind \[decoder\]; there are encoder, reranker, llm"),
        ("[encoder]\nloss = 'listwise'", r"\[encoder\]: there is no setting 'loss'"),
        ("rank = 1.5", "rank = 1.5"),
    ],
)
def test_a_wrong_file_is_refused_whomever_it_concerns(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "lora.toml").write_text(content)
    with pytest.raises(InvalidInput, match=told):
        read_settings(LlmSettings(), tmp_path / "lora.toml")
    with pytest.raises(NotFound):
        read_settings(LlmSettings(), tmp_path / "none.toml")
