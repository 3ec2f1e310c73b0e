"""Training of SASRec: every place of every history predicts the next item against a shared sample of the others.

Takes what may be learned from, settings and a function that measures a network; gives the best network and its
learning curve. Knows no metric and no file.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eval.baselines.sasrec_network import Network
from eval.data.interactions import Histories, Interactions, Order
from finetune.sampled_softmax import sampled_softmax
from retrieval.models.network import Packed
from retrieval.models.sequences import ranges


@dataclass(frozen=True, slots=True)
class SasRecSettings:
    """What was chosen on the valid part of Beauty; see `eval.baselines.sasrec` for what was tried."""

    width: int = 64
    blocks: int = 1
    heads: int = 1
    length: int = 50
    """How many of the last events are looked at, the start among them; longer histories are learned from in pieces."""
    dropout: float = 0.4
    negatives: int = 2048
    """Drawn from all items for each batch, and shared by all its places."""
    log_q: bool = False
    """Whether a sampled item counts for all that were not drawn: + log(items / negatives) on its score (Bengio and
    Senécal, 2008). Without it the sum of the softmax is too small by that factor, the positive's score too modest."""
    learning_rate: float = 1e-3
    batch: int = 128
    """Sequences in a step."""
    epochs: int = 100
    """At most."""
    patience: int = 5
    """Epochs without a better nDCG@10 on valid until it stops."""
    blind_epochs: int = 30
    """How long it learns where there are no valid cases to stop by."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A point of the learning curve."""

    number: int
    """From 1."""
    seconds: float
    """Since the start, measuring included."""
    ndcg: float
    """nDCG@10 on valid; NaN without valid cases."""


Told = Callable[[Epoch], None]


@dataclass(frozen=True, slots=True)
class Windows:
    """Pieces to learn from: `tokens[first[i]:last[i]]`, each of which predicts the token after it."""

    tokens: Order
    first: Order
    last: Order

    def __len__(self) -> int:
        return len(self.first)

    @classmethod
    def of(cls, histories: Histories, start: int, length: int) -> Windows:
        """Each history, the start before it, cut from its end into pieces of `length`.

        >>> pieces = Windows.of(Histories.of([[7, 8, 9], [], [5]]), start=0, length=2)
        >>> [pieces.tokens[a : b + 1].tolist() for a, b in zip(pieces.first, pieces.last)]  # the last one is predicted
        [[7, 8, 9], [0, 7], [0, 5]]
        """
        tokens, starts = with_start(histories, start)
        inputs = histories.lengths
        pieces = -(-inputs // length)
        person = np.repeat(np.arange(len(histories)), pieces)
        last = starts[1:][person] - 1 - length * ranges(np.zeros_like(pieces), pieces)
        return cls(tokens, np.maximum(starts[person], last - length), last)

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[tuple[Packed, Tensor]]:
        """All pieces once in a new order, `size` at a time, with the item that follows each place."""
        order = rng.permutation(len(self))
        for start in range(0, len(order), size):
            first, last = self.first[order[start : start + size]], self.last[order[start : start + size]]
            yield Packed.of(self.tokens, first, last), torch.from_numpy(self.tokens[ranges(first, last) + 1])


def with_start(histories: Histories, start: int) -> tuple[Order, Order]:
    """Items with `start` before each history, and where each then begins (n + 1,)."""
    tokens = np.insert(histories.items.astype(np.int64), histories.starts[:-1], start)
    return tokens, histories.starts + np.arange(len(histories) + 1)


def train(
    interactions: Interactions,
    items: int,
    settings: SasRecSettings,
    *,
    seed: int,
    measure: Callable[[Network], float] | None,
    told: Told,
) -> tuple[Network, list[Epoch]]:
    """The network of the epoch that `measure` liked best (of the last one without `measure`), and all epochs.

    Deterministic for a seed on one machine with one number of threads; the caller's random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = network_of(items, settings)
        people = interactions.histories(np.unique(interactions.users))
        windows = Windows.of(people, network.start, settings.length)
        optimiser = torch.optim.Adam(network.parameters(), settings.learning_rate, betas=(0.9, 0.98), fused=True)
        rng, started = np.random.default_rng(seed), time.perf_counter()
        curve: list[Epoch] = []
        best, weights = Epoch(0, 0.0, -1.0), network.state_dict()
        for number in range(1, 1 + (settings.epochs if measure else settings.blind_epochs)):
            _learn(network.train(), optimiser, windows.batches(settings.batch, rng), settings)
            ndcg = measure(network.eval()) if measure else float("nan")
            curve.append(Epoch(number, time.perf_counter() - started, ndcg))
            told(curve[-1])
            if not ndcg <= best.ndcg:  # NaN, when nobody measures, is never worse
                best, weights = curve[-1], copy.deepcopy(network.state_dict())
            elif number - best.number >= settings.patience:
                break
    network.load_state_dict(weights)
    return network.eval(), curve


def network_of(items: int, settings: SasRecSettings) -> Network:
    """An untrained one."""
    return Network(
        items,
        width=settings.width,
        blocks=settings.blocks,
        heads=settings.heads,
        length=settings.length,
        dropout=settings.dropout,
    )


def _learn(
    network: Network,
    optimiser: torch.optim.Optimizer,
    batches: Iterator[tuple[Packed, Tensor]],
    settings: SasRecSettings,
) -> None:
    for sequences, following in batches:
        sampled = torch.randperm(network.start)[: settings.negatives]
        optimiser.zero_grad()
        loss = _loss(network, sequences, following, sampled, log_q=settings.log_q)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def _loss(network: Network, sequences: Packed, following: Tensor, sampled: Tensor, *, log_q: bool) -> Tensor:
    """See `finetune.sampled_softmax`; `log_q` counts each sampled item for all that were not drawn."""
    weights = torch.full((len(sampled),), math.log(network.start / len(sampled))) if log_q else None
    return sampled_softmax(network(sequences), following, sampled, network.items, network.start, weights)
