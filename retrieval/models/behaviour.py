"""What shoppers did, counted: how popular each product is, and what follows what.

Takes the store's events in order, gives popularity and co-occurrence by product id. Counts are fitted in one pass over
arrays, kept on disk, and topped up with each new event. Knows nothing of the catalogue: ids of products that no longer
exist are dropped by the caller's mask.
"""

from __future__ import annotations

import json
from array import array
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tasteline.types import Event, EventType

WINDOW = 8
"""Steps within which one product is said to follow another."""
STEP_DECAY = 0.8
BACKWARD = 0.5
"""What B then A says about A → B, beside A then B."""
NEIGHBOURS = 200
"""Kept for each product: bounds the memory."""
STRENGTH: dict[EventType, float] = {
    EventType.SELECT_ITEM: 1.0,
    EventType.VIEW_ITEM: 1.0,
    EventType.ADD_TO_WISHLIST: 1.5,
    EventType.ADD_TO_CART: 2.0,
    EventType.PURCHASE: 3.0,
}
HALF_LIFE_SECONDS = 60 * 86_400.0
"""Of popularity."""
SORTED_ANEW = 1_000
"""Products that have moved in popularity before all are sorted again: a million take 100 ms, and no shopper waits."""
FIRST_TIME = 1e8
"""Seconds: time stamps lie above (1973), positions and sequence numbers never get there."""


class BehaviourCounts:
    """Popularity and directed co-occurrence. Not thread-safe: one writer, readers between its steps."""

    def __init__(self) -> None:
        self.sequence = 0
        """The last event counted."""
        self.erasures = 0
        self._codes: dict[str, int] = {}
        self._ids: list[str] = []
        self._popularity: NDArray[np.float64] = np.zeros(0)
        self._order: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        """Codes, most popular first, as of the last sort."""
        self._moved: set[int] = set()
        """Those whose popularity has changed since."""
        self._pairs = sparse.csr_matrix((0, 0), dtype=np.float32)
        self._since: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        self._recent: dict[str, deque[int]] = {}
        self._reference = 0.0
        self._purchases = 0
        self._repeats = 0

    @classmethod
    def fit(cls, events: Iterable[tuple[int, Event]], erasures: int = 0) -> BehaviourCounts:
        """Count everything; about a million events in a few seconds."""
        counts = cls()
        counts.erasures = erasures
        people, products, strengths, order = array("q"), array("q"), array("d"), array("d")
        person_codes: dict[str, int] = {}
        for sequence, event in events:
            counts.sequence = sequence
            person = event.user_id or event.session_id
            if not event.product_id or person is None or event.type not in STRENGTH:
                continue
            people.append(person_codes.setdefault(person, len(person_codes)))
            products.append(counts._code(event.product_id))
            strengths.append(STRENGTH[event.type])
            order.append(_moment(event, sequence))
        counts._count(np.array(people), np.array(products), np.array(strengths), np.array(order))
        return counts

    def _code(self, product_id: str) -> int:
        code = self._codes.get(product_id)
        if code is None:
            code = self._codes[product_id] = len(self._ids)
            self._ids.append(product_id)
        return code

    def _count(
        self,
        people: NDArray[np.int64],
        products: NDArray[np.int64],
        strengths: NDArray[np.float64],
        order: NDArray[np.float64],
    ) -> None:
        size = len(self._ids)
        timed = order > FIRST_TIME
        self._reference = float(order.max()) if timed.any() else 0.0
        age = np.where(timed, self._reference - order, 0.0) / HALF_LIFE_SECONDS
        self._popularity = np.bincount(products, strengths * 0.5**age, minlength=size).astype(np.float64)
        self._sort()
        rank = np.lexsort((np.arange(len(order)), order, people))
        people, products = people[rank], products[rank]
        self._count_repeats(people, products, strengths[rank] == STRENGTH[EventType.PURCHASE])
        # A view, a cart and a purchase of one product in a row are one step.
        moved = np.ones(len(people), dtype=np.bool_)
        moved[1:] = (people[1:] != people[:-1]) | (products[1:] != products[:-1])
        self._pairs = _pairs(people[moved], products[moved], size)

    def _count_repeats(
        self, people: NDArray[np.int64], products: NDArray[np.int64], purchased: NDArray[np.bool_]
    ) -> None:
        both = (people * max(1, len(self._ids)) + products)[purchased]
        self._purchases = len(both)
        self._repeats = len(both) - len(np.unique(both))

    def update(self, events: Iterable[tuple[int, Event]]) -> int:
        """Count new events on top; how many there were."""
        seen = 0
        for sequence, event in events:
            seen += 1
            self.sequence = sequence
            person = event.user_id or event.session_id
            if not event.product_id or person is None or event.type not in STRENGTH:
                continue
            code = self._code(event.product_id)
            if code >= len(self._popularity):
                self._popularity = np.append(self._popularity, np.zeros(max(256, code)))
            self._popularity[code] += STRENGTH[event.type] * self._freshness(event)
            self._moved.add(code)
            self._follow(person, code)
        if len(self._moved) > SORTED_ANEW:
            self._sort()
        return seen

    def _sort(self) -> None:
        self._order = np.argsort(-self._popularity, kind="stable")[: int((self._popularity > 0).sum())]
        self._moved = set()

    def _freshness(self, event: Event) -> float:
        if event.time is None or not self._reference:
            return 1.0
        ahead = (event.time.timestamp() - self._reference) / HALF_LIFE_SECONDS
        return float(2.0 ** min(ahead, 10.0))

    def _follow(self, person: str, code: int) -> None:
        recent = self._recent.setdefault(person, deque(maxlen=WINDOW))
        if recent and recent[-1] == code:
            return
        for steps, earlier in enumerate(reversed(recent)):
            if earlier != code:
                self._since[earlier][code] += STEP_DECAY**steps
                self._since[code][earlier] += BACKWARD * STEP_DECAY**steps
        recent.append(code)

    def popularity(self, product_ids: Sequence[str]) -> NDArray[np.float64]:
        """Decayed, weighted counts, 0 for the unknown; shape (len(product_ids),)."""
        known = len(self._popularity)
        codes = np.array([self._codes.get(product_id, -1) for product_id in product_ids], dtype=np.int64)
        counted = (codes >= 0) & (codes < known)
        found = np.zeros(len(codes))
        found[counted] = self._popularity[codes[counted]]
        return found

    def most_popular(self) -> Iterator[str]:
        """Ids, most popular first; taken one by one, because few are wanted of many."""
        if not self._moved:
            return map(self._ids.__getitem__, self._order)
        counts = self._popularity
        settled = (code for code in map(int, self._order) if code not in self._moved)
        moved = np.array(sorted(self._moved), dtype=np.int64)
        moved = moved[np.argsort(-counts[moved], kind="stable")]
        order = merge(settled, moved.tolist(), key=lambda code: (-counts[code], code))
        return (self._ids[code] for code in order)

    def followers(self, product_id: str) -> dict[str, float]:
        """What people turn to after this product: probabilities, summing to 1 unless there are none."""
        code = self._codes.get(product_id)
        if code is None:
            return {}
        counts: dict[int, float] = {}
        if code < self._pairs.shape[0]:
            start, end = self._pairs.indptr[code], self._pairs.indptr[code + 1]
            counts = dict(
                zip(self._pairs.indices[start:end].tolist(), self._pairs.data[start:end].tolist(), strict=True)
            )
        for other, count in self._since.get(code, {}).items():
            counts[other] = counts.get(other, 0.0) + count
        total = sum(counts.values())
        return {self._ids[other]: count / total for other, count in counts.items()}

    @property
    def repeat_share(self) -> float:
        """Share of purchases of something that the person had bought before: high for groceries, low for tents."""
        return self._repeats / self._purchases if self._purchases else 0.0

    def save(self, path: Path) -> None:
        """The counts as fitted, before any `update`: what comes since is counted again from the store after a load."""
        if self._since or self._pairs.shape[0] != len(self._ids):
            raise ValueError("Only fitted counts are saved: what `update` added would be lost and never counted again.")
        path.parent.mkdir(parents=True, exist_ok=True)
        writing = path.with_suffix(".tmp.npz")
        head = {
            "sequence": self.sequence,
            "erasures": self.erasures,
            "reference": self._reference,
            "purchases": self._purchases,
            "repeats": self._repeats,
        }
        np.savez(
            writing,
            head=np.frombuffer(json.dumps(head).encode(), dtype=np.uint8),
            ids=np.frombuffer(json.dumps(self._ids).encode(), dtype=np.uint8),
            popularity=self._popularity,
            data=self._pairs.data,
            indices=self._pairs.indices,
            indptr=self._pairs.indptr,
        )
        writing.replace(path)

    @classmethod
    def load(cls, path: Path) -> BehaviourCounts:
        """Raises OSError, KeyError or ValueError when the file is missing or damaged: fit again."""
        counts = cls()
        try:
            with path.open("rb") as file, np.load(file) as stored:
                head = json.loads(stored["head"].tobytes())
                counts._ids = json.loads(stored["ids"].tobytes())
                size = len(counts._ids)
                counts._popularity = stored["popularity"]
                lines = (stored["data"], stored["indices"], stored["indptr"])
                counts._pairs = sparse.csr_matrix(lines, shape=(size, size))
        except (EOFError, BadZipFile) as error:
            raise ValueError(f"The counts in {path} are damaged: {error}") from error
        counts._sort()
        counts._codes = {product_id: code for code, product_id in enumerate(counts._ids)}
        counts.sequence, counts.erasures = head["sequence"], head["erasures"]
        counts._reference, counts._purchases, counts._repeats = head["reference"], head["purchases"], head["repeats"]
        return counts


