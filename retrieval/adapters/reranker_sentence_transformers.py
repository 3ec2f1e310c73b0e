"""The reference Reranker: any cross-encoder with one label that `sentence-transformers` can load, run by PyTorch.

It defines the right answer, on a GPU too; the in-process engine in `reranker_openvino` is compared with it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np

from retrieval.adapters.loading import LOADING
from retrieval.adapters.openvino_conversion import label_of
from retrieval.text import well_formed
from tasteline.errors import DeadlineExceeded, MissingExtra, SetupError
from tasteline.types import Scores

PAIRS_AT_ONCE = 16
"""Between two looks at the clock."""


class SentenceTransformersReranker:
    """`model`: hub id or folder. `device`: "cpu", "cuda", …; None lets PyTorch choose. Raises SetupError."""

    def __init__(self, model: str, device: str | None = "cpu") -> None:
        self._model = _load(model, device)
        self._name = f"sentence-transformers/{label_of(model)}/f32"
        # A fast tokenizer keeps its truncation as state and refuses to be used by two threads at once.
        self._lock = Lock()

    @property
    def name(self) -> str:
        return self._name

    def score(self, queries: Sequence[str], documents: Sequence[str], *, timeout: float | None = None) -> Scores:
        """As the port's. Calls of several threads take turns."""
        import torch

        until = None if timeout is None else time.monotonic() + timeout
        pairs = [(well_formed(query), well_formed(text)) for query, text in zip(queries, documents, strict=True)]
        scores = np.empty(len(pairs), dtype=np.float32)
        logit = torch.nn.Identity()
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            with self._lock:
                if until is not None and time.monotonic() > until:
                    raise DeadlineExceeded("There was no time for all pairs.")
                some = pairs[start : start + PAIRS_AT_ONCE]
                scores[start : start + len(some)] = self._model.predict(
                    some, activation_fn=logit, show_progress_bar=False
                )
        return scores


def _load(model: str, device: str | None) -> Any:
    try:
        from sentence_transformers import CrossEncoder
    except ImportError as error:
        raise MissingExtra(
            "The reference reranker needs sentence-transformers.", remedy="pip install sentence-transformers==6.2.0"
        ) from error
    try:
        with LOADING:
            loaded = CrossEncoder(model, device=device)
    except (OSError, ValueError) as error:
        raise SetupError(f"The reranker '{model}' could not be loaded: {error}", remedy="tasteline doctor") from error
    if loaded.num_labels != 1:
        message = f"The reranker '{model}' has {loaded.num_labels} labels, and one is needed."
        raise SetupError(message, remedy="tasteline models rollback reranker")
    return loaded
