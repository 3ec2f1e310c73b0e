"""A result as typed values: tolerant of what older files lack, strict about what they do say.

Takes the JSON object of a result file, gives a Result that tables, plots and pages are made of. Also knows what a
metric's name tells: which way is better, and whether a difference counts. Knows no file and no layout.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from tasteline.errors import InvalidInput

OURS = "tasteline"
SIGNIFICANT = 0.05
"""A corrected p-value below this is called a difference."""
SAMPLED = "sampled"
"""How the names of protocols begin that rank against a sample of the items."""

Verdict = Literal["better", "worse", "higher", "lower", "noise", "untested"]

_LOWER_IS_BETTER = re.compile(r"log_?loss|.*calibration|ece\b|brier|.*unsupported|.*wrong|.*(seconds|_ms)$")
# more of these is neither good nor bad by itself: they say what kind of lists a system makes, or how much was judged
_NO_DIRECTION = re.compile(r"judged|coverage|popularity|novelty|.*diversity|serendipity|personali[sz]ation")


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[int | float | None, BeforeValidator(_finite)]
"""None where undefined."""
Values = dict[str, Number]
"""metric → value."""
Interval = tuple[Number, Number]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: object) -> object:
        return {key: each for key, each in data.items() if each is not None} if isinstance(data, Mapping) else data


class Compared(_Part):
    """One paired comparison: `system`, else `against`, else the result's, minus `baseline`."""

    baseline: str
    metric: str
    system: str = ""
    against: str = ""
    difference: Number = None
    interval: Interval | None = None
    p: Number = None
    p_corrected: Number = None


class SliceValue(_Part):
    """The cases of one kind."""

    cases: int | None = None
    systems: dict[str, Values] = {}
    intervals: dict[str, dict[str, Interval]] = {}


class Latency(_Part):
    """Milliseconds."""

    p50: Number = None
    p95: Number = None


class Curve(_Part):
    x: str = "step"
    metric: str = ""
    points: list[tuple[float, Number]] = []


class Leak(_Part):
    """See `eval.protocols.split.Leak`."""

    known: bool = False
    train_after_target: Number = None
    rows_after_median: Number = None
    unborn_targets: Number = None


class Published(_Part):
    """A row that others have printed."""

    name: str
    values: Values
    source: str
    sampled: bool = False
    """Whether they ranked against a sample of the items: not comparable with full ranking."""


class Result(_Part):
    """What one file says; what it does not say is empty."""

    task: str = ""
    bench: str = ""
    dataset: str = ""
    protocol: str = ""
    against: str = OURS
    """The system that the others are compared with, where a comparison does not say."""
    systems: dict[str, Values] = {}
    intervals: dict[str, dict[str, Interval]] = {}
    comparisons: list[Compared] = []
    slices: dict[str, dict[str, SliceValue]] = {}
    latency_ms: dict[str, Latency] = {}
    fit_seconds: dict[str, Number] = {}
    chosen: dict[str, dict[str, object] | None] = {}
    curves: dict[str, Curve] = {}
    reliability: dict[str, list[tuple[Number, Number, Number]]] = {}
    leak: Leak | None = None
    test_looks: int | None = None
    notes: list[str] = []
    published: list[Published] = []
    ratios: dict[str, Number] = {}
    raw: object = None
    per_case: dict[str, object] = {}
    per_query: dict[str, object] = {}
    settings: dict[str, object] = {}
    seed: int | None = None
    checksum: str = ""
    seconds: Number = None
    commit: str = ""
    dirty: bool = False
    versions: dict[str, str] = {}
    machine: dict[str, object] = {}

    @property
    def sampled(self) -> bool:
        """Whether items were ranked against a sample: such numbers stand beside no others."""
        return self.protocol.lower().startswith(SAMPLED)

    @property
    def metrics(self) -> list[str]:
        """Names of all metrics, in the order of the file."""
        return list(dict.fromkeys(metric for values in self.systems.values() for metric in values))

    @property
    def primary(self) -> str | None:
        """The metric that plots and summaries show: ndcg@10, else the first nDCG, else the first of all."""
        names = self.metrics
        return next(
            (name for name in ("ndcg@10", *(n for n in names if n.startswith("ndcg")), *names) if name in names), None
        )

    def interval(self, system: str, metric: str) -> tuple[float, float] | None:
        """The interval of a value; None where it is unknown."""
        return known_interval(self.intervals, system, metric)

    def compared_system(self, compared: Compared) -> str:
        """From which system's value the baseline's was taken."""
        return compared.system or compared.against or self.against

    def label(self, system: str) -> str:
        """How a row is called: a sampled ranking says so in every line."""
        return f"{system}, {SAMPLED}" if self.sampled else system


