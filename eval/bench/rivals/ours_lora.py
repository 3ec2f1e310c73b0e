"""Our side of a fine-tuning: the language-model job of `tasteline train llm`, from loading the base to the adapter."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch

from eval.bench.rivals import turn
from eval.bench.rivals.turn import Work
from finetune.examples import ChatExample, read_examples
from finetune.llm import train_llm
from finetune.lora.settings import LlmSettings


def llm(folder: Path) -> Work:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    job = json.loads((folder / "lora.json").read_text())
    settings = LlmSettings(
        rank=job["rank"],
        alpha=job["alpha"],
        targets=tuple(job["targets"]),
        learning_rate=job["learning_rate"],
        epochs=job["epochs"],
        batch=job["batch"],
        seed=job["seed"],
        precision="bfloat16" if job["bfloat16"] else "float32",
        max_length=None,
    )

    def work(rows: slice) -> Mapping[str, float]:
        examples = list(read_examples(folder / "chats.jsonl", ChatExample))
        outcome = train_llm(examples, job["base"], settings).outcome
        loss = outcome.curve[-1].loss
        return {"tokens": outcome.tokens, "padding": outcome.padding, "steps": outcome.steps, "loss": loss}

    return work


if __name__ == "__main__":
    turn.main({"llm": llm})
