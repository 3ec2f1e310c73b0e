"""`tasteline eval ablation`: what each part of the learned ranker brings, and what it costs.

The whole ranker is trained and measured once more without each of its parts, and one network of it without each of
its inputs; two results, in each of which everything is compared in pairs with the whole. What two variants share is
trained once (`eval.learned.Keeping`), so that a run that was broken off goes on where it was. Knows no model from
inside: a part is left out by its settings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import cast

from eval import asking, next_item
from eval.data.interactions import Codes, Dataset
from eval.data.loading import load
from eval.learned import Learned, LearnedNetwork, Materials
from eval.measured import Measured
from eval.protocols.checks import check_split
from eval.protocols.split import Cases, Split
from eval.recommending import Asked, Bench, described, learning_of, opened, split_of
from eval.served import Progress
from eval.systems import Learning, NextItemSystem
from finetune.next_item import NetworkSettings, Recipe
from retrieval.models.item_features import FIELDS
from tasteline.errors import InvalidInput
from tasteline.settings import Settings

WHOLE = Learned.name
NETWORKS = "networks"
"""The result about one network alone."""
TASK = "ablation"
FIT, RANKING = "fit seconds", "ranking seconds"
"""Columns: of learning, by the clock of the machine that did it, however busy; of everybody's lists."""
COUNTED = ("smoothed", "counted", "after", "before")
"""Beginnings of the features that counts of what follows what say."""


def parts_of(recipe: Recipe) -> dict[str, Recipe]:
    """The whole ranker first, then it without each of its parts.

    >>> list(parts_of(Recipe()))[:3]
    ['learned', 'without the transformer', 'without the gru']
    """

    def without(**settings: object) -> Recipe:
        return replace(recipe, fusion=replace(recipe.fusion, **settings))  # type: ignore[arg-type]

    def silent(*names: str) -> Recipe:
        return without(silent=names)

    following, networks = recipe.following, recipe.networks
    unlike = replace(following, borrowed=0.0, plain_likeness=0.0)
    return {
        WHOLE: recipe,
        **{
            f"without the {name}": replace(recipe, networks={each: networks[each] for each in networks if each != name})
            for name in networks
            if len(networks) > 1
        },
        # Nothing follows anything within no steps: neither candidates nor features come of it.
        "without counts": replace(silent(*COUNTED), following=replace(unlike, window=0)),
        "without likes in the counts": replace(recipe, following=unlike),
        "without popularity": silent("popularity"),
        "without likeness of texts": silent("cosine"),
        "without attributes": silent(*(f"{field}_{of}" for field in FIELDS for of in ("last", "share"))),
        "without the person's features": silent("length", "last_kind", "seen"),
        "without hidden items in the rehearsal": without(new_items=0.0),
        "without short histories in the rehearsal": without(short=0.0),
    }


def inputs_of(settings: NetworkSettings) -> dict[str, NetworkSettings]:
    """One network as it is, under the name of its encoder, then it without each of its inputs, and the other encoders.

    >>> from retrieval.models.network import Shape
    >>> list(inputs_of(NetworkSettings(Shape("gru"))))[-2:]
    ['as transformer', 'as lstm']
    """

    def shaped(**changes: object) -> NetworkSettings:
        return replace(settings, shape=replace(settings.shape, **changes))  # type: ignore[arg-type]

    encoder = settings.shape.encoder
    return {
        encoder: settings,
        "without text": shaped(texts=False),
        "without numbers": shaped(numbers=False),
        "without attributes": shaped(attributes=False),
        "without number dropout": shaped(number_dropout=0.0),
        "with log-Q": replace(settings, log_q=True),
        **{f"as {each}": shaped(encoder=each) for each in ("transformer", "gru", "lstm") if each != encoder},
    }


