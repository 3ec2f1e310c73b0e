"""The side of a plain script: transformers' `Trainer` with PEFT, batches as they come, padded by its collator.

`llm` has the precision that it is told, `llm_float32` has float32. The loss is that of our job, over the answer alone;
everything that is not part of the job is left as the library has it. It runs in the project's environment, but imports
nothing of ours.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainingArguments,
)

from eval.bench.rivals import turn
from eval.bench.rivals.turn import Work


class _Counting(DataCollatorForSeq2Seq):  # type: ignore[misc]
    """Counts what it is given and what it adds."""

    read = 0
    filled = 0

    def __call__(self, features: Any, return_tensors: Any = None) -> Any:
        batch = super().__call__(features, return_tensors)
        read = int(batch["attention_mask"].sum())
        self.read += read
        self.filled += batch["attention_mask"].numel() - read
        return batch


def _rows(folder: Path, tokenizer: Any) -> list[dict[str, list[int]]]:
    rows = []
    for line in (folder / "chats.jsonl").read_text().splitlines():
        chat = json.loads(line)
        text = tokenizer.apply_chat_template(chat["messages"], tokenize=False, add_generation_prompt=True)
        prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
        answer = [*tokenizer(chat["answer"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        labels = [-100] * len(prompt) + answer
        rows.append({"input_ids": prompt + answer, "attention_mask": [1] * len(labels), "labels": labels})
    return rows


def llm(folder: Path, float32: bool = False) -> Work:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    job = json.loads((folder / "lora.json").read_text())
    bfloat16 = job["bfloat16"] and not float32

    def work(rows: slice) -> Mapping[str, float]:
        tokenizer = AutoTokenizer.from_pretrained(job["base"])
        dtype = torch.bfloat16 if bfloat16 else torch.float32
        base = AutoModelForCausalLM.from_pretrained(job["base"], dtype=dtype)
        lora = LoraConfig(r=job["rank"], lora_alpha=job["alpha"], target_modules=job["targets"], task_type="CAUSAL_LM")
        collator = _Counting(tokenizer)
        arguments = TrainingArguments(
            output_dir=str(folder / "trainer"),
            num_train_epochs=job["epochs"],
            per_device_train_batch_size=min(8, job["batch"]),  # as the library has it
            gradient_accumulation_steps=max(1, job["batch"] // 8),
            learning_rate=job["learning_rate"],
            warmup_steps=0.1,
            seed=job["seed"],
            bf16=bfloat16,
            use_cpu=not torch.cuda.is_available(),
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
        )
        trainer = Trainer(get_peft_model(base, lora), arguments, collator, _rows(folder, tokenizer))
        done = trainer.train()
        trainer.model.save_pretrained(folder / "trainer" / "adapter")
        steps, loss = float(done.global_step), float(done.training_loss)
        return {"tokens": collator.read, "padding": collator.filled, "steps": steps, "loss": loss}

    return work


if __name__ == "__main__":
    turn.main({"llm": llm, "llm_float32": partial(llm, float32=True)})