def _moment(event: Event, sequence: int) -> float:
    """What orders a person's events: the time, else the position, else the order of arrival."""
    if event.time is not None:
        return event.time.timestamp()
    return float(sequence if event.position is None else event.position)


def _pairs(people: NDArray[np.int64], products: NDArray[np.int64], size: int) -> sparse.csr_matrix:
    """Directed, decayed counts of products within WINDOW steps of one person; the NEIGHBOURS largest of each line."""
    counts = sparse.csr_matrix((size, size), dtype=np.float32)
    for steps in range(1, WINDOW + 1):
        earlier, later = products[:-steps], products[steps:]
        together = (people[:-steps] == people[steps:]) & (earlier != later)
        weight = np.full(int(together.sum()), STEP_DECAY ** (steps - 1), dtype=np.float32)
        forward = sparse.coo_matrix((weight, (earlier[together], later[together])), shape=(size, size)).tocsr()
        counts = counts + forward + BACKWARD * forward.T.tocsr()
    return _prune(counts.tocsr())


def _prune(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    for line in np.flatnonzero(np.diff(counts.indptr) > NEIGHBOURS):
        start, end = counts.indptr[line], counts.indptr[line + 1]
        values = counts.data[start:end]
        values[values < np.partition(values, -NEIGHBOURS)[-NEIGHBOURS]] = 0.0
    counts.eliminate_zeros()
    return counts
