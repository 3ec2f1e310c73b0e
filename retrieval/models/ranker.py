"""The learned ranker: candidates from networks, counts and likeness, described by features, ordered by a small network.

Takes histories, gives items in order with scores. What it is made of is trained in `finetune.next_item`; here are the
forward passes, in one shape for a single request and for everybody at once. Items are numbers 0..n-1 of `Shelf`, which
holds one line for each item that may be ranked. Knows no store and no catalogue.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from retrieval.adapters.threads import shared_out
from retrieval.models.following import TABLED, Floats, Following, Lines, Table, at
from retrieval.models.item_features import FIELDS, Codes
from retrieval.models.network import NextItemNetwork
from retrieval.models.sequences import KIND_COUNT, Numbers, Sequences
from retrieval.selection import order_of, top_k
from tasteline.ports import VectorIndex
from tasteline.types import Mask, Scores, Vectors

FROM_EACH = 100
"""Candidates of each source: with 200, recall of the target rises by .01 and nDCG@10 by nothing."""
COMPARED = 10
"""Last steps of a history whose texts are compared with a candidate's."""
DESCRIBED = 20
"""Last steps of a history whose attributes are."""
FOLLOWED = 3
"""Last steps of each of which it is said how often a candidate came after it."""
TOGETHER = 256
"""Histories that pass through the networks and the indexes together."""
AT_HAND = 32
"""Histories whose candidates are described together: what is known of them stays near the processor."""
LEAST_SHARE = 1e-7
LEAST_PROBABILITY = 1e-3
HIDDEN = 64
FAR = 8.0
"""Standard deviations from the mean beyond which a feature is not followed: nothing was learned out there."""
LEAST_SPREAD = 1e-4


@dataclass(frozen=True, slots=True)
class Shelf:
    """The items that may be ranked, line i about item i in all of them."""

    texts: VectorIndex
    """Unit vectors."""
    codes: Codes
    """(n, len(FIELDS)), see `ItemFeatures`."""
    following: Following
    vectors: tuple[VectorIndex, ...]
    """Of each network."""

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, slots=True)
class Candidates:
    """For m histories up to K items each."""

    items: Numbers
    """(m, K), -1 where there is none; none twice in a line."""
    features: Floats
    """(m, K, number of features), what a -1 has means nothing."""


