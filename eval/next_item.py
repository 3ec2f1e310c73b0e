"""The next-item task: fit systems on train, rank the whole catalogue for people, compare it with what they did next.

Takes a Dataset, a Split of it and systems; gives a Measured. Knows nothing of how a system works, of files or of the
command line (`eval.recommending` puts those together).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval import asking
from eval.data.interactions import Catalogue, Codes, Dataset, Interactions
from eval.measured import Curve, Measured, Slice, SystemResult, Values, binned, named
from eval.metrics import (
    average_popularity,
    catalogue_coverage,
    category_diversity,
    labels_of,
    measured,
    measures,
    novelty,
    personalisation,
    serendipity,
)
from eval.protocols.cutting import places_of
from eval.protocols.sampled import line_name
from eval.protocols.split import Cases, Split, Targets
from eval.systems import Learning, NextItemSystem
from tasteline.errors import InvalidInput

K = 10
DEPTH = 100
HEADLINE = (f"ndcg@{K}", f"recall@{K}")
HISTORY = [("0", 0), ("1", 1), ("2–4", 2), ("5–9", 5), ("10–19", 10), ("20+", 20)]
POPULARITY = [("0 (new)", 0), ("1–4", 1), ("5–19", 5), ("20–99", 20), ("100+", 100)]
AGES = [("under 1 day", 0), ("1–7 days", 86_400), ("7–30 days", 7 * 86_400), ("over 30 days", 30 * 86_400)]

Fitted = Callable[[str], None]
"""Told the name of each system before it is fitted and asked."""
Rank = Callable[[NextItemSystem, Cases], Codes]


@dataclass(frozen=True, slots=True)
class Answers:
    """One fitted system's rankings of the cases."""

    ranked: Codes
    """(cases, DEPTH)"""
    latencies: Values
    fit_seconds: float
    chosen: Mapping[str, object]
    curve: Curve | None


def evaluate(
    dataset: Dataset,
    split: Split,
    systems: Iterable[NextItemSystem],
    learning: Learning,
    *,
    cases: Cases | None = None,
    task: str = "next-item",
    reference: str = "",
    told: Fitted = lambda name: None,
    extra_slices: Sequence[Slice] = (),
    left_out: dict[str, str] | None = None,
    strict: bool = True,
    rank: Rank | None = None,
) -> Measured:
    """Fit each system on `learning`, rank for `cases` (the test part where none are given), measure.

    Every system answers the same cases, over all items of `split.catalogue`, and none is held longer than that: they
    may be made one by one. `reference`: see `Measured`. A system that says (InvalidInput) that
    the data set is not for it is left out, and `left_out` told why, unless `strict`. `rank` ranks
    otherwise than against all items; systems then go by `line_name`. Raises ValueError where there are no cases.
    """
    started = time.perf_counter()
    cases = split.test if cases is None else cases
    if not len(cases):
        raise ValueError(f"{dataset.name}: {split.protocol.name} leaves nobody to ask about")
    results = {}
    for system in systems:
        told(system.name)
        try:
            given = answers(system, split, learning, cases, rank)
        except InvalidInput as error:
            if strict:
                raise
            (left_out if left_out is not None else {})[system.name] = str(error)
            continue
        results[line_name(system.name, split.protocol)] = measured_as(given, cases, split.catalogue, split.train)
    return Measured(
        task=task,
        dataset=dataset.name,
        checksum=dataset.checksum,
        protocol=f"{split.protocol.name}: {split.protocol.description}",
        cases=tuple(dataset.user_ids[user] for user in cases.users),
        systems=results,
        slices=[*extra_slices, *slices(dataset, split, cases)],
        headline=HEADLINE,
        settings={"k": K, "depth": DEPTH, "items": len(split.catalogue), "train_rows": len(split.train)},
        seed=learning.seed,
        seconds=time.perf_counter() - started,
        resamples=RESAMPLES,
        reference=reference,
        groups=groups_of(cases),
    )


def groups_of(cases: Cases) -> Codes | None:
    """The people, where somebody is asked about more than once: their cases are not independent."""
    return cases.users if len(np.unique(cases.users)) < len(cases) else None


RESAMPLES = 2_000
"""Over tens of thousands of people a bound of an interval moves by a thousandth of its width between more draws."""


