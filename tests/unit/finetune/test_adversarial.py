"""Invented steps before short histories: who invents them is believed, and what was really done stays as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from finetune.adversarial import (
    AdversarialSettings,
    Generator,
    Grown,
    Players,
    drawn_windows,
    grow,
    play,
    reversed_steps,
    train_grown,
)
from finetune.next_item import Corpus, train_network
from retrieval.models.network import NextItemNetwork
from retrieval.models.sequences import Sequences
from tests.unit.finetune.test_next_item import ITEMS, QUICK, SMALL, walkers

SETTINGS = AdversarialSettings(
    short=4,
    steps=2,
    rounds=2,
    epochs=12,
    width=16,
    candidates=20,
    batch=32,
    discriminator_rate=1e-2,
    generator_rate=3e-3,
)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return walkers(people=600)


@pytest.fixture(scope="module")
def players(corpus: Corpus) -> Players:
    return play(corpus, SMALL, QUICK, SETTINGS, seed=0)


@pytest.fixture(scope="module")
def untaught(corpus: Corpus) -> Players:
    """A discriminator that has learned against a generator that never does."""
    return play(corpus, SMALL, QUICK, replace(SETTINGS, epochs=0, rounds=6, generator_rate=0.0), seed=0)


@pytest.fixture(scope="module")
def grown(corpus: Corpus, players: Players) -> Grown:
    return grow(corpus, players, SETTINGS, length=50, seed=0)


def plausible(sequences: Sequences, steps: int) -> float:
    """Share of the last steps that are, as everybody's are, one or two items before the one that follows."""
    ends = sequences.starts[1:, None] - np.arange(steps)
    walked = (sequences.items[ends - 2] - sequences.items[ends - 1]) % ITEMS
    return float(np.isin(walked, (1, 2)).mean())


