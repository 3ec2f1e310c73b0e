"""Models as a LoRA job leaves them, small and untrained: registered folders with `merged/`, whole or broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from retrieval.adapters.weights import encoder_path
from retrieval.model_card import ModelKind
from retrieval.registry import Entry, Registry
from tests.contracts.rerankers import tiny_cross_encoder
from tests.unit.retrieval.trained import card

Change = Callable[[str, object], None]


def tiny_encoder(folder: Path, seed: int = 7, width: int = 32) -> Path:
    """A random two-layer bi-encoder; with weights so wide that its vectors depend on the texts."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(seed)
    bert = folder.parent / f"{folder.name}-bert"
    BertTokenizerFast.from_pretrained(encoder_path("embedded")).save_pretrained(bert)
    config = BertConfig(
        hidden_size=width, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, initializer_range=0.2
    )
    BertModel(config).save_pretrained(bert)
    modules = [Transformer(str(bert), max_seq_length=48), Pooling(width, pooling_mode="mean")]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    return folder


def with_weights(folder: Path, change: Change) -> Path:
    """`change(name, tensor)` is called for each of the weights, which it may overwrite in place."""
    from safetensors.torch import load_file, save_file

    for path in folder.rglob("*.safetensors"):
        weights = load_file(path)
        for name, tensor in weights.items():
            change(name, tensor)
        save_file(weights, path, metadata={"format": "pt"})
    return folder


def zeroed(name: str, tensor: object) -> None:
    """No text makes a difference any more, but for the biases all is 0."""
    if "LayerNorm" not in name:
        tensor.zero_()  # type: ignore[attr-defined]
    elif "bias" in name:
        tensor.fill_(0.5)  # type: ignore[attr-defined]


def poisoned(name: str, tensor: object) -> None:
    tensor.fill_(float("nan"))  # type: ignore[attr-defined]


def register(registry: Registry, kind: ModelKind, number: int, merged: Path) -> Entry:
    def write(folder: Path) -> None:
        shutil.copytree(merged, folder / "merged")

    return registry.register(card(number, kind=kind), write)


__all__ = ["poisoned", "register", "tiny_cross_encoder", "tiny_encoder", "with_weights", "zeroed"]
