"""What moved between two results, and is it noise?

Takes two result files as mappings, gives a Comparison. Where both asked the same cases of the same data under the same
protocol, every system and metric is tested in pairs, with Holm's correction over all of them. Otherwise it refuses the
test, says why, and only sets the intervals side by side. Knows no task and runs nothing.

>>> cases = {"count": 3, "names": ["x", "y", "z"]}
>>> def result(values):
...     return {"checksum": "c0ffee", "protocol": "by hand", "systems": {"bm25": {"ndcg@10": sum(values) / 3}},
...             "per_case": {**cases, "values": {"bm25": {"ndcg@10": values}}}}
>>> found = compare(result([0.0, 0.5, 1.0]), result([0.5, 0.5, 1.0]))
>>> found.paired, found.rows[0].verdict, round(found.rows[0].difference, 3)
(True, 'noise', 0.167)
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.data.packed import unpack
from eval.metrics.significance import bootstrap_intervals, holm, paired_randomisation_tests
from eval.report.reading import Result, Verdict, read, verdict
from eval.report.tables import bounds, cell, digits_of, number
from tasteline.errors import InvalidInput, NotFound

Moved = Verdict | Literal["same", "apart", "overlapping"]
"""`same`: equal in every case. Unpaired: the intervals of both are `apart` or `overlapping`."""
CONDITIONS = ("settings", "chosen", "versions", "machine")
"""Groups of a result that say how it came about."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """One system on one metric, in A and in B."""

    system: str
    metric: str
    before: float | None
    after: float | None
    difference: float | None
    """B minus A: over the pairs where paired, else of the two means."""
    interval: tuple[float, float] | None
    """95 % bootstrap interval of the paired difference; None where unpaired."""
    p: float | None
    p_corrected: float | None
    verdict: Moved
    intervals: tuple[tuple[float, float] | None, tuple[float, float] | None] = (None, None)
    """Of A's and B's means, where the files have them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting, version or other condition that is not the same; "–" where a file does not have it."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` found."""

    names: tuple[str, str]
    dataset: str
    protocol: str
    paired: bool
    reasons: tuple[str, ...]
    """Why the paired test was refused; empty where it was made."""
    cases: int | None
    """How many pairs; None where unpaired."""
    rows: tuple[Row, ...]
    only: tuple[str, ...]
    """Systems that one file alone has."""
    conditions: tuple[Difference, ...]

    def as_mapping(self) -> dict[str, object]:
        """The shape of `eval compare --json`."""
        return {"task": "compare", **asdict(self), "summary": dict(Counter(row.verdict for row in self.rows))}

    def markdown(self) -> str:
        """What moved as a table, under one line that sums it up, above what else differs."""
        counted = Counter(row.verdict for row in self.rows)
        sums = ", ".join(f"{count} {word}" for word, count in counted.most_common()) or "no system and metric in both"
        lines = [f"**A = {self.names[0]}, B = {self.names[1]}**: {sums}", "", *self._basis(), ""]
        lines += _table(_HEAD if self.paired else _HEAD_UNPAIRED, [self._cells(row) for row in self.rows])
        if self.only:
            lines += ["", f"In one of them only: {', '.join(self.only)}"]
        if self.conditions:
            rows = [(each.what, each.before, each.after) for each in self.conditions]
            lines += ["", "What else differs:", "", *_table(("", *self.names), rows)]
        return "\n".join(lines)

    def _basis(self) -> list[str]:
        if self.paired:
            return [
                f"{self.cases} cases, paired; B minus A with its 95 % bootstrap interval; p from the paired "
                "randomisation test, corrected for all rows (Holm); noise: p of .05 and more."
            ]
        return [
            "**NOT PAIRED: no test was made, and nothing below says that a change is real.**",
            "",
            *(f"- {reason}" for reason in self.reasons),
            "",
            "Intervals side by side; those that overlap may hide a difference that a paired test would find.",
        ]

    def _cells(self, row: Row) -> tuple[str, ...]:
        digits = digits_of([row.before, row.after])
        more = max(digits, 3)
        difference = "–" if row.difference is None else number(row.difference, more, signed=True)
        if not self.paired:
            values = zip((row.before, row.after), row.intervals, strict=True)
            return (
                row.system,
                row.metric,
                *(cell(value, digits, interval) for value, interval in values),
                difference,
                row.verdict,
            )
        interval = "–" if row.interval is None else bounds(row.interval, more)
        p = "–" if row.p_corrected is None else number(row.p_corrected, 4)
        before, after = cell(row.before, digits), cell(row.after, digits)
        return row.system, row.metric, before, after, difference, interval, p, _emphasised(row.verdict)


_HEAD = ("system", "metric", "A", "B", "B − A", "interval", "p corrected", "verdict")
_HEAD_UNPAIRED = ("system", "metric", "A", "B", "B − A", "intervals are")


