"""Turns a cross-encoder with one label into a folder that OpenVINO runs without PyTorch. A program of its own:

    python -m retrieval.adapters.reranker_conversion MODEL_FOLDER OUTPUT_FOLDER

The graph ends in the logit, before any activation that the model's configuration names; window and tokenizer are
written beside it.
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

MANIFEST = "reranker.json"
_EXAMPLE = {
    "input_ids": [[5] * 7] * 2,
    # Padding in the example matters, and so does a second text: of what is constant the tracer makes a constant.
    "attention_mask": [[1] * 7, [1] * 5 + [0] * 2],
    "token_type_ids": [[0] * 3 + [1] * 4, [0] * 2 + [1] * 3 + [0] * 2],
}
"""Two pairs. A model that takes no token types is not given any."""


@dataclass(frozen=True, slots=True)
class ConvertedReranker:
    """What the graph does not say about itself."""

    window: int
    """Tokens of query and document together, special ones included."""
    padding_token: int

    def save(self, folder: Path) -> None:
        (folder / MANIFEST).write_text(dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ConvertedReranker:
        return cls(**loads((folder / MANIFEST).read_text(encoding="utf-8")))


def convert(model: str, folder: Path) -> None:
    """Writes graph, tokenizer and manifest into the existing, empty `folder`."""
    import openvino
    import torch
    from sentence_transformers import CrossEncoder

    with LOADING:
        encoder = CrossEncoder(model, device="cpu").eval()
    if encoder.num_labels != 1:
        raise ValueError(f"a reranker has one label, this model has {encoder.num_labels}")
    taken = encoder.tokenizer.model_input_names
    example = {name: torch.tensor(rows) for name, rows in _EXAMPLE.items() if name in taken}
    inputs = [(name, [-1, -1], openvino.Type.i64) for name in example]
    with torch.no_grad():
        graph = openvino.convert_model(_logits(encoder), example_input=example, input=inputs)
    openvino.save_model(graph, folder / GRAPH, compress_to_fp16=False)
    encoder.tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    window = int(encoder.max_seq_length or encoder.tokenizer.model_max_length)
    ConvertedReranker(window, int(encoder.tokenizer.pad_token_id or 0)).save(folder)


def _logits(encoder: Any) -> Any:
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(
            self,
            input_ids: torch.Tensor,
            attention_mask: torch.Tensor,
            token_type_ids: torch.Tensor | None = None,
        ) -> torch.Tensor:
            given = {"input_ids": input_ids, "attention_mask": attention_mask}
            if token_type_ids is not None:
                given["token_type_ids"] = token_type_ids
            scores: torch.Tensor = self.encoder(given)["scores"]
            return scores

    return Logits()


def main() -> None:
    warnings.filterwarnings("ignore")  # tracing warns of branches that one-sentence input never takes
    model, folder = sys.argv[1:]
    convert(model, Path(folder))


if __name__ == "__main__":
    main()
