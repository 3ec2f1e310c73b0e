"""The default Embedder: a BERT-class encoder in this process, on the CPU, by OpenVINO.

Takes a hub id or a folder of any one-tower text model that `sentence-transformers` can load. The first start converts
it (`embedder_conversion`); later ones read the converted folder and never import PyTorch. Knows nothing of products,
caches and indexes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from retrieval.adapters.embedder_conversion import MANIFEST, ConvertedEncoder
from retrieval.adapters.openvino_batches import BatchedGraph, tokenizer_in
from retrieval.adapters.openvino_conversion import Converter, converted
from retrieval.text import well_formed
from tasteline.types import Vectors

CONVERTER = Converter(
    what="encoder",
    module="retrieval.adapters.embedder_conversion",
    manifest=MANIFEST,
    format="1",
    instead="TASTELINE_EMBEDDER=sentence-transformers tasteline index",
    fetch="TASTELINE_EMBEDDER_MODEL=embedded tasteline index",
)
WINDOW_TEXTS = 4096
"""Texts that are tokenised, sorted and held at once: long enough to make even batches, a few tens of MB at most."""


class OpenVinoEmbedder:
    """`model`: hub id or folder. `cache_dir`: where converted models are kept. `threads`: for one small
    call; long ones use all cores. Raises SetupError when the model cannot be had or converted.
    """

    def __init__(self, model: str, cache_dir: Path, threads: int = 1) -> None:
        found = converted(model, cache_dir, CONVERTER)
        self._encoder = ConvertedEncoder.load(found.folder)
        self._tokenizer = tokenizer_in(found.folder, self._encoder.window)
        self._graph = BatchedGraph(found.folder, self._encoder.dimension, self._encoder.padding_token, threads)
        self._name = f"openvino/{found.label}-{found.checksum[:12]}/{self._graph.precision}"

    @property
    def name(self) -> str:
        """The precision in it is the one in use: f32 where the processor has no bf16."""
        return self._name

    @property
    def dimension(self) -> int:
        return self._encoder.dimension

    def encode(self, texts: Sequence[str], kind: Literal["query", "document"]) -> Vectors:
        """Shape (len(texts), dimension), float32, unit length; zeros for a blank text. Thread-safe.

        Equal texts are encoded once. Memory beyond the result does not grow with the number of texts.
        """
        rows_of: dict[str, list[int]] = {}
        for row, text in enumerate(texts):
            if text.strip():
                rows_of.setdefault(text, []).append(row)
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        prompt = self._encoder.query_prompt if kind == "query" else self._encoder.document_prompt
        distinct = list(rows_of)
        for start in range(0, len(distinct), WINDOW_TEXTS):
            window = distinct[start : start + WINDOW_TEXTS]
            tokens = self._tokenizer.encode_batch_fast([prompt + well_formed(text) for text in window])
            for text, vector in zip(window, self._graph.lines(tokens), strict=True):
                vectors[rows_of[text]] = vector
        return vectors
