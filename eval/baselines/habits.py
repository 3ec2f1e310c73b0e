"""Baselines of what people buy again: popular, personal frequency (plain and decayed), recency, TIFU-kNN.

Takes the purchases before a moment, gives each thing a score for each person. People are numbers, things too; knows
no category, no text and no price. There is no seasonal one: a year of data holds no season twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from eval.data.interactions import Codes
from eval.forecast import DAY, Candidate, Level, Purchases, Scores, Window

if TYPE_CHECKING:
    from scipy.sparse import spmatrix

Shares = NDArray[np.float32]
SHARES_FOR_TIES = (1e-3, 0.0, 1e-2, 1e-1, 1.0)
"""Weight of the thing's share of people beside a person's own purchases per window."""
DECAYS_IN_DAYS = (60, 20, 30, 90, 120, 180, 365)
TIFU_KNN: Mapping[str, Sequence[float]] = {
    # The paper's own, for a chain like this (Dunnhumby), are .6, .2, 3, 900, .9, for the next basket; a month asks for
    # a longer memory, so the search begins in the middle.
    "group_decay": (0.8, 0.6, 0.9, 1.0),
    "own": (0.5, 0.2, 0.7, 0.9),
    "group": (7, 3, 14),
    "neighbours": (100, 25, 50, 300, 900),
    "basket_decay": (0.9, 1.0),
}
DENSE_THINGS = 2_000
"""Up to so many, half of a person's row is filled, and a product of dense matrices is faster."""


def habits(level: Level) -> tuple[Candidate, ...]:
    """The baselines of a level, each with its settings to choose from; for churn those that can tell people apart."""
    shares: Mapping[str, Sequence[float]] = {"popularity": SHARES_FOR_TIES}
    if level == "anything":
        shares = {"popularity": (0.0,)}
    scales = {"scale_days": DECAYS_IN_DAYS, **shares}
    candidates = (
        Candidate("popular", lambda _: Popular(), {}),
        Candidate("popular_recent", lambda chosen: Popular("popular_recent", **chosen), {"days": (30, 60, 90)}),
        Candidate("recency", lambda chosen: Recency(**chosen), shares),
        Candidate("personal_frequency", lambda chosen: Frequency(None, **chosen), shares),
        Candidate("decayed_frequency", lambda chosen: Frequency(**chosen), scales),
        Candidate("tifu_knn", _tifu_knn, TIFU_KNN),
    )
    return tuple(each for each in candidates if level != "anything" or each.name not in ("popular_recent", "tifu_knn"))


@dataclass(slots=True)
class Popular:
    """score(thing) = share of all people who bought it, ever or within the last `days`. The same for everybody."""

    name: str = "popular"
    days: float | None = None
    probabilities: bool = field(default=False, init=False)
    _shares: Shares = field(init=False)

    def fit(self, known: Purchases, window: Window) -> None:
        if self.days is not None:
            known = known.between(window.start - int(self.days * DAY), window.start)
        self._shares = shares_of(_matrix(known, np.ones(len(known.users))))

    def scores(self, users: Codes) -> Scores:
        return np.tile(self._shares, (len(users), 1))


@dataclass(slots=True)
class Frequency:
    """score(person, thing) = their baskets with it, old ones counting less, + `popularity` · share of people with it.

    A basket of age a days counts exp(-a / scale_days); without a scale each counts the same, as baskets per window.
    """

    scale_days: float | None = None
    popularity: float = 0.0
    probabilities: bool = field(default=False, init=False)
    _own: spmatrix = field(init=False)
    _shares: Shares = field(init=False)

    @property
    def name(self) -> str:
        return "personal_frequency" if self.scale_days is None else "decayed_frequency"

    def fit(self, known: Purchases, window: Window) -> None:
        ages = (window.start - known.times) / DAY
        if self.scale_days is None:  # counts grow with the year, rates do not: valid must calibrate what test asks
            weights = np.full(len(ages), window.days / max(1.0, ages.max(initial=0.0)))
        else:
            weights = np.exp(-ages / self.scale_days)
        self._own = _matrix(known, weights)
        self._shares = np.float32(self.popularity) * shares_of(self._own)

    def scores(self, users: Codes) -> Scores:
        return _dense(self._own[users]) + self._shares


