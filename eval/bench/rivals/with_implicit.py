"""implicit's side: ALS over factors drawn at random, since what `recommend` takes does not depend on what they say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from implicit.als import AlternatingLeastSquares  # type: ignore[import-untyped,unused-ignore]
from scipy import sparse

from eval.bench.rivals import turn
from eval.bench.rivals.turn import DEPTH, Work

FACTORS = 128


def retrieval(folder: Path) -> Work:
    """The DEPTH best items of each person, those that they have among them, as in our turn."""
    starts, items = np.load(folder / "starts.npy"), np.load(folder / "items.npy")
    shape = (len(starts) - 1, int(items.max()) + 1)
    had = sparse.csr_matrix((np.ones(len(items), dtype=np.float32), items, starts), shape=shape)
    rng = np.random.default_rng(0)
    model = AlternatingLeastSquares(factors=FACTORS, num_threads=int(os.environ.get("OMP_NUM_THREADS", "1")))
    model.user_factors = rng.normal(size=(shape[0], FACTORS)).astype(np.float32)
    model.item_factors = rng.normal(size=(shape[1], FACTORS)).astype(np.float32)

    def work(rows: slice) -> Mapping[str, float]:
        people = np.arange(shape[0])[rows]
        found, _ = model.recommend(people, had[people], N=DEPTH, filter_already_liked_items=False)
        return {"people": len(people), "items": found.size}

    return work


if __name__ == "__main__":
    turn.main({"retrieval": retrieval})
