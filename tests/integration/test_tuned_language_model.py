"""A language model that was taught something, merged, and served without a server: both engines say it, the base not.

An adapter laid on the graph that OpenVINO makes of the base's file loads and changes nothing; so what counts here is
that the answer changed, and that it is the answer of the same weights in transformers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from app.engines import open_language_model, open_trained_language_model
from app.main import create_app
from retrieval.adapters.weights import language_model_folder
from retrieval.registry import Registry
from tasteline.ports import LanguageModel
from tasteline.settings import Settings
from tasteline.types import ChatMessage, Scores
from tests.conftest import TAUGHT_ANSWER, TAUGHT_QUESTION, teach
from tests.integration.conftest import PRODUCTS
from tests.integration.running_service import until
from tests.integration.tuned import poisoned, register, with_weights, zeroed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
ROUNDING = 0.1
"""As in the contract of language models: bfloat16, and 8 bits for a weight."""
PROMPTS = [
    (ChatMessage("user", f"Is a {thing} an animal? Answer with one word."),) for thing in ("cat", "stone", "bus")
]


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    root = tmp_path_factory.mktemp("taught")
    base = language_model_folder("embedded", root / "models")
    teach(base, root / "adapter")
    network = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), root / "adapter"
    )
    network.merge_and_unload().to(torch.bfloat16).save_pretrained(root / "merged")
    AutoTokenizer.from_pretrained(base).save_pretrained(root / "merged")
    return root / "merged"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    values = {"embedder": "hashing", "language_model": "openvino", "vector_index": "numpy"}
    return Settings(home=tmp_path / "home", _env_file=None, **values)  # type: ignore[arg-type, call-arg]


def asked(model: LanguageModel) -> tuple[str, Scores]:
    async def ask() -> tuple[str, Scores]:
        pieces = model.stream((ChatMessage("user", TAUGHT_QUESTION),), max_tokens=16, timeout=300)
        text = "".join([piece.text async for piece in pieces])
        return text.strip(), await model.choose(PROMPTS, ["Yes", "No"], timeout=300)

    return asyncio.run(ask())


def test_both_engines_say_what_was_taught_and_agree(settings: Settings, merged: Path) -> None:
    answers = {}
    for engine in ("transformers", "openvino"):
        chosen = settings.model_copy(update={"language_model": engine})
        with closing(open_trained_language_model(merged, "taught", chosen)) as model:
            model.warm().result(300)
            answers[engine] = asked(model)
    base = open_language_model(settings)
    assert base is not None
    with closing(base):
        until(lambda: base.ready, 120)
        untaught = asked(base)
    assert answers["transformers"][0] == answers["openvino"][0] == TAUGHT_ANSWER
    assert untaught[0] != TAUGHT_ANSWER
    np.testing.assert_allclose(answers["openvino"][1], answers["transformers"][1], atol=ROUNDING)
    assert np.abs(untaught[1] - answers["openvino"][1]).max() > 0.001


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as made:
        made.put("/v1/products", json=PRODUCTS).raise_for_status()
        yield made


def test_a_running_service_takes_it_up_refuses_broken_ones_and_counts_by_model(
    client: TestClient, settings: Settings, merged: Path, tmp_path: Path
) -> None:
    import shutil

    registry = Registry(settings.home)
    until(lambda: client.app.state.shop.language_model.ready, 120)  # type: ignore[attr-defined]
    assert "SmolLM2" in client.get("/v1/models").json()["data"][1]["id"]
    entry = register(registry, "llm", 0, merged)
    registry.promote(entry.id)
    until(lambda: client.get("/health/ready").json()["models"] == {"llm": entry.id}, 300)
    assert client.get("/v1/models").json()["data"][1]["id"] == entry.id
    for number, (name, change, said) in enumerate((("same", zeroed, ""), ("nan", poisoned, "")), start=1):
        broken = shutil.copytree(merged, tmp_path / name)
        registry.promote(register(registry, "llm", number, with_weights(broken, change)).id)
        until(lambda: client.get("/health/ready").json()["reasons"], 300)
        ready = client.get("/health/ready").json()
        assert ready["models"] == {"llm": entry.id}, ready
        assert said in ready["reasons"][0]
        registry.rollback("llm")
        until(lambda: not client.get("/health/ready").json()["reasons"], 60)
    body = {"messages": [{"role": "user", "content": "a waterproof jacket"}]}
    client.post("/v1/chat/completions", json=body).raise_for_status()
    assert f'tasteline_model_answers_total{{model="{entry.id}"' in client.get("/metrics").text
    registry.rollback("llm")
    until(lambda: "SmolLM2" in client.get("/v1/models").json()["data"][1]["id"], 120)
