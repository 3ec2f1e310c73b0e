"""Loads a chat model and its tokenizer for transformers: any hub id or local folder, or a LoRA adapter of one.

Takes the name, gives the network in evaluation mode on the GPU where there is one. HF_HUB_OFFLINE is respected by the
libraries underneath. Knows nothing of requests.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from retrieval.adapters.loading import LOADING
from tasteline.errors import MissingExtra

_ADAPTER_CONFIG = "adapter_config.json"


def base_of(model: str) -> str | None:
    """What a local LoRA adapter was trained on: hub id or folder; None where `model` is no adapter's folder."""
    config = Path(model) / _ADAPTER_CONFIG
    if not config.is_file():
        return None
    base = json.loads(config.read_text()).get("base_model_name_or_path")
    if not base:
        raise MissingExtra(f"The adapter {model} does not say what it was trained on.", remedy="tasteline train llm")
    return str(base)


def display_name(model: str) -> str:
    """The last part of a folder's path; a hub id as it is."""
    return Path(model).name if Path(model).is_dir() else model


def check_present(model: str) -> None:
    """Without loading: a path that leads nowhere, or a hub id that is not cached while offline. Raises MissingExtra."""
    if Path(model).is_dir():
        return
    if model.count("/") > 1 or model.startswith((".", "/", "~")) or Path(model).suffix == ".gguf":
        raise MissingExtra(f"No folder with a language model at {model}.", remedy="make setup")
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if HF_HUB_OFFLINE and not isinstance(try_to_load_from_cache(model, "config.json"), str):
        raise _missing(model)


def load(model: str) -> tuple[Any, Any]:
    """(network, tokenizer); an adapter is merged into its base. Raises MissingExtra where weights are not found.

    float32 on a CPU: as fast as bfloat16 for one request, and a choice does not depend on who shares the batch.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    device, dtype = ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float32)
    base = base_of(model)
    source = base or model
    own_tokenizer = base is None or (Path(model) / "tokenizer_config.json").is_file()
    with LOADING:
        try:
            network = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, attn_implementation="sdpa")
            tokenizer = AutoTokenizer.from_pretrained(model if own_tokenizer else source)
        except OSError as error:
            raise _missing(source) from error
        if base is not None:
            from peft import PeftModel

            network = PeftModel.from_pretrained(network, model).merge_and_unload()
    return network.to(device).eval(), tokenizer


def _missing(model: str) -> MissingExtra:
    return MissingExtra(f"No language model '{model}' here or in the model cache.", remedy=f"hf download {model}")
