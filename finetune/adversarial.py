"""Short histories made longer by steps that were never taken: a generator of them against a discriminator.

Most people have taken two or three steps, and a network that reads sequences learns little from so short ones. Here a
network that reads histories backwards proposes what may have come before the first step (Liu et al., "Augmenting
Sequential Recommendation with Pseudo-Prior Items via Reversely Pre-training Transformer", SIGIR 2021). A second one
tells such windows from real ones, and the first learns from it by policy gradient (Yu et al., "SeqGAN: Sequence
Generative Adversarial Nets with Policy Gradient", AAAI 2017). What the discriminator takes for real stands before the
short histories in training: as something that is read, never as something that is predicted.

Takes a corpus, gives pieces to learn from. Only training histories are read; nothing is generated for an answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

from finetune.next_item import Batch, Corpus, NetworkSettings, Windows, train_network
from finetune.training import Epoch, Job, Schedule
from retrieval.models.network import NextItemNetwork, Packed, Tokens
from retrieval.models.sequences import Numbers, Sequences
from tasteline.types import Mask

HIDDEN = 64
"""Of the discriminator."""
HELD_OUT = 0.1
"""Share of the people whose windows the discriminator never learns from: on these it is measured."""
SEEN = -1e9
"""Score of an item that stands in the sequence already."""


@dataclass(frozen=True, slots=True)
class AdversarialSettings:
    """How many steps are invented, for whom, and how long the two play."""

    short: int = 4
    """Histories of at most so many steps are made longer."""
    steps: int = 3
    """Put before each."""
    share: float = 0.5
    """How often a short history is read with them, drawn anew in each epoch; otherwise as it is, as in an answer."""
    rounds: int = 5
    windows: int = 20_000
    """Of each player in a round, at most."""
    epochs: int = 8
    """Of the generator before the first round, as an ordinary network."""
    width: int = 64
    candidates: int = 50
    """Among so many best items the generator draws."""
    temperature: float = 1.0
    proposals: int = 4
    """Drawn for each short history, of which the one is taken that the discriminator finds the likeliest."""
    batch: int = 128
    discriminator_rate: float = 3e-3
    generator_rate: float = 1e-4


@dataclass(frozen=True, slots=True)
class Round:
    """How the two stand when the discriminator has learned and the generator has not answered yet."""

    accuracy: float
    """Of the discriminator on held-out windows, half of them generated: .5 is chance."""
    believed: float
    """Mean probability of being real that it gives to generated ones."""


class Generator:
    """Proposes steps before a sequence. All sequences here run backwards: the last step first."""

    def __init__(self, network: NextItemNetwork, touched: Numbers, settings: AdversarialSettings) -> None:
        """`network` has learned on histories that run backwards; what items are stays as it is from here on."""
        network.tower.requires_grad_(False)
        self.network = network.eval()
        self._touched = torch.from_numpy(touched)
        self._column = torch.full((network.start,), -1).index_copy(0, self._touched, torch.arange(len(touched)))
        with torch.no_grad():
            self.vectors = network.tower(torch.arange(network.start))
            self._candidates = self.vectors[self._touched]
        self._settings = settings

    @torch.no_grad()
    def propose(self, sequences: Sequences) -> Proposed:
        """Each with `settings.steps` more, drawn one after the other among the best candidates."""
        offered, chosen = [], []
        for _ in range(self._settings.steps):
            scores = self.network.people(sequences) @ self._candidates.T / self._settings.temperature
            scores[torch.from_numpy(sequences.owners), self._column[torch.from_numpy(sequences.items)]] = SEEN
            best, columns = scores.topk(min(self._settings.candidates, scores.shape[1]))
            drawn = torch.multinomial(best.softmax(dim=1), 1)
            offered.append(columns)
            chosen.append(drawn)
            sequences = _with_step(sequences, self._touched[columns.gather(1, drawn).squeeze(1)].numpy())
        return Proposed(sequences, torch.stack(offered, dim=1), torch.cat(chosen, dim=1))

    def log_probability(self, proposed: Proposed) -> Tensor:
        """(m,) of what was drawn, with a gradient."""
        logs = torch.zeros(len(proposed.sequences))
        for step in range(self._settings.steps):
            # As when it was drawn: places count from the end, so that a state in the midst of a sequence is another.
            states = self.network.people(_without_beginning(proposed.sequences, self._settings.steps - step))
            offered = self._candidates[proposed.offered[:, step]]
            scores = (offered @ states.unsqueeze(2)).squeeze(2) / self._settings.temperature
            logs = logs + scores.log_softmax(dim=1).gather(1, proposed.chosen[:, step, None]).squeeze(1)
        return logs


@dataclass(frozen=True, slots=True)
class Proposed:
    """Sequences with generated steps at their end, which is the beginning of a history."""

    sequences: Sequences
    offered: Tensor
    """(m, steps, candidates) what was to be had at each step."""
    chosen: Tensor
    """(m, steps) places in `offered`."""


class Discriminator(nn.Module):
    """A GRU that reads a window backwards and says at its beginning whether it is real (log-odds)."""

    _vectors: Tensor

    def __init__(self, vectors: Tensor) -> None:
        """`vectors` (items, width): what is known of the items; they are not learned."""
        super().__init__()
        self.register_buffer("_vectors", vectors)
        self._norm = nn.LayerNorm(vectors.shape[1])
        self._recurrent = nn.GRU(vectors.shape[1], HIDDEN, batch_first=True)
        self._judge = nn.Linear(HIDDEN, 1)

    def forward(self, sequences: Sequences) -> Tensor:
        """(m,)"""
        packed = Packed.of(sequences.items, sequences.starts[:-1], sequences.starts[1:])
        table = packed.table(self._norm(self._vectors[packed.items]))
        rows = pack_padded_sequence(table, packed.lengths, batch_first=True, enforce_sorted=False)
        said: Tensor = self._judge(self._recurrent(rows)[1][-1]).squeeze(1)
        return said


@dataclass(frozen=True, slots=True)
class Players:
    """The two after their last round."""

    generator: Generator
    discriminator: Discriminator
    rounds: tuple[Round, ...]


def play(
    corpus: Corpus, network: NetworkSettings, schedule: Schedule, settings: AdversarialSettings, *, seed: int
) -> Players:
    """A generator that has learned the histories backwards, then rounds in which each player learns from the other."""
    backwards = reversed_steps(corpus.histories.merged())
    proposer = train_network(
        replace(corpus, histories=backwards),
        replace(network, shape=replace(network.shape, width=settings.width)),
        replace(schedule, blind_epochs=settings.epochs),
        seed=seed,
        blind=True,
    )[0]
    generator = Generator(proposer, corpus.touched, settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        discriminator = Discriminator(generator.vectors)
        people = np.random.default_rng([seed, 11]).permutation(np.flatnonzero(backwards.lengths > settings.steps))
        held = max(1, int(HELD_OUT * len(people)))
        apart, learned = (backwards.take(chosen) for chosen in (people[:held], people[held:]))
        rounds = []
        for number in range(settings.rounds if len(learned) else 0):
            _teach_discriminator(discriminator, generator, learned, settings, [seed, number])
            rounds.append(_standing(discriminator, generator, apart, settings, seed))
            _teach_generator(discriminator, generator, learned, settings, [seed, number])
    return Players(generator, discriminator, tuple(rounds))


def _teach_discriminator(
    discriminator: Discriminator,
    generator: Generator,
    people: Sequences,
    settings: AdversarialSettings,
    seeds: list[int],
) -> None:
    def loss(real: object) -> Tensor:
        assert isinstance(real, Sequences)
        generated = generator.propose(_without_beginning(real, settings.steps)).sequences
        # softplus(-x) is -log of the probability of being real, softplus(x) that of being generated.
        mean: Tensor = (
            functional.softplus(-discriminator(real)) + functional.softplus(discriminator(generated))
        ).mean()
        return mean

    _round(discriminator, loss, people, settings, settings.discriminator_rate, seeds)


def _teach_generator(
    discriminator: Discriminator,
    generator: Generator,
    people: Sequences,
    settings: AdversarialSettings,
    seeds: list[int],
) -> None:
    """REINFORCE: what is believed more than the others of the batch becomes likelier (Williams, 1992)."""

    def loss(real: object) -> Tensor:
        assert isinstance(real, Sequences)
        generator.network.eval()  # what is drawn and what is learned is one policy, without dropout
        proposed = generator.propose(_without_beginning(real, settings.steps))
        with torch.no_grad():
            believed = discriminator(proposed.sequences).sigmoid()
        gain: Tensor = ((believed - believed.mean()) * generator.log_probability(proposed)).mean()
        return -gain

    _round(generator.network, loss, people, settings, settings.generator_rate, seeds)


def _round(
    module: nn.Module,
    loss: Callable[[object], Tensor],
    people: Sequences,
    settings: AdversarialSettings,
    rate: float,
    seeds: list[int],
) -> None:
    def batches(rng: np.random.Generator) -> Iterator[object]:
        chosen = rng.permutation(len(people))[: settings.windows]
        for start in range(0, len(chosen), settings.batch):
            yield drawn_windows(people.take(chosen[start : start + settings.batch]), settings, rng)

    schedule = Schedule(learning_rate=rate, blind_epochs=1, average=0.9)
    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    Job(module, loss, batches, None, schedule, seed).run()


@torch.no_grad()
def _standing(
    discriminator: Discriminator, generator: Generator, people: Sequences, settings: AdversarialSettings, seed: int
) -> Round:
    real = drawn_windows(people, settings, np.random.default_rng([seed, 13]))
    generated = generator.propose(_without_beginning(real, settings.steps)).sequences
    of_real, of_generated = discriminator(real), discriminator(generated)
    right = torch.cat((of_real > 0, of_generated < 0)).float().mean()
    return Round(float(right), float(of_generated.sigmoid().mean()))


def drawn_windows(people: Sequences, settings: AdversarialSettings, rng: np.random.Generator) -> Sequences:
    """A piece of each: 1 to `short` steps to go by, then the `steps` that the generator would have to guess."""
    lengths = people.lengths
    known = rng.integers(1, np.minimum(settings.short, lengths - settings.steps) + 1)
    first = people.starts[:-1] + rng.integers(0, lengths - known - settings.steps + 1)
    return people.between(first, first + known + settings.steps)


@dataclass(frozen=True, slots=True)
class Grown:
    """What a network reads: histories, and the short ones among them also with generated steps before them."""

    windows: Windows
    """Pieces of the histories, then those of the grown."""
    twins: Numbers
    """(grown,) whose history each of the grown is."""
    owners: Numbers
    """(pieces,) which history each piece is of; len(histories) + i: the i-th of the grown."""
    people: int
    share: float

    @property
    def tokens(self) -> Tokens:
        return self.windows.tokens

    @classmethod
    def of(
        cls,
        histories: Sequences,
        grown: Sequences,
        twins: Numbers,
        settings: AdversarialSettings,
        *,
        start: int,
        length: int,
    ) -> Grown:
        """The first `settings.steps` of each of the grown are read but not predicted. The rest as for `Windows.of`."""
        both = _joined(histories, grown)
        windows = Windows.of(both, start, length)
        predicted = np.ones(len(windows.tokens.items), dtype=np.bool_)
        first = windows.tokens.starts[len(histories) : -1]
        predicted[(first[:, None] + 1 + np.arange(settings.steps)).ravel()] = False
        owners = np.repeat(np.arange(len(both)), -(-both.lengths // length))
        return cls(replace(windows, predicted=predicted), twins, owners, len(histories), settings.share)

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Everybody once: of the short some as they are and some grown, drawn anew each time."""
        kept = self._drawn(rng)[self.owners]
        windows = self.windows
        return replace(windows, first=windows.first[kept], last=windows.last[kept]).batches(size, rng)

    def _drawn(self, rng: np.random.Generator) -> Mask:
        grown = rng.random(len(self.twins)) < self.share
        plain = np.ones(self.people, dtype=np.bool_)
        plain[self.twins[grown]] = False
        return np.concatenate((plain, grown))


