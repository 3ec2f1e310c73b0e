"""RecTools' side of a training: its SASRec, epoch by epoch, of the shape and loss that its authors report best.

One block, one head, width 64, the last 50 steps, sampled softmax with 256 negatives (github.com/blondered/
transformer_benchmark); everything else as the library sets it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped,unused-ignore]
import torch
from pytorch_lightning import Trainer  # type: ignore[import-not-found,unused-ignore]
from rectools import Columns  # type: ignore[import-not-found,unused-ignore]
from rectools.dataset import Dataset  # type: ignore[import-not-found,unused-ignore]
from rectools.models import SASRecModel  # type: ignore[import-not-found,unused-ignore]

from eval.bench.rivals import turn
from eval.bench.rivals.curve import Curve, K, Over, mean_ndcg
from eval.bench.rivals.turn import Work


def _trainer() -> Any:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return Trainer(max_epochs=1, accelerator="cpu", enable_model_summary=False, **quiet)


def _dataset(folder: Path, name: str) -> Any:
    starts, items = np.load(folder / f"{name}_starts.npy"), np.load(folder / f"{name}_items.npy")
    owners = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    table = pd.DataFrame({Columns.User: owners, Columns.Item: items, Columns.Weight: 1.0})
    table[Columns.Datetime] = pd.to_datetime(np.arange(len(items)), unit="s")
    return Dataset.construct(table)


def sasrec(folder: Path) -> Work:
    """Seconds and nDCG@10 of each epoch."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    torch.set_num_threads(threads)
    made = json.loads((folder / "training.json").read_text())
    torch.manual_seed(made["seed"])
    train, asked = _dataset(folder, "train"), _dataset(folder, "asked")
    targets = np.load(folder / "targets.npy")
    model = SASRecModel(
        n_blocks=1, n_heads=1, n_factors=64, session_max_len=50, train_min_user_interactions=2,
        loss="sampled_softmax", n_negatives=256, recommend_n_threads=threads, get_trainer_func=_trainer,
    )  # fmt: skip

    def measure() -> float:
        found = model.recommend(
            users=np.arange(len(targets)), dataset=asked, k=K, filter_viewed=True, on_unsupported_targets="ignore"
        )
        ranked = np.full((len(targets), K), -1, dtype=np.int64)
        ranked[found[Columns.User].to_numpy(), found[Columns.Rank].to_numpy() - 1] = found[Columns.Item].to_numpy()
        return mean_ndcg(ranked, targets)

    def work(rows: slice) -> Mapping[str, float]:
        curve = Curve(made["seconds"], made["patience"])
        try:
            while True:
                model.fit_partial(train, min_epochs=1, max_epochs=1)
                curve.stop()
                curve.measured(measure())
        except Over:
            return curve.values()

    return work


if __name__ == "__main__":
    turn.main({"sasrec": sasrec})
