"""Turns a sentence-transformers model into a folder that OpenVINO runs without PyTorch. A program of its own:

    python -m retrieval.adapters.embedder_conversion MODEL_FOLDER OUTPUT_FOLDER

It is run once per model in a process of its own, so that the service never holds PyTorch's memory and its second OpenMP
runtime. All of the model's modules (transformer, pooling, dense layers) are traced into one graph that ends in a
unit-length vector; its window, prompts and tokenizer are written beside it.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import asdict, dataclass
from json import dumps, loads
from pathlib import Path
from typing import Any

from retrieval.adapters.loading import LOADING
from retrieval.adapters.openvino_batches import GRAPH, TOKENIZER

MANIFEST = "encoder.json"


@dataclass(frozen=True, slots=True)
class ConvertedEncoder:
    """What the graph does not say about itself."""

    dimension: int
    window: int
    """Tokens, special ones included; longer texts are cut."""
    padding_token: int
    query_prompt: str
    document_prompt: str

    def save(self, folder: Path) -> None:
        (folder / MANIFEST).write_text(dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ConvertedEncoder:
        return cls(**loads((folder / MANIFEST).read_text(encoding="utf-8")))


def convert(model: str, folder: Path) -> None:
    """Writes graph, tokenizer and manifest into the existing, empty `folder`."""
    import openvino
    import torch
    from sentence_transformers import SentenceTransformer

    with LOADING:
        encoder = SentenceTransformer(model, device="cpu").eval()
    tokenizer = encoder.tokenizer.backend_tokenizer
    # Padding in the example matters: with an all-ones mask the tracer would drop the mask from the graph.
    example = {
        "input_ids": torch.full((2, 7), tokenizer.token_to_id("a") or 5, dtype=torch.int64),
        "attention_mask": torch.tensor([[1] * 7, [1] * 5 + [0] * 2]),
    }
    inputs = [(name, [-1, -1], openvino.Type.i64) for name in example]
    with torch.no_grad():
        graph = openvino.convert_model(_unit_length(encoder), example_input=example, input=inputs)
    # Full precision on disk: the engine lowers it where the processor has the instructions for it.
    openvino.save_model(graph, folder / GRAPH, compress_to_fp16=False)
    tokenizer.save(str(folder / TOKENIZER))
    _described(encoder).save(folder)


def _described(encoder: Any) -> ConvertedEncoder:
    prompts: dict[str, str] = encoder.prompts
    default = prompts.get(encoder.default_prompt_name or "", "")
    document = next((prompts[name] for name in ("document", "passage", "corpus") if name in prompts), default)
    return ConvertedEncoder(
        dimension=int(encoder.get_embedding_dimension()),
        window=int(encoder.max_seq_length or encoder.tokenizer.model_max_length),
        padding_token=int(encoder.tokenizer.pad_token_id or 0),
        query_prompt=prompts.get("query", default),
        document_prompt=document,
    )


def _unit_length(encoder: Any) -> Any:
    import torch

    class UnitLength(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            features = self.encoder({"input_ids": input_ids, "attention_mask": attention_mask})
            return torch.nn.functional.normalize(features["sentence_embedding"], dim=1)

    return UnitLength()


def main() -> None:
    warnings.filterwarnings("ignore")  # tracing warns of branches that one-sentence input never takes
    model, folder = sys.argv[1:]
    convert(model, Path(folder))


if __name__ == "__main__":
    main()