def answers(
    system: NextItemSystem, split: Split, learning: Learning, cases: Cases, rank: Rank | None = None
) -> Answers:
    """Fit, rank, time."""
    items, repeats = len(split.catalogue), split.protocol.repeats
    started = time.perf_counter()
    chosen = system.fit(learning) or {}
    fitted = getattr(system, "fit_seconds", None) or time.perf_counter() - started
    if rank is None:
        ranked = asking.rank(system, cases.histories, items, DEPTH, repeats=repeats, pools=cases.pools)
    else:
        ranked = rank(system, cases)
    times = asking.latencies(system, cases, items, DEPTH, repeats=repeats, seed=learning.seed)
    return Answers(ranked, times, fitted, chosen, curve_of(system))


def curve_of(system: NextItemSystem) -> Curve | None:
    """The learning curve of a system that keeps one: its attribute `curve`, (epoch, seconds, valid nDCG@10) each."""
    points: Sequence[tuple[float, float, float]] = getattr(system, "curve", None) or ()
    return Curve("epoch", "valid ndcg@10", [(epoch, value) for epoch, _, value in points]) if points else None


def measured_as(given: Answers, cases: Cases, catalogue: Catalogue, train: Interactions) -> SystemResult:
    values, whole = values_of(given.ranked, cases.targets, catalogue, train)
    return SystemResult(values, whole, given.latencies, given.fit_seconds, given.chosen, given.curve)


def values_of(
    ranked: Codes, targets: Targets, catalogue: Catalogue, train: Interactions
) -> tuple[dict[str, Values], dict[str, float]]:
    """Metrics of each case, and of all rankings together; right or wrong first, then what else the lists do."""
    items, bought = of_targets(targets)
    several = (f"precision@{K}", f"map@{K}") if items.shape[1] > 1 else ()
    values = measured(measures(*HEADLINE, "mrr", f"recall@{DEPTH}", *several), ranked, items, bought)
    top, counts = ranked[:, :K], np.bincount(train.items, minlength=len(catalogue))
    _, categories = np.unique(np.array(catalogue.categories, dtype=str), return_inverse=True)
    values |= {
        f"novelty@{K}": novelty(top, counts, max(len(train), 1)),
        f"popularity@{K}": average_popularity(top, counts),
        f"diversity@{K}": category_diversity(top, categories),
        f"serendipity@{K}": serendipity(top, labels_of(top, items, bought), counts),
    }
    whole = {
        f"coverage@{K}": catalogue_coverage(top, len(catalogue)),
        f"personalisation@{K}": personalisation(top),
    }
    return values, whole


def of_targets(targets: Targets) -> tuple[Codes, Values]:
    """Targets as the two arrays that metrics take: items (cases, most of one case) filled up with -1, and labels."""
    lengths = np.diff(targets.starts)
    items = np.full((len(targets), int(lengths.max(initial=1))), -1, dtype=np.int32)
    case = np.repeat(np.arange(len(targets)), lengths)
    items[case, np.arange(len(targets.items)) - targets.starts[case]] = targets.items
    return items, np.where(items >= 0, 1.0, -np.inf)


def labels_of_targets(ranked: Codes, targets: Targets) -> tuple[Values, Values]:
    """Rankings (n, k) and targets as labels: of what was ranked, and of all targets."""
    items, bought = of_targets(targets)
    return labels_of(ranked, items, bought), bought


def slices(dataset: Dataset, split: Split, cases: Cases) -> list[Slice]:
    """By length of history, and by what the first target is: how often bought in train, how old, of which category."""
    first = cases.targets.items[cases.targets.starts[:-1]]
    counts = np.bincount(split.train.items, minlength=len(split.catalogue))[first]
    result = [
        binned("history length", cases.histories.lengths, HISTORY),
        binned("item popularity", counts, POPULARITY),
        Slice("item warmth", ("cold", "warm"), (counts > 0).astype(np.int64)),
        named("category", [split.catalogue.categories[item] for item in first]),
    ]
    if split.timed:
        result.append(binned("item age", _ages(dataset, cases, first), AGES))
    return [each for each in result if each.labels]


def _ages(dataset: Dataset, cases: Cases, first: Codes) -> Values:
    """Seconds from an item's first event of all to the moment at which a person turned to it."""
    born = np.full(len(dataset.catalogue), np.iinfo(np.int64).max)
    np.minimum.at(born, dataset.interactions.items, dataset.interactions.order)
    moments = dataset.interactions.order[places_of(dataset, cases.targets.rows[cases.targets.starts[:-1]])]
    ages: Values = (moments - born[first]).astype(np.float64)
    return ages
