"""Our side of a training: the recipe's transformer, as `tasteline train next-item` trains it, measured every epoch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from eval.bench.rivals import turn
from eval.bench.rivals.curve import Curve, Over
from eval.bench.rivals.turn import Work
from eval.data.loading import load
from eval.learned import steps_of
from eval.recommending import Bench, learning_of, split_of
from finetune.next_item import train_network, valid_ndcg
from retrieval.models.network import NextItemNetwork
from tasteline.settings import Settings


def transformer(folder: Path) -> Work:
    """Seconds and nDCG@10 of each epoch; the vectors of texts are there before the clock, as in a shop's index."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    made = json.loads((folder / "training.json").read_text())
    dataset = load(made["data"])
    split = split_of(dataset, "leave-one-out")
    bench = Bench(Settings(home=Path(made["home"])), dataset, None)
    _, corpus = bench.materials.corpus(learning_of(dataset, split, bench.settings, made["seed"]))
    cases = split.test if made["part"] == "test" else split.valid
    asked = replace(
        corpus,
        valid=steps_of(cases.histories, timed=False).merged(),
        valid_targets=cases.targets.items[cases.targets.starts[:-1]].astype(np.int64),
    )
    schedule = replace(bench.recipe.schedule, measure_from=1, measure_every=1)

    def work(rows: slice) -> Mapping[str, float]:
        curve = Curve(made["seconds"], made["patience"])

        def measure(network: NextItemNetwork) -> float:
            curve.stop()
            value = valid_ndcg(network, asked)
            curve.measured(value)
            return value

        settings = bench.recipe.networks["transformer"]
        with suppress(Over):
            train_network(corpus, settings, schedule, seed=made["seed"], measure=measure)
        return curve.values()

    return work


if __name__ == "__main__":
    turn.main({"transformer": transformer})
