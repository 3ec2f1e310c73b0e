"""`tasteline train next-item`: networks of several families, counts, and a fusion of them that is learned by rehearsal.

Takes histories and item descriptions as arrays, gives a `NextItemRanker` with its curves. Everything is fitted on the
training histories; valid cases only say when to stop. The fusion must see candidates as they will be on the day, when
the next step is unknown and some items are new: so all is fitted once more on histories without their last step and
without a share of the items, the fusion learns to find those last steps, and is then put on what was fitted on all.
Knows no store, no file of the registry and no data set.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from eval.metrics import ndcg_at_k
from finetune.pretrained import Pretrained
from finetune.sampled_softmax import sampled_softmax
from finetune.training import Epoch, Job, Schedule, best_of
from retrieval.adapters.vectors_faiss import FaissVectorIndex
from retrieval.adapters.vectors_numpy import NumpyVectorIndex
from retrieval.models.following import Following, FollowingSettings
from retrieval.models.item_features import ItemFeatures
from retrieval.models.network import NextItemNetwork, Packed, Shape, Tokens
from retrieval.models.ranker import FROM_EACH, Candidates, Fusion, NextItemRanker, Shelf, feature_names
from retrieval.models.sequences import Numbers, Sequences, ranges
from tasteline.errors import InvalidInput
from tasteline.types import Mask, Vectors

AT_ONCE = 512
"""Histories whose candidates are made together: some 100 MB of features."""
CUT_OFF = 10


@dataclass(frozen=True, slots=True)
class Corpus:
    """What is learned from: each person's history, oldest first, and the items."""

    histories: Sequences
    features: ItemFeatures
    sizes: tuple[int, ...]
    """`Vocabulary.sizes` of the features' codes."""
    valid: Sequences
    """Histories of the valid cases, and what each turned to: for stopping, never fitted on."""
    valid_targets: Numbers
    """(len(valid),)"""
    repeats: bool = False
    """Whether people take the same item again, so that items of the history are candidates."""
    asked: Mask | None = None
    """(items,) which of them valid cases may turn to, where it is not all: only those compete there."""

    @property
    def touched(self) -> Numbers:
        """The items that stand in a history, rising: those of which more than a description is known."""
        return np.unique(self.histories.items)

    def fingerprint(self) -> str:
        """SHA-256 of all of it."""
        digest = hashlib.sha256(json.dumps([self.sizes, self.repeats]).encode())
        arrays: list[np.ndarray] = [self.features.texts, self.features.codes, self.valid_targets]
        if self.asked is not None:
            arrays.append(self.asked)
        for sequences in (self.histories, self.valid):
            arrays += [sequences.starts, sequences.items, sequences.kinds, sequences.moments]
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """How one network is trained."""

    shape: Shape
    negatives: int = 2_048
    """Drawn from all items for each batch, and shared by all its places."""
    log_q: bool = False
    """Whether a sampled item counts for all that were not drawn: + log(items / negatives) on its score."""
    batch: int = 128
    """Sequences in a step."""
    measured: int = 8_000
    """Valid cases, drawn, by which it stops."""


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """How the fusion is trained."""

    people: int = 40_000
    """At most, drawn."""
    new_items: float = 0.1
    """Share of the items that are new in the rehearsal."""
    short: float = 0.2
    """Share of the rehearsed histories that are cut to their last one or two steps."""
    untouched: bool = False
    """Whether what nobody has ever touched may be a candidate in the rehearsal. It is never what anybody turned to
    there, so the fusion would learn to pass over all that is new."""
    epochs: int = 10
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    average: float = 0.99
    silent: tuple[str, ...] = ()
    """Features that it does without, by name or the beginning of one (see `feature_names`): to see what they bring."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One recipe for every shop. See docs/adr/0014 for what was tried."""

    networks: Mapping[str, NetworkSettings] = field(
        default_factory=lambda: {
            "transformer": NetworkSettings(Shape("transformer", width=128, number_dropout=0.1)),
            "gru": NetworkSettings(Shape("gru", width=128, number_dropout=0.1)),
        }
    )
    schedule: Schedule = field(default_factory=Schedule)
    following: FollowingSettings = field(default_factory=FollowingSettings)
    fusion: FusionSettings = field(default_factory=FusionSettings)
    from_each: int = FROM_EACH

    def as_json(self) -> dict[str, object]:
        return asdict(self)