def grow(corpus: Corpus, players: Players, settings: AdversarialSettings, *, length: int, seed: int) -> Grown:
    """The short histories with generated steps before them, where the discriminator takes these for real."""
    histories = corpus.histories.merged()
    short = np.flatnonzero((histories.lengths > 0) & (histories.lengths <= settings.short))
    backwards = reversed_steps(histories.take(short))
    grown, believed = _best_of(backwards, players, settings, seed)
    kept = np.flatnonzero(believed > 0)
    taken = _as_their_own(reversed_steps(grown.take(kept)), histories.take(short[kept]), settings.steps)
    return Grown.of(histories, taken, short[kept], settings, start=len(corpus.features), length=length)


@torch.no_grad()
def _best_of(
    backwards: Sequences, players: Players, settings: AdversarialSettings, seed: int
) -> tuple[Sequences, np.ndarray]:
    """Of some proposals for each the most believed one, and its log-odds of being real."""
    generator, discriminator = players.generator, players.discriminator.eval()
    batches = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for start in range(0, len(backwards), settings.batch):
            part = backwards.take(np.arange(start, min(start + settings.batch, len(backwards))))
            proposals = [generator.propose(part).sequences for _ in range(settings.proposals)]
            odds = torch.stack([discriminator(each) for each in proposals])
            best = odds.argmax(dim=0).numpy()
            chosen = _joined(*proposals).take(best * len(part) + np.arange(len(part)))
            batches.append((chosen, odds.amax(dim=0).numpy()))
    if not batches:
        return backwards, np.zeros(0)
    return _joined(*(each for each, _ in batches)), np.concatenate([odds for _, odds in batches])


