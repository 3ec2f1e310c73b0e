"""What follows what: directed, decayed co-occurrence, smoothed over items whose texts are alike.

Takes sequences and text vectors, gives sparse matrices of items × items. Pairs that stand close together, in this order
and soon after one another count most; an item that few have touched borrows from its likes, which is how a product put
today stands among what follows. Knows no store and no person.

Chosen on the valid part of Beauty (8,000 people, nDCG@10): counted only .0689, with the clock .0705, with likes .0723.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from retrieval.adapters.vectors_faiss import FaissVectorIndex
from retrieval.models.sequences import DAY, Numbers, Sequences
from retrieval.selection import top_k
from tasteline.ports import VectorIndex
from tasteline.types import Mask, Rows, Vectors

PLACE_BITS = 24
"""Entries of the lines of one history: 16 million. The rest of 63 bits is left to the columns."""
SEARCHED = 4096
"""Items whose likes are searched together."""
TABLED = 16_000_000
"""Entries up to which lines of a matrix are laid out as a table, of 64 MB."""
LOOKED_UP = 1_000
"""Entries from which on it is worth to lay out a table for them."""
Matrix: TypeAlias = sparse.csr_matrix
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FollowingSettings:
    """Chosen on the valid part of Beauty, see above."""

    window: int = 16
    """Steps within which one item is said to follow another."""
    decay: float = 0.9
    """For each step between them."""
    week_power: float = 0.3
    """Weight of a pair: (1 + weeks between them) ** -week_power, where the clock is known."""
    backward: float = 0.25
    """What B then A says about A → B, beside A then B."""
    source_power: float = 0.5
    target_power: float = 0.1
    recency: float = 0.7
    """Of a step in a history, for each step after it."""
    alike: int = 20
    """Nearest items by text that an item borrows from and lends to."""
    alike_floor: float = 0.4
    """Cosine below which nothing is borrowed."""
    alike_power: float = 8.0
    """Of the cosine: near-twins count for much more than what is of the same kind."""
    borrowed: float = 0.2
    """Weight of what follows the likes, and of the likes of what follows."""
    plain_likeness: float = 0.02
    """Weight of the likes themselves."""
    kept: int = 400
    """Largest entries of each line: bounds memory and time, and changes nothing in the first hundred."""


@dataclass(frozen=True, slots=True)
class Following:
    """n items; every matrix is (n, n) with sorted indices, line i about what comes after i."""

    settings: FollowingSettings
    popularity: Floats
    """(n,) how many people touched it."""
    forward: Matrix
    """Share of what came after i that was j."""
    backward: Matrix
    """Share of what came before i that was j."""
    counted: Matrix
    """Both ways, tempered by how frequent both are."""
    smoothed: Matrix
    """`counted` with what likes lend."""

    @classmethod
    def fit(cls, sequences: Sequences, texts: Vectors, settings: FollowingSettings = FollowingSettings()) -> Following:
        """`texts` (n, dimension) unit vectors or zeros."""
        items = len(texts)
        merged = sequences.merged()
        follows = _follows(merged, items, settings)
        counted = _tempered((follows + settings.backward * follows.T).tocsr(), settings)
        likes = alike(texts, settings)
        lent = settings.borrowed * (likes @ counted) + settings.borrowed * (counted @ likes)
        smoothed = largest(counted + lent + settings.plain_likeness * likes, settings.kept)
        pairs = np.unique(merged.owners * np.int64(items) + merged.items) % max(items, 1)
        popularity = np.bincount(pairs, minlength=items).astype(np.float32)
        after, before = (largest(_shares(each), settings.kept) for each in (follows, follows.T.tocsr()))
        return cls(settings, popularity, after, before, largest(counted, settings.kept), smoothed)

    def people(self, sequences: Sequences) -> Matrix:
        """(len(sequences), n): weight of each item in a history, the last step 1."""
        merged = sequences.merged()
        size = (len(merged), len(self.popularity))
        return sparse.csr_matrix((self._weights(merged), (merged.owners, merged.items)), shape=size)

    def after(self, sequences: Sequences) -> tuple[Lines | Table, Lines | Table]:
        """What follows each history, two of (len(sequences), n): smoothed, and as counted.

        One history is answered without a product of matrices, which takes memory and time for every item of the shop.
        """
        if len(sequences) == 1:
            merged = sequences.merged()
            weights = self._weights(merged)
            return _line(self.smoothed, merged.items, weights), _line(self.counted, merged.items, weights)
        people = self.people(sequences)
        return _lines(people @ self.smoothed), _lines(people @ self.counted)

    def _weights(self, merged: Sequences) -> Floats:
        weights = self.settings.recency ** merged.steps_from_end.astype(np.float32)
        weights *= _by_clock(_since(merged), self.settings.week_power)
        return weights.astype(np.float32)

    def save(self, path: Path) -> None:
        arrays: dict[str, NDArray[np.generic]] = {"popularity": self.popularity}
        for name in ("forward", "backward", "counted", "smoothed"):
            matrix = getattr(self, name)
            arrays |= {f"{name}_data": matrix.data, f"{name}_indices": matrix.indices, f"{name}_indptr": matrix.indptr}
        with path.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path, settings: FollowingSettings) -> Following:
        with np.load(path) as stored:
            popularity = stored["popularity"]
            size = (len(popularity), len(popularity))
            matrices = (
                sparse.csr_matrix(tuple(stored[f"{name}_{part}"] for part in ("data", "indices", "indptr")), shape=size)
                for name in ("forward", "backward", "counted", "smoothed")
            )
            return cls(settings, popularity, *matrices)


def alike(texts: Vectors, settings: FollowingSettings) -> Matrix:
    """(n, n): shares of each item's nearest by text, each line summing to 1 unless nothing is near; never itself.

    Found by an exact scan while that is fast enough, above it by a graph, as the vector index has it.
    """
    items = len(texts)
    index = FaissVectorIndex(texts.shape[1])
    index.add(texts)
    parts = np.split(np.arange(items), range(SEARCHED, items, SEARCHED))
    return sparse.vstack([alike_among(index, rows, None, settings) for rows in parts], format="csr")


def alike_among(texts: VectorIndex, rows: Rows, alive: Mask | None, settings: FollowingSettings) -> Matrix:
    """(len(rows), len(texts)): as `alike`, for some rows among the living ones of an index.

    The dead would take places: what was put again is nobody's nearest neighbour more than its own former row's.
    """
    found, cosines = texts.search(texts.vectors(rows), settings.alike + 1, alive)
    others = (found != rows[:, None]) & (found >= 0)
    others &= others.cumsum(axis=1) <= settings.alike  # where twins push out the item itself
    kept = others & (cosines > settings.alike_floor)
    lines = np.broadcast_to(np.arange(len(rows))[:, None], found.shape)
    places = (cosines[kept] ** settings.alike_power, (lines[kept], found[kept]))
    return _shares(sparse.csr_matrix(places, shape=(len(rows), len(texts))))


def largest(matrix: Matrix, k: int) -> Matrix:
    """Each line's k largest entries, indices sorted, float32."""
    matrix = matrix.tocsr().astype(np.float32)
    for line in np.flatnonzero(np.diff(matrix.indptr) > k):
        values = matrix.data[matrix.indptr[line] : matrix.indptr[line + 1]]
        values[values < np.partition(values, -k)[-k]] = 0.0
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


