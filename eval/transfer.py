"""`tasteline eval transfer`: does what people did in one category say what they will want in another?

Two measurements of one question. Between two sets of histories that share people (`--to`, `--shared`): who comes to
the target with no history there. Within one shop with departments: the first purchase in a department that is new to
somebody. Each system is asked with what people did elsewhere and again with nothing known of them, in pairs. A system
is any `eval.systems.Scorer`; a new one is a line in `SYSTEMS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eval import asking, next_item
from eval.baselines.begun import Begun
from eval.baselines.cooccurrence import Cooccurrence
from eval.baselines.first_purchase import FirstPurchase
from eval.baselines.newcomers import PopularAmongShared, PopularFirst
from eval.baselines.taste import ContentPopular, Ridge
from eval.baselines.user_knn import UserKnn
from eval.data.amazon import ITEMS_FILE
from eval.data.interactions import Dataset, Histories
from eval.data.loading import load
from eval.data.shared import read_shared
from eval.learned import LearnedCounts, LearnedNetwork
from eval.measured import Measured, Slice, SystemResult, binned, named, number
from eval.metrics import holm, measured, measures, paired_randomisation_tests, relative_gains
from eval.protocols import departments
from eval.protocols.checks import check_split
from eval.protocols.split import Cases, Split
from eval.protocols.temporal import before_end
from eval.protocols.transfer import joined, transfer
from eval.recommending import BASELINES, Asked, Bench, described, learning_of, opened
from eval.served import Progress, products_of
from eval.systems import Learning, NextItemSystem, Ranker
from tasteline.errors import InvalidInput
from tasteline.settings import Settings
from tasteline.types import Product

SYSTEMS: Mapping[str, Callable[[Bench], NextItemSystem]] = {
    **BASELINES,
    "popular_first": lambda bench: PopularFirst(),
    "popular_among_shared": lambda bench: PopularAmongShared(),
    "first_purchase": lambda bench: FirstPurchase(),
    "user_knn": lambda bench: UserKnn(),
    "cooccurrence_first": lambda bench: Begun(Cooccurrence()),
    "user_knn_first": lambda bench: Begun(UserKnn()),
    "following_first": lambda bench: Begun(LearnedCounts(bench.recipe.following, bench.materials)),
    "transformer_first": lambda bench: Begun(_network(bench), logs=True),
    "described": lambda bench: _network(bench, "described", numbers=False),
    "described_first": lambda bench: Begun(_network(bench, "described", numbers=False), logs=True),
    "content_popular": lambda bench: ContentPopular(bench.embedder),
    "ridge": lambda bench: Ridge(bench.embedder),
}
BETWEEN_SHOPS = (
    "popular",
    "popular_first",
    "popular_among_shared",
    "item_knn",
    "cooccurrence",
    "user_knn",
    "content",
    "content_popular",
    "ridge",
    "following",
    "cooccurrence_first",
    "following_first",
    "transformer",
    "transformer_first",
    "described",
    "described_first",
)
ACROSS_KINDS = (
    "popular",
    "popular_recent",
    "popular_first",
    "item_knn",
    "cooccurrence",
    "ease",
    "user_knn",
    "content",
    "content_popular",
    "first_purchase",
)
ACROSS_PRODUCTS = ("popular", "popular_recent", "popular_first", "user_knn", "first_purchase")
"""Without an option. Item by item, the others need a matrix of products by products, or the text of each: a year of
groceries has more of both than they can take."""
HEADLINE = ("ndcg@10", "recall@10", "recall@50", "mrr")
POPULAR, POPULAR_FIRST = "popular", "popular_first"
NOTHING_KNOWN = "{} without history"
CUTS = {"": 1, "first-five": 5}
"""Result → how many of a person's first items are asked for."""
WINDOW = 60 * 86_400
"""Seconds: two months each for valid and test, so that there are first purchases enough to tell systems apart."""

Told = Callable[[str], None]


def _network(bench: Bench, name: str = "transformer", *, numbers: bool = True) -> LearnedNetwork:
    """That of the recipe; without `numbers` items are known by text and attributes alone, which another shop's have."""
    settings = bench.recipe.networks["transformer"]
    if not numbers:
        settings = replace(settings, shape=replace(settings.shape, numbers=False, number_dropout=0.0))
    return LearnedNetwork(name, settings, bench.materials, bench.recipe.schedule)


