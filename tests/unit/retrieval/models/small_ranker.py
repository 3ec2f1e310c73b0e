"""A ranker with random weights over a dozen items, small enough for unit tests."""

from __future__ import annotations

import numpy as np
import torch

from finetune.next_item import Corpus, indexed, item_vectors, looked_up
from retrieval.models.following import Following
from retrieval.models.item_features import Description, ItemFeatures, Vocabulary
from retrieval.models.network import Encoder, NextItemNetwork, Shape
from retrieval.models.ranker import Fusion, NextItemRanker, Shelf, feature_names
from retrieval.models.ranker_files import StoredRanker
from retrieval.models.sequences import Sequences

ITEMS, DIMENSION, WIDTH = 12, 8, 6
HISTORIES = Sequences.of([[0, 1, 2], [3, 4, 5, 6], [7, 8, 9], [0, 2, 4], [1, 3, 5]])


def described() -> list[Description]:
    return [
        Description(f"thing {item}", ("Acme", "Brio", "")[item % 3], ("Home", f"Kind {item % 2}"), 100 * (item + 1))
        for item in range(ITEMS)
    ]


def features(seed: int = 0) -> tuple[ItemFeatures, Vocabulary]:
    texts = np.random.default_rng(seed).normal(size=(ITEMS, DIMENSION)).astype(np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    vocabulary = Vocabulary.of(described())
    return ItemFeatures(texts, vocabulary.codes(described())), vocabulary


def corpus(histories: Sequences = HISTORIES) -> Corpus:
    known, vocabulary = features()
    return Corpus(histories, known, vocabulary.sizes, Sequences.of([[0, 1]]), np.array([2]))


def network(encoder: Encoder = "transformer", **changes: object) -> NextItemNetwork:
    known, vocabulary = features()
    torch.manual_seed(0)
    return NextItemNetwork(known, vocabulary.sizes, Shape(encoder, width=WIDTH, **changes)).eval()  # type: ignore[arg-type]


def ranker(*networks: NextItemNetwork, from_each: int = 4) -> NextItemRanker:
    known, _ = features()
    torch.manual_seed(1)
    fusion = Fusion(len(feature_names(len(networks))))
    touched = np.unique(HISTORIES.items)
    shelf = Shelf(
        looked_up(known.texts),
        known.codes,
        Following.fit(HISTORIES, known.texts),
        tuple(indexed(item_vectors(each, touched)) for each in networks),
    )
    return NextItemRanker(networks, fusion, shelf, from_each=from_each)


def stored(small: NextItemRanker) -> StoredRanker:
    """What is kept of a ranker of two networks."""
    networks = {"transformer": network("transformer"), "gru": network("gru")}
    every = np.arange(ITEMS)
    vectors = {name: index.vectors(every) for name, index in zip(networks, small.shelf.vectors, strict=True)}
    assert small._fusion is not None
    return StoredRanker(
        item_ids=tuple(f"p{item}" for item in range(ITEMS)),
        vocabulary=features()[1],
        codes=small.shelf.codes,
        networks=networks,
        vectors=vectors,
        fusion=small._fusion,
        following=small.shelf.following,
        repeats=False,
        from_each=4,
        embedder="hashing",
    )
