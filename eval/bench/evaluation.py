"""Speed of the harness itself: our metrics beside RecTools, ranx and pytrec_eval, on the same arrays in one run.

Takes a data set's folder (or none: then made-up people, as many) and the interpreter of `make rivals`, gives ratios.
Every turn of every side is a process of its own (`eval.bench.rivals`) under the same limit of threads. Sides take
turns, so that a busy machine slows all, and a ratio is the median over the turns. All start from the same arrays;
what a library wants instead of them (tables, dictionaries, typed lists) it builds under the clock. Imports and a first
small call, which loads and compiles, come before it. The values of both sides must agree.

Rankings are made up: items drawn by popularity, the true one lifted so that it is found as often as by a good system.
What they cost does not depend on whose they are.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from eval.bench.sides import RIVALS_PYTHON, Contender, Sides, Turn, ratio_of, summary_of
from eval.metrics import top_k
from tasteline.errors import NotFound, SetupError

TOLERANCE = 1e-6

CONTESTS: Mapping[str, Mapping[str, Contender]] = {
    "rankings": {
        "eval_rectools": ("with_rectools", "rankings"),
        "eval_ranx": ("with_ranx", "rankings"),
        "eval_ranx_objects": ("with_ranx", "rankings_objects"),
        "eval_ranx_arrays": ("with_ranx", "rankings_arrays"),
    },
    "scores": {
        "eval_rectools_scores": ("with_rectools", "scores"),
        "eval_ranx_scores": ("with_ranx", "scores"),
        "eval_ranx_arrays_scores": ("with_ranx", "scores_arrays"),
    },
    "ranks": {
        "eval_rectools_ranks": ("with_rectools", "scores"),
        "eval_ranx_ranks": ("with_ranx", "scores"),
    },
    "judgements": {
        "eval_pytrec": ("with_pytrec_eval", "judgements"),
        "eval_pytrec_prebuilt": ("with_pytrec_eval", "judgements_prebuilt"),
    },
}
"""Our task → the name of a ratio → who does the same work. `eval_ranx` is its fastest way from ids to values,
`…_objects` the one that it documents, `…_arrays` what its signature allows besides: numbers only, no ids. From the
same scores `…_scores` takes the best of each row on both sides, `…_ranks` on theirs only: one target needs no list."""
OURS_ALONE = ("rankings_checked", "best", "best_torch")
"""What else is timed on our side, for the raw numbers."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    people: int = 22_363
    """Like `items` those of amazon-beauty; the folder's own numbers count where one is given."""
    items: int = 12_101
    depth: int = 100
    queries: int = 20_000
    growth: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    """Numbers of people, ascending."""


def run(
    data: Path | None,
    rivals_python: Path = RIVALS_PYTHON,
    repeats: int = 5,
    *,
    size: Size | None = None,
    threads: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """`{"bench": "eval", "ratios": …, "raw": …}`; a ratio above 1 means that ours is faster, or smaller.

    `data` holds an `interactions.csv` whose popularities and people are taken; None makes both up. Needs 1.2 GB of
    disk for the score matrix, and ten minutes. `threads` limits every side (all cores where not given). Raises
    SetupError where the rivals are not installed, NotFound for a folder without data, RuntimeError where a side fails
    or computes something else than ours.
    """
    if not rivals_python.is_file():
        raise SetupError(f"{rivals_python} is missing: there is nothing to compare with.", remedy="make rivals")
    size = size or Size()
    threads = threads or len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="bench-eval-") as name:
        bench = Sides(Path(name), rivals_python, threads)
        used = write_inputs(bench.folder, data, size, np.random.default_rng(seed))
        first_calls = {name: bench.turn(of, "--cold") for name, of in _compiled().items()}
        contests = {task: _contest(bench, task, rivals, repeats) for task, rivals in CONTESTS.items()}
        alone = {task: [bench.turn(("ours", task)) for _ in range(repeats)] for task in OURS_ALONE}
        growth = {people: [bench.turn(("ours", f"growth-{people}")) for _ in range(repeats)] for people in size.growth}
    ratios = {name: ratio for task, contest in contests.items() for name, ratio in _ratios(task, contest).items()}
    ratios["eval_growth_per_person"] = _per_person(growth, min(growth)) / _per_person(growth, max(growth))
    raw = {
        "machine": platform.machine(),
        "threads": threads,
        "repeats": repeats,
        **used,
        **{task: {side: summary_of(turns) for side, turns in contest.items()} for task, contest in contests.items()},
        "first_call_seconds": {name: round(turn["seconds"], 2) for name, turn in first_calls.items()},
        "ours_alone": {task: summary_of(turns) for task, turns in alone.items()},
        "growth": {str(people): summary_of(turns) for people, turns in growth.items()},
    }
    return {"bench": "eval", "ratios": ratios, "raw": raw}


def write_inputs(folder: Path, data: Path | None, size: Size, rng: np.random.Generator) -> dict[str, Any]:
    """Write what all sides load (`eval.bench.rivals.turn` names it); gives what it is, for the result."""
    counts, targets = _made_up(size, rng) if data is None else _popularity(data)
    np.save(folder / "targets.npy", targets[:, None])
    shape = (len(targets), len(counts))
    scores = np.lib.format.open_memmap(folder / "scores.npy", "w+", np.float32, shape)
    for start in range(0, len(targets), 1024):
        of = targets[start : start + 1024]
        scores[start : start + 1024] = _scores(np.log(counts), of, rng)
    ranked = top_k(scores, size.depth)[0]
    np.save(folder / "ranked.npy", ranked)
    del scores
    _write_judgements(folder, size, rng)
    found = float((ranked[:, :10] == targets[:, None]).any(axis=1).mean())
    return {
        "people": shape[0],
        "items": shape[1],
        "depth": size.depth,
        "queries": size.queries,
        "popularity": "made up" if data is None else data.name,
        "recall@10": round(found, 4),
    }


