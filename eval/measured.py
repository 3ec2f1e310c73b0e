"""What a task measured, in one shape for all tasks: values of each case, and from them everything a result file says.

Takes for each system its metrics case by case; gives means, bootstrap intervals, slices and paired comparisons with
Holm's correction. Knows nothing of how a case was asked or a system works, nor where a result is kept (`eval.results`).

>>> ours, theirs = (SystemResult({"ndcg@10": np.array(each)}) for each in ([1.0, 0.5, 1.0], [0.0, 0.5, 0.0]))
>>> halves = Slice("length", ("short", "long"), np.array([0, 1, 1]))
>>> systems = {"tasteline": ours, "bm25": theirs}
>>> measured = Measured("search", "toy", "c0ffee", "by hand", ("a", "b", "c"), systems, [halves])
>>> report = measured.as_mapping()
>>> report["systems"]["bm25"], report["slices"]["length"]["long"]["systems"]["tasteline"]
({'ndcg@10': 0.166667}, {'ndcg@10': 0.75})
>>> [(row["baseline"], row["difference"]) for row in report["comparisons"]]
[('bm25', 0.666667)]
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eval.data.packed import pack
from eval.metrics.significance import bootstrap_intervals, holm, paired_randomisation_tests

OURS = "tasteline"
"""What the service would serve."""
NAMED_CASES = 1_000
"""Up to so many cases, a result names each and lists its values readably; beyond, it keeps a checksum and packs."""
LEAST_CASES = 5
"""A slice with fewer says how many it has and no number: nobody should read one."""
SLICE_RESAMPLES = 2_000
UNCOMPARED = ("judged@", "queries", "cases")
"""Beginnings of metrics that are no merit: nobody is better for having more of them."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """How a system learned: points of (x, valid value)."""

    x: str
    metric: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class SystemResult:
    """What one system reached."""

    values: Mapping[str, Values]
    """metric → value of each case, NaN where it is undefined."""
    whole: Mapping[str, float] = field(default_factory=dict)
    """metric → value of all rankings together, where there is none for a case (coverage, for example)."""
    latencies: Values = field(default_factory=lambda: np.zeros(0))
    """Milliseconds for one case, asked alone, one after the other; a sample of them."""
    fit_seconds: float | None = None
    chosen: Mapping[str, object] = field(default_factory=dict)
    """Settings, and which of them were chosen on valid."""
    curve: Curve | None = None

    def means(self) -> dict[str, float]:
        """Mean over the cases for which a metric is defined, NaN where there is none; then the metrics of the whole."""
        return {metric: mean(values) for metric, values in self.values.items()} | dict(self.whole)


@dataclass(frozen=True, slots=True)
class Slice:
    """A way of dividing the cases."""

    name: str
    labels: tuple[str, ...]
    """In the order in which they are shown."""
    codes: NDArray[np.integer]
    """(cases,) place of each case's label, -1 where it has none."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One task on one data set under one protocol."""

    task: str
    dataset: str
    checksum: str
    protocol: str
    cases: tuple[str, ...]
    """Name of each case: a query, a person."""
    systems: Mapping[str, SystemResult]
    slices: Sequence[Slice] = ()
    headline: tuple[str, ...] = ()
    """Metrics that are compared, sliced and kept case by case; all, where none is given."""
    settings: Mapping[str, object] = field(default_factory=dict)
    seed: int = 0
    seconds: float = 0.0
    resamples: int = 10_000
    reference: str = ""
    """Which system the others are compared with; "": ours, or where it is not measured the best by the first metric."""
    groups: NDArray[np.integer] | None = None
    """(cases,): cases of one code (steps of one session, say) are redrawn and swapped together; None: each alone."""
    more: Mapping[str, object] = field(default_factory=dict)
    """What else the result says: leak, test_looks, notes."""

    def as_mapping(self) -> dict[str, object]:
        """The result without commit and machine, which `eval.results` adds; undefined numbers are null."""
        return {
            "task": self.task,
            "dataset": self.dataset,
            "protocol": self.protocol,
            "systems": {name: numbers(result.means()) for name, result in self.systems.items()},
            "intervals": self._intervals(np.arange(len(self.cases)), self._metrics(), self.resamples),
            "comparisons": self._comparisons(),
            "slices": {each.name: self._slice(each) for each in self.slices},
            "latency_ms": {
                name: latency(result.latencies) for name, result in self.systems.items() if len(result.latencies)
            },
            "fit_seconds": {
                name: round(result.fit_seconds, 2)
                for name, result in self.systems.items()
                if result.fit_seconds is not None
            },
            "chosen": {name: dict(result.chosen) for name, result in self.systems.items() if result.chosen},
            "curves": {name: _curve(result.curve) for name, result in self.systems.items() if result.curve},
            "per_case": self._per_case(),
            **self.more,
            "settings": {"confidence": 0.95, "resamples": self.resamples, **self.settings},
            "seed": self.seed,
            "checksum": self.checksum,
            "seconds": round(self.seconds, 3),
        }

    def _metrics(self) -> list[str]:
        return list(dict.fromkeys(metric for result in self.systems.values() for metric in result.values))

    def _headline(self) -> list[str]:
        return [metric for metric in self._metrics() if not self.headline or metric in self.headline]

    def _table(self, places: NDArray[np.integer], metrics: Sequence[str]) -> tuple[list[tuple[str, str]], Values]:
        """(system, metric) of each column, and the columns."""
        columns = [
            (name, metric) for name, result in self.systems.items() for metric in metrics if metric in result.values
        ]
        if not columns:
            return [], np.zeros((len(places), 0))
        return columns, np.stack([self.systems[name].values[metric][places] for name, metric in columns], axis=1)

    def _intervals(
        self, places: NDArray[np.integer], metrics: Sequence[str], resamples: int
    ) -> dict[str, dict[str, list[float | None]]]:
        columns, table = self._table(places, metrics)
        result: dict[str, dict[str, list[float | None]]] = {name: {} for name in self.systems}
        bounds: Values = (
            bootstrap_intervals(table, groups=self._groups(places), resamples=resamples, seed=self.seed)
            if columns
            else np.zeros((0, 2))
        )
        for (name, metric), (low, high) in zip(columns, bounds, strict=True):
            result[name][metric] = [number(low), number(high)]
        return result

    def _groups(self, places: NDArray[np.integer]) -> NDArray[np.integer] | None:
        return None if self.groups is None else self.groups[places]

    def _slice(self, each: Slice) -> dict[str, object]:
        return {
            label: self._part(places)
            for code, label in enumerate(each.labels)
            if len(places := np.flatnonzero(each.codes == code))
        }

    def _part(self, places: NDArray[np.integer]) -> dict[str, object]:
        if len(places) < LEAST_CASES and len(self.cases) >= NAMED_CASES:
            return {"cases": len(places), "systems": {}, "intervals": {}}
        columns, table = self._table(places, self._headline())
        systems: dict[str, dict[str, float | None]] = {name: {} for name in self.systems}
        for (name, metric), values in zip(columns, table.T, strict=True):
            systems[name][metric] = number(mean(values))
        intervals = self._intervals(places, self._headline(), SLICE_RESAMPLES)
        return {"cases": len(places), "systems": systems, "intervals": intervals}

    @property
    def against(self) -> str:
        """The name that `reference` stands for."""
        if self.reference:
            return self.reference
        if OURS in self.systems:
            return OURS
        first = self._headline()[0]
        return max(self.systems, key=lambda name: _or_least(self.systems[name].means().get(first, math.nan)))

    def _comparisons(self) -> list[dict[str, object]]:
        if len(self.systems) < 2:
            return []
        ours = self.systems[self.against].values
        pairs = [
            (name, metric)
            for name, result in self.systems.items()
            for metric in self._headline()
            if name != self.against and metric in result.values and metric in ours and not metric.startswith(UNCOMPARED)
        ]
        if not pairs:
            return []
        our_values = np.stack([ours[metric] for _, metric in pairs], axis=1)
        their_values = np.stack([self.systems[name].values[metric] for name, metric in pairs], axis=1)
        differences = our_values - their_values
        p_values = paired_randomisation_tests(
            our_values, their_values, groups=self.groups, permutations=self.resamples, seed=self.seed
        )
        bounds = bootstrap_intervals(differences, groups=self.groups, resamples=self.resamples, seed=self.seed)
        return [
            {
                "against": self.against,
                "baseline": name,
                "metric": metric,
                "difference": number(mean(differences[:, place])),
                "interval": [number(each) for each in bounds[place]],
                "p": number(p_values[place]),
                "p_corrected": number(corrected),
            }
            for place, ((name, metric), corrected) in enumerate(zip(pairs, holm(list(p_values)), strict=True))
        ]

    def _per_case(self) -> dict[str, object]:
        named = len(self.cases) <= NAMED_CASES
        names = {"names": list(self.cases)} if named else {"ids": names_checksum(self.cases)}
        values = {
            name: {
                metric: [number(value) for value in result.values[metric]] if named else pack(result.values[metric])
                for metric in self._headline()
                if metric in result.values
            }
            for name, result in self.systems.items()
        }
        groups = {} if self.groups is None else {"groups": pack(np.asarray(self.groups, dtype=np.float64))}
        return {"count": len(self.cases), **names, **groups, "values": values}


