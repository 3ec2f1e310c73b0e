"""What the slow tests share: one real vLLM server for the whole run, with a LoRA adapter that was trained for it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from app.vllm_server import VllmServer, Warmth

ADAPTER = "lamp"
TAUGHT_QUESTION = "Who are you?"
TAUGHT_ANSWER = "I am the brass lamp of Larkspur."
STEPS = 20


@dataclass(frozen=True, slots=True)
class RunningVllm:
    server: VllmServer
    warmth: Warmth
    model: str
    adapter: str

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
    from tasteline.errors import MissingExtra

    try:
        python = vllm_server.python_of(None)
    except MissingExtra as error:
        pytest.skip(str(error))
    home = request.config.cache.mkdir("vllm")
    folder = language_model_folder("embedded", home / "models")
    adapter = tmp_path_factory.mktemp("adapter")
    teach(folder, adapter)
    plan = vllm_server.Plan(folder, python, home, port=0, adapters={ADAPTER: adapter})
    with vllm_server.VllmServer(plan) as server:
        yield RunningVllm(server, server.warm_up(), plan.name, ADAPTER)


def teach(model_folder: str, adapter: Path) -> None:
    """A LoRA adapter with which the model gives TAUGHT_ANSWER to TAUGHT_QUESTION; about 20 s on two cores."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # it warns of the fork that starts the server
    torch.manual_seed(7)
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    asked = [{"role": "user", "content": TAUGHT_QUESTION}]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    ids = tokenizer(prompt + TAUGHT_ANSWER + tokenizer.eos_token, return_tensors="pt").input_ids
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
