"""A network as the beginning of another shop's: what goes over, what does not, and that it spares time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from finetune.next_item import Corpus, train_network
from finetune.pretrained import Pretrained
from retrieval.models.item_features import ItemFeatures, Vocabulary
from retrieval.models.network import NextItemNetwork, Shape
from tasteline.errors import InvalidInput
from tests.unit.finetune.test_next_item import ITEMS, QUICK, SMALL, walkers

OURS = Vocabulary({"a": 1, "b": 2, "c": 3, "d": 4}, {}, {})
THEIRS = Vocabulary({"b": 1, "x": 2}, {}, {})


def network(corpus: Corpus, sizes: tuple[int, ...], shape: Shape = SMALL.shape, seed: int = 0) -> NextItemNetwork:
    torch.manual_seed(seed)
    return NextItemNetwork(corpus.features, sizes, shape)


def test_all_but_what_belongs_to_the_items_goes_over() -> None:
    corpus = walkers()
    there, here = network(corpus, (3, 1, 1, 1)), network(corpus, (5, 1, 1, 1), seed=1)
    before = {name: each.clone() for name, each in here.state_dict().items()}
    Pretrained.of(there, THEIRS, OURS).give(here)
    given, after = there.state_dict(), here.state_dict()
    for name in ("tower.project.weight", "_places.weight", "_blocks.0._mix.weight"):
        assert torch.equal(after[name], given[name]), name
    assert torch.equal(after["tower.numbers.weight"][:-1], before["tower.numbers.weight"][:-1])
    assert torch.equal(after["tower.numbers.weight"][-1], given["tower.numbers.weight"][-1]), "the start is no item"
    brands = "tower.attributes.0.weight"
    assert torch.equal(after[brands][2], given[brands][1]), "b is called alike"
    assert torch.equal(after[brands][[1, 3, 4]], before[brands][[1, 3, 4]])


def test_it_spares_time() -> None:
    """The same walk through the same texts, by items in another order: nothing of an item's number helps."""
    corpus = walkers()
    shape = replace(SMALL.shape, number_dropout=0.5)
    settings = replace(SMALL, shape=shape)
    first, _ = train_network(corpus, settings, replace(QUICK, blind_epochs=15), seed=0, blind=True)
    order = np.random.default_rng(1).permutation(ITEMS)
    features = ItemFeatures(corpus.features.texts[order], corpus.features.codes[order])
    number = np.argsort(order)
    elsewhere = replace(
        walkers(seed=2),
        features=features,
        histories=walkers(seed=2).histories.numbered(number),
        valid=walkers(seed=2).valid.numbered(number),
        valid_targets=number[walkers(seed=2).valid_targets],
    )
    short = replace(QUICK, epochs=3, measure_from=3)
    curves = [
        train_network(elsewhere, settings, short, seed=0, begun=begun)[1]
        for begun in (None, Pretrained.of(first, OURS, OURS))
    ]
    assert curves[1][-1].value > 1.3 * curves[0][-1].value


def test_another_shape_is_refused() -> None:
    corpus = walkers()
    given = Pretrained.of(network(corpus, (5, 1, 1, 1)), OURS, OURS)
    with pytest.raises(InvalidInput, match="another shape"):
        given.give(network(corpus, (5, 1, 1, 1), replace(SMALL.shape, width=8)))
    texts = replace(corpus, features=ItemFeatures(np.eye(ITEMS, 7, dtype=np.float32), corpus.features.codes))
    with pytest.raises(InvalidInput, match="texts of another encoder"):
        given.give(network(texts, (5, 1, 1, 1)))
    assert given.fingerprint() != Pretrained.of(given.network, THEIRS, OURS).fingerprint()
