"""The bi-encoder's trainer on a BERT of two random layers: what it learns, what it writes, and that a kill changes
nothing."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from finetune.encoder import TrainedEncoder, contrastive, train_encoder
from finetune.examples import Question
from finetune.lora.job import Step
from finetune.lora.settings import EncoderSettings
from tasteline.errors import InvalidInput, MissingExtra
from tests.unit.tiny_models import make_encoder

KINDS = ("kettle", "lamp", "mug", "teapot")
COLOURS = ("red", "blue", "green", "steel", "glass")
TEXTS = {f"{colour} {kind}": f"large {kind} of {colour}" for kind in KINDS for colour in COLOURS}
QUESTIONS = [
    Question(query=f"{colour} {kind}", positive=f"{colour} {kind}", negatives=(f"red {KINDS[0]}",), origin="test")
    for kind in KINDS
    for colour in COLOURS
]
SETTINGS = EncoderSettings(
    device="cpu", precision="float32", epochs=3, batch=8, learning_rate=0.02, batch_tokens=64, checkpoint_seconds=0.0
)
ASLEEP = 5
"""Step of nine at which the job in a process of its own waits for its end."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny-encoder"
    make_encoder(folder)
    return str(folder)


@pytest.fixture(scope="module")
def trained(base: str) -> TrainedEncoder:
    return train_encoder(QUESTIONS, TEXTS, base, SETTINGS, valid=QUESTIONS)


@pytest.fixture(scope="module")
def written(trained: TrainedEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    trained.write(folder)
    return folder


def test_it_learns_and_keeps_the_best(trained: TrainedEncoder) -> None:
    curve = trained.outcome.curve
    assert curve[0].number == 0
    assert curve[trained.outcome.kept].value == max(point.value for point in curve) > curve[0].value
    assert trained.outcome.padding < 0.2 * trained.outcome.tokens


def test_the_merged_folder_gives_the_vectors_of_training_and_not_those_of_the_base(
    base: str, trained: TrainedEncoder, written: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    merged, old = (SentenceTransformer(str(folder), device="cpu") for folder in (written / "merged", base))
    assert merged.prompts["query"] == "query: "
    for encode in ("encode_query", "encode_document"):
        expected, found, before = (getattr(each, encode)(list(TEXTS.values())) for each in (trained.model, merged, old))
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert np.abs(found - before).max() > 0.01


def test_the_adapter_folder_is_one_for_plain_peft(base: str, trained: TrainedEncoder, written: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModel

    from finetune.lora.adapter import quiet

    with quiet():
        loaded = PeftModel.from_pretrained(AutoModel.from_pretrained(f"{base}"), written / "adapter")
    assert loaded.peft_config["default"].base_model_name_or_path == base
    features = trained.model.preprocess(["red kettle"])
    with torch.no_grad():
        tokens = trained.model[0](dict(features))["token_embeddings"]
        torch.testing.assert_close(loaded.eval()(**features).last_hidden_state, tokens, atol=1e-5, rtol=1e-4)


def train_aside(base: str, checkpoint: str) -> None:
    """In a process of its own: tells its steps, and falls asleep in the midst of the second epoch."""
    import time

    def stepped(step: Step) -> None:
        sys.stdout.write(f"{step.number}\n")
        sys.stdout.flush()
        if step.number == ASLEEP:
            time.sleep(600)

    train_encoder(QUESTIONS, TEXTS, base, SETTINGS, valid=QUESTIONS, checkpoint=Path(checkpoint), stepped=stepped)


def test_killed_and_resumed_the_adapter_is_the_same_to_the_byte(base: str, written: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "encoder.pt"
    command = f"from {__name__} import train_aside; train_aside({base!r}, {str(checkpoint)!r})"
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", command],
        cwd=Path(__file__).parents[3],
        env={**os.environ, **threads, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        text=True,
    ) as aside:
        assert aside.stdout is not None
        for line in aside.stdout:
            if line.strip() == str(ASLEEP):
                break
        os.kill(aside.pid, signal.SIGKILL)
    assert aside.returncode == -signal.SIGKILL
    assert checkpoint.is_file()
    steps: list[int] = []
    resumed = train_encoder(
        QUESTIONS,
        TEXTS,
        base,
        SETTINGS,
        valid=QUESTIONS,
        checkpoint=checkpoint,
        stepped=lambda step: steps.append(step.number),
    )
    assert steps == list(range(ASLEEP, 10))
    resumed.write(tmp_path)
    name = "adapter/adapter_model.safetensors"
    assert (tmp_path / name).read_bytes() == (written / name).read_bytes()


def test_other_answers_of_a_query_are_no_wrong_ones() -> None:
    scores = torch.tensor([[0.0, 5.0, 0.0]])
    places = np.array([0]), np.array([0])
    masked = contrastive(scores, torch.tensor([[True, True, False]]), places, torch.ones(1))
    assert float(masked) == pytest.approx(math.log(2))
    assert float(contrastive(scores, torch.tensor([[True, False, False]]), places, torch.ones(1))) > 5
    assert float(contrastive(scores, torch.tensor([[True, True, False]]), places, torch.tensor([0.5]))) == (
        pytest.approx(math.log(2) / 2)
    )


def test_products_look_for_their_question_too(base: str) -> None:
    one = replace(SETTINGS, epochs=1, symmetric=True, graph_tokens=1)
    both = train_encoder(QUESTIONS, TEXTS, base, one).outcome
    single = train_encoder(QUESTIONS, TEXTS, base, replace(one, symmetric=False)).outcome
    assert (len(both.curve), both.kept) == (1, 1)
    assert both.curve[0].loss != single.curve[0].loss


def test_what_is_missing_is_told(base: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="import products"):
        train_encoder(QUESTIONS, {}, base, SETTINGS)
    with pytest.raises(MissingExtra, match="could not be loaded"):
        train_encoder(QUESTIONS, TEXTS, str(tmp_path / "none"), SETTINGS)
    with pytest.raises(InvalidInput, match=r"called q_proj; it has dense, key, query, value"):
        train_encoder(QUESTIONS, TEXTS, base, replace(SETTINGS, targets=("q_proj",)))
