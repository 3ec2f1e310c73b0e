"""One turn of one side in a process of its own: load, warm up, do the work once under the clock, say what it took.

Takes the side's tasks and the command line, writes one line of JSON to standard output: seconds and CPU seconds of the
work, the highest resident memory in MiB after the imports, after loading and in all, and the values computed.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

K = 10
DEPTH = 100
WARM_UP_ROWS = 200

Work = Callable[[slice], Mapping[str, float]]
"""From raw arrays to the mean of every metric over the queries of the slice."""
Task = Callable[[Path], Work]
"""Loads what a user would hold in memory beforehand."""
Array = NDArray[Any]


def main(tasks: Mapping[str, Task]) -> None:
    """Run the task that the command line names over the folder that it names; `--cold` leaves out the warm-up."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    imports = peak_mib()
    work = tasks[name](folder)
    if "--cold" not in sys.argv:
        work(slice(WARM_UP_ROWS))  # first calls load and compile
    inputs = max(imports, peak_mib())  # Linux counts resident pages in batches: a later reading may lie a little lower
    wall, cpu = time.perf_counter(), time.process_time()
    values = work(slice(None))
    took = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    memory = {"imports_mib": imports, "inputs_mib": inputs, "peak_mib": max(inputs, peak_mib())}
    sys.stdout.write(json.dumps({**took, **memory, "values": {name: float(each) for name, each in values.items()}}))


def peak_mib() -> float:
    """Highest resident memory of this process so far.

    On Linux not `ru_maxrss`, which counts what the parent held when it started this process.
    """
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)


def rankings(folder: Path) -> tuple[Array, Array]:
    """What a recommender's user holds: items (n, 100), best first, and the one that each person turned to, (n, 1)."""
    return np.load(folder / "ranked.npy"), np.load(folder / "targets.npy")


def scores(folder: Path) -> tuple[Array, Array]:
    """A score for every item, (n, items), in memory as a model has just made them; targets (n, 1)."""
    return np.load(folder / "scores.npy"), np.load(folder / "targets.npy")


def judgements(folder: Path) -> tuple[Array, Array, Array, Array]:
    """A search run, documents and scores (n, 100) in no order; judged documents and their grades (n, judgements)."""
    names = ("run_documents", "run_scores", "judged_documents", "grades")
    documents, run_scores, judged, grades = (np.load(folder / f"{name}.npy") for name in names)
    return documents, run_scores, judged, grades


def partitioned(rows: Array) -> Array:
    """The 100 best items of each row as NumPy's documentation does it, 256 rows at a time."""
    best = np.empty((len(rows), DEPTH), dtype=np.int64)
    for start in range(0, len(rows), 256):
        chunk = rows[start : start + 256]
        found = np.argpartition(chunk, -DEPTH, axis=1)[:, -DEPTH:]
        order = np.argsort(-np.take_along_axis(chunk, found, axis=1), axis=1)
        best[start : start + 256] = np.take_along_axis(found, order, axis=1)
    return best
