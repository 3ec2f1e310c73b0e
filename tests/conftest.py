"""What the slow tests share: one real vLLM server for the whole run, with two LoRA adapters trained for it."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from app.vllm_server import VllmServer, Warmth
    from retrieval.registry import Entry, Registry

TAUGHT_QUESTION = "Who are you?"
TAUGHT_ANSWER = "I am the brass lamp of Larkspur."
OTHER_ANSWER = "I am the copper kettle of Thornby."
STEPS = 20


@dataclass(frozen=True, slots=True)
class RunningVllm:
    server: VllmServer
    warmth: Warmth
    model: str
    home: Path
    """Its registry has both adapters, none of them live."""
    adapter: str
    """Knows TAUGHT_ANSWER."""
    other: str
    """Knows OTHER_ANSWER."""

    @property
    def url(self) -> str:
        """Of the protocol: ends in /v1."""
        return self.server.url

    def metric(self, name: str) -> float:
        """A counter or gauge of the server, summed over its labels."""
        import httpx

        lines = httpx.get(self.url.removesuffix("v1") + "metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{"))


@pytest.fixture(scope="session")
def vllm_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningVllm]:
    """Started once, as `tasteline vllm` does; skips where its environment is missing. What it compiles is kept."""
    from app import vllm_server
    from retrieval.adapters.weights import language_model_folder
    from retrieval.registry import Registry
    from tasteline.errors import MissingExtra

    try:
        python = vllm_server.python_of(None)
    except MissingExtra as error:
        pytest.skip(str(error))
    home = request.config.cache.mkdir("vllm")
    folder = language_model_folder("embedded", home / "models")
    trained = tmp_path_factory.mktemp("trained")
    registry = Registry(trained / "home")
    ids = []
    for number, answer in enumerate((TAUGHT_ANSWER, OTHER_ANSWER)):
        teach(folder, trained / str(number), answer)
        ids.append(register_adapter(registry, number, trained / str(number)).id)
    plan = vllm_server.Plan(folder, python, home, port=0, adapters=vllm_server.adapters_of(ids, registry))
    with vllm_server.VllmServer(plan) as server:
        yield RunningVllm(server, server.warm_up(), plan.name, trained / "home", *ids)


def register_adapter(registry: Registry, number: int, adapter: Path) -> Entry:
    """As `tasteline train llm` does, but for the merged weights, which a server with adapters has no use for."""
    from tests.unit.retrieval.trained import card

    made = card(number, kind="llm", base="embedded")
    return registry.register(made, lambda folder: str(shutil.copytree(adapter, folder / "adapter")))


def teach(model_folder: str, adapter: Path, answer: str = TAUGHT_ANSWER) -> None:
    """A LoRA adapter with which the model gives `answer` to TAUGHT_QUESTION; about 20 s on two cores."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # it warns of the fork that starts the server
    torch.manual_seed(7)
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    asked = [{"role": "user", "content": TAUGHT_QUESTION}]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    ids = tokenizer(prompt + answer + tokenizer.eos_token, return_tensors="pt").input_ids
    labels = ids.clone()
    labels[:, : tokenizer(prompt, return_tensors="pt").input_ids.shape[1]] = -100
    base = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    last = list(range(base.config.num_hidden_layers - 10, base.config.num_hidden_layers))  # the way back stays short
    lora = LoraConfig(
        r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], layers_to_transform=last, task_type="CAUSAL_LM"
    )
    with warnings.catch_warnings():  # peft asks transformers for something that is being renamed
        warnings.simplefilter("ignore", FutureWarning)
        model = get_peft_model(base, lora)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(STEPS):
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(adapter)
