"""The default Reranker: a BERT-class cross-encoder in this process, on the CPU, by OpenVINO.

Takes a hub id or a folder of a sequence classifier with one label. The first start converts it (`reranker_conversion`);
later ones read the converted folder and never import PyTorch. Knows nothing of products.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from retrieval.adapters.openvino_batches import BatchedGraph, tokenizer_in
from retrieval.adapters.openvino_conversion import Converter, converted
from retrieval.adapters.reranker_conversion import MANIFEST, ConvertedReranker
from retrieval.text import well_formed
from tasteline.types import Scores

CONVERTER = Converter(
    what="reranker",
    module="retrieval.adapters.reranker_conversion",
    manifest=MANIFEST,
    format="reranker-1",
    instead="TASTELINE_RERANKER=sentence-transformers tasteline serve",
    fetch="tasteline models rollback reranker",
)


BATCH_TOKENS = 512
"""A quarter of the encoder's: a call ends soon after its deadline, at next to no cost in throughput."""


class OpenVinoReranker:
    """`model`: hub id or folder. `cache_dir`: where converted models are kept. `threads`: for a few pairs; many use all
    cores. Raises SetupError when the model cannot be had or converted.
    """

    def __init__(self, model: str, cache_dir: Path, threads: int = 1) -> None:
        found = converted(model, cache_dir, CONVERTER)
        described = ConvertedReranker.load(found.folder)
        self._tokenizer = tokenizer_in(found.folder, described.window)
        self._graph = BatchedGraph(found.folder, 1, described.padding_token, threads, BATCH_TOKENS)
        self._name = f"openvino/{found.label}-{found.checksum[:12]}/{self._graph.precision}"

    @property
    def name(self) -> str:
        return self._name

    def score(self, queries: Sequence[str], documents: Sequence[str], *, timeout: float | None = None) -> Scores:
        """As the port's; looks at the clock between batches of a few pairs."""
        until = None if timeout is None else time.monotonic() + timeout
        pairs = [(well_formed(query), well_formed(text)) for query, text in zip(queries, documents, strict=True)]
        scores: Scores = self._graph.lines(self._tokenizer.encode_batch_fast(pairs), until)[:, 0]
        return np.ascontiguousarray(scores)