def read(result: Mapping[str, object], name: str = "result") -> Result:
    """The values of a result file. Raises InvalidInput where a part that is there has another shape.

    >>> read({"task": "search", "systems": {"bm25": {"ndcg@10": float("nan")}}}).systems
    {'bm25': {'ndcg@10': None}}
    """
    try:
        return Result.model_validate(result)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{name}: {place}: {first['msg']}") from error


def known_interval(
    intervals: Mapping[str, Mapping[str, Interval]], system: str, metric: str
) -> tuple[float, float] | None:
    """The interval of one value, see `known_bounds`."""
    return known_bounds(intervals.get(system, {}).get(metric))


def known_bounds(interval: Interval | None) -> tuple[float, float] | None:
    """The two bounds where both are numbers, else None."""
    if interval is None or interval[0] is None or interval[1] is None:
        return None
    return interval[0], interval[1]


def direction(metric: str) -> int:
    """1 where more is better, -1 where less is, 0 where neither is by itself.

    >>> direction("ndcg@10"), direction("log_loss"), direction("novelty@10")
    (1, -1, 0)
    """
    if _NO_DIRECTION.match(metric):
        return 0
    return -1 if _LOWER_IS_BETTER.match(metric) else 1


def verdict(metric: str, difference: float | None, p_corrected: float | None) -> Verdict:
    """What a difference means: noise unless its corrected p-value is under 5 %.

    >>> verdict("ndcg@10", 0.02, 0.01), verdict("log_loss", 0.02, 0.01), verdict("ndcg@10", 0.02, 0.05)
    ('better', 'worse', 'noise')
    """
    if difference is None or p_corrected is None:
        return "untested"
    if p_corrected >= SIGNIFICANT:
        return "noise"
    way = direction(metric)
    if way == 0:
        return "higher" if difference > 0 else "lower"
    return "better" if way * difference > 0 else "worse"


def is_count(values: Iterable[float | None]) -> bool:
    """Whether a column counts things: whole numbers throughout, one of them beyond 1, or integers by type.

    >>> is_count([25.0, 0.0]), is_count([1.0, 0.0]), is_count([1, 0]), is_count([0.5, 2.0])
    (True, False, True, False)
    """
    known = [value for value in values if value is not None]
    whole = bool(known) and all(float(value).is_integer() for value in known)
    return whole and (all(isinstance(value, int) for value in known) or any(abs(value) > 1 for value in known))


def best_of(result: Result, metric: str) -> tuple[str | None, frozenset[str]]:
    """The system with the best value, and those that cannot be told from it; (None, ∅) without a direction.

    By the corrected paired tests where the file has the pair, else by whether the intervals overlap; a system with
    neither cannot be told apart.
    """
    values = {name: each.get(metric) for name, each in result.systems.items()}
    known = {name: value for name, value in values.items() if value is not None}
    way = direction(metric)
    if way == 0 or len(known) < 2 or is_count(values.values()):
        return None, frozenset()
    best = max(known, key=lambda name: way * known[name])
    return best, frozenset(name for name in known if name != best and not _apart(result, metric, best, name))


def _apart(result: Result, metric: str, one: str, other: str) -> bool:
    for each in result.comparisons:
        if each.metric == metric and {result.compared_system(each), each.baseline} == {one, other}:
            return verdict(metric, each.difference, each.p_corrected) in ("better", "worse")
    first, second = result.interval(one, metric), result.interval(other, metric)
    return first is not None and second is not None and (first[0] > second[1] or second[0] > first[1])
