"""What somebody buys first in a department that is new to them: everybody's first purchases and those of the like.

Takes what may be learned from, with real times and with departments as pools (`eval.protocols.departments`). A few
features of each candidate are put together by the fusion of the service's ranker, which learns by rehearsal: the first
purchases of the last months of train, seen from before them. Knows no valid target.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from eval.baselines.matrices import bags, people_by_items, unit
from eval.baselines.newcomers import pools_of
from eval.baselines.popular import by_popularity
from eval.data.interactions import Codes, Histories, Interactions, Order
from eval.protocols.departments import first_baskets, first_moments
from eval.protocols.split import Cases, Pools
from eval.systems import ItemScores, Learning
from finetune.next_item import FusionSettings, learned_fusion
from retrieval.models.sequences import DAY
from tasteline.errors import InvalidInput

CANDIDATES = 400
"""Of each department, those that most people had; the others follow by popularity."""
REHEARSED = ((60, 60), (100, 40), (140, 40))
"""Days before the end of train at which a rehearsal begins, and how many it lasts."""
LATELY = 75
"""Days that count as lately."""
LEAST_HISTORY = 25
"""Days from the beginning of train: what is bought first before them was mostly bought before train, too."""
COUNTED, ALIKE = 5.0, 3.0
"""How many people's worth of the department's shares is added to counts, and to what those alike had."""
LIKENESS_POWER = {"kinds": 4.0, "items": 2.0}
SETTINGS = FusionSettings(epochs=4)
FEATURES = 8
AT_ONCE = 128

Floats = NDArray[np.float32]
_Part = tuple[Codes, Floats, NDArray[np.int64]]
"""(n, CANDIDATES) candidates, -1 past the end, (n, CANDIDATES, FEATURES) of each, and (n,) which of them it was."""


class FirstPurchase:
    """score(j) = fusion of log shares of j in its department: of people, rows, firsts, lately, and of people alike.

    Shares of people alike are sums over everybody of cosine**power, over the kinds (and over the items) that they and
    the history have in common, each weighed by its rarity. `fit` raises InvalidInput where the cases do not ask about
    parts of a catalogue, where times of different people cannot be compared, and where train holds nothing to rehearse.
    """

    name = "first_purchase"

    def fit(self, learning: Learning) -> None:
        pools = pools_of(learning)
        if not learning.timed:
            raise InvalidInput(f"{learning.dataset} has no times that can be compared, so no first purchase is late")
        kinds = _kinds(learning)
        parts = [part for days in REHEARSED for part in _rehearsal(learning.train, pools, kinds, *days)]
        if not parts:
            raise InvalidInput(f"{learning.dataset}: nobody bought first in a department in the last months of train")
        items, features, places = (torch.from_numpy(np.concatenate(each)) for each in zip(*parts, strict=True))
        self._fusion = learned_fusion(items, features, places, SETTINGS, seed=learning.seed)
        self._known = Known.of(learning.train, pools, kinds)
        self._rest = by_popularity(learning.train, len(learning.catalogue)) - np.float32(1e6)

    def score(self, histories: Histories) -> ItemScores:
        scores: ItemScores = np.tile(self._rest, (len(histories), 1))
        for start in range(0, len(histories), AT_ONCE):
            features = torch.from_numpy(self._known.features(histories.slice(start, start + AT_ONCE)))
            with torch.inference_mode():
                scores[start : start + AT_ONCE, self._known.items] = self._fusion(features).numpy()
        return scores


@dataclass(frozen=True, slots=True)
class Known:
    """What is known at a moment of p people and of the c items that are candidates."""

    items: Codes
    """(c,) by department."""
    starts: Order
    """(departments + 1,) where each begins in `items`."""
    kinds: Codes
    """(all items,) the kind of each."""
    logs: Floats
    """(c,) log of the share of the department's people."""
    always: Floats
    """(c, …) features that are the same for everybody."""
    alike: tuple[tuple[NDArray[np.float64], sparse.csr_matrix, float], ...]
    """Of kinds and of items: how rare each is, (p, …) what each had, in length 1, and the power of the cosine."""
    had: tuple[sparse.csr_matrix, ...]
    """(p, c) what each had, and what each began with."""

    @classmethod
    def of(cls, train: Interactions, pools: Pools, kinds: Codes) -> Known:
        everything = len(kinds)
        people = people_by_items(train, everything)
        counts = np.asarray(people.sum(axis=0)).ravel()
        items, starts = _candidates(counts, pools)
        began = train.where(train.order == first_moments(train, pools.of_items))
        end = train.order.max(initial=0)
        lately = train.where(train.order > end - LATELY * DAY)
        late = began.where(began.order > train.order.min(initial=0) + LEAST_HISTORY * DAY)
        shares = (counts[items] + 0.5) / np.repeat(np.add.reduceat(counts[items] + 0.5, starts[:-1]), np.diff(starts))
        logs = np.log(shares).astype(np.float32)
        counted = (
            np.bincount(train.items, minlength=everything),
            np.asarray(people_by_items(lately, everything).sum(axis=0)).ravel(),
            np.bincount(late.items, minlength=everything),
        )
        always = [_lift(each[None, items].astype(np.float32), starts, logs, COUNTED)[0] for each in counted]
        had = people[:, items].tocsr(), people_by_items(began, everything)[:, items].tocsr()
        by_kind = people_by_items(replace(train, items=kinds[train.items]), int(kinds.max()) + 1)
        alike = tuple(
            (_rarity(each), unit(each, _rarity(each)), LIKENESS_POWER[name])
            for name, each in (("kinds", by_kind), ("items", people))
        )
        return cls(items, starts, kinds, logs, np.stack([logs, *always], axis=1), alike, had)

    def features(self, histories: Histories) -> Floats:
        """(histories, c, FEATURES)"""
        seen = (
            bags(replace(histories, items=self.kinds[histories.items]), len(self.alike[0][0])),
            bags(histories, len(self.kinds)),
        )
        columns = [np.broadcast_to(self.always, (len(histories), *self.always.shape))]
        for bag, (rarity, others, power) in zip(seen, self.alike, strict=True):
            weights = (unit(bag, rarity) @ others.T).tocsr()
            weights.data **= power
            most = np.maximum(weights.max(axis=1).toarray(), np.finfo(np.float32).tiny)
            for had in self.had:
                theirs = (weights @ had).toarray() / most
                columns.append(_lift(theirs.astype(np.float32), self.starts, self.logs, ALIKE)[:, :, None])
        return np.concatenate(columns, axis=2)


