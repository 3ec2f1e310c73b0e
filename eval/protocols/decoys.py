"""Does a system read the test part? Plant test targets that nobody can know, and see whether it knows them.

Takes a Dataset, a protocol and what makes a system; gives hits against chance. In a copy of the data the test targets
of drawn people become items drawn with equal chances from all that they never touched. Whoever learns from train,
valid and histories alone finds them by luck only, and that luck is known exactly; whoever sees the test rows, in
memory or in the files, finds more.

Finds what is learned from the planted rows. It does not find a system that opens a data file which it was not given
(the original, by a path of its own), nor one that took so little from the test part that nothing can be seen of it:
settings chosen on test, popularity counted over all rows.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import poisson_binom

from eval.asking import rank
from eval.data.interactions import Codes, Dataset, Flags, Order
from eval.protocols.cutting import contained, distinct, keep_targets, places_of
from eval.protocols.split import Cases, Split
from eval.systems import Learning, NextItemSystem
from tasteline.errors import InvalidInput

ALARM = 1e-4
"""An honest system is accused once in ten thousand audits."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What a system found of what nobody can know."""

    people: int
    k: int
    hits: int
    """Planted targets in the first k."""
    expected: float
    """Mean of the hits by luck, given the lists that the system showed."""
    p: float
    """Probability of so many hits or more by luck."""

    @property
    def caught(self) -> bool:
        """Whether luck is no explanation."""
        return self.p < ALARM


@dataclass(frozen=True, slots=True)
class Decoy:
    """A data set with planted test targets, and the numbers of the planted events."""

    dataset: Dataset
    rows: Order


def audit(
    make_system: Callable[[Dataset], NextItemSystem],
    dataset: Dataset,
    make_split: Callable[[Dataset], Split],
    *,
    people: int = 2_000,
    k: int = 10,
    seed: int = 0,
    write: Callable[[Dataset], Dataset] | None = None,
) -> Audit:
    """Fit a system on the decoy's train, ask it about up to `people` people, count planted targets in the first `k`.

    `make_system` gets the decoy, so that a system that reads files or keeps the data set reads the decoy; `write` puts
    the decoy on disk in the layout which the system reads and gives it back with its folder (`write_amazon`); without
    it the decoy has no folder. Chance is exact: a planted item is drawn with equal chances from the items U that a
    person never touched, so a list L hits with probability |L ∩ U| / |U| each, and the hits are Poisson-binomial.

    Raises InvalidInput where the protocol chooses its cases by their targets, so that planted ones are no case
    (audit the protocol that it was cut from), and where a person has touched every item.
    """
    decoy = plant(dataset, make_split(dataset), people=people, seed=seed)
    planted = decoy.dataset if write is None else write(decoy.dataset)
    split = make_split(planted)
    cases = _planted_cases(split.test, decoy)
    system = make_system(planted)
    system.fit(Learning.of(split, planted.name, planted.checksum, seed=seed))
    ranked = rank(system, cases.histories, len(planted.catalogue), k, repeats=split.protocol.repeats)
    chances = _chances(dataset, cases.users, ranked)
    hits = int((ranked == cases.targets.items[:, None]).any(axis=1).sum())
    # the tail is a difference of floats: it may come out a hair outside [0, 1]
    p = float(np.clip(poisson_binom.sf(hits - 1, chances), 0.0, 1.0))
    return Audit(len(cases), k, hits, float(chances.sum()), p)


def plant(dataset: Dataset, split: Split, *, people: int = 2_000, seed: int = 0) -> Decoy:
    """A copy of `dataset` in which the first test target of up to `people` drawn people is an item of chance.

    The item is drawn with equal chances from those that the person has no event with; everything else is equal but
    the checksum, which is of its own, so that nothing kept for the original is used. The folder is None.
    """
    rng = np.random.default_rng(seed)
    first = split.test.targets.starts[:-1]
    # of a person who is asked about more than once, one case only: lists of one person are not independent
    asked = first[np.unique(split.test.users, return_index=True)[1]]
    rows = split.test.targets.rows[np.sort(rng.choice(asked, size=min(people, len(asked)), replace=False))]
    places = places_of(dataset, rows)
    items = dataset.interactions.items.copy()
    items[places] = _never_touched(dataset, dataset.interactions.users[places], rng)
    checksum = hashlib.sha256(f"decoy {seed} {people} of {dataset.checksum}".encode()).hexdigest()
    interactions = replace(dataset.interactions, items=items)
    return Decoy(replace(dataset, interactions=interactions, checksum=checksum, folder=None), rows)