def run_ablation(
    asked: Asked,
    settings: Settings,
    told: Callable[[str], None],
    progress: Progress | None = None,
    recipe: Recipe | None = None,
) -> dict[str, dict[str, object]]:
    """Two results: "" about the whole ranker, NETWORKS about the first network of the recipe alone.

    `asked.systems`: names of variants, those that they are compared with are measured anyway; empty: all. `recipe`: see
    `Bench`. Raises InvalidInput for a name that is no variant.
    """
    dataset = load(asked.data)
    bench = Bench(settings, dataset, progress, recipe=recipe)
    tables = _tables(asked, bench.recipe, bench.materials)
    split = split_of(dataset, asked.protocol)
    check_split(split, dataset)
    learning = learning_of(dataset, split, settings, asked.seed)
    named = tuple(name for systems in tables.values() for name in systems)
    whole, looks = opened(dataset, split, replace(asked, systems=named), settings)
    results = {}
    for name, systems in tables.items():
        measured = _measured(dataset, whole, learning, asked, systems, told)
        results[name] = _with_gains(described(measured, whole, asked, looks, {}, {}))
    return results


Made = Mapping[str, Callable[[], NextItemSystem]]
"""How to make each variant, by name; the one that the others are compared with first."""


def _tables(asked: Asked, recipe: Recipe, materials: Materials) -> dict[str, Made]:
    first = next(iter(recipe.networks.values()))
    rankers = {
        name: lambda name=name, each=each: Learned(each, materials, name=name)
        for name, each in parts_of(recipe).items()
    }
    networks = {
        name: lambda name=name, each=each: LearnedNetwork(name, each, materials, recipe.schedule)
        for name, each in inputs_of(first).items()
    }
    tables: dict[str, Made] = {"": rankers, NETWORKS: networks}
    known = [name for table in tables.values() for name in table]
    if unknown := set(asked.systems) - set(known):
        raise InvalidInput(f"no variant is called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if not asked.systems:
        return tables
    return {
        name: {each: make for each, make in table.items() if each in (next(iter(table)), *asked.systems)}
        for name, table in tables.items()
        if set(table) & set(asked.systems)
    }


def _measured(
    dataset: Dataset, split: Split, learning: Learning, asked: Asked, systems: Made, told: Callable[[str], None]
) -> Measured:
    seconds: dict[str, float] = {}
    measured = next_item.evaluate(
        dataset,
        split,
        _one_by_one(systems),
        learning,
        cases=split.test if asked.part == "test" else split.valid,
        task=TASK,
        reference=next(iter(systems)),
        told=told,
        rank=_clocked(split, seconds),
    )
    results = {
        name: replace(each, whole={**each.whole, FIT: round(each.fit_seconds or 0), RANKING: round(seconds[name])})
        for name, each in measured.systems.items()
    }
    return replace(measured, systems=results)


def _one_by_one(systems: Made) -> Iterator[NextItemSystem]:
    """A fitted ranker holds hundreds of megabytes: each is made when the one before it has been measured."""
    for make in systems.values():
        yield make()


def _clocked(split: Split, seconds: dict[str, float]) -> next_item.Rank:
    def rank(system: NextItemSystem, cases: Cases) -> Codes:
        started = time.perf_counter()
        ranked = asking.rank(
            system,
            cases.histories,
            len(split.catalogue),
            next_item.DEPTH,
            repeats=split.protocol.repeats,
            pools=cases.pools,
        )
        seconds[system.name] = time.perf_counter() - started
        return ranked

    return rank


def _with_gains(report: dict[str, object]) -> dict[str, object]:
    """The comparisons as columns of the table too: what the whole has more than each variant, above 0 is a gain."""
    systems = cast(dict[str, dict[str, object]], report["systems"])
    intervals = cast(dict[str, dict[str, object]], report["intervals"])
    for row in cast(Iterable[Mapping[str, object]], report["comparisons"]):
        name, column = str(row["baseline"]), f"{row['metric']} brought"
        systems[name][column], intervals[name][column] = row["difference"], row["interval"]
    return report