def _rehearsal(train: Interactions, pools: Pools, kinds: Codes, back: int, days: int) -> Iterator[_Part]:
    """The first purchases of so many days, beginning so many days before the end of train."""
    since = int(train.order.max(initial=0) + 1 - back * DAY)
    before = train.where(train.order < since)
    cases = first_baskets(train.where(train.order < since + days * DAY), pools.of_items, since)
    asked = np.flatnonzero(np.isin(pools.of_items[cases.targets.items[cases.targets.starts[:-1]]], pools.of_cases))
    if not len(asked):
        return
    known = Known.of(before, pools, kinds)
    for start in range(0, len(asked), AT_ONCE):
        yield _asked(known, cases.take(asked[start : start + AT_ONCE]), pools)


def _asked(known: Known, cases: Cases, pools: Pools) -> _Part:
    """One line for each target that is a candidate; a basket of several has several."""
    targets = cases.targets
    case = np.repeat(np.arange(len(cases)), np.diff(targets.starts))
    place = np.full(len(pools.of_items), -1)
    place[known.items] = np.arange(len(known.items))
    found = place[targets.items] >= 0
    case, place = case[found], place[targets.items[found]]
    department = np.searchsorted(known.starts, place, side="right") - 1
    first, sizes = known.starts[department], np.diff(known.starts)[department]
    columns = np.arange(CANDIDATES)[None, :]
    inside = columns < sizes[:, None]
    at = np.where(inside, first[:, None] + columns, 0)
    features = known.features(cases.histories)[case[:, None], at]
    return np.where(inside, known.items[at], -1), features, place - first


def _candidates(people: NDArray[np.float32], pools: Pools) -> tuple[Codes, Order]:
    """The CANDIDATES of each pool that most people had, best first, pool by pool, and where each pool begins."""
    order = np.lexsort((-people, pools.of_items))
    sizes = np.unique(pools.of_items, return_counts=True)[1]
    within = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    starts = np.concatenate(([0], np.cumsum(np.minimum(sizes, CANDIDATES))))
    return order[within < CANDIDATES].astype(np.int32), starts.astype(np.int64)


def _lift(sums: Floats, starts: Order, logs: Floats, strength: float) -> Floats:
    """(n, c) log of how much larger the share of each is in its department than among all people.

    With `strength` times the share among all people added, so that nothing is said where little is known.
    """
    totals = np.repeat(np.add.reduceat(sums, starts[:-1], axis=1), np.diff(starts), axis=1)
    lift: Floats = (np.log((sums + strength * np.exp(logs)) / (totals + strength)) - logs).astype(np.float32)
    return lift


def _rarity(people: sparse.csr_matrix) -> NDArray[np.float64]:
    had = np.asarray(people.sum(axis=0), dtype=np.float64).ravel()
    rarity: NDArray[np.float64] = np.log((people.shape[0] + 1) / (had + 0.5))
    return rarity


def _kinds(learning: Learning) -> Codes:
    """(items,) one number for each path; each item its own where there are no paths."""
    paths = learning.catalogue.paths
    number = {path: place for place, path in enumerate(dict.fromkeys(paths))}
    kinds: Codes = np.array([number[path] for path in paths], dtype=np.int32)
    return kinds if len(paths) else np.arange(len(learning.catalogue), dtype=np.int32)