def compare(
    a: Mapping[str, object],
    b: Mapping[str, object],
    *,
    names: tuple[str, str] = ("A", "B"),
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """B against A: each system and metric that both have.

    Paired where checksum, protocol and cases are the same (cases that are named may come in another order). A
    metric that has no value for each case, such as coverage, is `untested`. Systems that are equal in every case are
    `same` and do not count in the correction: a test that cannot reject needs none (Tarone, 1990). Pairs in which
    either is undefined are left out. Raises InvalidInput for a file of another shape or without `systems`.
    """
    first, second = read(a, names[0]), read(b, names[1])
    for name, result in zip(names, (first, second), strict=True):
        if not result.systems:
            raise InvalidInput(f"{name} has no `systems`; only results of `eval` can be compared")
    ours, theirs = _cases(first, names[0]), _cases(second, names[1])
    reasons = tuple(_refusals(first, second, ours, theirs))
    if reasons or ours is None or theirs is None:
        rows = [_unpaired(first, second, *pair) for pair in _shared(first, second)]
    else:
        rows = _paired(first, second, ours, theirs.in_order_of(ours), resamples, seed)
    return Comparison(
        names=names,
        dataset=" / ".join(dict.fromkeys((first.dataset, second.dataset))),
        protocol=" / ".join(dict.fromkeys((first.protocol, second.protocol))),
        paired=not reasons,
        reasons=reasons,
        cases=None if reasons or ours is None else ours.count,
        rows=tuple(rows),
        only=tuple(
            f"{system} ({name})"
            for name, here, there in ((names[0], first, second), (names[1], second, first))
            for system in here.systems
            if system not in there.systems
        ),
        conditions=tuple(_conditions(first, second)),
    )


def compare_systems(
    result: Mapping[str, object], before: str, after: str, *, resamples: int = 10_000, seed: int = 0
) -> Comparison:
    """Two systems of one result, `after` minus `before`. Raises NotFound for a name that the result does not have."""
    both = f"{after} − {before}"
    return compare(
        _alone(result, before, both), _alone(result, after, both), names=(before, after), resamples=resamples, seed=seed
    )


def _alone(result: Mapping[str, object], system: str, called: str) -> dict[str, object]:
    """The result as if it had only this system, under another name."""
    known = read(result)
    if system not in known.systems:
        raise NotFound(f"the result has no system {system!r}; it has: {', '.join(known.systems)}")

    def only(values: object) -> dict[str, object]:
        return {called: values[system]} if isinstance(values, Mapping) and system in values else {}

    alone = {**result, "systems": only(known.systems), "intervals": only(result.get("intervals")), "chosen": {}}
    for key, inner in (("per_case", "values"), ("per_query", "systems")):
        cases = result.get(key)
        if isinstance(cases, Mapping):
            alone[key] = {**cases, inner: only(cases.get(inner))}
    return alone


@dataclass(frozen=True, slots=True)
class _Cases:
    """The cases of a result: who they are, and each system's value for each."""

    count: int
    names: tuple[str, ...]
    """Empty where there is only a checksum of them."""
    ids: str
    values: Mapping[str, Mapping[str, Values]]
    groups: Values | None = None
    """Code of each case whose values hang together (`Measured.groups`); None: all stand on their own."""

    def same_as(self, other: _Cases) -> bool:
        if self.names or other.names:
            return len(self.names) == len(other.names) and Counter(self.names) == Counter(other.names)
        return bool(self.ids) and (self.ids, self.count) == (other.ids, other.count)

    def in_order_of(self, other: _Cases) -> _Cases:
        if self.names == other.names:
            return self
        order, wanted = np.argsort(self.names, kind="stable"), np.argsort(other.names, kind="stable")
        places = np.empty(len(order), dtype=np.int64)
        places[wanted] = order
        values = {name: {key: each[places] for key, each in metrics.items()} for name, metrics in self.values.items()}
        return _Cases(self.count, other.names, self.ids, values)


def _cases(result: Result, name: str) -> _Cases | None:
    """None where the file keeps no value for each case."""
    if result.per_case:
        return _cases_of(result.per_case, "names", "values", name)
    return _cases_of(result.per_query, "queries", "systems", name) if result.per_query else None


def _cases_of(part: Mapping[str, object], names_key: str, values_key: str, name: str) -> _Cases:
    listed, values, count, ids = part.get(names_key), part.get(values_key), part.get("count"), part.get("ids")
    names = tuple(str(each) for each in listed) if isinstance(listed, list | tuple) else ()
    read_values: dict[str, dict[str, Values]] = {}
    for system, metrics in values.items() if isinstance(values, Mapping) else ():
        read_values[str(system)] = {str(metric): _array(each) for metric, each in metrics.items()}
    number_of_cases = count if isinstance(count, int) else len(names)
    for system, metrics in read_values.items():
        for metric, each in metrics.items():
            if each.shape != (number_of_cases,):
                raise InvalidInput(f"{name}: {len(each)} values of {metric} of {system} for {number_of_cases} cases")
    groups = unpack(part["groups"]) if isinstance(part.get("groups"), str) else None  # type: ignore[arg-type]
    return _Cases(number_of_cases, names, ids if isinstance(ids, str) else "", read_values, groups)


def _array(values: object) -> Values:
    if isinstance(values, str):
        return np.asarray(unpack(values), dtype=np.float64)
    return np.array(values, dtype=np.float64)  # null becomes NaN


def _refusals(first: Result, second: Result, ours: _Cases | None, theirs: _Cases | None) -> Iterator[str]:
    if not first.checksum or not second.checksum:
        yield "a file names no checksum of its data: nobody can tell whether they are the same"
    elif first.checksum != second.checksum:
        yield f"different data: {first.dataset} {first.checksum[:12]} and {second.dataset} {second.checksum[:12]}"
    if first.task != second.task:
        yield f"different tasks: {first.task} and {second.task}"
    if first.protocol != second.protocol:
        yield f"different protocols: {first.protocol or 'none named'} | {second.protocol or 'none named'}"
    if ours is None or theirs is None:
        yield "a file keeps no value for each case"
    elif not ours.same_as(theirs):
        yield f"different cases: {ours.count} and {theirs.count}, not the same ones"


def _shared(first: Result, second: Result) -> list[tuple[str, str]]:
    return [
        (system, metric)
        for system, values in first.systems.items()
        for metric in values
        if metric in second.systems.get(system, {})
    ]


def _paired(first: Result, second: Result, ours: _Cases, theirs: _Cases, resamples: int, seed: int) -> list[Row]:
    shared = _shared(first, second)
    tested = [pair for pair in shared if all(pair[1] in cases.values.get(pair[0], {}) for cases in (ours, theirs))]
    if not tested:
        return [_untested(first, second, *pair) for pair in shared]
    before, after = (
        np.stack([cases.values[system][metric] for system, metric in tested], axis=1) for cases in (ours, theirs)
    )
    found = dict(zip(tested, _tests(before, after, ours.groups, resamples, seed), strict=True))
    return [_tested(first, second, *pair, found.get(pair)) for pair in shared]


@dataclass(frozen=True, slots=True)
class _Test:
    difference: float
    interval: tuple[float, float]
    p: float
    p_corrected: float
    moved: bool


def _tests(before: Values, after: Values, groups: Values | None, resamples: int, seed: int) -> list[_Test | None]:
    """One test for each column, corrected for those that could reject; None where no pair is defined."""
    differences = after - before
    defined = ~np.isnan(differences)
    moved = (defined & (differences != 0)).any(axis=0)
    intervals, p_values = np.zeros((len(moved), 2)), np.full(len(moved), np.nan)
    if moved.any():
        ours, theirs = after[:, moved], before[:, moved]
        codes = None if groups is None else groups.astype(np.int64)
        intervals[moved] = bootstrap_intervals(differences[:, moved], groups=codes, resamples=resamples, seed=seed)
        p_values[moved] = paired_randomisation_tests(ours, theirs, groups=codes, permutations=resamples, seed=seed)
    corrected = holm(p_values.tolist())
    return [
        _Test(
            float(differences[defined[:, place], place].mean()),
            (float(intervals[place, 0]), float(intervals[place, 1])),
            float(p_values[place]) if moved[place] else 1.0,
            corrected[place] if moved[place] else 1.0,
            bool(moved[place]),
        )
        if defined[:, place].any()
        else None
        for place in range(len(moved))
    ]


def _tested(first: Result, second: Result, system: str, metric: str, test: _Test | None) -> Row:
    if test is None:
        return _untested(first, second, system, metric)
    before, after = first.systems[system][metric], second.systems[system][metric]
    word: Moved = verdict(metric, test.difference, test.p_corrected) if test.moved else "same"
    return Row(system, metric, before, after, test.difference, test.interval, test.p, test.p_corrected, word)


def _untested(first: Result, second: Result, system: str, metric: str) -> Row:
    before, after = first.systems[system][metric], second.systems[system][metric]
    word: Moved = "same" if before == after else "untested"
    return Row(system, metric, before, after, _minus(after, before), None, None, None, word)


def _unpaired(first: Result, second: Result, system: str, metric: str) -> Row:
    before, after = first.systems[system][metric], second.systems[system][metric]
    one, other = first.interval(system, metric), second.interval(system, metric)
    word: Moved = "untested"
    if one is not None and other is not None:
        word = "apart" if one[0] > other[1] or other[0] > one[1] else "overlapping"
    return Row(system, metric, before, after, _minus(after, before), None, None, None, word, (one, other))


def _minus(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _conditions(first: Result, second: Result) -> Iterator[Difference]:
    before, after = _flat(first), _flat(second)
    for what in dict.fromkeys([*before, *after]):
        if before.get(what) != after.get(what):
            yield Difference(what, before.get(what, "–"), after.get(what, "–"))


def _flat(result: Result) -> dict[str, str]:
    """What a result came about by, as "group.key" → text."""
    flat = {"commit": result.commit[:12] + (" with changes" if result.dirty else ""), "seed": str(result.seed)}

    def add(name: str, value: object) -> None:
        if isinstance(value, Mapping):
            for key, each in value.items():
                add(f"{name}.{key}", each)
        else:
            flat[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    for group in CONDITIONS:
        add(group, getattr(result, group))
    return flat


def _emphasised(word: str) -> str:
    return f"**{word}**" if word in ("better", "worse", "higher", "lower") else word


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return lines + ["| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in rows]