@dataclass(frozen=True, slots=True)
class Lines:
    """Some lines of a sparse matrix, columns rising within each, without what SciPy does to make and check one."""

    indptr: NDArray[np.integer]
    indices: NDArray[np.integer]
    data: Floats

    def best(self, k: int, allowed: Mask | None) -> Numbers:
        """(m, k) columns with the largest entries of each line, ties by the lower, -1 past the end."""
        best = np.full((len(self.indptr) - 1, k), -1, dtype=np.int64)
        for line in range(len(best)):
            part = slice(self.indptr[line], self.indptr[line + 1])
            columns, values = self.indices[part], self.data[part]
            if allowed is not None:
                kept = allowed[columns]
                columns, values = columns[kept], values[kept]
            if len(columns) > k:
                least = np.partition(values, len(values) - k)[len(values) - k]
                chosen = values > least
                chosen[np.flatnonzero(values == least)[: k - np.count_nonzero(chosen)]] = True
                columns = columns[chosen]
            best[line, : len(columns)] = columns
        return best

    def at(self, columns: Numbers) -> Floats:
        """Entries of (m, K) columns, 0 for -1."""
        return _entries(self, np.arange(len(columns)), columns)


@dataclass(frozen=True, slots=True)
class Table:
    """The same as `Lines`, as a table with a place for each column: many times as fast for many histories at once."""

    data: Floats
    """(m, n)"""

    def best(self, k: int, allowed: Mask | None) -> Numbers:
        columns, values = top_k(self.data if allowed is None else np.where(allowed, self.data, 0), k)
        return np.where(values > 0, columns, -1)

    def at(self, columns: Numbers) -> Floats:
        return np.where(columns >= 0, np.take_along_axis(self.data, np.maximum(columns, 0), axis=1), np.float32(0))


