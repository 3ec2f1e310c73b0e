"""Speed of recommendations: one request beside the bare calls of its models, and everybody's beside other libraries.

Takes a folder of histories (or none: then made-up ones of the same size), gives ratios from one run. One request is the
service's own `recommend` at ten items, from the stored history to the reasons; beside it, turn by turn, the least that
anybody with these models must do for the same person: the forward passes of the networks over the history and a FAISS
search with each. Then everybody: in processes of their own that take turns, the hundred items nearest to vectors of
people that lie ready, beside ALS of `implicit`, whose factors do too; and the whole pipeline beside SASRec of RecTools.

No weights are trained on either side, because what a pass takes does not depend on them. RecTools has no way to make a
model without `fit`; it gets two steps of it, before the clock. The million products are made up, with one narrower
network and shorter vectors of texts than the recipe's, so that the graph over them is built in minutes: both sides use
the same.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch

from eval.bench.recommending_shop import BenchShop, Contents, Size, made_up, of_folder, open_bench_shop
from eval.bench.rivals.turn import peak_mib
from eval.bench.sides import RIVALS_PYTHON, Contender, Sides, Turn, ratio_of, summary_of
from retrieval.adapters.threads import one_thread_each
from retrieval.models.ranker import FROM_EACH
from retrieval.recommend import RecommendationQuery
from tasteline.errors import SetupError

LIMIT = 10
WARM_UP = 20
MILLION = Size(items=1_000_000, people=100_000, dimension=64, width=32, encoders=("transformer",))
"""One network of a quarter of the recipe's width."""
CONTESTS: Mapping[str, tuple[Contender, Contender]] = {
    "recommend_batch_retrieval": (("ours_recommending", "retrieval"), ("with_implicit", "retrieval")),
    "recommend_batch": (("ours_recommending", "everybody"), ("with_rectools_sasrec", "everybody")),
}
"""Ratio → ours, theirs."""
Ask = Callable[[int], object]
"""One request, for the person of that number."""


@dataclass(slots=True)
class Asked:
    """Milliseconds of each request, a list for each turn."""

    raw: list[list[float]] = field(default_factory=list)
    ours: list[list[float]] = field(default_factory=list)

    def ratios(self, ending: str = "") -> dict[str, float]:
        """Raw over ours at a percentile, the median over the turns: 1 would be nothing but the models."""
        pairs = list(zip(self.raw, self.ours, strict=True))
        return {
            f"recommend_p{at}{ending}": median(_percentile(raw, at) / _percentile(ours, at) for raw, ours in pairs)
            for at in (50, 95)
        }

    def report(self) -> dict[str, Any]:
        """With the milliseconds that ours takes more: at a percentile of each side, and of the pairs' differences."""
        report: dict[str, Any] = {"turns": len(self.raw), "requests": len(self.raw[0])}
        for at in (50, 95):
            raw, ours = ([_percentile(turn, at) for turn in side] for side in (self.raw, self.ours))
            more = [theirs - bare for bare, theirs in zip(raw, ours, strict=True)]
            paired = [
                _percentile([mine - bare for bare, mine in zip(*turns, strict=True)], at)
                for turns in zip(self.raw, self.ours, strict=True)
            ]
            report |= {
                f"raw_p{at}_ms": [round(each, 3) for each in raw],
                f"tasteline_p{at}_ms": [round(each, 3) for each in ours],
                f"more_p{at}_ms": round(median(more), 3),
                f"more_of_pairs_p{at}_ms": round(median(paired), 3),
            }
        return report


def _percentile(values: Sequence[float], at: int) -> float:
    return float(np.percentile(values, at))