def _popularity(data: Path) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """How often each item occurs in train, and the valid item of every person; the test part is not looked at."""
    path = data / "interactions.csv"
    if not path.is_file():
        raise NotFound(f"{path} does not exist; give a folder with items.csv and interactions.csv")
    rows = pl.read_csv(path, columns=["item_id", "split"], schema_overrides={"item_id": pl.String})
    numbers = {item: number for number, item in enumerate(rows["item_id"].unique().sort())}
    coded = rows.with_columns(pl.col("item_id").replace_strict(numbers, return_dtype=pl.Int32))
    train = coded.filter(pl.col("split") == "train")["item_id"].to_numpy()
    targets = coded.filter(pl.col("split") == "valid")["item_id"].to_numpy().astype(np.int32)
    counts = np.bincount(train, minlength=len(numbers)).astype(np.float64)
    return counts + 0.5, targets


def _made_up(size: Size, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Popularity that falls as in a shop, seven events for each person; targets drawn by it."""
    falling = rng.permutation(1 / (np.arange(size.items) + 20.0) ** 0.8)
    counts = 7 * size.people * falling / falling.sum()
    return counts, rng.choice(size.items, size.people, p=counts / counts.sum()).astype(np.int32)


def _scores(
    log_counts: NDArray[np.float64], targets: NDArray[np.int32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Log popularity and Gumbel noise, so that sorting draws items by popularity; three targets of ten lifted."""
    noise = rng.standard_exponential((len(targets), len(log_counts)), dtype=np.float32)
    scores = log_counts.astype(np.float32) - np.log(np.maximum(noise, np.float32(1e-30)))
    # The r-th largest lies near log(sum of counts) - log(r): lifted ones come out between ranks 2 and 200.
    total = float(np.logaddexp.reduce(log_counts))
    lifted = np.flatnonzero(rng.random(len(targets)) < 0.3)
    scores[lifted, targets[lifted]] = total - rng.uniform(np.log(2), np.log(200), len(lifted))
    return scores


def _write_judgements(folder: Path, size: Size, rng: np.random.Generator) -> None:
    """Queries with 100 documents each, of which 20 are among the 50 that were judged 0 to 3."""
    documents = 49_999  # prime, so that an arithmetic progression repeats nothing
    first, step = rng.integers(0, documents, (size.queries, 1)), rng.integers(1, documents, (size.queries, 1))
    shown = ((first + step * np.arange(130)) % documents).astype(np.int32)
    grades = rng.choice([0.0, 1.0, 2.0, 3.0], size=(size.queries, 50), p=[0.5, 0.25, 0.15, 0.1])
    grades[:, 0] = np.maximum(grades[:, 0], 1.0)  # a query without a relevant document counts 0 there, not here
    np.save(folder / "run_documents.npy", shown[:, :100])
    np.save(folder / "run_scores.npy", rng.permuted(np.tile(np.arange(100.0), (size.queries, 1)), axis=1))
    np.save(folder / "judged_documents.npy", np.concatenate([shown[:, :20], shown[:, 100:]], axis=1))
    np.save(folder / "grades.npy", grades)


def _compiled() -> Mapping[str, Contender]:
    return {name: of for rivals in CONTESTS.values() for name, of in rivals.items() if of[0] == "with_ranx"}


def _contest(bench: Sides, task: str, rivals: Mapping[str, Contender], repeats: int) -> dict[str, list[Turn]]:
    """Turns of ours and of every rival, the order reversed from one round to the next."""
    sides = {"ours": ("ours", task), **rivals}
    turns: dict[str, list[Turn]] = {name: [] for name in sides}
    for round_ in range(repeats):
        for name in sides if round_ % 2 == 0 else reversed(sides):
            turns[name].append(bench.turn(sides[name]))
    for name in rivals:
        _agree(name, turns["ours"][0]["values"], turns[name][0]["values"])
    return turns


def _agree(name: str, ours: Mapping[str, float], theirs: Mapping[str, float]) -> None:
    if ours.keys() != theirs.keys() or not all(abs(ours[metric] - theirs[metric]) <= TOLERANCE for metric in ours):
        raise RuntimeError(f"{name} measures something else: ours {dict(ours)}, theirs {dict(theirs)}")


def _ratios(task: str, contest: Mapping[str, Sequence[Turn]]) -> dict[str, float]:
    """Of seconds for every rival; of peak memory, too, where no score matrix outweighs the rest."""
    ours, rivals = contest["ours"], {name: turns for name, turns in contest.items() if name != "ours"}
    ratios = {name: ratio_of("seconds", ours, turns) for name, turns in rivals.items()}
    memory = {f"{name}_memory": ratio_of("peak_mib", ours, turns) for name, turns in rivals.items()}
    return ratios if task in {"scores", "ranks"} else {**ratios, **memory}


def _per_person(growth: Mapping[int, Sequence[Turn]], people: int) -> float:
    return float(median(turn["seconds"] for turn in growth[people])) / people
