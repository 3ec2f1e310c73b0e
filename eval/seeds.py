"""Several results that differ in their seed alone, as one: what a system reaches whatever the luck of its draws.

Takes result mappings, gives the mapping of one result: the mean over seeds, with an interval over people of each
person's mean over seeds, and how far seeds lie apart. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from eval.data.packed import unpack
from eval.measured import number
from eval.metrics import bootstrap_intervals
from tasteline.errors import InvalidInput

RESAMPLES = 2_000
SAME = ("task", "dataset", "checksum", "protocol", "part", "commit")
"""What must be equal in all: otherwise something else than the seed has moved."""
_Systems = Mapping[str, Mapping[str, float | None]]


def over_seeds(results: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Raises InvalidInput for fewer than two results, for one seed twice, and for results that differ otherwise.

    >>> cases = {"count": 2, "names": ["x", "y"]}
    >>> def result(seed, values):
    ...     return {"seed": seed, "systems": {"learned": {"ndcg@10": sum(values) / 2}},
    ...             "per_case": {**cases, "values": {"learned": {"ndcg@10": values}}}}
    >>> found = over_seeds([result(0, [0.0, 1.0]), result(1, [0.5, 1.0])])
    >>> found["systems"], found["seeds"], found["spread"]
    ({'learned': {'ndcg@10': 0.625}}, [0, 1], {'learned': {'ndcg@10': [0.5, 0.75]}})
    """
    _require_comparable(results)
    columns = [
        (system, metric)
        for system, metrics in _values(results[0]).items()
        for metric in metrics
        if all(metric in _values(each).get(system, {}) for each in results)
    ]
    if not columns:
        raise InvalidInput("no system and metric is in all of the results")
    tables = np.stack([[_of_case(each, *column) for column in columns] for each in results])
    of_people = tables.mean(axis=0)  # (columns, cases)
    bounds = bootstrap_intervals(of_people.T, resamples=RESAMPLES, seed=0)
    systems: dict[str, dict[str, float | None]] = {}
    intervals: dict[str, dict[str, list[float | None]]] = {}
    spread: dict[str, dict[str, list[float | None]]] = {}
    for place, (system, metric) in enumerate(columns):
        means = np.nanmean(tables[:, place], axis=1)
        systems.setdefault(system, {})[metric] = number(float(means.mean()))
        intervals.setdefault(system, {})[metric] = [number(float(bound)) for bound in bounds[place]]
        spread.setdefault(system, {})[metric] = [number(float(means.min())), number(float(means.max()))]
    kept = {name: results[0][name] for name in (*SAME, "versions", "machine", "published") if name in results[0]}
    return {
        **kept,
        "systems": systems,
        "intervals": intervals,
        "spread": spread,
        "seeds": [each["seed"] for each in results],
        "notes": [
            "means over the seeds; the interval is over people, of each one's mean over the seeds; spread has the "
            "lowest and the highest mean of a seed",
            f"each seed was measured at commit {results[0].get('commit')}",
        ],
        "settings": {"resamples": RESAMPLES, "confidence": 0.95},
        "seed": None,
        "checksum": results[0].get("checksum"),
    }


def _require_comparable(results: Sequence[Mapping[str, object]]) -> None:
    if len(results) < 2:
        raise InvalidInput(f"{len(results)} result was given; a mean over seeds takes two and more")
    seeds = [each.get("seed") for each in results]
    if len(set(seeds)) < len(seeds):
        raise InvalidInput(f"the seeds are {', '.join(map(str, seeds))}; each may stand once")
    for name in SAME:
        values = {str(each.get(name)) for each in results}
        if len(values) > 1:
            raise InvalidInput(f"the results differ in {name}: {'; '.join(sorted(values))[:300]}")
    cases = [cast(Mapping[str, object], each["per_case"]) for each in results]
    if len({str([each.get("names"), each.get("ids")]) for each in cases}) > 1:
        raise InvalidInput("the results are not about the same cases")


def _values(result: Mapping[str, object]) -> Mapping[str, Mapping[str, object]]:
    return cast(Mapping[str, Mapping[str, object]], cast(Mapping[str, object], result["per_case"])["values"])


def _of_case(result: Mapping[str, object], system: str, metric: str) -> NDArray[np.float64]:
    values = _values(result)[system][metric]
    if isinstance(values, str):
        return unpack(values)
    return np.array([np.nan if value is None else value for value in cast(Sequence[float | None], values)])
