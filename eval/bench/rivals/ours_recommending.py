"""Our side of everybody's recommendations: in a shop that was made before, see `eval.bench.recommending_shop`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from eval.bench.recommending_shop import BenchShop, Size, made_up, of_folder, open_bench_shop
from eval.bench.rivals import turn
from eval.bench.rivals.turn import DEPTH, K, Work
from retrieval.adapters.threads import one_thread_each, one_torch_thread
from retrieval.batch import recommend_everybody
from retrieval.models.ranker import TOGETHER
from retrieval.recommend import RecommendationQuery


def _shop(folder: Path) -> BenchShop:
    made = json.loads((folder / "shop.json").read_text())
    size = Size(**{**made["size"], "encoders": tuple(made["size"]["encoders"])})
    contents = of_folder(Path(made["data"])) if made["data"] else made_up(size, made["seed"])
    shop = open_bench_shop(contents, size, folder, np.arange(len(contents.histories)), made["seed"])
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    return shop


def retrieval(folder: Path) -> Work:
    """The DEPTH items nearest to each person, whose vectors by the first network lie ready, as the other side's do."""
    shop = _shop(folder)
    network, index = next(iter(shop.stored.networks.values())), shop.source.lay(shop.stored).shelf.vectors[0]
    with torch.inference_mode():
        parts = np.split(np.arange(len(shop.histories)), range(TOGETHER, len(shop.histories), TOGETHER))
        vectors = np.concatenate([network.people(shop.histories.take(part), index.vectors).numpy() for part in parts])

    def work(rows: slice) -> Mapping[str, float]:
        found, _ = index.search(vectors[rows], DEPTH)
        return {"people": len(found), "items": found.size}

    return work


def everybody(folder: Path) -> Work:
    """The whole pipeline, from the events in the store, as `tasteline recommend --all`."""
    shop = _shop(folder)
    one_torch_thread()
    one_thread_each()

    def work(rows: slice) -> Mapping[str, float]:
        if rows.stop is not None:  # the warm-up
            found = [
                len(shop.recommender.recommend(RecommendationQuery(user_id=each, limit=K)).items)
                for each in shop.users[rows]
            ]
        else:
            found = [len(each.product_ids) for each in recommend_everybody(shop.live, shop.store, shop.recommender, K)]
        return {"people": len(found), "items": sum(found)}

    return work


if __name__ == "__main__":
    turn.main({"retrieval": retrieval, "everybody": everybody})
