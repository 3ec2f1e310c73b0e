"""What a request means, as vectors of the encoder whose indexes are searched.

Texts are embedded before the indexes are held, because that takes longer than anybody may hold them. Where the encoder
was exchanged in that moment, they are embedded once more: vectors of one never meet those of the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import structlog

from tasteline.errors import TransientError
from tasteline.ports import Embedder
from tasteline.types import Vectors

log = structlog.get_logger(__name__)


class Meaning:
    """Of `texts`, embedded at once by `embedder`. For one thread."""

    def __init__(self, texts: Sequence[str], embedder: Embedder) -> None:
        self._texts = texts
        self._embedder = embedder
        self._vectors = _encoded(embedder, texts)

    def by(self, embedder: Embedder) -> Vectors:
        """Shape (len(texts), dimension). Zeros, which are close to nothing, where the embedder does not answer."""
        if embedder is not self._embedder:
            self._embedder, self._vectors = embedder, _encoded(embedder, self._texts)
        return self._vectors


def _encoded(embedder: Embedder, texts: Sequence[str]) -> Vectors:
    try:
        return embedder.encode(texts, "query")
    except TransientError as error:
        log.warning("meaning_skipped", error=type(error).__name__)
        return np.zeros((len(texts), embedder.dimension), dtype=np.float32)
