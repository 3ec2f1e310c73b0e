"""The learned ranker: candidates from networks, counts and likeness, described by features, ordered by a small network.

Takes histories, gives items in order with scores. What it is made of is trained in `finetune.next_item`; here are the
forward passes, in one shape for a single request and for everybody at once. Items are numbers 0..n-1 of `Shelf`, which
holds one line for each item that may be ranked. Knows no store and no catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from retrieval.models.following import Floats, Following, Lines, at
from retrieval.models.item_features import FIELDS, Codes
from retrieval.models.network import NextItemNetwork
from retrieval.models.sequences import KIND_COUNT, Numbers, Sequences
from tasteline.ports import VectorIndex
from tasteline.types import Mask, Vectors

FROM_EACH = 100
"""Candidates of each source: with 200, recall of the target rises by .01 and nDCG@10 by nothing."""
COMPARED = 10
"""Last steps of a history whose texts are compared with a candidate's."""
DESCRIBED = 20
"""Last steps of a history whose attributes are."""
FOLLOWED = 3
"""Last steps of each of which it is said how often a candidate came after it."""
LEAST_SHARE = 1e-7
LEAST_PROBABILITY = 1e-3
HIDDEN = 64
FAR = 8.0
"""Standard deviations from the mean beyond which a feature is not followed: nothing was learned out there."""
LEAST_SPREAD = 1e-4


@dataclass(frozen=True, slots=True)
class Shelf:
    """The items that may be ranked, line i about item i in all of them."""

    texts: Callable[[Numbers], Vectors]
    """Item numbers (…) → unit vectors (…, dimension); whatever it says of -1 is not used."""
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


class NextItemRanker:
    """Networks and fusion over a shelf. Thread-safe: nothing changes after it is made."""

    def __init__(
        self, networks: Sequence[NextItemNetwork], fusion: Fusion | None, shelf: Shelf, *, from_each: int = FROM_EACH
    ) -> None:
        self._networks = [network.eval() for network in networks]
        self._fusion = fusion.eval() if fusion else None
        self.shelf = shelf
        self._from_each = from_each

    def rank(
        self, histories: Sequences, k: int, *, repeats: bool, allowed: Mask | None = None
    ) -> tuple[Numbers, Floats]:
        """(m, k) items, best first, -1 past the end, with scores (log-odds of a softmax; -inf past the end)."""
        candidates = self.candidates(histories, repeats=repeats, allowed=allowed, gaps=False)
        scores = self.scores(candidates)
        order = (
            np.lexsort((candidates.items, -scores))[:, :k] if scores.shape[1] else np.zeros((len(histories), 0), int)
        )
        items, best = np.take_along_axis(candidates.items, order, 1), np.take_along_axis(scores, order, 1)
        short = ((0, 0), (0, k - items.shape[1]))
        return np.pad(items, short, constant_values=-1), np.pad(best, short, constant_values=-np.inf)

    def scores(self, candidates: Candidates) -> Floats:
        """(m, K), -inf where there is no candidate."""
        if self._fusion is None:
            raise ValueError("the ranker has no fusion yet; it is trained on candidates of this one")
        with torch.inference_mode():
            scores: Floats = self._fusion(torch.from_numpy(candidates.features)).numpy()
        return np.where(candidates.items >= 0, scores, -np.inf).astype(np.float32)

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
            people = [
                network.people(histories, index.vectors).numpy()
                for network, index in zip(self._networks, self.shelf.vectors, strict=True)
            ]
        follows = self.shelf.following.after(histories)
        proposed = [_best_of(follows[0], self._from_each, allowed)]
        nearby: list[Floats] = []
        for vectors, index in zip(people, self.shelf.vectors, strict=True):
            found, scores = index.search(vectors, self._from_each, allowed)
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
        features = self._features(items, histories, recent, follows, people, nearby)
        return Candidates(items, features)

    def _features(
        self,
        items: Numbers,
        histories: Sequences,
        recent: Numbers,
        follows: tuple[Lines, Lines],
        people: Sequence[Vectors],
        nearby: Sequence[Floats],
    ) -> Floats:
        following, lines = self.shelf.following, np.arange(len(items))
        smoothed, counted = (at(matrix, lines, items) for matrix in follows)
        columns = [np.log(smoothed + LEAST_SHARE), _log_rank(smoothed, items), np.log(counted + LEAST_SHARE)]
        for steps in range(1, FOLLOWED + 1):
            columns.append(_log(at(following.forward, recent[:, -steps], items)))
        columns.append(_log(at(following.backward, recent[:, -1], items)))
        for person, index, total in zip(people, self.shelf.vectors, nearby, strict=True):
            scores = np.matmul(index.vectors(items), person[:, :, None])[:, :, 0] - total[:, None]
            columns += [scores, _log_rank(scores, items)]
        columns += self._likeness(items, recent)
        columns.append(np.log1p(following.popularity[items]))
        columns += self._attributes(items, recent)
        columns += _history(items, histories, recent)
        return np.stack([np.asarray(column, dtype=np.float32) for column in columns], axis=2)

    def _likeness(self, items: Numbers, recent: Numbers) -> list[Floats]:
        """Cosine with the text of the last step, the most alike of the last COMPARED, and their mean."""
        compared = recent[:, -COMPARED:]
        cosines = np.matmul(self.shelf.texts(items), self.shelf.texts(compared).transpose(0, 2, 1))
        known = (compared >= 0)[:, None, :]
        count = np.maximum(known.sum(axis=2), 1)
        most = np.where(known, cosines, -1.0).max(axis=2)
        some = known.any(axis=2)
        mean = np.where(known, cosines, 0.0).sum(axis=2) / count
        return [cosines[:, :, -1] * (compared[:, -1:] >= 0), np.where(some, most, 0.0), mean]

    def _attributes(self, items: Numbers, recent: Numbers) -> list[Floats]:
        """For each field: is it the last step's, and of what share of the last DESCRIBED is it?"""
        known = recent >= 0
        count = np.maximum(known.sum(axis=1, keepdims=True), 1)
        # What is not known of an item is 0, of a step that is not there -1: neither is ever the same as the other.
        all_of_items, all_of_history = self.shelf.codes[items], self.shelf.codes[recent]
        all_of_history[(all_of_history == 0) | ~known[:, :, None]] = -1
        last, shares = [], []
        for field in range(len(FIELDS)):
            same = all_of_items[:, :, None, field] == all_of_history[:, None, :, field]
            last.append(same[:, :, -1].astype(np.float32))
            shares.append((same.sum(axis=2) / count).astype(np.float32))
        return [*last, *shares]


