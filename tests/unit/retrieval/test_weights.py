"""Where weights are found, and a GGUF file made into a folder: once, whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from retrieval.adapters import weights
from retrieval.adapters.weights import encoder_path, language_model_folder, language_model_path
from tasteline.errors import MissingExtra


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    file = tmp_path / "Small.Q4.gguf"
    file.write_bytes(b"GGUF")
    return file


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Replaces the conversion by a note of where it wrote."""
    written: list[Path] = []

    def convert(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_bytes(gguf.read_bytes())
        written.append(folder)

    monkeypatch.setattr(weights, "_convert", convert)
    return written


@pytest.mark.parametrize("setting", ["some-org/some-model", "/models/llama", "relative/folder"])
def test_what_is_no_file_is_taken_as_it_is(setting: str, tmp_path: Path) -> None:
    assert encoder_path(setting) == setting
    assert language_model_path(setting) == setting
    assert language_model_folder(setting, tmp_path) == setting
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingExtra, match="make setup"):
        language_model_folder(str(tmp_path / "none.gguf"), tmp_path)


def test_a_file_is_converted_once(gguf: Path, tmp_path: Path, conversions: list[Path]) -> None:
    first = Path(language_model_folder(str(gguf), tmp_path / "cache"))
    assert first.name == "Small.Q4"
    assert (first / "config.json").read_bytes() == b"GGUF"
    assert language_model_folder(str(gguf), tmp_path / "cache") == str(first)
    assert len(conversions) == 1
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == [first.parent.name], "nothing half-made stays"


def test_a_changed_file_is_converted_anew(gguf: Path, tmp_path: Path, conversions: list[Path]) -> None:
    first = language_model_folder(str(gguf), tmp_path / "cache")
    os.utime(gguf, ns=(1, 1))
    assert language_model_folder(str(gguf), tmp_path / "cache") != first
    assert len(conversions) == 2


def test_a_conversion_that_breaks_leaves_nothing(gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        raise ValueError("no space left")

    monkeypatch.setattr(weights, "_convert", convert)
    with pytest.raises(ValueError, match="no space"):
        language_model_folder(str(gguf), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_faster_of_two_wins(gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "cache" / f"safetensors-{weights._file_key(gguf)}" / gguf.stem

    def convert(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        other.mkdir(parents=True)
        (other / "config.json").write_text("the other's")

    monkeypatch.setattr(weights, "_convert", convert)
    folder = Path(language_model_folder(str(gguf), tmp_path / "cache"))
    assert (folder / "config.json").read_text() == "the other's"
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.slow
def test_the_embedded_model_becomes_a_plain_folder(tmp_path: Path) -> None:
    try:
        language_model_path("embedded")
    except MissingExtra as missing:
        pytest.skip(str(missing))
    from transformers import AutoTokenizer

    folder = Path(language_model_folder("embedded", tmp_path))
    config = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in config
    assert config["dtype"] == "bfloat16"
    assert 250e6 < (folder / "model.safetensors").stat().st_size < 290e6
    tokenizer = AutoTokenizer.from_pretrained(folder)
    said = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True
    )
    assert said == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert tokenizer.eos_token == "<|im_end|>"