def run(
    data: Path | None,
    rivals_python: Path = RIVALS_PYTHON,
    repeats: int = 3,
    *,
    size: Size = Size(),
    million: Size | None = MILLION,
    requests: int = 300,
    threads: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """`{"bench": "recommend", "ratios": …, "raw": …}`; a ratio above 1 means that ours is faster.

    `million` None leaves the large shop out, which takes most of the time. Raises SetupError where the rivals are not
    installed, NotFound for a folder without data, RuntimeError where a side fails.
    """
    if not rivals_python.is_file():
        raise SetupError(f"{rivals_python} is missing: there is nothing to compare with.", remedy="make rivals")
    threads = threads or len(os.sched_getaffinity(0))
    ratios: dict[str, float] = {}
    raw: dict[str, Any] = {"machine": platform.machine(), "threads": threads, "repeats": repeats, "weights": "random"}
    with tempfile.TemporaryDirectory(prefix="bench-recommend-") as name:
        folder = Path(name)
        contents = _written(folder, data, size, seed)
        asked, raw["shop"] = _requests(contents, size, folder, requests, repeats, seed, everybody=True)
        ratios |= asked.ratios()
        for ratio, turns in _contests(Sides(folder, rivals_python, threads), repeats).items():
            ratios[ratio] = ratio_of("seconds", *turns)
            raw[ratio] = {"tasteline": summary_of(turns[0]), "theirs": summary_of(turns[1])}
    if million is not None:
        with tempfile.TemporaryDirectory(prefix="bench-recommend-") as name:
            large = made_up(million, seed)
            asked, raw["million"] = _requests(large, million, Path(name), requests, repeats, seed, everybody=False)
        ratios |= asked.ratios("_million")
    return {"bench": "recommend", "ratios": ratios, "raw": raw}


def _written(folder: Path, data: Path | None, size: Size, seed: int) -> Contents:
    """What all sides load: how the shop is made, and the histories as arrays."""
    contents = made_up(size, seed) if data is None else of_folder(data)
    shop = {"data": str(data.resolve()) if data else None, "size": asdict(size), "seed": seed}
    (folder / "shop.json").write_text(json.dumps(shop))
    np.save(folder / "starts.npy", contents.histories.starts)
    np.save(folder / "items.npy", contents.histories.items)
    return contents


def _requests(
    contents: Contents, size: Size, folder: Path, requests: int, repeats: int, seed: int, *, everybody: bool
) -> tuple[Asked, dict[str, Any]]:
    """The turns of both, and what they were of; with the events of `everybody` in the store, or of those asked for."""
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(np.flatnonzero(contents.histories.lengths > 0))[: requests + WARM_UP]
    people = np.arange(len(contents.histories)) if everybody else np.sort(drawn)
    began = perf_counter()
    shop = open_bench_shop(contents, size, folder, people, seed)
    took = perf_counter() - began
    building = torch.get_num_threads()
    torch.set_num_threads(1)  # as the service does, for both
    one_thread_each()
    places = drawn if everybody else np.arange(len(people))
    asked = _asked(_raw(shop), _ours(shop), places.tolist(), repeats)
    torch.set_num_threads(building)
    shop.close()
    histories = contents.histories
    return asked, {
        "products": len(contents.products),
        "people": len(histories),
        "histories": contents.name,
        "mean_steps": round(float(histories.lengths.mean()), 2),
        "networks": list(size.encoders),
        "width": size.width,
        "text_dimension": size.dimension,
        "counted_pairs": int(shop.stored.following.smoothed.nnz),
        "opened_in_seconds": round(took, 1),
        "peak_mib": round(peak_mib(), 1),
        **asked.report(),
    }


def _raw(shop: BenchShop) -> Ask:
    """The forward passes over a person's history, which lies in memory, and the nearest FROM_EACH of each."""
    with shop.live.read():
        shelf = shop.source.lay(shop.stored).shelf
    models = list(zip(shop.stored.networks.values(), shelf.vectors, strict=True))

    def ask(person: int) -> object:
        history = shop.histories.take(np.array([person]))
        with torch.inference_mode():
            return [
                index.search(network.people(history, index.vectors).numpy(), FROM_EACH) for network, index in models
            ]

    return ask


def _ours(shop: BenchShop) -> Ask:
    def ask(person: int) -> object:
        return shop.recommender.recommend(RecommendationQuery(user_id=shop.users[person], limit=LIMIT))

    return ask


def _asked(raw: Ask, ours: Ask, people: Sequence[int], repeats: int) -> Asked:
    """Both for each person in turn, who comes first changing; the first WARM_UP people do not count."""
    asked = Asked()
    for person in people[:WARM_UP]:
        raw(person)
        ours(person)
    for turn in range(repeats):
        taken: dict[str, list[float]] = {"raw": [], "ours": []}
        for place, person in enumerate(people[WARM_UP:]):
            sides = [("raw", raw), ("ours", ours)]
            for name, ask in sides if (turn + place) % 2 == 0 else reversed(sides):
                began = perf_counter()
                ask(person)
                taken[name].append(1000 * (perf_counter() - began))
        asked.raw.append(taken["raw"])
        asked.ours.append(taken["ours"])
    return asked


def _contests(sides: Sides, repeats: int) -> dict[str, tuple[list[Turn], list[Turn]]]:
    """Turns of ours and theirs, the order reversed from one round to the next. Both must have answered everybody."""
    contests: dict[str, tuple[list[Turn], list[Turn]]] = {name: ([], []) for name in CONTESTS}
    for name, contenders in CONTESTS.items():
        for round_ in range(repeats):
            for place in (0, 1) if round_ % 2 == 0 else (1, 0):
                contests[name][place].append(sides.turn(contenders[place]))
        ours, theirs = (turns[0]["values"] for turns in contests[name])
        if ours != theirs:
            raise RuntimeError(f"{name}: ours answered {ours}, theirs {theirs}")
    return contests
