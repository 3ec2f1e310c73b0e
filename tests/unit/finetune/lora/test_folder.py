"""A job as a folder: gone on with where it was, begun anew where something changed, and the same in two processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from finetune.examples import Question
from finetune.lora.folder import is_prepared, prepare, run
from finetune.lora.settings import EncoderSettings
from finetune.training import Epoch
from retrieval.erasure import remove_person
from tests.unit.finetune.test_reranker import QUESTIONS, TEXTS
from tests.unit.tiny_models import make_encoder

SETTINGS = EncoderSettings(device="cpu", precision="float32", epochs=2, batch=6, learning_rate=0.01)
ROWS = [replace(question, user_id=f"u{place % 5}") for place, question in enumerate(QUESTIONS)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny-encoder"
    make_encoder(folder)
    return str(folder)


def prepared(folder: Path, base: str, settings: EncoderSettings = SETTINGS, rows: list[Question] = ROWS) -> Path:
    prepare(folder, "encoder", base, settings, rows, rows[:4], TEXTS)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "adapter" / "adapter_model.safetensors")


def test_what_was_put_down_is_learned(tmp_path: Path, base: str) -> None:
    told: list[Epoch] = []
    outcome = run(prepared(tmp_path / "job", base), SETTINGS, told.append)
    assert [epoch.number for epoch in told] == [0, 1, 2]
    assert outcome.steps == 2 * -(-len(ROWS) // 6)
    assert (tmp_path / "job" / "merged" / "modules.json").is_file()


def test_only_the_same_job_is_gone_on_with(tmp_path: Path, base: str) -> None:
    folder = prepared(tmp_path / "job", base)
    assert is_prepared(folder, "encoder", base, SETTINGS)
    assert not is_prepared(folder, "encoder", base, replace(SETTINGS, rank=4))
    assert not is_prepared(folder, "encoder", "another", SETTINGS)
    assert not is_prepared(folder, "encoder", base, SETTINGS, "of more rows")
    assert not is_prepared(tmp_path / "none", "encoder", base, SETTINGS)


def test_an_erasure_finds_the_rows_and_the_job_begins_anew(tmp_path: Path, base: str) -> None:
    folder = prepared(tmp_path / "training-encoder", base)
    assert remove_person(folder / "train.jsonl", "u3") == sum(row.user_id == "u3" for row in ROWS)
    assert b'"u3"' not in (folder / "train.jsonl").read_bytes()
    assert not is_prepared(folder, "encoder", base, SETTINGS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_learn_what_one_learns(tmp_path: Path, base: str) -> None:
    alone, together = (prepared(tmp_path / name, base) for name in ("alone", "together"))
    run(alone, SETTINGS)
    run(together, replace(SETTINGS, processes=2))
    one, two = weights(alone), weights(together)
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=2e-3, rtol=2e-2)