Told = Callable[[str, Epoch], None]
"""Which part, and its epoch."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A ranker with how it came about."""

    ranker: NextItemRanker
    networks: Mapping[str, NextItemNetwork]
    fusion: Fusion
    following: Following
    curves: Mapping[str, Sequence[Epoch]]
    seconds: float
    """Of learning, rehearsal included, over all sittings."""


class FitNetwork(Protocol):
    """`train_network`, or what reads back a network that it trained before."""

    def __call__(
        self,
        corpus: Corpus,
        settings: NetworkSettings,
        schedule: Schedule,
        *,
        seed: int,
        told: Callable[[Epoch], None],
        blind: bool,
    ) -> tuple[NextItemNetwork, list[Epoch]]: ...


def train_ranker(
    corpus: Corpus,
    recipe: Recipe,
    *,
    seed: int,
    told: Told = lambda part, epoch: None,
    fit: FitNetwork | None = None,
) -> Trained:
    """All of it. Raises InvalidInput for fewer than two items or no history of two steps."""
    _require(corpus)
    fit = fit or train_network
    networks, curves = train_networks(corpus, recipe, fit, seed=seed, told=told)
    rehearsal = rehearse(corpus, recipe.fusion, seed)
    epochs = {name: best_of(curve).number for name, curve in curves.items()}
    rehearsed, rehearsed_curves = train_networks(
        rehearsal.corpus, recipe, fit, seed=seed, told=told, epochs=epochs, part="rehearsal "
    )
    started = time.perf_counter()
    fusion = train_fusion(
        NextItemRanker(
            list(rehearsed.values()),
            None,
            shelf_of(rehearsal.corpus, list(rehearsed.values()), recipe.following),
            from_each=recipe.from_each,
        ),
        rehearsal,
        recipe.fusion,
        repeats=corpus.repeats,
        seed=seed,
    )
    shelf = shelf_of(corpus, list(networks.values()), recipe.following)
    ranker = NextItemRanker(list(networks.values()), fusion, shelf, from_each=recipe.from_each)
    seconds = time.perf_counter() - started
    seconds += sum(curve[-1].seconds for each in (curves, rehearsed_curves) for curve in each.values())
    return Trained(ranker, networks, fusion, shelf.following, curves, seconds)


def train_networks(
    corpus: Corpus,
    recipe: Recipe,
    fit: FitNetwork,
    *,
    seed: int,
    told: Told,
    epochs: Mapping[str, int] | None = None,
    part: str = "",
) -> tuple[dict[str, NextItemNetwork], dict[str, list[Epoch]]]:
    """Each of the recipe's, until valid no longer gets better, or for as many `epochs` as are given."""
    networks, curves = {}, {}
    for name, settings in recipe.networks.items():
        schedule = replace(recipe.schedule, blind_epochs=epochs[name]) if epochs else recipe.schedule
        network, curve = fit(
            corpus,
            settings,
            schedule,
            seed=seed,
            told=lambda epoch, name=name: told(f"{part}{name}", epoch),  # type: ignore[misc]
            blind=epochs is not None,
        )
        networks[name], curves[name] = network, curve
    return networks, curves