@dataclass(frozen=True, slots=True)
class Gain:
    """One system against another on one metric, over the same cases."""

    system: str
    against: str
    metric: str
    gain: float
    """mean / mean of the other - 1."""
    interval: tuple[float, float]
    p: float
    p_corrected: float

    def as_mapping(self) -> dict[str, object]:
        return {
            "system": self.system,
            "against": self.against,
            "metric": self.metric,
            "gain": number(self.gain),
            "interval": [number(bound) for bound in self.interval],
            "p": number(self.p),
            "p_corrected": number(self.p_corrected),
        }


def run_transfer(
    asked: Asked,
    to: Path | None,
    shared: Path | None,
    settings: Settings,
    told: Told,
    progress: Progress | None = None,
) -> dict[str, dict[str, object]]:
    """Results by name: "" first. With `to` and `shared` between two sets, without within the departments of one.

    Raises InvalidInput where only one of the two is given, and for a system that is not known.
    """
    if (to is None) != (shared is None):
        raise InvalidInput("--to and --shared belong together: the other set, and who is in both")
    if unknown := set(asked.systems) - set(SYSTEMS):
        raise InvalidInput(f"no system is called {', '.join(sorted(unknown))}; there are {', '.join(SYSTEMS)}")
    if to is not None and shared is not None:
        return _between_shops(asked, to, shared, settings, told, progress)
    return _across_departments(asked, settings, told, progress)


def _between_shops(
    asked: Asked, to: Path, shared: Path, settings: Settings, told: Told, progress: Progress | None
) -> dict[str, dict[str, object]]:
    """With the people of the bridge learned from on both sides, and without; the first item and the first five."""
    joint = joined(load(asked.data), load(to), read_shared(shared, to, Path(asked.data)), seed=asked.seed)
    products = _products(Path(asked.data), to)
    results = {}
    for bridge, ending in ((True, ""), (False, "without-bridge")):
        splits = {name: transfer(joint, bridge=bridge, first=first, seed=asked.seed) for name, first in CUTS.items()}
        for split in splits.values():
            check_split(split, joint.dataset)
        told(f"— {ending or 'with bridge'}")
        bench = Bench(settings, joint.dataset, progress, products=products)
        learning = learning_of(joint.dataset, splits[""], settings, asked.seed)
        systems, notes = _fitted(asked, BETWEEN_SHOPS, bench, learning, told)
        for name, split in splits.items():
            whole, looks = opened(joint.dataset, split, asked, settings)
            found = evaluate(joint.dataset, whole, systems, learning, _part(whole, asked))
            results["-".join(filter(None, (ending, name)))] = described(found, whole, asked, looks, notes, {})
    return results


def _across_departments(
    asked: Asked, settings: Settings, told: Told, progress: Progress | None
) -> dict[str, dict[str, object]]:
    """By kind of product, and by product."""
    products = load(asked.data)
    moments = before_end(products, valid_seconds=WINDOW, test_seconds=WINDOW)
    levels = {"": (departments.by_kind(products), ACROSS_KINDS), "product": (products, ACROSS_PRODUCTS)}
    results = {}
    for name, (dataset, usual) in levels.items():
        split = departments.new_department(dataset, moments)
        check_split(split, dataset)
        told(f"— {name or 'kind'}")
        learning = learning_of(dataset, split, settings, asked.seed)
        systems, notes = _fitted(asked, usual, Bench(settings, dataset, progress), learning, told)
        whole, looks = opened(dataset, split, asked, settings)
        cases = _part(whole, asked)
        of_case = named("department", departments.department_of(dataset, cases), most=20)
        found = evaluate(dataset, whole, systems, learning, cases, extra_slices=[of_case])
        results[name] = described(found, whole, asked, looks, notes, {})
    return results


def _products(*folders: Path) -> dict[str, Product]:
    """Of both shops, by the ids of their catalogues; of sets that are only arrays nothing is known but the texts."""
    feeds = [folder / ITEMS_FILE for folder in folders if (folder / ITEMS_FILE).is_file()]
    return {product.id: product for feed in feeds for product in products_of(feed)}


def _part(split: Split, asked: Asked) -> Cases:
    return split.test if asked.part == "test" else split.valid


