"""`tasteline train next-item`: the shop's own events in; a ranker in the registry and the table of what it brings out.

Takes settings, trains as the harness does (fitted on train, stopped by valid, test looked at once), registers what was
measured, and makes it live where it is ahead of every baseline. The one place where training, measuring and the
registry meet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from app.engines import open_embedder, open_store
from eval.beginnings import beginning
from eval.data.interactions import PURCHASE, Dataset
from eval.data.stored import read_store
from eval.learned import MAIN_METRIC, Heard, Learned, card_of
from eval.own_shop import brought_up_to_date, erasures
from eval.recommending import Asked, Bench, measure, split_of
from eval.served import Progress
from finetune.next_item import Recipe
from retrieval.model_card import ModelCard
from retrieval.models.ranker_files import StoredRanker, read_ranker, write_ranker
from retrieval.recommend import BUY_AGAIN
from retrieval.registry import Entry, Registry
from tasteline.errors import NotFound
from tasteline.settings import Settings

BESIDE = ("popular", "item_knn", "cooccurrence")
"""Baselines that cost seconds; more with `--systems`."""
LEARNED = Learned.name


@dataclass(frozen=True, slots=True)
class TrainingAsked:
    """What the command line says."""

    data: Path | None = None
    """Imported into the shop first."""
    currency: str | None = None
    systems: tuple[str, ...] = BESIDE
    seed: int = 0
    promote: bool = True
    begin: str | None = None
    """A ranker to begin from: an id (or its beginning) of this registry, or the folder of one of another shop."""


def train_next_item(
    asked: TrainingAsked,
    settings: Settings,
    told: Callable[[str], None],
    heard: Heard = lambda part, epoch: None,
    progress: Progress | None = None,
    recipe: Recipe | None = None,
) -> tuple[dict[str, object], Entry, bool]:
    """The table as a result mapping, the registered ranker, and whether it is live now. `recipe`: see `Bench`.

    Raises InvalidInput where there are no products, no events, or nobody with three steps, and for a ranker to begin
    from that is of another shape or embedder.
    """
    folder = _folder(asked.begin, settings.home) if asked.begin else None
    begin = read_ranker(folder) if folder else None
    brought_up_to_date(settings, asked.data, asked.currency, told, progress)
    with closing(open_store(settings)) as store:
        known = store.erasures()  # before reading: whoever is erased meanwhile is seen below
        dataset, products = read_store(store, settings.home.resolve().name)
    repeats = _repeat_share(dataset) >= BUY_AGAIN
    split = split_of(dataset, "leave-one-out", repeats=repeats)
    bench = Bench(settings, dataset, progress, heard, products, open_embedder(settings), recipe, begin)
    measured = measure(
        Asked(dataset.name, systems=(*asked.systems, LEARNED), seed=asked.seed), dataset, split, bench, settings, told
    )
    ranker = next(system for system in measured.systems if isinstance(system, Learned))
    assert ranker.stored is not None
    systems = cast(Mapping[str, Mapping[str, float]], measured.report["systems"])
    card = card_of(ranker, measured.learning, systems, str(measured.report["part"]))
    if folder:
        card = replace(card, settings={**card.settings, "begun_from": folder.resolve().name})
    entry = register_ranker(settings.home, ranker.stored, card, dataset.user_ids)
    stale = erasures(settings) != known
    if stale:
        told("somebody was erased while it learned from them: not promoted; train again")
        Registry(settings.home).disown(entry)
    live = asked.promote and not stale and _is_ahead(measured.report)
    if live:
        Registry(settings.home).promote(entry.id)
    return measured.report, entry, live


def _folder(name: str, home: Path) -> Path:
    """Of a model of this registry or another's. Raises NotFound, InvalidInput for a withdrawn one."""
    entry = beginning(home, name)
    if entry is None and not Path(name).is_dir():
        raise NotFound(f"{name!r} is neither a model (`tasteline models list`) nor the folder of one")
    return entry.folder if entry else Path(name)


def register_ranker(home: Path, stored: StoredRanker, card: ModelCard, people: Sequence[str]) -> Entry:
    """`people`: ids of all whom it learned from."""
    return Registry(home).register(card, lambda folder: write_ranker(stored, folder), people)


def _is_ahead(report: Mapping[str, object]) -> bool:
    """Whether no baseline is better; equal will do, as where nothing can be told apart."""
    systems = cast(Mapping[str, Mapping[str, float]], report["systems"])
    ours = systems[LEARNED][MAIN_METRIC]
    return all(ours >= values[MAIN_METRIC] for values in systems.values())


def _repeat_share(dataset: Dataset) -> float:
    """Share of purchases of something that the person had bought before."""
    bought = dataset.interactions.where(dataset.interactions.types == PURCHASE)
    if not len(bought):
        return 0.0
    pairs = bought.users.astype(np.int64) * len(dataset.catalogue) + bought.items
    return 1.0 - len(np.unique(pairs)) / len(pairs)
