"""Settings by trial: fit each on train, rank the valid cases against all items, keep the best.

Takes a grid, a function that fits one setting and what may be learned from; gives the best model and the table of all
that was tried. What was chosen is kept under `Learning.cache`, so that a second run fits once. Knows no model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import prod
from pathlib import Path

import numpy as np

from eval import asking
from eval.data.interactions import Histories
from eval.metrics import ndcg_at_k
from eval.next_item import labels_of_targets
from eval.protocols.split import Cases, Repeats
from eval.systems import ItemScores, Learning

Value = int | float | str | bool
Grid = Mapping[str, Sequence[Value]]
"""Setting → its values; the first of each is where the search begins, and what is taken where there is no choice."""
Chosen = dict[str, Value]
Score = Callable[[Histories], ItemScores]
Build = Callable[[Chosen], Score]

CASES = 5_000
"""Of valid, drawn: a mean nDCG@10 of .05 then has a standard error of .0025, the difference of two settings less."""
CUT_OFF = 10
ROUNDS = 3
"""The third has never changed anything by more than noise."""


@dataclass(frozen=True, slots=True)
class Tried:
    settings: Chosen
    ndcg: float
    """nDCG@10 on the drawn valid cases."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a system came to its settings, as it stands in the result."""

    chosen: Chosen
    tried: tuple[Tried, ...] = ()
    """In the order of trial; empty where there was nothing to choose or nothing to choose by."""


def tuned(
    name: str, version: int, grid: Grid, learning: Learning, build: Build, rounds: int = ROUNDS
) -> tuple[Score, Tuning]:
    """The best of `grid`, fitted, and how it was found.

    The search goes one setting at a time, all its values with the others held, and round again until a round changes
    nothing or `rounds` are done; a grid of one setting is thus tried in full. Equal values keep what was there
    before. Without valid cases, or with one value for each setting, the first values are taken.

    `version` is the baseline's: raise it when its code changes what a setting means, or an old choice is read back.
    Raises ValueError for a setting without values.
    """
    if not all(map(len, grid.values())):
        raise ValueError(f"{name} has a setting without values: {dict(grid)}")
    kept = _file(name, version, grid, learning)
    if kept is not None and kept.is_file():
        tuning = _read(kept)
        return build(tuning.chosen), tuning
    start = {setting: values[0] for setting, values in grid.items()}
    if not len(learning.valid) or prod(map(len, grid.values())) == 1:
        return build(start), Tuning(start)
    search = _Search(build, learning)
    tuning = Tuning(search.around(grid, start, rounds), tuple(search.tried))
    if kept is not None:
        _write(kept, tuning)
    return search.model, tuning


def mean_ndcg(score: Score, cases: Cases, items: int, *, repeats: Repeats) -> float:
    """nDCG@10 of the cases' targets in full rankings, made and measured as in `eval.next_item`."""
    ranked = asking.rank(_Trial(score), cases.histories, items, CUT_OFF, repeats=repeats, pools=cases.pools)
    return float(np.nanmean(ndcg_at_k(*labels_of_targets(ranked, cases.targets), CUT_OFF)))


@dataclass(frozen=True, slots=True)
class _Trial:
    """One setting's model, as the harness asks a system."""

    score: Score
    name: str = "trial"

    def fit(self, learning: Learning) -> None:
        raise ValueError("a trial is fitted when it is made")


class _Search:
    """Keeps only the best model: some take gigabytes."""

    model: Score

    def __init__(self, build: Build, learning: Learning) -> None:
        self._build = build
        self._items = len(learning.catalogue)
        self._repeats = learning.repeats
        self._cases = drawn(learning.valid, learning.seed)
        self._known: dict[str, float] = {}
        self.tried: list[Tried] = []

    def around(self, grid: Grid, start: Chosen, rounds: int) -> Chosen:
        best = start
        for _ in range(rounds):  # a round that changes nothing costs nothing: all of it is known
            for setting, values in grid.items():
                best = max((best, *({**best, setting: value} for value in values)), key=self._value)
        return best

    def _value(self, settings: Chosen) -> float:
        key = json.dumps(settings, sort_keys=True)
        if key not in self._known:
            model = self._build(settings)
            value = mean_ndcg(model, self._cases, self._items, repeats=self._repeats)
            if value > max(self._known.values(), default=-1.0):
                self.model = model
            self._known[key] = value
            self.tried.append(Tried(settings, round(value, 6)))
        return self._known[key]


def drawn(cases: Cases, seed: int) -> Cases:
    """CASES of them, in their order; all where there are fewer."""
    if len(cases) <= CASES:
        return cases
    return cases.take(np.sort(np.random.default_rng(seed).choice(len(cases), CASES, replace=False)))


def _file(name: str, version: int, grid: Grid, learning: Learning) -> Path | None:
    """Named by all that the choice depends on; rows and cases besides the checksum, in case two splits share one."""
    if learning.cache is None:
        return None
    digest = sha256(json.dumps([name, version, CASES, {key: list(grid[key]) for key in grid}]).encode())
    digest.update(json.dumps([learning.checksum, learning.seed, learning.repeats, len(learning.catalogue)]).encode())
    for rows in (learning.train.rows, learning.valid.histories.rows, learning.valid.targets.rows):
        digest.update(np.ascontiguousarray(rows).tobytes())
    return learning.cache / "tuning" / f"{name}-{digest.hexdigest()[:16]}.json"


def _read(path: Path) -> Tuning:
    stored = json.loads(path.read_text(encoding="utf-8"))
    return Tuning(stored["chosen"], tuple(Tried(each["settings"], each["ndcg"]) for each in stored["tried"]))


def _write(path: Path, tuning: Tuning) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_suffix(".tmp")
    writing.write_text(json.dumps(asdict(tuning), indent=1), encoding="utf-8")
    writing.replace(path)