@dataclass(slots=True)
class Recency:
    """score(person, thing) = 1 / (1 + days since they bought it) + `popularity` / 1,000 · share of people with it."""

    popularity: float = 0.0
    name: str = field(default="recency", init=False)
    probabilities: bool = field(default=False, init=False)
    _own: spmatrix = field(init=False)
    _shares: Shares = field(init=False)

    def fit(self, known: Purchases, window: Window) -> None:
        pairs = known.users.astype(np.int64) * len(known.names) + known.things
        last = len(pairs) - 1 - np.unique(pairs[::-1], return_index=True)[1]  # rows of a person are in order of time
        latest = Purchases(known.users[last], known.things[last], known.times[last], known.names, known.user_ids)
        self._own = _matrix(latest, 1 / (1 + (window.start - latest.times) / DAY))
        self._shares = np.float32(self.popularity / 1_000) * shares_of(self._own)

    def scores(self, users: Codes) -> Scores:
        return _dense(self._own[users]) + self._shares


@dataclass(slots=True)
class TifuKnn:
    """Temporal item frequency of a person and of those nearest to them (Hu, He, Gao and Zhang, SIGIR 2020).

        v(person) = mean over groups g of group_decay ** g · mean over the group's baskets j of basket_decay ** j
        score = own · v(person) + (1 - own) · mean of v over the `neighbours` nearest by Euclidean distance

    A person's baskets are grouped from the last one back, `group` at a time; g and j count from 0 at the latest.
    Somebody without a basket gets the mean of everybody.
    """

    own: float = 0.2
    group: int = 3
    basket_decay: float = 0.9
    group_decay: float = 0.6
    neighbours: int = 900
    name: str = field(default="tifu_knn", init=False)
    probabilities: bool = field(default=False, init=False)
    _vectors: spmatrix | Scores = field(init=False)
    _others: spmatrix | Scores = field(init=False)
    _norms: Scores = field(init=False)
    _active: NDArray[np.int64] = field(init=False)

    def fit(self, known: Purchases, window: Window) -> None:
        vectors = _matrix(known, self._weights(known))
        self._active = np.flatnonzero(np.diff(vectors.indptr))
        self._norms = np.asarray(vectors.multiply(vectors).sum(axis=1), dtype=np.float32).ravel()[self._active]
        self._vectors = _dense(vectors) if len(known.names) <= DENSE_THINGS else vectors
        self._others = (
            self._vectors[self._active].T if len(known.names) <= DENSE_THINGS else vectors[self._active].T.tocsr()
        )

    def scores(self, users: Codes) -> Scores:
        own = self._vectors[users]
        near = _dense(self._near(users, own) @ self._vectors)
        return np.float32(self.own) * _dense(own) + np.float32(1 - self.own) * near

    def _weights(self, known: Purchases) -> NDArray[np.float64]:
        """Of each row, so that their sum by thing is the person's vector."""
        baskets = known.baskets()
        last = np.searchsorted(known.users, known.users, side="right") - 1
        first = np.searchsorted(known.users, known.users, side="left")
        back, count = baskets[last] - baskets, baskets[last] - baskets[first] + 1
        group, groups = back // self.group, -(-count // self.group)
        size = np.where(group == groups - 1, count - (groups - 1) * self.group, self.group)
        return np.asarray(
            self.basket_decay ** (back % self.group) * self.group_decay**group / (size * groups), dtype=np.float64
        )

    def _near(self, users: Codes, own: spmatrix | Scores) -> spmatrix:
        """(users, people): 1 / k at the k nearest others."""
        distances = self._norms - 2 * _dense(own @ self._others)  # + the person's own norm, which changes no order
        distances[users[:, None] == self._active] = np.inf
        k = max(1, min(self.neighbours, len(self._active) - 1))
        nearest = self._active[np.argpartition(distances, k - 1, axis=1)[:, :k]]
        rows = np.repeat(np.arange(len(users)), k)
        shares = np.full(len(rows), 1 / k, dtype=np.float32)
        return csr_matrix((shares, (rows, nearest.ravel())), shape=(len(users), self._vectors.shape[0]))


def _tifu_knn(chosen: Mapping[str, float]) -> TifuKnn:
    counts = {name: int(chosen[name]) for name in ("group", "neighbours")}
    return TifuKnn(chosen["own"], counts["group"], chosen["basket_decay"], chosen["group_decay"], counts["neighbours"])


def shares_of(matrix: spmatrix) -> Shares:
    """(things,) share of the people, rows of a (people, things) matrix, who have an entry of it; 0 to 1."""
    people, things = matrix.shape
    return np.asarray(np.bincount(matrix.indices, minlength=things) / max(1, people), dtype=np.float32)


def _matrix(known: Purchases, weights: NDArray[np.float64]) -> spmatrix:
    """(people, things) sum of the weights of the rows, one entry for each pair that occurs."""
    shape = (len(known.user_ids), len(known.names))
    return csr_matrix((weights.astype(np.float32), (known.users, known.things)), shape=shape)


def _dense(matrix: spmatrix | Scores) -> Scores:
    return matrix if isinstance(matrix, np.ndarray) else np.asarray(matrix.toarray(), dtype=np.float32)