def train_grown(
    corpus: Corpus,
    network: NetworkSettings,
    schedule: Schedule,
    *,
    grown: AdversarialSettings,
    seed: int,
    told: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Path | None = None,
    blind: bool = False,
) -> tuple[NextItemNetwork, list[Epoch]]:
    """`train_network` on histories of which the short are made longer; its seconds are those of all three networks."""
    started = time.perf_counter()
    players = play(corpus, network, schedule, grown, seed=seed)
    pieces = grow(corpus, players, grown, length=network.shape.length, seed=seed)
    before = time.perf_counter() - started

    def later(epoch: Epoch) -> Epoch:
        return replace(epoch, seconds=epoch.seconds + before)

    made, curve = train_network(
        corpus,
        network,
        schedule,
        seed=seed,
        told=lambda epoch: told(later(epoch)),
        checkpoint=checkpoint,
        blind=blind,
        pieces=pieces,
    )
    return made, [later(epoch) for epoch in curve]


def reversed_steps(sequences: Sequences) -> Sequences:
    """Each from its end to its beginning; when its steps were is no longer known.

    >>> reversed_steps(Sequences.of([[4, 7, 9], [], [5]])).items.tolist()
    [9, 7, 4, 5]
    """
    places = sequences.starts[:-1][sequences.owners] + sequences.steps_from_end
    unknown = np.full(len(places), np.nan)
    return Sequences(sequences.starts, sequences.items[places], sequences.kinds[places], unknown)


