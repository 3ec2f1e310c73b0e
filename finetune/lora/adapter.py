"""LoRA adapters of transformers models: laid on, written as PEFT folders, and merged into their base by the trainers.

Takes a loaded model; what learns afterwards are the adapter's weights and those that were fresh. Which modules get an
adapter follows from the architecture that the model's own configuration names, and is checked against its modules.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers.utils import logging as bars

from finetune.lora.settings import LoraSettings
from tasteline.errors import InvalidInput, MissingExtra

Task = Literal["FEATURE_EXTRACTION", "SEQ_CLS", "CAUSAL_LM"]

_BERT = ("query", "key", "value", "dense")
_LLAMA = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
TARGETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("bert", "roberta", "xlm-roberta", "electra"), _BERT),
        **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2"), _LLAMA),
    }
)
"""By `model_type`: every linear layer between embeddings and head. Another architecture gets PEFT's "all-linear"."""
ADAPTER, MERGED = "adapter", "merged"
"""Folders of a trained model."""


@contextmanager
def quiet() -> Iterator[None]:
    """Without bars, reports of loading, and what PEFT 0.21 asks transformers 5.23 for by an old name.

    Of the whole process, as these libraries know no other way.
    """
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated", FutureWarning)
            yield
    finally:
        logging.disable(logging.NOTSET)
        if shown:
            bars.enable_progress_bar()


def with_adapter(model: Any, task: Task, base: str, settings: LoraSettings, fresh: Sequence[str] = ()) -> Any:
    """A `PeftModel` around `model`, whose modules are changed in place. `fresh`: modules that learn altogether.

    The adapter changes nothing before it has learned. Raises InvalidInput for targets that the model does not have.
    """
    config = LoraConfig(
        task_type=task,
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=_targets(model, settings.targets),
        modules_to_save=list(fresh) or None,
        base_model_name_or_path=base,
    )
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        adapted = get_peft_model(model, config)
        if settings.gradient_checkpointing:
            model.activation_checkpointing_enable()
    return adapted


def _targets(model: nn.Module, chosen: Sequence[str]) -> list[str] | str:
    linear = {name.rpartition(".")[2] for name, each in model.named_modules() if isinstance(each, nn.Linear)}
    if wrong := sorted(set(chosen) - linear):
        raise InvalidInput(
            f"the model has no linear modules called {', '.join(wrong)}; it has {', '.join(sorted(linear))}",
            field="targets",
        )
    known = chosen or TARGETS.get(str(getattr(model.config, "model_type", "")), ())
    return list(known) if known and set(known) <= linear else "all-linear"


def write_adapter(adapted: Any, folder: Path) -> None:
    """`adapter_config.json` and `adapter_model.safetensors`, which `PeftModel.from_pretrained` reads, and a card."""
    with quiet():
        adapted.save_pretrained(str(folder))
    config = adapted.peft_config["default"]
    targets = (
        config.target_modules if isinstance(config.target_modules, str) else ", ".join(sorted(config.target_modules))
    )
    card = _CARD.format(base=config.base_model_name_or_path, rank=config.r, alpha=config.lora_alpha, targets=targets)
    (folder / "README.md").write_text(card, encoding="utf-8")  # instead of PEFT's form to be filled in
    make_readable(folder)


_CARD = """---
base_model: {base}
library_name: peft
---

# LoRA adapter

| | |
|---|---|
| base model | {base} |
| rank, alpha | {rank}, {alpha:g} |
| modules | {targets} |

`peft.PeftModel.from_pretrained(base, folder)` loads it. What it has learned from and what it reached says the card of
the model that it belongs to.
"""


def make_readable(folder: Path) -> None:
    """safetensors writes files that nobody else may read; a model server may run as somebody else."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def merged(model: Any, adapter: Path) -> Any:
    """`model` with the adapter of a folder in its weights: a plain transformers model."""
    with quiet():
        return PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()


def base_of(adapter: Path) -> str:
    """The model that an adapter was trained on. Raises MissingExtra for a folder that holds none."""
    if not (adapter / "adapter_config.json").is_file():
        raise MissingExtra(f"No adapter in {adapter}.", remedy="tasteline train")
    return str(LoraConfig.from_pretrained(str(adapter)).base_model_name_or_path)


def fingerprint(model: nn.Module, settings: LoraSettings, learned_from: Iterable[bytes]) -> str:
    """SHA-256 of all that a result depends on: the weights to begin with, settings and data.

    How often a checkpoint is written changes nothing, so that it may be another one when a job goes on.
    """
    facts = {name: getattr(settings, name) for name in settings.__dataclass_fields__ if name != "checkpoint_seconds"}
    digest = hashlib.sha256(f"{sorted(facts.items())} {torch.get_num_threads()}".encode())
    for name, weights in model.named_parameters():
        digest.update(f"{name} {tuple(weights.shape)} {weights.dtype}".encode())
        digest.update(weights.detach().flatten()[:: max(1, weights.numel() // 64)].float().cpu().numpy().tobytes())
    for part in learned_from:
        digest.update(part)
    return digest.hexdigest()