class Fusion(nn.Module):
    """Features of a candidate → its score; the softmax over a person's candidates is learned to find the next item."""

    mean: Tensor
    scale: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.layers = nn.Sequential(
            nn.Linear(features, HIDDEN),
            nn.GELU(),
            nn.Dropout(0.1),
            nn.Linear(HIDDEN, HIDDEN),
            nn.GELU(),
            nn.Linear(HIDDEN, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(…, features) → (…,)"""
        scores: Tensor = self.layers(((features - self.mean) / self.scale).clamp(-FAR, FAR)).squeeze(-1)
        return scores

    @torch.no_grad()
    def standardise(self, features: Tensor, silent: Tensor | None = None) -> None:
        """Take mean and scale from (rows, features). What never varied says nothing, also where it varies later.

        `silent` (features,): true for those that say nothing anyway.
        """
        spread = features.std(dim=0)
        heard = spread > LEAST_SPREAD
        if silent is not None:
            heard &= ~silent
        self.mean.copy_(features.mean(dim=0))
        self.scale.copy_(torch.where(heard, spread, torch.inf))


def feature_names(networks: int) -> list[str]:
    """In the order of the last axis of `Candidates.features`."""
    return [
        *("smoothed", "smoothed_rank", "counted", "after_1", "after_2", "after_3", "before_1"),
        *(f"{name}_{number}" for number in range(networks) for name in ("network", "network_rank")),
        *("cosine_last", "cosine_most", "cosine_mean", "popularity"),
        *(f"{field}_last" for field in FIELDS),
        *(f"{field}_share" for field in FIELDS),
        *("length", "last_kind", "seen", "seen_ago"),
    ]


@dataclass(frozen=True, slots=True)
class Said:
    """What one network says to m people of the items of an index."""

    people: Vectors
    index: VectorIndex
    table: Scores | None
    """(m, n) of every item, -inf for those that may not be candidates; None where that would be too much at once."""

    @classmethod
    def of(cls, people: Vectors, index: VectorIndex, allowed: Mask | None) -> Said:
        if len(people) < 2 or len(people) * len(index) > TABLED:
            return cls(people, index, None)
        table = index.products(people)
        if allowed is not None:
            table[:, ~allowed] = -np.inf
        return cls(people, index, table)

    def nearest(self, k: int, allowed: Mask | None) -> tuple[Numbers, Scores]:
        """As `VectorIndex.search`."""
        return self.index.search(self.people, k, allowed) if self.table is None else top_k(self.table, k)

    def of_candidates(self, items: Numbers, part: slice) -> Scores:
        """(len(items), K) of the candidates of some people; of -1 it may be any."""
        if self.table is not None:
            return np.take_along_axis(self.table[part], np.maximum(items, 0), axis=1)
        scores = np.empty(items.shape, np.float32)
        # Looked up into the same place again and again: new memory takes thrice as long as what is put there.
        looked_up = np.empty((items.shape[1], self.people.shape[1]), dtype=np.float32)
        for line, (candidates, person) in enumerate(zip(items, self.people[part], strict=True)):
            np.matmul(self.index.vectors(candidates, looked_up), person, out=scores[line])
        return scores


class NextItemRanker:
    """Networks and fusion over a shelf. Thread-safe: nothing changes after it is made."""

    def __init__(
        self, networks: Sequence[NextItemNetwork], fusion: Fusion | None, shelf: Shelf, *, from_each: int = FROM_EACH
    ) -> None:
        self._networks = [network.eval() for network in networks]
        self._fusion = fusion.eval() if fusion else None
        self.shelf = shelf
        self._from_each = from_each
        self._text_width = shelf.texts.vectors(np.zeros(0, dtype=np.int64)).shape[1]
        self._codes = np.ascontiguousarray(shelf.codes.T, dtype=np.int32)
        self._popular = np.log1p(shelf.following.popularity)

    def rank(
        self, histories: Sequences, k: int, *, repeats: bool, allowed: Mask | None = None
    ) -> tuple[Numbers, Floats]:
        """(m, k) items, best first, -1 past the end, with scores (log-odds of a softmax; -inf past the end)."""
        if len(histories) <= TOGETHER:
            return self._ranked(histories, k, repeats, allowed)
        items = np.empty((len(histories), k), dtype=np.int64)
        scores = np.empty((len(histories), k), dtype=np.float32)

        def rank(part: Numbers) -> None:
            items[part], scores[part] = self._ranked(histories.take(part), k, repeats, allowed)

        # Those of a length together: what is laid out as a table is as wide as its longest. The longest first, so that
        # no thread begins the most work when the others have done theirs.
        by_length = np.argsort(-histories.lengths, kind="stable")
        with shared_out() as threads:
            list(threads.map(rank, np.split(by_length, range(TOGETHER, len(by_length), TOGETHER))))
        return items, scores

    def _ranked(self, histories: Sequences, k: int, repeats: bool, allowed: Mask | None) -> tuple[Numbers, Floats]:
        candidates = self.candidates(histories, repeats=repeats, allowed=allowed, gaps=False)
        scores = self.scores(candidates)
        order = order_of(scores)[:, :k]  # of items that rise in each line
        items, best = np.take_along_axis(candidates.items, order, 1), np.take_along_axis(scores, order, 1)
        if items.shape[1] == k:
            return items, best
        short = ((0, 0), (0, k - items.shape[1]))
        return np.pad(items, short, constant_values=-1), np.pad(best, short, constant_values=-np.inf)

    def scores(self, candidates: Candidates) -> Floats:
        """(m, K), -inf where there is no candidate."""
        if self._fusion is None:
            raise ValueError("the ranker has no fusion yet; it is trained on candidates of this one")
        scores = np.full(candidates.items.shape, -np.inf, dtype=np.float32)
        with torch.inference_mode():
            for part in _parts(len(scores)):
                scores[part] = self._fusion(torch.from_numpy(candidates.features[part])).numpy()
        scores[candidates.items < 0] = -np.inf
        return scores

    def candidates(
        self, histories: Sequences, *, repeats: bool, allowed: Mask | None = None, gaps: bool = True
    ) -> Candidates:
        """`repeats`: whether items of the history may be candidates. `allowed`: one flag for each item of the shelf.

        Without `gaps` there are as many places as the history with most candidates has, and nothing is computed beyond.
        """
        if not len(self.shelf):
            nothing = (len(histories), 0, len(feature_names(len(self._networks))))
            return Candidates(np.zeros(nothing[:2], np.int64), np.zeros(nothing, np.float32))
        histories = histories.merged()
        with torch.inference_mode():
            said = [
                Said.of(network.people(histories, index.vectors).numpy(), index, allowed)
                for network, index in zip(self._networks, self.shelf.vectors, strict=True)
            ]
        follows = self.shelf.following.after(histories)
        proposed = [follows[0].best(self._from_each, allowed)]
        nearby: list[Floats] = []
        for each in said:
            found, scores = each.nearest(self._from_each, allowed)
            proposed.append(found)
            nearby.append(_log_sum_exp(scores))
        longest = int(histories.lengths.max(initial=0))
        recent = _last(histories, DESCRIBED if gaps else min(DESCRIBED, max(longest, FOLLOWED)))
        if repeats:
            proposed.append(recent if allowed is None else np.where((recent >= 0) & allowed[recent], recent, -1))
        items = _distinct(np.concatenate(proposed, axis=1))
        if not repeats:
            items = np.where(_seen(items, histories, len(self.shelf)), -1, items)
        if not gaps:
            items = _closed_up(items)
        again = recent if repeats else recent[:, :0]  # else no candidate stands in the history
        features = self._features(items, histories, recent, again, follows, said, nearby)
        return Candidates(items, features)

    def _features(
        self,
        items: Numbers,
        histories: Sequences,
        recent: Numbers,
        again: Numbers,
        follows: tuple[Lines | Table, Lines | Table],
        said: Sequence[Said],
        nearby: Sequence[Floats],
    ) -> Floats:
        features = np.empty((len(feature_names(len(said))), *items.shape), dtype=np.float32)
        smoothed, counted = (each.at(items) for each in follows)
        about = _history(histories)
        for part in _parts(len(items)):
            there, steps = items[part], recent[part]
            columns = itertools.chain(
                self._followed(there, steps, smoothed[part], counted[part]),
                _wanted(there, [each.of_candidates(there, part) for each in said], [each[part] for each in nearby]),
                self._alike(there, steps),
                [self._popular[there]],
                self._attributes(there, steps),
                [each[part, None] for each in about],
                _seen_again(there, again[part]),
            )
            for place, column in enumerate(columns):
                features[place, part] = column
        return features.transpose(1, 2, 0)

    def _followed(self, items: Numbers, recent: Numbers, smoothed: Floats, counted: Floats) -> Iterator[Floats]:
        following = self.shelf.following
        yield np.log(smoothed + np.float32(LEAST_SHARE))
        yield _log_rank(smoothed, items)
        yield np.log(counted + np.float32(LEAST_SHARE))
        for steps in range(1, FOLLOWED + 1):
            yield _log(at(following.forward, recent[:, -steps], items))
        yield _log(at(following.backward, recent[:, -1], items))

    def _alike(self, items: Numbers, recent: Numbers) -> Floats:
        """The cosine of a candidate's text with that of the last step, the most alike of the last COMPARED, and their
        mean.

        One history after the other: all their candidates' vectors together would have to go through the memory.
        """
        cosines = np.zeros((3, *items.shape), np.float32)
        looked_up = np.empty((items.shape[1], self._text_width), dtype=np.float32)
        for line, (candidates, last) in enumerate(zip(items, recent[:, -COMPARED:], strict=True)):
            if len(steps := last[last >= 0]):
                # Laid out for BLAS, and then for the sums: either is several times as fast as on a transposed view.
                texts = np.ascontiguousarray(self.shelf.texts.vectors(steps).T)
                of_each = np.ascontiguousarray((self.shelf.texts.vectors(candidates, looked_up) @ texts).T)
                cosines[:, line] = of_each[-1], of_each.max(axis=0), of_each.sum(axis=0) / np.float32(len(steps))
        return cosines

    def _attributes(self, items: Numbers, recent: Numbers) -> Iterator[Floats]:
        """For each field: is it the last step's, and of what share of the last DESCRIBED is it?"""
        known = recent >= 0
        count = np.maximum(known.sum(axis=1), 1).astype(np.float32)
        # What is not known of an item is 0, of a step that is not there -1: neither is ever the same as the other.
        of_items, of_steps = self._codes[:, items], self._codes[:, recent]
        of_steps[(of_steps == 0) | ~known] = -1
        same, shared = np.zeros(of_items.shape, np.bool_), np.zeros(of_items.shape, np.uint8)
        for step in range(recent.shape[1]):  # the last one remains
            np.equal(of_items, of_steps[:, :, step, None], out=same)
            shared += same
        yield from same.astype(np.float32)
        yield from shared / count[:, None]


def _wanted(items: Numbers, said: Sequence[Scores], nearby: Sequence[Floats]) -> Iterator[Floats]:
    """What each network says of a candidate."""
    for scores, total in zip(said, nearby, strict=True):
        yield scores - total[:, None]
        yield _log_rank(scores, items)


def _parts(histories: int) -> Iterator[slice]:
    return (slice(start, start + AT_HAND) for start in range(0, histories, AT_HAND))


def _history(histories: Sequences) -> tuple[Floats, Floats]:
    """(m,) each: how long it is, and how much its last step says; the same for each candidate."""
    lengths = histories.lengths
    last_kind = np.zeros(len(histories), dtype=np.float32)
    filled = lengths > 0
    last_kind[filled] = histories.kinds[histories.starts[1:][filled] - 1] / (KIND_COUNT - 1)
    return np.log1p(lengths).astype(np.float32), last_kind


def _seen_again(items: Numbers, recent: Numbers) -> Iterator[Floats]:
    """How often each candidate stands in the history, and how near its end."""
    times, since = np.zeros(items.shape, np.float32), np.full(items.shape, np.inf, np.float32)
    for step in range(recent.shape[1]):
        same = (items == recent[:, step, None]) & (items >= 0)
        times += same
        since[same] = recent.shape[1] - 1 - step
    yield np.log1p(times)
    yield np.reciprocal(1 + since, dtype=np.float32)


def _last(histories: Sequences, steps: int) -> Numbers:
    """(m, steps) last items, right-aligned, -1 before them."""
    if not len(histories.items):
        return np.full((len(histories), steps), -1, dtype=np.int64)
    places = histories.starts[1:, None] + np.arange(-steps, 0)
    return np.where(places >= histories.starts[:-1, None], histories.items[np.maximum(places, 0)], -1)


def _distinct(items: Numbers) -> Numbers:
    """Each line sorted, with -1 for what stands twice."""
    items = np.sort(items, axis=1)
    items[:, 1:][items[:, 1:] == items[:, :-1]] = -1
    return items


def _closed_up(items: Numbers) -> Numbers:
    """Each line's items rising and before its -1, cut to the longest."""
    beyond = np.iinfo(np.int64).max
    closed = np.sort(np.where(items >= 0, items, beyond), axis=1)
    closed[closed == beyond] = -1
    return closed[:, : int((items >= 0).sum(axis=1).max(initial=0))]


def _seen(items: Numbers, histories: Sequences, size: int) -> Mask:
    """Whether each candidate stands in the history of its line."""
    keys = np.sort(histories.owners * np.int64(size) + histories.items)
    if not len(keys):
        return np.zeros(items.shape, dtype=np.bool_)
    wanted = np.arange(len(items))[:, None] * np.int64(size) + items
    return np.asarray((keys[np.minimum(keys.searchsorted(wanted), len(keys) - 1)] == wanted) & (items >= 0))


def _log_rank(scores: Floats, items: Numbers) -> Floats:
    """log(1 + place) of each candidate in its line by score; empty places come last."""
    ranks = np.empty(items.shape, dtype=np.float32)
    places = np.log1p(np.arange(items.shape[1], dtype=np.float32))
    np.put_along_axis(ranks, order_of(np.where(items >= 0, scores, np.float32(-np.inf))), places[None], axis=1)
    return ranks


def _log_sum_exp(scores: Floats) -> Floats:
    """(m,) of the candidates' scores, -inf among them: what makes scores of different people comparable."""
    best = scores.max(axis=1, initial=-1e9)
    return np.asarray(best + np.log(np.exp(scores - best[:, None]).sum(axis=1) + 1e-9), dtype=np.float32)


def _log(shares: Floats) -> Floats:
    result: Floats = np.log(shares + np.float32(LEAST_PROBABILITY))
    return result
