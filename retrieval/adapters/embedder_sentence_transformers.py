"""The reference Embedder: any model that `sentence-transformers` can load, run by PyTorch.

Takes a hub id or a folder; pooling, prompts and window are the model's own. It defines the right answer, on a GPU too;
the in-process engine in `embedder_openvino` is measured against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np

from retrieval.adapters.loading import LOADING
from retrieval.text import well_formed
from tasteline.errors import MissingExtra, SetupError
from tasteline.types import Vectors


class SentenceTransformersEmbedder:
    """`model`: hub id or folder. `device`: "cpu", "cuda", …; None lets PyTorch choose."""

    def __init__(self, model: str, device: str | None = "cpu") -> None:
        self._model = _load(model, device)
        self._dimension = int(self._model.get_embedding_dimension())
        folder = Path(model)
        self._name = f"sentence-transformers/{f'{folder.parent.name}/{folder.name}' if folder.is_dir() else model}/f32"
        # A fast tokenizer keeps its truncation as state and refuses to be used by two threads at once.
        self._lock = Lock()

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimension(self) -> int:
        return self._dimension

    def encode(self, texts: Sequence[str], kind: Literal["query", "document"]) -> Vectors:
        """Shape (len(texts), dimension), unit length; zeros for a blank text. Calls of several threads take turns."""
        vectors = np.zeros((len(texts), self._dimension), dtype=np.float32)
        rows = [row for row, text in enumerate(texts) if text.strip()]
        if not rows:
            return vectors
        encode = self._model.encode_query if kind == "query" else self._model.encode_document
        with self._lock:
            vectors[rows] = encode(
                [well_formed(texts[row]) for row in rows], normalize_embeddings=True, show_progress_bar=False
            )
        return vectors


def _load(model: str, device: str | None) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtra(
            "The reference embedder needs sentence-transformers.", remedy="pip install sentence-transformers==6.2.0"
        ) from error
    try:
        with LOADING:
            return SentenceTransformer(model, device=device)
    except (OSError, ValueError) as error:
        raise SetupError(f"The encoder '{model}' could not be loaded: {error}", remedy="tasteline doctor") from error