def fresh(corpus: Corpus) -> Generator:
    """Of the same build, without having learned anything."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = NextItemNetwork(corpus.features, corpus.sizes, SMALL.shape)
    return Generator(network, corpus.touched, SETTINGS)


def test_the_generator_is_believed_more_than_chance(corpus: Corpus, players: Players, untaught: Players) -> None:
    backwards = reversed_steps(corpus.histories.last(2))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        learned, drawn = (each.propose(backwards).sequences for each in (players.generator, fresh(corpus)))
    assert plausible(learned, SETTINGS.steps) > 0.4
    assert plausible(drawn, SETTINGS.steps) < 0.2
    with torch.no_grad():
        odds = [untaught.discriminator(each).sigmoid().mean() for each in (learned, drawn)]
    assert odds[0] > odds[1] + 0.1


def test_a_discriminator_tells_what_an_untaught_generator_makes(untaught: Players) -> None:
    assert untaught.rounds[0].accuracy > 0.6  # .5 by chance
    assert untaught.rounds[-1].accuracy > 0.8


def test_playing_makes_the_generator_more_believed(corpus: Corpus, untaught: Players) -> None:
    taught = play(corpus, SMALL, QUICK, replace(SETTINGS, epochs=0, rounds=6, generator_rate=1e-2), seed=0)
    backwards = reversed_steps(corpus.histories.last(2))
    believed = []
    for each in (untaught, taught):
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            proposed = each.generator.propose(backwards).sequences
            believed.append(float(untaught.discriminator(proposed).sigmoid().mean()))
    assert believed[1] > believed[0] + 0.05


def test_the_probability_of_what_was_drawn_is_that_by_which_it_was_drawn(corpus: Corpus) -> None:
    generator = fresh(corpus)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        proposed = generator.propose(Sequences.of([[3, 4], [5]]))
    expected = []
    for person, known in enumerate(([3, 4], [5])):
        total, steps = 0.0, list(known)
        for step in range(SETTINGS.steps):
            with torch.no_grad():
                said = generator.network.people(Sequences.of([steps]))
            scores = (said @ generator.vectors[corpus.touched].T)[0]
            offered = proposed.offered[person, step]
            chosen = offered[proposed.chosen[person, step]]
            total += float(scores[chosen] - scores[offered].logsumexp(dim=0))
            steps.append(int(corpus.touched[chosen]))
        expected.append(total)
    torch.testing.assert_close(generator.log_probability(proposed), torch.tensor(expected))


def test_a_window_is_a_piece_of_its_history_with_something_to_guess() -> None:
    backwards = Sequences.of([[5, 4, 3, 2, 1], [9, 8, 7]])
    for seed in range(20):
        windows = drawn_windows(backwards, SETTINGS, np.random.default_rng(seed))
        assert windows.lengths.min() > SETTINGS.steps
        assert windows.lengths[0] <= 5
        assert windows.items[windows.starts[1] :].tolist() == [9, 8, 7]
        assert (np.diff(windows.items[: windows.starts[1]]) == -1).all()


def test_what_was_done_is_kept_and_alone_predicted(corpus: Corpus, grown: Grown) -> None:
    histories = corpus.histories.merged()
    assert 0 < len(grown.twins) <= (histories.lengths <= SETTINGS.short).sum()
    starts = grown.tokens.starts[grown.people :]
    for place, person in enumerate(grown.twins):
        longer = grown.tokens.items[starts[place] : starts[place + 1]]
        real = histories.items[histories.starts[person] : histories.starts[person + 1]]
        assert len(real) <= SETTINGS.short
        assert longer[1 + SETTINGS.steps :].tolist() == real.tolist()
    assert set(grown.tokens.items) <= {*corpus.touched, ITEMS}  # and the start


def test_each_real_step_is_predicted_once_in_an_epoch_and_no_invented_one(corpus: Corpus, grown: Grown) -> None:
    histories = corpus.histories.merged()
    read, predicted = 0, []
    for batch in grown.batches(50, np.random.default_rng(0)):
        assert batch.places is not None
        assert len(batch.places) == len(batch.following)
        read += len(batch.sequences.items)
        predicted += batch.following.tolist()
    assert sorted(predicted) == sorted(histories.items)
    added = read - len(predicted)
    assert added % SETTINGS.steps == 0
    assert 0.3 < added / SETTINGS.steps / len(grown.twins) < 0.7  # the share of them that was read with more


def test_neither_valid_histories_nor_their_targets_are_read(corpus: Corpus, grown: Grown) -> None:
    blind = replace(corpus, valid=Sequences.of([[0]]), valid_targets=np.array([1]))
    again = grow(blind, play(blind, SMALL, QUICK, SETTINGS, seed=0), SETTINGS, length=50, seed=0)
    np.testing.assert_array_equal(again.tokens.items, grown.tokens.items)


def test_the_same_seed_gives_the_same(corpus: Corpus) -> None:
    few = replace(corpus, histories=corpus.histories.take(np.arange(80)))
    brief = replace(SETTINGS, epochs=1, rounds=1)
    first, second, other = (train_grown(few, SMALL, QUICK, grown=brief, seed=seed, blind=True)[0] for seed in (3, 3, 4))
    weights = [each.tower.project.weight for each in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_where_no_history_is_short_it_is_the_ordinary_training(corpus: Corpus) -> None:
    few = replace(corpus, histories=corpus.histories.take(np.arange(80)))
    nobody = replace(SETTINGS, short=0, epochs=1, rounds=0)
    made, _ = train_grown(few, SMALL, QUICK, grown=nobody, seed=0, blind=True)
    plain, _ = train_network(few, SMALL, QUICK, seed=0, blind=True)
    torch.testing.assert_close(made.tower.project.weight, plain.tower.project.weight)


def test_with_nothing_long_enough_to_learn_from_it_still_trains() -> None:
    tiny = replace(walkers(people=5), histories=Sequences.of([[1, 2], [2, 3], [], [3]]))
    made, _ = train_grown(tiny, SMALL, QUICK, grown=SETTINGS, seed=0, blind=True)
    assert torch.isfinite(made.tower.project.weight).all()
