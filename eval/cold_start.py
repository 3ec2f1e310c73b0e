"""The cold-start task: people of whom 0, 1 or 2–4 events are known, and items that nobody had bought, from one fit.

Takes a Dataset and a Split of it, gives a split in which all of them are new, and which case is of which kind. The new
people are a drawn fifth of all, with nothing of theirs in train; the new items a drawn tenth of the catalogue. Knows no
system; `eval.next_item` asks and measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.data.interactions import Codes, Dataset, Histories
from eval.measured import Slice
from eval.protocols.cold import cut_people, withhold_items, withhold_people
from eval.protocols.split import Cases, Protocol, Split, Targets

PEOPLE: Mapping[str, int | range] = {"0 events": 0, "1 event": 1, "2–4 events": range(2, 5)}
NEW_ITEMS = "new items"
KINDS = (*PEOPLE, NEW_ITEMS)


@dataclass(frozen=True, slots=True)
class ColdStart:
    split: Split
    """Train without the new people and items; valid and test with all kinds, one after the other."""
    kinds: Mapping[str, Slice]
    """Of the "valid" and of the "test" cases."""
    strangers: Mapping[str, Cases]
    """The new people's "valid" and "test" cases with whole histories: what they would say is made out of these."""


def cold_start(
    split: Split, dataset: Dataset, *, people: float = 0.2, items: float = 0.1, most: int | None = None, seed: int = 0
) -> ColdStart:
    """Cut one split into all kinds. New people are asked about items that are not new, and the other way round.

    `most`: draw at most so many test cases of each kind; the new people are the same in each, where all have a history
    that is long enough. Raises InvalidInput where one kind finds nobody.
    """
    newcomers = withhold_items(
        withhold_people(split, dataset, share=people, seed=seed), dataset, share=items, seed=seed
    )
    whole = newcomers.warm
    new_items = withhold_items(split, dataset, share=items, seed=seed).cold
    cuts = [cut_people(whole, events, seed=seed) for events in PEOPLE.values()]
    known = [_without(part, whole) for part in (new_items.valid, new_items.test)]
    few = "" if most is None else f" At most {most} test cases of each kind are drawn (seed {seed})."
    valid, test = ([*(getattr(cut, part) for cut in cuts), known[n]] for n, part in enumerate(("valid", "test")))
    test = [_drawn(each, most, seed) for each in test]
    kinds = {
        name: Slice("kind", KINDS, np.repeat(np.arange(len(KINDS)), [len(each) for each in parts]))
        for name, parts in (("valid", valid), ("test", test))
    }
    protocol = Protocol(
        f"cold-start-{split.protocol.name}",
        f"{split.protocol.description} A drawn share of {people:g} of the people (seed {seed}) is new: nothing of "
        "theirs is in train, and of their histories only the last 0, 1 or (drawn) 2 to 4 events are known. A share of "
        f"{items:g} of the items is new for test, as many others for valid: no event of theirs is in train or in a "
        f"history; the known people whose target is such an item are asked about it. One fit answers all.{few}",
        split.protocol.repeats,
    )
    cold = replace(whole, protocol=protocol, valid=joined(valid), test=joined(test))
    return ColdStart(cold, kinds, {"valid": whole.valid, "test": _drawn(whole.test, most, seed)})


def without_history(ranked: Codes, histories: Histories, depth: int) -> Codes:
    """Rankings (cases, more than depth) with the items of each case's history taken out, cut to `depth`.

    >>> without_history(np.array([[3, 1, 2]]), Histories.of([[1]]), 2).tolist()
    [[3, 2]]
    """
    span = np.int64(ranked.max(initial=0) + 1 + histories.items.max(initial=0))
    rows = np.arange(len(ranked), dtype=np.int64)[:, None] * span
    known = np.repeat(rows[:, 0], histories.lengths) + histories.items
    gone = (ranked < 0) | np.isin(rows + ranked, known)
    order = np.argsort(gone, axis=1, kind="stable")[:, :depth]
    kept: Codes = np.where(np.take_along_axis(gone, order, axis=1), -1, np.take_along_axis(ranked, order, axis=1))
    return kept


def joined(parts: Sequence[Cases]) -> Cases:
    """Cases one after the other.

    >>> one = Cases(np.array([7]), Histories.of([[1, 2]]), Targets(np.array([0, 1]), np.array([3]), np.array([9])))
    >>> both = joined([one, one])
    >>> both.users.tolist(), both.histories.starts.tolist(), both.targets.items.tolist()
    ([7, 7], [0, 2, 4], [3, 3])
    """
    histories = [part.histories for part in parts]
    targets = [part.targets for part in parts]
    return Cases(
        np.concatenate([part.users for part in parts]),
        Histories(
            _starts([each.lengths for each in histories]),
            np.concatenate([each.items for each in histories]),
            np.concatenate([each.order for each in histories]),
            np.concatenate([each.types for each in histories]),
            np.concatenate([each.rows for each in histories]),
        ),
        Targets(
            _starts([np.diff(each.starts) for each in targets]),
            np.concatenate([each.items for each in targets]),
            np.concatenate([each.rows for each in targets]),
        ),
    )


def _drawn(cases: Cases, most: int | None, seed: int) -> Cases:
    if most is None or len(cases) <= most:
        return cases
    return cases.take(np.sort(np.random.default_rng(seed).permutation(len(cases))[:most]))


def _starts(
    lengths: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.int64]]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.concatenate(([0], np.cumsum(np.concatenate(lengths)))).astype(np.int64)


def _without(cases: Cases, newcomers: Split) -> Cases:
    """The cases of people who are known."""
    new = np.concatenate((newcomers.valid.users, newcomers.test.users))
    return cases.take(~np.isin(cases.users, new))
