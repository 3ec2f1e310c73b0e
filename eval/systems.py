"""The seam between the harness and what it measures: a system fits on train and orders items for histories.

A system sees `Learning` when it fits and `Histories` when it is asked. It never sees a target of the test part.
A baseline is one file in `eval/baselines` with a class like this:

>>> class FirstItems:
...     name = "first_items"
...     def fit(self, learning):
...         self.items = len(learning.catalogue)
...     def score(self, histories):
...         return np.tile(-np.arange(self.items, dtype=np.float32), (len(histories), 1))
>>> isinstance(FirstItems(), Scorer)
True
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from eval.data.interactions import Catalogue, Codes, Histories, Interactions
from eval.protocols.split import Cases, Repeats, Split

ItemScores = NDArray[np.float32]
"""(histories, items): larger is better, -inf is not ranked."""
Settings = Mapping[str, int | float | str | bool | None]
"""What was chosen on valid, as it stands in the result."""


@dataclass(frozen=True, slots=True)
class Learning:
    """All that a system may learn from."""

    catalogue: Catalogue
    train: Interactions
    valid: Cases
    """For early stopping and for choosing settings; not to be fitted on."""
    repeats: Repeats
    """See `Protocol.repeats`."""
    timed: bool
    dataset: str
    checksum: str
    """Of the data set and the split: what was trained on it may be kept under it."""
    cache: Path | None = None
    """Folder for what is slow to make (vectors, weights); None: keep nothing."""
    seed: int = 0

    @classmethod
    def of(cls, split: Split, dataset: str, checksum: str, cache: Path | None = None, seed: int = 0) -> Learning:
        """The part of a split that may be learned from."""
        return cls(
            split.catalogue,
            split.train,
            split.valid,
            split.protocol.repeats,
            split.timed,
            dataset,
            checksum,
            cache,
            seed,
        )


@runtime_checkable
class Scorer(Protocol):
    """Gives every item a score. The harness leaves out seen items and ranks; equal scores go by item number."""

    @property
    def name(self) -> str: ...
    def fit(self, learning: Learning) -> Settings | None:
        """Learn; called once, before `score`. Gives the settings that it chose, if it chose any."""
        ...

    def score(self, histories: Histories) -> ItemScores: ...


@runtime_checkable
class Ranker(Protocol):
    """Gives a short list, as a service does that never scores the whole catalogue."""

    @property
    def name(self) -> str: ...
    def fit(self, learning: Learning) -> Settings | None: ...
    def rank(self, histories: Histories, k: int) -> Codes:
        """(histories, k) items, best first, none twice, -1 past the end; seen ones as `Learning.repeats` says."""
        ...


NextItemSystem = Scorer | Ranker
