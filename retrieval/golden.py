"""Before a trained model gets traffic: does it tell anything apart, on a few pairs of this shop?

Takes products, gives pairs of a request and a text, right ones and wrong ones, and checks that a model's scores of them
are numbers, of the right shape, and not all the same. A model that passes may still be a bad one: how good it is was
measured before its promotion; here only what is broken is found (weights of zeros, a lost layer, NaN, half a file).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from retrieval.text import plain, product_text
from tasteline.errors import InvalidInput
from tasteline.ports import Embedder, Reranker
from tasteline.types import Product, Scores

PRODUCTS = 8
"""So many right pairs and as many wrong ones: a check of some 100 ms."""
LEAST_COSINE_SPREAD = 0.02
"""Between the largest and the least cosine of a request and a text. MiniLM has .88 on the demo shop, and .49 on pairs
of one product in many colours; for an encoder that has collapsed rounding is left."""
LEAST_LOGIT_SPREAD = 0.02
"""Of a reranker: two percent of one step in the odds. Constant scores differ by rounding only."""
_SPARE = (
    ("electric kettle", "Electric kettle of brushed steel, one litre. Kitchen, Kettles"),
    ("running shoes", "Light running shoes for men, size 42. Sport, Shoes"),
    ("toner cartridge", "Toner cartridge, black, for laser printers. Office, Printing"),
    ("wooden puzzle", "Wooden puzzle of a farm, 24 pieces. Toys, Puzzles"),
)
"""For a shop that has no products yet."""


@dataclass(frozen=True, slots=True)
class GoldenPairs:
    """Pair i is right for even i and wrong for odd ones."""

    queries: tuple[str, ...]
    documents: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.queries)


def golden_pairs(products: Iterable[Product], count: int = PRODUCTS) -> GoldenPairs:
    """Each title with its own product's text, and with the next one's. The same products give the same pairs."""
    titled = ((plain(product.title), product_text(product)) for product in products)
    known = list(islice(((title, text) for title, text in titled if title and text), count))
    known = known if len(known) > 1 else list(_SPARE)
    others = [*known[1:], known[0]]
    queries = [title for title, _ in known for _ in range(2)]
    documents = [text for (_, own), (_, other) in zip(known, others, strict=True) for text in (own, other)]
    return GoldenPairs(tuple(queries), tuple(documents))


def check_encoder(embedder: Embedder, pairs: GoldenPairs) -> None:
    """Raises InvalidInput, which says what is wrong."""
    queries = embedder.encode(pairs.queries, "query")
    documents = embedder.encode(pairs.documents, "document")
    shape = (len(pairs), embedder.dimension)
    for vectors in (queries, documents):
        if vectors.shape != shape:
            raise InvalidInput(f"its vectors have the shape {vectors.shape} and not {shape}")
        if not np.isfinite(vectors).all():
            raise InvalidInput("its vectors are not all numbers")
        if np.abs(np.linalg.norm(vectors, axis=1) - 1).max() > 0.01:
            raise InvalidInput("its vectors are not of unit length")
    check_spread((queries * documents).sum(axis=1), LEAST_COSINE_SPREAD)


def check_reranker(reranker: Reranker, pairs: GoldenPairs) -> None:
    """Raises InvalidInput, which says what is wrong."""
    check_spread(checked_scores(reranker.score(pairs.queries, pairs.documents), (len(pairs),)), LEAST_LOGIT_SPREAD)


def checked_scores(scores: Scores, shape: Sequence[int]) -> Scores:
    """`scores` themselves. Raises InvalidInput for another shape and for what is no number."""
    if scores.shape != tuple(shape):
        raise InvalidInput(f"its scores have the shape {scores.shape} and not {tuple(shape)}")
    if not np.isfinite(scores).all():
        raise InvalidInput("its scores are not all numbers")
    return scores


def check_spread(scores: NDArray[np.floating], least: float) -> None:
    """Raises InvalidInput where all scores are as good as the same."""
    spread = float(scores.max() - scores.min())
    if spread < least:
        raise InvalidInput(
            f"it gives everything the same score: {len(scores)} golden pairs differ by {spread:.2g}, and {least:g} is "
            "the least"
        )