def names_checksum(cases: Sequence[str]) -> str:
    """SHA-256 over the names of the cases in their order: two results with the same one can be paired."""
    return hashlib.sha256("\0".join(cases).encode()).hexdigest()


def binned(name: str, values: NDArray[np.integer] | Values, edges: Sequence[tuple[str, float]]) -> Slice:
    """A slice by size: each (label, from) holds the values from its own to the next one's `from`.

    >>> binned("history", np.array([1, 3, 12]), [("1", 1), ("2–4", 2), ("5+", 5)]).codes.tolist()
    [0, 1, 2]
    """
    starts = np.array([start for _, start in edges], dtype=np.float64)
    codes = np.searchsorted(starts, np.asarray(values, dtype=np.float64), side="right") - 1
    return Slice(name, tuple(label for label, _ in edges), np.where(np.isnan(values), -1, codes))


def named(name: str, labels: Sequence[str], *, most: int = 12) -> Slice:
    """A slice by name: the `most` frequent labels, others together as "other"; "" is no label.

    >>> named("category", ["a", "b", "a", "", "c"], most=1).codes.tolist()
    [0, 1, 0, -1, 1]
    """
    distinct, inverse, counts = np.unique(
        np.array(labels, dtype=object).astype(str), return_inverse=True, return_counts=True
    )
    order = [place for place in np.argsort(-counts, kind="stable") if distinct[place]]
    kept = order[:most]
    code_of = np.full(len(distinct), len(kept))
    code_of[kept] = np.arange(len(kept))
    code_of[distinct == ""] = -1
    names = [str(distinct[place]) for place in kept] + (["other"] if len(order) > most else [])
    return Slice(name, tuple(names), code_of[inverse])


def mean(values: Values) -> float:
    """Over what is defined; NaN where nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def number(value: float) -> float | None:
    """Six digits are beyond what any set of cases can tell apart, and keep result files readable."""
    return round(float(value), 6) if math.isfinite(value) else None


def numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: number(value) for name, value in values.items()}


def latency(milliseconds: Values) -> dict[str, float | None]:
    return {f"p{share}": number(float(np.percentile(milliseconds, share))) for share in (50, 95)}


def _or_least(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _curve(curve: Curve) -> dict[str, object]:
    return {
        "x": curve.x,
        "metric": curve.metric,
        "points": [[number(x), number(y)] for x, y in curve.points],
    }