def train_network(
    corpus: Corpus,
    settings: NetworkSettings,
    schedule: Schedule,
    *,
    seed: int,
    told: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Path | None = None,
    blind: bool = False,
    begun: Pretrained | None = None,
    measure: Callable[[NextItemNetwork], float] | None = None,
    pieces: Pieces | None = None,
) -> tuple[NextItemNetwork, list[Epoch]]:
    """One network, deterministic for a seed on one machine with one number of threads.

    `begun`: another shop's, from which it begins instead of from nothing. `measure` takes the place of nDCG on the
    valid cases; `blind` learns without either. `pieces`: what it reads in training, where that is more than the
    histories of the corpus.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = NextItemNetwork(corpus.features, corpus.sizes, settings.shape)
    if begun:
        begun.give(network)
    read = pieces or Windows.of(corpus.histories.merged(), network.start, settings.shape.length)
    touched = torch.from_numpy(corpus.touched)

    def loss(batch: object) -> Tensor:
        assert isinstance(batch, Batch)
        states = network(batch.sequences, batch.kinds, batch.gaps)
        if batch.places is not None:
            states = states[batch.places]
        # What nobody has touched is no negative: it would only learn to be passed over.
        sampled = touched[torch.randperm(len(touched))[: settings.negatives]]
        weight = float(np.log(len(touched) / len(sampled))) if settings.log_q else 0.0
        weights = torch.full((len(sampled),), weight) if weight else None
        return sampled_softmax(states, batch.following, sampled, network.tower, network.start, weights)

    measured = _drawn(corpus, settings.measured, seed)
    if measure is None:
        measure = partial(valid_ndcg, corpus=measured)
    job = Job(
        network,
        loss,
        lambda rng: read.batches(settings.batch, rng),
        None if blind or not len(measured.valid) else partial(measure, network),
        schedule,
        seed,
        told,
        checkpoint,
        hashlib.sha256(
            f"{corpus.fingerprint()} {settings} {schedule} {seed} {blind} {begun and begun.fingerprint()}".encode()
            + read.tokens.items.tobytes()
        ).hexdigest(),
    )
    curve = job.run()
    network.neutralise(read.tokens)
    return network, curve


@dataclass(frozen=True, slots=True)
class Batch:
    sequences: Packed
    kinds: Tensor
    gaps: Tensor
    following: Tensor
    """The item to predict at each place, or at each of `places`."""
    places: Tensor | None = None
    """Where something is predicted; None: everywhere."""


class Pieces(Protocol):
    """What a network reads in training."""

    @property
    def tokens(self) -> Tokens: ...
    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Batch]: ...


@dataclass(frozen=True, slots=True)
class Windows:
    """Pieces to learn from: tokens first[i]:last[i], each of which predicts the token after it."""

    tokens: Tokens
    first: Numbers
    last: Numbers
    predicted: Mask | None = None
    """(tokens,) which of them are to be predicted; None: all."""

    def __len__(self) -> int:
        return len(self.first)

    @classmethod
    def of(cls, histories: Sequences, start: int, length: int) -> Windows:
        """Each history, the start before it, cut from its end into pieces of `length`.

        >>> pieces = Windows.of(Sequences.of([[7, 8, 9], [], [5]]), start=0, length=2)
        >>> [pieces.tokens.items[a : b + 1].tolist() for a, b in zip(pieces.first, pieces.last)]
        [[7, 8, 9], [0, 7], [0, 5]]
        """
        tokens = Tokens.of(histories, start)
        pieces = -(-histories.lengths // length)
        person = np.repeat(np.arange(len(histories)), pieces)
        last = tokens.starts[1:][person] - 1 - length * ranges(np.zeros_like(pieces), pieces)
        return cls(tokens, np.maximum(tokens.starts[person], last - length), last)

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """All pieces once in a new order, `size` at a time, with the item that follows each place.

        Pieces of any length stand together: brought together by length, which spares empty places, they take fewer
        seconds and reach less (nDCG@10 on the valid part of Beauty .0766 instead of .0794).
        """
        order = rng.permutation(len(self))
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            first, last = self.first[chosen], self.last[chosen]
            after = ranges(first, last) + 1
            places = None if self.predicted is None else np.flatnonzero(self.predicted[after])
            following = torch.from_numpy(self.tokens.items[after if places is None else after[places]])
            yield Batch(
                *self.tokens.packed(first, last), following, None if places is None else torch.from_numpy(places)
            )


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A day that is known to us: what was before it, and what each person did on it."""

    corpus: Corpus
    """Without the last steps and without any step of the items that are new."""
    histories: Sequences
    targets: Numbers
    allowed: Mask | None
    """(items,) which may be candidates; None is all."""