def _fitted(
    asked: Asked, usual: Sequence[str], bench: Bench, learning: Learning, told: Told
) -> tuple[list[NextItemSystem], dict[str, str]]:
    """The systems that could be fitted, and why the others could not."""
    systems: list[NextItemSystem] = []
    notes: dict[str, str] = {}
    for name in asked.systems or usual:
        told(name)
        system = SYSTEMS[name](bench)
        if isinstance(system, Ranker):
            notes[name] = "it gives short lists of all items; a part of the catalogue needs scores"
            continue
        try:
            system.fit(learning)
        except InvalidInput as error:
            notes[name] = str(error)
            continue
        systems.append(system)
    return systems, notes


def evaluate(
    dataset: Dataset,
    split: Split,
    systems: Sequence[NextItemSystem],
    learning: Learning,
    cases: Cases,
    *,
    extra_slices: Sequence[Slice] = (),
) -> Measured:
    """Ask fitted systems with the histories and with none; `more` has the relative gains over both and over popular.

    A system whose lists do not depend on the history has one line. Raises ValueError where there are no cases.
    """
    started = time.perf_counter()
    if not len(cases):
        raise ValueError(f"{dataset.name}: {split.protocol.name} leaves nobody to ask about")
    groups = next_item.groups_of(cases)
    results: dict[str, SystemResult] = {}
    for system in systems:
        for name, histories in _ways(system.name, cases):
            results[name] = _asked(system, split, replace(cases, histories=histories))
        if _same(results[system.name], results[NOTHING_KNOWN.format(system.name)]):
            del results[NOTHING_KNOWN.format(system.name)]
    found = Measured(
        task="transfer",
        dataset=dataset.name,
        checksum=dataset.checksum,
        protocol=f"{split.protocol.name}: {split.protocol.description}",
        cases=tuple(dataset.user_ids[user] for user in cases.users),
        systems=results,
        slices=[*extra_slices, binned("history length", cases.histories.lengths, next_item.HISTORY)],
        headline=HEADLINE,
        settings={"items": len(split.catalogue), "train_rows": len(split.train)},
        seed=learning.seed,
        resamples=next_item.RESAMPLES,
        groups=groups,
    )
    gains = [gain.as_mapping() for gain in gains_of(found)]
    return replace(found, seconds=time.perf_counter() - started, more={"gains": gains})


def gains_of(found: Measured) -> list[Gain]:
    """Each system against itself with nothing known and against the lists for everybody, corrected together (Holm).

    Two that are equal in every case make no pair: a test that cannot reject needs no correction.
    """
    pairs = [
        (name, other, metric)
        for name in found.systems
        for other in (NOTHING_KNOWN.format(name), POPULAR, POPULAR_FIRST)
        if other in found.systems and other != name and not name.endswith(NOTHING_KNOWN.format(""))
        if not _same(found.systems[name], found.systems[other])
        for metric in found.headline
    ]
    if not pairs:
        return []
    ours, theirs = (np.stack([found.systems[pair[side]].values[pair[2]] for pair in pairs], axis=1) for side in (0, 1))
    draws = {"groups": found.groups, "seed": found.seed}
    gains = relative_gains(ours, theirs, resamples=found.resamples, **draws)  # type: ignore[arg-type]
    p_values = paired_randomisation_tests(ours, theirs, permutations=found.resamples, **draws)  # type: ignore[arg-type]
    return [
        Gain(*pair, gain=float(gain), interval=(float(low), float(high)), p=float(p), p_corrected=corrected)
        for pair, (gain, low, high), p, corrected in zip(pairs, gains, p_values, holm(list(p_values)), strict=True)
    ]


def _ways(name: str, cases: Cases) -> list[tuple[str, Histories]]:
    return [(name, cases.histories), (NOTHING_KNOWN.format(name), cases.histories.last(0))]


def _asked(system: NextItemSystem, split: Split, cases: Cases) -> SystemResult:
    items, repeats = len(split.catalogue), split.protocol.repeats
    ranked = asking.rank(system, cases.histories, items, next_item.DEPTH, repeats=repeats, pools=cases.pools)
    values = measured(measures(*HEADLINE), ranked, *next_item.of_targets(cases.targets))
    chosen = getattr(getattr(system, "tuning", None), "chosen", {})
    return SystemResult(values, chosen=chosen)


def _same(one: SystemResult, other: SystemResult) -> bool:
    return all(np.array_equal(one.values[metric], other.values[metric], equal_nan=True) for metric in one.values)
