"""Who and what is new: people without a past in train, and items that nobody bought in train.

Takes a Split of another protocol and its Dataset, gives Splits with less in `train` and in the histories. What is
withheld is drawn with a seed. People and items that were new all along (a temporal split has them) need none of this:
they are slices by history length and by popularity in train.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from eval.data.interactions import Codes, Dataset, Flags, Histories
from eval.protocols.cutting import draw, keep_targets, leak_of
from eval.protocols.split import Cases, Protocol, Split
from tasteline.errors import InvalidInput

PEOPLE = "cold-people-"
Events = int | range
"""How many events of a person are known: 0, 1, range(2, 5) for 2-4."""


@dataclass(frozen=True, slots=True)
class WithheldItems:
    """Two splits with one `train`, so that one fit answers both."""

    cold: Split
    """Targets are withheld items."""
    warm: Split
    """The same people's cases whose targets are not, to compare with."""


def withhold_people(split: Split, dataset: Dataset, *, share: float = 0.2, seed: int = 0) -> Split:
    """Take a drawn share of the people that are asked about out of train; only these are asked about.

    A person who is new to a shop has left nothing in it, so none of their events may be fitted on; everybody cannot
    be new, for nothing would be left to learn from. Histories are whole: `cut_people` cuts them. One fit on this
    split's `train` serves every cut of it. Raises InvalidInput where nothing is left to fit on or to ask.
    """
    asked = np.unique(np.concatenate((split.valid.users, split.test.users)))
    new = draw(np.random.default_rng(seed), asked, share)
    train = split.train.where(~np.isin(split.train.users, new))
    valid = split.valid.take(np.isin(split.valid.users, new))
    test = split.test.take(np.isin(split.test.users, new))
    _require(dataset, len(train), len(test), "people")
    description = (
        f"{split.protocol.description} Of the people asked about, {len(new)} of {len(asked)} (drawn, seed {seed}) are "
        "treated as new: none of their events is in train, and only they are asked about."
    )
    return replace(
        split,
        protocol=replace(split.protocol, name=f"{PEOPLE}{split.protocol.name}", description=description),
        train=train,
        valid=valid,
        test=test,
        leak=leak_of(dataset, train, test),
    )


def cut_people(split: Split, events: Events, *, seed: int = 0) -> Split:
    """`split` (of `withhold_people`) with every history cut to its last 0, 1 or, drawn for each case, 2-4 events.

    Of a range, a case whose history is shorter than the drawn number keeps all it has; cases with fewer events than
    the least of the range are left out. What was cut off is unknown to all: such an item may be ranked. Raises
    InvalidInput for an empty or negative range, where train has events of the people (withhold them first), and where
    no test case is long enough.
    """
    numbers = range(events, events + 1) if isinstance(events, int) else events
    if not len(numbers) or numbers.start < 0 or numbers.step != 1:
        raise InvalidInput(f"histories are cut to {events} events; a number from 0 or a range of them is needed")
    asked = np.concatenate((split.valid.users, split.test.users))
    if np.isin(split.train.users, asked).any():
        raise InvalidInput("train has events of the people whose histories are to be cut; withhold_people comes first")
    label = str(numbers.start) if len(numbers) == 1 else f"{numbers.start}-{numbers.stop - 1}"
    valid, test = (_cut(cases, numbers, seed) for cases in (split.valid, split.test))
    if not len(test):
        raise InvalidInput(f"no test case has a history of {label} events")
    description = (
        f"{split.protocol.description} Each history is cut to its last events, {label} of them"
        f"{'' if len(numbers) == 1 else ' (how many is drawn for each case)'}; what was before them is unknown and may "
        "be ranked."
    )
    name = f"{PEOPLE}{label}-{split.protocol.name.removeprefix(PEOPLE)}"
    return replace(split, protocol=Protocol(name, description, split.protocol.repeats), valid=valid, test=test)


def withhold_items(split: Split, dataset: Dataset, *, share: float = 0.1, seed: int = 0) -> WithheldItems:
    """Take a drawn share of the catalogue out of train and histories for test, and another as large for valid.

    `cold` asks for targets that are withheld (of several targets of a case, for those), `warm` for the others. All
    items stay in the catalogue with their texts and are candidates. A history from which everything was taken stays,
    empty. Raises InvalidInput for a share that is not above 0 and below a half, and where nothing is left.
    """
    items = len(split.catalogue)
    if not 0 < share < 0.5:
        raise InvalidInput(f"a share of {share} of the items is withheld twice; it is above 0 and below 0.5")
    drawn = draw(np.random.default_rng(seed), np.arange(items, dtype=np.int32), 2 * share)
    order = np.random.default_rng([seed, 1]).permutation(drawn)
    for_test, for_valid = (_mask(part, items) for part in (order[: len(order) // 2], order[len(order) // 2 :]))
    withheld = for_test | for_valid
    train = split.train.where(~withheld[split.train.items])
    description = (
        f"{split.protocol.description} {for_test.sum()} of {items} items (drawn, seed {seed}) are withheld for test "
        f"and {for_valid.sum()} others for valid: no event of theirs is in train or in a history, they are in the "
        "catalogue and are candidates beside all others."
    )

    def part(name: str, asked: str, valid_items: Flags, test_items: Flags) -> Split:
        valid, test = (
            _without(keep_targets(cases, chosen[cases.targets.items]), withheld)
            for cases, chosen in ((split.valid, valid_items), (split.test, test_items))
        )
        _require(dataset, len(train), len(test), "items")
        protocol = replace(split.protocol, name=f"{name}-{split.protocol.name}", description=f"{description} {asked}")
        return replace(
            split, protocol=protocol, train=train, valid=valid, test=test, leak=leak_of(dataset, train, test)
        )

    return WithheldItems(
        cold=part("cold-items", "Only withheld items are asked for.", for_valid, for_test),
        warm=part("cold-items-warm", "Only items that are not withheld are asked for.", ~withheld, ~withheld),
    )


def _cut(cases: Cases, numbers: range, seed: int) -> Cases:
    drawn = np.random.default_rng(seed).integers(numbers.start, numbers.stop, size=len(cases))
    enough = cases.histories.lengths >= numbers.start
    return replace(cases, histories=cases.histories.last(drawn)).take(enough)


def _without(cases: Cases, withheld: Flags) -> Cases:
    """Histories without the events of withheld items."""
    known = cases.histories
    kept = ~withheld[known.items]
    starts = np.concatenate(([0], np.cumsum(kept)))[known.starts].astype(np.int64)
    histories = Histories(starts, known.items[kept], known.order[kept], known.types[kept], known.rows[kept])
    return replace(cases, histories=histories)


def _mask(items: Codes, size: int) -> Flags:
    mask = np.zeros(size, dtype=np.bool_)
    mask[items] = True
    return mask


def _require(dataset: Dataset, train: int, test: int, what: str) -> None:
    if not train or not test:
        raise InvalidInput(
            f"{dataset.name}: without the withheld {what} there are {train} train rows and {test} test cases; withhold "
            "another share"
        )