def write_amazon(original: Path, folder: Path) -> Callable[[Dataset], Dataset]:
    """For `audit`: writes the decoy into `folder` in the layout of `original` (`items.csv` + `interactions.csv`).

    Rows of the file keep their order and all columns but `asin` and `item_id`, which name the planted items. Raises
    InvalidInput where the rows of the file are not those of the data set, person by person.
    """

    def write(decoy: Dataset) -> Dataset:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original / "items.csv", folder / "items.csv")
        rows = pl.read_csv(original / "interactions.csv", infer_schema=False).with_row_index("line")
        sorting = rows.with_columns(
            place=pl.col("line").min().over("raw_user_id"), position=pl.col("position").cast(pl.Int64)
        ).sort("place", "position", maintain_order=True)
        people = pl.Series(decoy.user_ids).gather(decoy.interactions.users)
        if sorting["raw_user_id"].to_list() != people.to_list():
            raise InvalidInput(f"{original}: interactions.csv does not have the rows of {decoy.name}")
        asins = pl.DataFrame({"asin": pl.Series(decoy.catalogue.ids).gather(decoy.interactions.items)})
        numbers = pl.read_csv(original / "items.csv", infer_schema=False).select("asin", "item_id")
        named = asins.join(numbers, on="asin", how="left", maintain_order="left")
        changed = sorting.with_columns(named["asin"], named["item_id"]).sort("line").select(rows.columns)
        changed.drop("line").write_csv(folder / "interactions.csv")
        return replace(decoy, folder=folder)

    return write


def _planted_cases(test: Cases, decoy: Decoy) -> Cases:
    """The cases of the planted events, with these as only targets, in order of the cases."""
    cases = keep_targets(test, np.isin(test.targets.rows, decoy.rows))
    if not np.array_equal(np.sort(cases.targets.rows), np.sort(decoy.rows)) or len(cases) != len(decoy.rows):
        raise InvalidInput(
            f"of {len(decoy.rows)} planted targets {len(cases.targets.rows)} are asked for: this protocol chooses "
            "cases by their targets; audit the one that it was cut from"
        )
    return cases


def _never_touched(dataset: Dataset, users: Codes, rng: np.random.Generator) -> Codes:
    """For each person an item of none of their events, all with equal chances."""
    if not _untouched(dataset)[users].all():
        raise InvalidInput(f"{dataset.name}: somebody has touched every item; there is nothing to plant")
    items = np.zeros(len(users), dtype=np.int32)
    missing = np.arange(len(users))
    while len(missing):
        items[missing] = rng.integers(len(dataset.catalogue), size=len(missing))
        missing = missing[_touched(dataset, users[missing], items[missing])]
    return items


def _chances(dataset: Dataset, users: Codes, ranked: Codes) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Probability that each list holds its planted item; `dataset` is the original: a planted item is not touched."""
    people = np.broadcast_to(users[:, None], ranked.shape)
    possible = (ranked >= 0) & ~_touched(dataset, people, ranked)
    chances: np.ndarray[tuple[int], np.dtype[np.float64]] = possible.sum(axis=1) / _untouched(dataset)[users]
    return chances


def _touched(dataset: Dataset, users: Codes, items: Codes) -> Flags:
    """Whether each person has an event with each item."""
    every = _keys(dataset, dataset.interactions.users, dataset.interactions.items)
    return contained(_keys(dataset, users, items), every)


def _untouched(dataset: Dataset) -> Order:
    """How many items each person has no event with."""
    keys = distinct(_keys(dataset, dataset.interactions.users, dataset.interactions.items))
    items = len(dataset.catalogue)
    return items - np.bincount(keys // items, minlength=len(dataset.user_ids))


def _keys(dataset: Dataset, users: Codes, items: Codes) -> Order:
    keys: Order = users.astype(np.int64) * len(dataset.catalogue) + items
    return keys