def rehearse(corpus: Corpus, settings: FusionSettings, seed: int) -> Rehearsal:
    """Take the last step of each history for a target; hide a share of the items; cut some histories short."""
    rng = np.random.default_rng([seed, 7])
    items = len(corpus.features)
    histories = corpus.histories.merged()
    known = np.arange(items)
    known[rng.permutation(items)[: int(settings.new_items * items)]] = -1
    before = histories.without_last().numbered(known)
    asked = np.flatnonzero(histories.lengths >= 2)
    asked = np.sort(rng.permutation(asked)[: settings.people])
    targets = histories.items[histories.starts[1:][asked] - 1]
    lengths = np.where(rng.random(len(asked)) < settings.short, rng.integers(1, 3, len(asked)), histories.lengths.max())
    cases = _cut(before.take(asked), lengths)
    if not corpus.repeats:  # a target that the person has already is not asked for
        again = np.bincount(cases.owners, cases.items == targets[cases.owners], minlength=len(cases)) > 0
        kept = np.flatnonzero(~again)
        cases, targets = cases.take(kept), targets[kept]
    nobody = Sequences.of([])
    without = replace(corpus, histories=before, valid=nobody, valid_targets=np.zeros(0, int))
    return Rehearsal(without, cases, targets, None if settings.untouched else np.isin(np.arange(items), corpus.touched))


def shelf_of(corpus: Corpus, networks: Sequence[NextItemNetwork], settings: FollowingSettings) -> Shelf:
    """All items of the corpus, as the networks and the counts of its histories know them."""
    texts = corpus.features.texts
    following = Following.fit(corpus.histories, texts, settings)
    vectors = tuple(indexed(item_vectors(network, corpus.touched)) for network in networks)
    return Shelf(looked_up(texts), corpus.features.codes, following, vectors)


def looked_up(vectors: Vectors) -> NumpyVectorIndex:
    """For vectors that nobody searches."""
    index = NumpyVectorIndex(vectors.shape[1])
    index.add(vectors)
    return index


def indexed(vectors: Vectors) -> FaissVectorIndex:
    index = FaissVectorIndex(vectors.shape[1])
    index.add(vectors)
    return index


def item_vectors(network: NextItemNetwork, touched: Numbers) -> Vectors:
    """(items, width): of those that nobody has touched what their description says; their numbers learned nothing."""
    tower = network.eval().tower
    with torch.inference_mode():
        vectors: Vectors = tower.described().numpy()
        vectors[touched] = tower(torch.from_numpy(touched)).numpy()
    return vectors


def train_fusion(
    ranker: NextItemRanker, rehearsal: Rehearsal, settings: FusionSettings, *, repeats: bool, seed: int
) -> Fusion:
    """Softmax over each person's candidates (Cao et al., "Learning to Rank: From Pairwise Approach to Listwise
    Approach", ICML 2007); who turned to none of them teaches nothing."""
    cases = list(_found(ranker, rehearsal, repeats))
    items, features, places = (torch.cat([each[part] for each in cases]) for part in range(3))
    silent = torch.tensor([name.startswith(settings.silent) for name in feature_names(len(ranker.shelf.vectors))])
    return learned_fusion(items, features, places, settings, seed=seed, silent=silent)


