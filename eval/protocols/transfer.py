"""From one shop to another: people known in the one come to the other for the first time.

Takes two Datasets and who is in both, gives one joint Dataset and a Split of it that any system can be fitted on: the
items of the target come first in the catalogue, those of the source after them, histories hold source items, and only
target items are candidates (`Cases.pools`).

NOT time-safe where the sets have no common clock: then what somebody did in the source may be younger than what they
are asked about, and the description says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eval.data.interactions import Catalogue, Codes, Dataset, Flags, Interactions
from eval.protocols.cutting import cases_of
from eval.protocols.leave_one_out import leave_one_out
from eval.protocols.split import Cases, Leak, Pools, Protocol, Split
from tasteline.errors import InvalidInput

NAME = "transfer"
BRIDGE, VALID, TEST = 0.4, 0.3, 0.3
"""Shares of the people who are in both: learned from in full, to choose by, to ask about."""
_NOBODY, _BRIDGE, _VALID, _TEST = range(4)


@dataclass(frozen=True, slots=True)
class Joint:
    """Two shops as one: users, items and rows of both under common numbers, and the part that each row plays."""

    dataset: Dataset
    """All rows of the source, and of the target those that its own split learns from; a person's source rows first."""
    target_items: int
    """Items below this number are the target's, the others the source's."""
    learned: Flags
    """(rows,) whether the set's own split has the row in train."""
    roles: NDArray[np.int8]
    """(users,) of the people in both: 1 bridge, 2 valid, 3 test; 0 is everybody else."""

    @property
    def of_target(self) -> Flags:
        """(rows,)"""
        return self.dataset.interactions.items < self.target_items


def joined(source: Dataset, target: Dataset, shared: Mapping[str, str], *, seed: int = 0) -> Joint:
    """One data set of both; `shared` maps ids of people in `target` to their ids in `source`.

    The people of `shared` are dealt into bridge, valid and test by a draw. Raises InvalidInput where an item is in both
    catalogues (a history could then name its target), where somebody is not in their set, and for fewer than ten.
    """
    if both := set(source.catalogue.ids) & set(target.catalogue.ids):
        raise InvalidInput(
            f"{len(both)} items are in {source.name} and in {target.name}: a history could name its target"
        )
    users, people = _numbered(source, target, shared)
    ours, theirs = _learned(target), _learned(source)
    known = target.interactions.where(ours)
    did = source.interactions
    # before all that the person did in the target: the order across the two is not known
    order = np.concatenate((known.order - known.order.min(), did.order - did.order.max() - 1))
    user = np.concatenate((known.users, users[did.users]))
    sorting = np.lexsort((order, user))
    items = np.concatenate((known.items, did.items + len(target.catalogue)))
    types = np.concatenate((known.types, did.types))
    checksum = hashlib.sha256(f"{source.checksum} to {target.checksum}".encode()).hexdigest()
    dataset = Dataset(
        name=f"{source.name} to {target.name}",
        checksum=checksum,
        catalogue=_both(target.catalogue, source.catalogue),
        user_ids=people,
        interactions=Interactions.of(user[sorting], items[sorting], order[sorting], types[sorting]),
        timed=False,
    )
    learned = np.concatenate((np.ones(len(known), dtype=np.bool_), theirs))[sorting]
    return Joint(dataset, len(target.catalogue), learned, _dealt(target, shared, len(people), seed))


def transfer(joint: Joint, *, bridge: bool = True, first: int = 1, seed: int = 0) -> Split:
    """Ask the valid and the test people for their first target items, knowing what they did in the source.

    Train: source rows of everybody, target rows of everybody but the valid and the test people, and unless `bridge`
    of nobody who is in both. Targets: the items of a person's first `first` target rows. `seed` only stands in the
    description: it is that of `joined`.
    """
    rows, of_target = joint.dataset.interactions, joint.of_target
    role = joint.roles[rows.users]
    may_learn = np.isin(role, (_NOBODY, _BRIDGE) if bridge else (_NOBODY,))
    place = np.arange(len(rows)) - _first_target_row(joint)[rows.users]
    asked = of_target & (place < first)
    pools = (np.arange(len(joint.dataset.catalogue)) < joint.target_items).astype(np.int32)

    def cases(wanted: int) -> Cases:
        made = cases_of(rows, ~of_target & (role == wanted), asked & (role == wanted), repeats=False)
        return replace(made, pools=Pools(pools, np.ones(len(made), dtype=np.int32)))

    valid, test = cases(_VALID), cases(_TEST)
    return Split(
        protocol=Protocol(
            f"{NAME}{'' if bridge else '-without-bridge'}{'' if first == 1 else f'-first-{first}'}",
            _description(joint, bridge, first, seed),
        ),
        catalogue=joint.dataset.catalogue,
        train=rows.where(joint.learned & (~of_target | may_learn)),
        valid=valid,
        test=test,
        leak=Leak(known=False),
        timed=False,
    )


