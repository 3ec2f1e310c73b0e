"""RecTools' side of everybody's recommendations: its SASRec of the shape of our transformer, as its manual asks it.

Two steps of training make the model; they come before the clock.
"""

from __future__ import annotations

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
from eval.bench.rivals.turn import K, Work

STEPS = 2


def _trainer() -> Any:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return Trainer(max_epochs=1, max_steps=STEPS, accelerator="cpu", enable_model_summary=False, **quiet)


def everybody(folder: Path) -> Work:
    """The K best for everybody without what they have."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    starts, items = np.load(folder / "starts.npy"), np.load(folder / "items.npy")
    owners = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    table = pd.DataFrame({Columns.User: owners, Columns.Item: items, Columns.Weight: 1.0})
    table[Columns.Datetime] = pd.to_datetime(np.arange(len(items)), unit="s")
    dataset = Dataset.construct(table)
    model = SASRecModel(
        n_blocks=1, n_heads=1, n_factors=128, session_max_len=50, train_min_user_interactions=2,
        recommend_n_threads=int(os.environ.get("OMP_NUM_THREADS", "1")), get_trainer_func=_trainer,
    )  # fmt: skip
    model.fit(dataset)
    people = np.unique(owners)

    def work(rows: slice) -> Mapping[str, float]:
        asked = people[rows]
        found = model.recommend(users=asked, dataset=dataset, k=K, filter_viewed=True)
        return {"people": len(asked), "items": len(found)}

    return work


if __name__ == "__main__":
    turn.main({"everybody": everybody})