def learned_fusion(
    items: Tensor,
    features: Tensor,
    places: Tensor,
    settings: FusionSettings,
    *,
    seed: int,
    silent: Tensor | None = None,
) -> Fusion:
    """`items` (n, K) candidates, -1 past the end, `features` (n, K, F) of each, `places` (n,) which of them it was.

    `silent` (F,): features to do without.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fusion = Fusion(features.shape[2])
        fusion.standardise(features[items >= 0], silent)
        optimiser = torch.optim.AdamW(
            fusion.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        average = torch.optim.swa_utils.AveragedModel(
            fusion,
            multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.average),  # type: ignore[no-untyped-call]
        )
        for _ in range(settings.epochs):
            for chosen in torch.split(torch.randperm(len(items)), settings.batch):
                scores = fusion(features[chosen]).masked_fill(items[chosen] < 0, -torch.inf)
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(scores, places[chosen]).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                average.update_parameters(fusion)
    fusion.load_state_dict(average.module.state_dict())
    return fusion.eval()


def _found(ranker: NextItemRanker, rehearsal: Rehearsal, repeats: bool) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Candidates, their features and the place of the target, of those cases whose candidates hold it."""
    for start in range(0, len(rehearsal.histories), AT_ONCE):
        part = np.arange(start, min(start + AT_ONCE, len(rehearsal.histories)))
        candidates: Candidates = ranker.candidates(
            rehearsal.histories.take(part), repeats=repeats, allowed=rehearsal.allowed
        )
        hits = candidates.items == rehearsal.targets[part][:, None]
        found = hits.any(axis=1)
        yield (
            torch.from_numpy(candidates.items[found]),
            torch.from_numpy(candidates.features[found]),
            torch.from_numpy(hits[found].argmax(axis=1)),
        )


def valid_ndcg(network: NextItemNetwork, corpus: Corpus) -> float:
    """Mean nDCG@10 of the valid targets among all items that may be asked for but, unless people repeat, those of the
    history."""
    vectors = torch.from_numpy(item_vectors(network, corpus.touched))
    gains = []
    for start in range(0, len(corpus.valid), AT_ONCE):
        part = np.arange(start, min(start + AT_ONCE, len(corpus.valid)))
        histories, targets = corpus.valid.take(part), corpus.valid_targets[part]
        with torch.inference_mode():
            scores = (network.people(histories) @ vectors.T).numpy()
        if not corpus.repeats:
            scores[histories.owners, histories.items] = -np.inf
        if corpus.asked is not None:
            scores[:, ~corpus.asked] = -np.inf
        # Not `>`: a network that has lost itself in NaN would put every target first.
        above = (~(scores <= scores[np.arange(len(part)), targets][:, None])).sum(axis=1)
        labels = (np.arange(CUT_OFF)[None, :] == above[:, None]).astype(np.float64)
        gains.append(ndcg_at_k(labels, np.ones((len(part), 1)), CUT_OFF))
    return float(np.concatenate(gains).mean())


def _drawn(corpus: Corpus, most: int, seed: int) -> Corpus:
    if len(corpus.valid) <= most:
        return corpus
    chosen = np.sort(np.random.default_rng(seed).permutation(len(corpus.valid))[:most])
    return replace(corpus, valid=corpus.valid.take(chosen), valid_targets=corpus.valid_targets[chosen])


def _cut(histories: Sequences, lengths: Numbers) -> Sequences:
    kept = histories.steps_from_end < np.repeat(lengths, histories.lengths)
    starts = np.concatenate(([0], np.cumsum(kept)))[histories.starts].astype(np.int64)
    return Sequences(starts, histories.items[kept], histories.kinds[kept], histories.moments[kept])


def _require(corpus: Corpus) -> None:
    if len(corpus.features) < 2:
        raise InvalidInput(f"a next-item model chooses between items; there are {len(corpus.features)}")
    if corpus.histories.lengths.max(initial=0) < 2:
        raise InvalidInput("no history has two steps, so nothing follows anything; import more events first")
