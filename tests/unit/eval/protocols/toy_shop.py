"""Small data sets for the tests of protocols: one written out by hand, one drawn with habits in it."""

from __future__ import annotations

import numpy as np

from eval.data.interactions import Catalogue, Dataset, Interactions

DAY = 86_400


def dataset_of(sequences: list[list[int]], times: list[list[int]] | None = None, items: int = 10) -> Dataset:
    """One person for each sequence of items; timed where times are given."""
    users = [user for user, each in enumerate(sequences) for _ in each]
    order = times if times is not None else [list(range(len(each))) for each in sequences]
    return Dataset(
        name="toy",
        checksum="c0ffee",
        catalogue=Catalogue(tuple(f"i{item}" for item in range(items)), ("",) * items, ("",) * items),
        user_ids=tuple(f"u{user}" for user in range(len(sequences))),
        interactions=Interactions.of(
            users, [item for each in sequences for item in each], [moment for each in order for moment in each]
        ),
        timed=times is not None,
    )


def habitual(people: int = 400, items: int = 300, seed: int = 0) -> Dataset:
    """People who walk through the catalogue in steps of one, with jumps; times over a year, spread out."""
    rng = np.random.default_rng(seed)
    sequences, times = [], []
    for _ in range(people):
        length = int(rng.integers(3, 10))
        jumps = np.where(rng.random(length) < 0.3, rng.integers(items, size=length), 1)
        walk = np.cumsum(jumps) % items
        kept = np.sort(np.unique(walk, return_index=True)[1])
        sequences.append([int(item) for item in walk[kept]])
        times.append(sorted(int(moment) for moment in rng.integers(365 * DAY, size=len(kept))))
    return dataset_of(sequences, times, items)