def _history(items: Numbers, histories: Sequences, recent: Numbers) -> list[Floats]:
    """What is true of the person (the same for each candidate), and how the candidate stands in the history."""
    lengths = histories.lengths
    last_kind = np.zeros(len(histories), dtype=np.float32)
    filled = lengths > 0
    last_kind[filled] = histories.kinds[histories.starts[1:][filled] - 1] / (KIND_COUNT - 1)
    same = (items[:, :, None] == recent[:, None, :]) & (items[:, :, None] >= 0)
    ago = recent.shape[1] - np.where(same, np.arange(1, recent.shape[1] + 1), 0).max(axis=2, initial=0)
    return [
        np.broadcast_to(np.log1p(lengths)[:, None], items.shape).astype(np.float32),
        np.broadcast_to(last_kind[:, None], items.shape),
        np.log1p(same.sum(axis=2)).astype(np.float32),
        (1.0 / (1.0 + ago)).astype(np.float32) * same.any(axis=2),
    ]


def _best_of(matrix: Lines, k: int, allowed: Mask | None) -> Numbers:
    """(m, k) columns with the largest entries of each line, -1 past the end."""
    best = np.full((len(matrix.indptr) - 1, k), -1, dtype=np.int64)
    indptr, indices, data = matrix.indptr, matrix.indices, matrix.data
    for line in range(len(best)):
        columns, values = indices[indptr[line] : indptr[line + 1]], data[indptr[line] : indptr[line + 1]]
        if allowed is not None:
            kept = allowed[columns]
            columns, values = columns[kept], values[kept]
        if len(columns) > k:
            chosen = np.argpartition(-values, k - 1)[:k]
            columns = columns[chosen]
        best[line, : len(columns)] = columns
    return best


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
    order = np.argsort(-np.where(items >= 0, scores, -np.inf), axis=1, kind="stable")
    ranks = np.empty(items.shape, dtype=np.float32)
    ranks[np.arange(len(items))[:, None], order] = np.log1p(np.arange(items.shape[1], dtype=np.float32))
    return ranks


def _log_sum_exp(scores: Floats) -> Floats:
    """(m,) of the candidates' scores, -inf among them: what makes scores of different people comparable."""
    best = scores.max(axis=1, initial=-1e9)
    return np.asarray(best + np.log(np.exp(scores - best[:, None]).sum(axis=1) + 1e-9), dtype=np.float32)


def _log(shares: Floats) -> Floats:
    result: Floats = np.log(shares + np.float32(LEAST_PROBABILITY))
    return result
