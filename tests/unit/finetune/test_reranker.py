"""The cross-encoder's trainer on a BERT of two random layers without a head: what it learns and what it writes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from finetune.examples import Question
from finetune.lora.settings import RerankerSettings
from finetune.reranker import TrainedReranker, listwise, pointwise, train_reranker
from tests.unit.tiny_models import make_encoder

KINDS, COLOURS = ("kettle", "lamp", "mug", "teapot"), ("red", "blue", "green", "steel", "glass")
TEXTS = {f"{colour} {kind}": f"large {kind} of {colour}" for kind in KINDS for colour in COLOURS}
QUESTIONS = [
    Question(
        query=f"{colour} {kind}",
        positive=f"steel {kind}",
        negatives=tuple(f"{other} {kind}" for other in COLOURS if other != "steel"),
        origin="test",
    )
    for kind in KINDS
    for colour in COLOURS
]
"""Whatever is asked for, it is to be of steel: what two random layers can learn in seconds."""
SETTINGS = RerankerSettings(
    device="cpu", precision="float32", epochs=6, batch=5, learning_rate=0.01, batch_tokens=64, patience=9
)
PAIRS = [(question.query, TEXTS[question.positive]) for question in QUESTIONS]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny-encoder"
    make_encoder(folder)
    return str(folder)


@pytest.fixture(scope="module")
def trained(base: str) -> TrainedReranker:
    return train_reranker(QUESTIONS, TEXTS, base, SETTINGS, valid=QUESTIONS)


@pytest.fixture(scope="module")
def written(trained: TrainedReranker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    trained.write(folder)
    return folder


def test_it_learns(trained: TrainedReranker) -> None:
    curve = trained.outcome.curve
    assert curve[trained.outcome.kept].value > curve[0].value + 0.1
    assert trained.outcome.padding < 0.1 * trained.outcome.tokens


def test_the_merged_folder_scores_as_training_did_with_one_label(trained: TrainedReranker, written: Path) -> None:
    from sentence_transformers import CrossEncoder

    merged = CrossEncoder(str(written / "merged"), device="cpu")
    assert merged.num_labels == 1
    scores = merged.predict(PAIRS, show_progress_bar=False)
    np.testing.assert_allclose(scores, trained.model.predict(PAIRS, show_progress_bar=False), atol=1e-5)
    wrong = merged.predict([(query, TEXTS["red lamp"]) for query, _ in PAIRS], show_progress_bar=False)
    assert scores.mean() > wrong.mean()


def test_the_adapter_carries_the_fresh_head_for_plain_peft(base: str, trained: TrainedReranker, written: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    from finetune.lora.adapter import quiet

    with quiet():  # its own head is fresh, too, and another one
        torch.manual_seed(77)
        network = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
        loaded = PeftModel.from_pretrained(network, written / "adapter").eval()
    features = trained.model.preprocess(PAIRS)
    with torch.no_grad():
        scores = loaded(**features).logits.sigmoid().flatten().numpy()
    np.testing.assert_allclose(scores, trained.model.predict(PAIRS, show_progress_bar=False), atol=1e-5)


def test_losses_by_hand() -> None:
    scores = torch.tensor([math.log(3), 0.0, 0.0, 0.0])
    sizes = np.array([2, 2])
    assert float(listwise(scores, sizes, torch.tensor([1.0, 0.0]))) == pytest.approx(math.log(4 / 3))
    assert float(listwise(scores, sizes, torch.tensor([1.0, 2.0]))) == pytest.approx(math.log(4 / 3) + 2 * math.log(2))
    expected = (math.log(4 / 3) + math.log(2)) / 2  # sigmoid(log 3) = 3/4 is right, 1/2 is half right
    assert float(pointwise(scores, sizes, torch.tensor([1.0, 0.0]))) == pytest.approx(expected)


def test_pointwise_learns_as_well(base: str) -> None:
    outcome = train_reranker(QUESTIONS, TEXTS, base, replace(SETTINGS, loss="pointwise"), valid=QUESTIONS).outcome
    assert outcome.curve[outcome.kept].value > outcome.curve[0].value
