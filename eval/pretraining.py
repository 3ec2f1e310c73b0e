"""`tasteline eval pretraining`: does what a network learned in one shop spare another shop time?

Takes two sets and the recipe's transformer, gives both learning curves of the second shop, from nothing and from the
network of the first, with the epochs and seconds that each takes to given values. Both end their test parts unread:
what is measured is valid, after every epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from eval.data.loading import load
from eval.learned import Heard, Keeping
from eval.recommending import Bench, learning_of, split_of
from eval.served import Progress
from eval.systems import Learning
from finetune.pretrained import Pretrained
from finetune.training import Epoch, best_of
from tasteline.settings import Settings

NETWORK = "transformer"
LEVELS = (0.5, 0.75, 0.9, 1.0)
"""Shares of the best value from nothing."""


def run_pretraining(
    first: str,
    data: str,
    settings: Settings,
    heard: Heard = lambda part, epoch: None,
    progress: Progress | None = None,
    *,
    epochs: int = 12,
    seed: int = 0,
) -> dict[str, object]:
    """The result; what was trained before is read back, its seconds with it."""
    there, here = (_bench(each, settings, heard, progress, seed) for each in (first, data))
    recipe = there[0].recipe
    vocabularies, corpora = zip(*(bench.materials.corpus(learning) for bench, learning in (there, here)), strict=True)
    network, seen = Keeping(there[1].cache)(
        corpora[0], recipe.networks[NETWORK], recipe.schedule, seed=seed, told=partial(heard, first)
    )
    begun = Pretrained.of(network, *vocabularies)
    schedule = replace(recipe.schedule, epochs=epochs, measure_from=1, measure_every=1, patience=epochs)
    curves = {}
    for name, given in (("from nothing", ()), ("pre-trained", (begun,))):
        fit = Keeping(here[1].cache, given)
        told = partial(heard, name)
        curves[name] = fit(corpora[1], recipe.networks[NETWORK], schedule, seed=seed, told=told)[1]
    names = [learning.dataset for _, learning in (there, here)]
    return {
        "task": "pretraining",
        "dataset": " to ".join(names),
        "checksum": hashlib.sha256(" ".join(learning.checksum for _, learning in (there, here)).encode()).hexdigest(),
        "protocol": (
            f"The transformer of the recipe learns {names[1]} from nothing, and from the network of {names[0]}: its "
            "encoder, its projection of texts and the attributes with the same names, no vector of an item. nDCG@10 on "
            "the valid part, of the averaged weights, after every epoch."
        ),
        "settings": {"epochs": epochs, **asdict(recipe.networks[NETWORK])},
        "seed": seed,
        "pretraining": {"epochs": best_of(seen).number, "seconds": round(seen[-1].seconds, 1)},
        "shared_names": [len(here) for here, _ in begun.same],
        "systems": rows_of(curves),
        "curves": {
            name: {"x": "epoch", "metric": "ndcg@10", "points": [(each.number, each.value) for each in curve]}
            for name, curve in curves.items()
        },
    }


def rows_of(curves: Mapping[str, Sequence[Epoch]]) -> dict[str, dict[str, float]]:
    """The best of each curve, and when it first comes to LEVELS of the best of the first one, if it does.

    >>> slow = [Epoch(1, 10.0, 0.0, 0.02), Epoch(2, 20.0, 0.0, 0.04)]
    >>> rows = rows_of({"slow": slow, "fast": [Epoch(1, 9.0, 0.0, 0.05)]})
    >>> [(row["ndcg@10"], row["epochs to .0400"], row["seconds to .0400"]) for row in rows.values()]
    [(0.04, 2, 20.0), (0.05, 1, 9.0)]
    """
    best = max(epoch.value for epoch in next(iter(curves.values())))
    rows: dict[str, dict[str, float]] = {}
    for name, curve in curves.items():
        rows[name] = {"ndcg@10": max(epoch.value for epoch in curve)}
        for level in LEVELS:
            value = level * best
            there = next((epoch for epoch in curve if epoch.value >= value), None)
            if there:
                label = f"{value:.4f}".lstrip("0")
                rows[name] |= {f"epochs to {label}": there.number, f"seconds to {label}": round(there.seconds, 1)}
    return rows


def _bench(data: str, settings: Settings, heard: Heard, progress: Progress | None, seed: int) -> tuple[Bench, Learning]:
    dataset = load(Path(data))
    split = split_of(dataset, "leave-one-out")
    return Bench(settings, dataset, progress, heard), learning_of(dataset, split, settings, seed)