def _learned(dataset: Dataset) -> Flags:
    """Which rows the set's own leave-one-out split learns from."""
    learned = np.zeros(len(dataset.interactions), dtype=np.bool_)
    learned[np.searchsorted(dataset.interactions.rows, leave_one_out(dataset).train.rows)] = True
    return learned


def _numbered(source: Dataset, target: Dataset, shared: Mapping[str, str]) -> tuple[Codes, tuple[str, ...]]:
    """The joint number of each person of `source`, and all ids: the target's people first, then who is new."""
    place = {name: number for number, name in enumerate(target.user_ids)}
    theirs = {name: number for number, name in enumerate(source.user_ids)}
    if missing := [name for name in shared if name not in place] + [n for n in shared.values() if n not in theirs]:
        raise InvalidInput(f"{len(missing)} people who should be in both sets are not, {missing[0]!r} among them")
    numbers = np.full(len(theirs), -1, dtype=np.int32)
    for ours, name in shared.items():
        numbers[theirs[name]] = place[ours]
    new = np.flatnonzero(numbers < 0)
    numbers[new] = len(place) + np.arange(len(new), dtype=np.int32)
    return numbers, (*target.user_ids, *(source.user_ids[number] for number in new))


def _dealt(target: Dataset, shared: Mapping[str, str], people: int, seed: int) -> NDArray[np.int8]:
    if len(shared) < 10:
        raise InvalidInput(f"{len(shared)} people are in both sets; that is nobody to ask about")
    wanted = set(shared)
    users = np.array([number for number, name in enumerate(target.user_ids) if name in wanted])
    order = np.random.default_rng(seed).permutation(users)
    ends = np.round(np.cumsum([BRIDGE, VALID]) * len(order)).astype(int)
    roles = np.zeros(people, dtype=np.int8)
    for role, part in zip((_BRIDGE, _VALID, _TEST), np.split(order, ends), strict=True):
        roles[part] = role
    return roles


def _first_target_row(joint: Joint) -> NDArray[np.int64]:
    """(users,) the place of each person's first target row; that of their end where they have none."""
    rows = joint.dataset.interactions
    first = np.full(len(joint.dataset.user_ids), len(rows), dtype=np.int64)
    places = np.flatnonzero(joint.of_target)[::-1]
    first[rows.users[places]] = places  # descending: the last assignment is the first row
    return first


def _both(target: Catalogue, source: Catalogue) -> Catalogue:
    paths = (*target.paths, *source.paths) if target.paths and source.paths else ()
    return Catalogue(
        (*target.ids, *source.ids), (*target.texts, *source.texts), (*target.categories, *source.categories), paths
    )


def _description(joint: Joint, bridge: bool, first: int, seed: int) -> str:
    counts = np.bincount(joint.roles, minlength=4)
    learned = (
        f"the {counts[_BRIDGE]} of the bridge are in train with both sides"
        if bridge
        else f"of the {counts[_BRIDGE]} of the bridge only the source side is in train, so that nothing ties the shops"
    )
    asked = "first item" if first == 1 else f"first {first} items"
    return (
        "NOT time-safe: the order of what somebody did in the two sets is not known. People of the source come to the "
        f"target, of which nothing of theirs is known; asked for is their {asked} there (of the rows that the target's "
        "own split learns from), among all items of the target and none of the source. The history is all that they "
        f"did in the source. Of the {counts[1:].sum()} people in both (drawn, seed {seed}), {learned}, "
        f"{counts[_VALID]} are for valid and {counts[_TEST]} for test, with no target row in train. Train holds what "
        "the two sets' own splits learn from, and the source side of everybody."
    )