def _lines(matrix: Matrix) -> Lines | Table:
    matrix = matrix.tocsr()
    if matrix.shape[0] * matrix.shape[1] <= TABLED:
        return Table(matrix.toarray())
    matrix.sort_indices()
    return Lines(matrix.indptr, matrix.indices, matrix.data)


def at(matrix: Matrix, lines: Numbers, columns: Numbers) -> Floats:
    """matrix[lines[i], columns[i, j]], (m, K), of a matrix with sorted indices; -1 in either gives 0."""
    if columns.size >= LOOKED_UP and len(lines) * matrix.shape[1] <= TABLED and len(lines) > 1:
        found = Table(matrix[np.maximum(lines, 0)].toarray()).at(columns)
        found[lines < 0] = 0
        return found
    return _entries(matrix, lines, columns)


def _entries(matrix: Matrix | Lines, lines: Numbers, columns: Numbers) -> Floats:
    """Line by line, because SciPy first looks through the whole matrix whether its indices are sorted."""
    values = np.zeros(columns.shape, dtype=np.float32)
    starts, indices, data = matrix.indptr, matrix.indices, matrix.data
    for place, line in enumerate(lines.tolist()):
        first, last = (starts[line], starts[line + 1]) if line >= 0 else (0, 0)
        if first == last:
            continue
        known, wanted = indices[first:last], columns[place].astype(indices.dtype)
        found = np.minimum(known.searchsorted(wanted), last - first - 1)
        values[place] = np.where(known[found] == wanted, data[first:last][found], 0.0)
    return values


def _line(matrix: Matrix, lines: Numbers, weights: Floats) -> Lines:
    """The weighted sum of some lines."""
    first, last = matrix.indptr[lines], matrix.indptr[lines + 1]
    pieces = [slice(*ends) for ends in zip(first.tolist(), last.tolist(), strict=True)]
    columns = np.concatenate([matrix.indices[:0], *(matrix.indices[piece] for piece in pieces)])
    values = np.concatenate([matrix.data[:0], *(matrix.data[piece] for piece in pieces)])
    values = values * np.repeat(weights, last - first)
    # Column and place in one number: they sort several times as fast as by argsort, equal ones in order.
    keys = np.sort(columns.astype(np.int64) << PLACE_BITS | np.arange(len(columns)))
    order, columns = keys & ((1 << PLACE_BITS) - 1), (keys >> PLACE_BITS).astype(matrix.indices.dtype)
    heads = np.flatnonzero(np.concatenate(([True], columns[1:] != columns[:-1])))[: len(columns)]
    sums = np.add.reduceat(values[order], heads) if len(heads) else values
    return Lines(np.array([0, len(heads)]), columns[heads], sums)


def _follows(sequences: Sequences, items: int, settings: FollowingSettings) -> Matrix:
    """Sum over pairs of a sequence's steps that are d apart of decay**(d - 1), less with time, the earlier first."""
    owners, products, moments = sequences.owners, sequences.items, sequences.moments
    total = sparse.csr_matrix((items, items), dtype=np.float64)
    for steps in range(1, min(settings.window, len(products) - 1) + 1):
        together = (owners[:-steps] == owners[steps:]) & (products[:-steps] != products[steps:])
        seconds = (moments[steps:] - moments[:-steps])[together]
        weights = settings.decay ** (steps - 1) * _by_clock(seconds, settings.week_power)
        pairs = (products[:-steps][together], products[steps:][together])
        total = total + sparse.csr_matrix((weights, pairs), shape=total.shape)
    return total


def _since(sequences: Sequences) -> NDArray[np.float64]:
    """(t,) seconds from each step to the last one of its sequence; NaN where the clock is not known."""
    if not len(sequences.items):
        return np.zeros(0)
    ends = np.maximum(sequences.starts[1:] - 1, 0)
    return np.repeat(sequences.moments[ends], sequences.lengths) - sequences.moments


def _by_clock(seconds: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    weeks = np.nan_to_num(np.maximum(seconds, 0.0)) / (7 * DAY)
    return np.asarray((1.0 + weeks) ** -power)


def _tempered(follows: Matrix, settings: FollowingSettings) -> Matrix:
    out, into = (
        _inverse(follows.sum(axis=1), settings.source_power),
        _inverse(follows.sum(axis=0), settings.target_power),
    )
    return (sparse.diags(out) @ follows @ sparse.diags(into)).tocsr()


def _shares(matrix: Matrix) -> Matrix:
    return (sparse.diags(_inverse(matrix.sum(axis=1), 1.0)) @ matrix).tocsr()


def _inverse(sums: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    flat = np.asarray(sums, dtype=np.float64).ravel()
    return np.where(flat > 0, np.maximum(flat, np.finfo(np.float64).tiny) ** -power, 0.0)