def _without_beginning(windows: Sequences, steps: int) -> Sequences:
    return windows.between(windows.starts[:-1], windows.starts[1:] - steps)


def _with_step(sequences: Sequences, items: Numbers) -> Sequences:
    """Each with one item more at its end, of the kind of the step before it."""
    ends = sequences.starts[1:]
    return Sequences(
        sequences.starts + np.arange(len(sequences) + 1),
        np.insert(sequences.items, ends, items),
        np.insert(sequences.kinds, ends, sequences.kinds[ends - 1]),
        np.insert(sequences.moments, ends, np.nan),
    )


def _as_their_own(grown: Sequences, histories: Sequences, added: int) -> Sequences:
    """With the moments of the steps that were really taken."""
    moments = np.insert(histories.moments, np.repeat(histories.starts[:-1], added), np.nan)
    return replace(grown, moments=moments)


def _joined(*parts: Sequences) -> Sequences:
    ends = np.cumsum([0, *(each.starts[-1] for each in parts)])
    return Sequences(
        np.concatenate([[0], *(each.starts[1:] + end for each, end in zip(parts, ends, strict=False))]).astype(
            np.int64
        ),
        np.concatenate([each.items for each in parts]),
        np.concatenate([each.kinds for each in parts]),
        np.concatenate([each.moments for each in parts]),
    )
