"""The network: causal, the same however sequences are laid out, and with a place for items that it never saw."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from retrieval.models.item_features import ItemFeatures
from retrieval.models.network import Encoder, Tokens
from retrieval.models.sequences import Sequences
from tests.unit.retrieval.models.small_ranker import DIMENSION, ITEMS, WIDTH, features, network

ENCODERS = get_args(Encoder)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_later_steps_change_nothing_before_them(encoder: Encoder) -> None:
    """Places count from the end, so two sequences of one length are compared."""
    made = network(encoder)
    states = []
    for last in (3, 7):
        tokens = Tokens.of(Sequences.of([[0, 1, last]]), made.start)
        with torch.inference_mode():
            states.append(made(*tokens.packed(tokens.starts[:-1], tokens.starts[1:])))
    torch.testing.assert_close(states[0][:3], states[1][:3])
    assert not torch.allclose(states[0][3], states[1][3])


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_person_does_not_depend_on_who_else_is_asked_about(encoder: Encoder) -> None:
    made, asked = network(encoder), [[0, 1, 2, 3, 4], [], [7], [5, 5, 6]]
    with torch.inference_mode():
        together = made.people(Sequences.of(asked))
        alone = torch.cat([made.people(Sequences.of([each])) for each in asked])
    assert together.shape == (4, WIDTH)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("blocks", [1, 2])
def test_the_last_states_alone_are_those_of_all(encoder: Encoder, blocks: int) -> None:
    made = network(encoder, blocks=blocks, heads=2)
    tokens = Tokens.of(Sequences.of([[0, 1, 2, 3, 4], [], [7], [5, 5, 6]]), made.start)
    packed = tokens.packed(tokens.starts[:-1], tokens.starts[1:])
    with torch.inference_mode():
        last = made(*packed, last=True)
        torch.testing.assert_close(last, made(*packed)[tokens.starts[1:] - 1], rtol=1e-4, atol=1e-5)


def test_only_the_last_steps_are_looked_at() -> None:
    made = network(length=3)
    with torch.inference_mode():
        long, short = made.people(Sequences.of([[9, 8, 0, 1, 2]])), made.people(Sequences.of([[4, 4, 0, 1, 2]]))
    torch.testing.assert_close(long, short)


def test_kinds_and_times_are_heard() -> None:
    made, plain = network(), Sequences.of([[0, 1]])
    viewed = Sequences(plain.starts, plain.items, np.zeros(2, dtype=np.int8), plain.moments)
    later = Sequences(plain.starts, plain.items, plain.kinds, np.array([0.0, 1e6]))
    with torch.inference_mode():
        states = [made.people(each) for each in (plain, viewed, later)]
    assert not torch.allclose(states[0], states[1])
    assert not torch.allclose(states[0], states[2])


def test_looked_up_vectors_give_the_same_as_the_towers_own() -> None:
    made, asked = network(), Sequences.of([[0, 1, 2], [], [11]])
    with torch.inference_mode():
        table = made.tower(torch.arange(ITEMS)).numpy()
        torch.testing.assert_close(made.people(asked, lambda items: table[items]), made.people(asked))


def test_an_item_is_described_as_what_it_says_and_not_by_its_number() -> None:
    made = network()
    known, _ = features()
    with torch.inference_mode():
        described = made.tower.described()
        torch.testing.assert_close(made.tower.describe(known), described)
        own = made.tower(torch.arange(ITEMS)) - described
    torch.testing.assert_close(own, made.tower.numbers.weight[:ITEMS].detach())
    nothing = ItemFeatures(np.zeros((1, DIMENSION), dtype=np.float32), np.zeros((1, 4), dtype=np.int64))
    assert made.tower.describe(nothing).abs().sum() == 0  # what is not known adds nothing


def test_without_numbers_items_are_their_descriptions_alone() -> None:
    made = network(numbers=False)
    with torch.inference_mode():
        torch.testing.assert_close(made.tower(torch.arange(ITEMS)), made.tower.described())


def test_numbers_are_left_out_in_training_only_and_never_the_starts() -> None:
    made = network(number_dropout=1.0)
    start = torch.tensor([ITEMS])
    with torch.no_grad():
        own = made.tower.numbers.weight[ITEMS]
        made.train()
        torch.testing.assert_close(made.tower(torch.arange(ITEMS)), made.tower.described())
        torch.testing.assert_close(made.tower(start)[0], own)
        made.eval()
        assert not torch.allclose(made.tower(torch.arange(ITEMS)), made.tower.described())
