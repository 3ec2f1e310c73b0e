"""The same list for all who are new to a part of the catalogue: what people begin with, what those from here had.

Takes what may be learned from, where the cases ask about parts of the catalogue (`Cases.pools`). What a system gains
over these lists is more than knowing that somebody is new, or where they come from. Knows no person.
"""

from __future__ import annotations

import numpy as np

from eval.baselines.matrices import bags
from eval.baselines.popular import Shares, by_popularity, fill_zeros
from eval.baselines.tuning import Chosen, Grid, Score, tuned
from eval.data.interactions import Codes, Flags, Histories
from eval.protocols.split import Pools
from eval.systems import ItemScores, Learning
from tasteline.errors import InvalidInput

GRID: Grid = {"among": ("shared", "all"), "decay": (0.5, 0.0, 0.3, 0.8, 0.95)}
VERSION = 1


class PopularFirst:
    """score(j) = sum over people of train of decay**s where j was the item s steps after their first of its pool.

    The people are those on both sides ("shared", where one side is asked about and there are any) or all. decay 0
    counts first items only. What nobody began with follows by popularity. `fit` raises InvalidInput where the cases do
    not ask about parts of a catalogue.
    """

    name = "popular_first"

    def __init__(self, grid: Grid = GRID) -> None:
        self._grid = grid

    def fit(self, learning: Learning) -> Chosen:
        pools = pools_of(learning)
        shares = by_popularity(learning.train, len(pools.of_items))
        grid = self._grid if has_bridge(learning) else {**self._grid, "among": ("all",)}

        def build(settings: Chosen) -> Score:
            shared = settings["among"] == "shared"
            return _for_everybody(beginnings(learning, float(settings["decay"]), shared=shared), shares)

        self._score, self.tuning = tuned(self.name, VERSION, grid, learning, build)
        return self.tuning.chosen

    def score(self, histories: Histories) -> ItemScores:
        return self._score(histories)


def beginnings(learning: Learning, decay: float, *, shared: bool) -> Shares:
    """(items,) sums of decay**s over the people of train, or those on both sides: see `PopularFirst`."""
    train, pools = learning.train, pools_of(learning)
    keys = train.users.astype(np.int64) * (int(pools.of_items.max()) + 1) + pools.of_items[train.items]
    sorting = np.argsort(keys, kind="stable")  # oldest first within each person and pool
    steps = np.empty(len(keys), dtype=np.int64)
    steps[sorting] = np.arange(len(keys)) - np.searchsorted(keys[sorting], keys[sorting])
    weights = np.power(decay, steps)
    if shared:
        weights = weights * np.isin(train.users, people_on_both(learning, side_of(learning)))
    sums: Shares = np.bincount(train.items, weights, minlength=len(pools.of_items)).astype(np.float32)
    return sums


class PopularAmongShared:
    """score(j) = people of train who had j and are on both sides; what they did not have follows by popularity.

    `fit` raises InvalidInput where the cases do not ask about one side of a catalogue, or nobody is on both.
    """

    name = "popular_among_shared"

    def fit(self, learning: Learning) -> None:
        side = side_of(learning)
        had = bags(learning.train.where(side[learning.train.items]).histories(on_both(learning, side)), len(side))
        counts = np.bincount(had.indices, minlength=len(side)).astype(np.float32)
        self._score = _for_everybody(counts, by_popularity(learning.train, len(side)))

    def score(self, histories: Histories) -> ItemScores:
        return self._score(histories)


def pools_of(learning: Learning) -> Pools:
    """The parts of the catalogue. Raises InvalidInput where the cases ask about all of it."""
    if learning.valid.pools is None:
        raise InvalidInput(f"{learning.dataset} has no parts that are asked about, as between two shops")
    return learning.valid.pools


def side_of(learning: Learning) -> Flags:
    """(items,) which are asked about. Raises InvalidInput where that is not the same for all cases."""
    pools = pools_of(learning)
    asked = np.unique(pools.of_cases)
    if len(asked) != 1:
        raise InvalidInput(f"{learning.dataset} has not one side that is asked about, as between two shops")
    side: Flags = pools.of_items == asked[0]
    return side


def has_bridge(learning: Learning) -> bool:
    """Whether one side is asked about, and train has people on both."""
    asked = np.unique(pools_of(learning).of_cases)
    return len(asked) == 1 and len(people_on_both(learning, side_of(learning))) > 0


def on_both(learning: Learning, side: Flags) -> Codes:
    """People with train rows on both sides. Raises InvalidInput for fewer than two."""
    people = people_on_both(learning, side)
    if len(people) < 2:
        raise InvalidInput(f"{learning.dataset}: nobody in train is on both sides, so nothing can be learned of it")
    return people


def people_on_both(learning: Learning, side: Flags) -> Codes:
    """People with train rows on both sides; none where the sides share nobody."""
    users, there = learning.train.users, side[learning.train.items]
    people: Codes = np.intersect1d(users[there], users[~there])
    return people


def _for_everybody(counts: Shares, shares: Shares) -> Score:
    line = fill_zeros(counts.copy(), shares)

    def score(histories: Histories) -> ItemScores:
        everybody: ItemScores = np.tile(line, (len(histories), 1))
        return everybody

    return score
