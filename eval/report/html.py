"""Results as one HTML page that opens from a file: no server, no network, no script.

Takes results, gives the page: for each its table with intervals, verdicts, plots, and what it was made with. What a
sampled protocol gave stands at the end, behind a warning, and every line of it says so. Everything from a file is
escaped; the plots are the only markup that goes in as it is, and `eval.report.plots` makes them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from eval.report.plots import Plot, plots_of, shown_systems
from eval.report.reading import OURS, Compared, Interval, Result, best_of, known_bounds, known_interval, read, verdict
from eval.report.tables import bounds, digits_of, number, published_label
from tasteline.errors import NotFound

TEMPLATES = Path(__file__).parent
_LONGEST = 20_000
"""Characters of what a file says beyond the known parts; the rest is in the file."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of a table."""

    text: str
    interval: str = ""
    kind: str = ""
    """best, tied (cannot be told from the best), or a verdict; "" for none."""
    word: str = ""
    """The verdict, where it is said."""


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    cells: tuple[Cell, ...]
    ours: bool = False
    published: bool = False
    key: int | None = None
    """Its colour and shape in the plots."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    caption: str
    head: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One result, ready to be laid out."""

    ident: str
    name: str
    task: str
    dataset: str
    protocol: str
    sampled: bool
    summary: str
    warnings: tuple[str, ...]
    main: Table | None
    comparisons: Table | None
    plots: tuple[Plot, ...]
    key: tuple[Line, ...]
    details: tuple[tuple[str, Table], ...]
    facts: tuple[tuple[str, str], ...]
    versions: str
    notes: tuple[str, ...]
    leak: tuple[str, ...]
    more: str


def render(results: Sequence[Mapping[str, object]], title: str, names: Sequence[str] = ()) -> str:
    """The page. `names` are those of the files, for the headings; numbers where not given.

    Raises InvalidInput where a result has another shape, MissingExtra without matplotlib.
    """
    called = [*names, *(f"result {place + 1}" for place in range(len(names), len(results)))]
    read_results = [(name, read(result, name)) for name, result in zip(called, results, strict=True)]
    ordered = sorted(read_results, key=lambda pair: pair[1].sampled)  # stable: the sampled ones go last
    sections = [_section(result, name, f"r{place}") for place, (name, result) in enumerate(ordered)]
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,  # for every name: the default looks at the end of the file's name, and ours is .j2
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["markup"] = Markup  # for plots alone
    return environment.get_template("report.html.j2").render(title=title, sections=sections)


def write_report(paths: Sequence[Path], out: Path, title: str = "Evaluation") -> Path:
    """The page of these result files, or of all in these folders, as `out`; gives `out`.

    Raises NotFound where there is none, InvalidInput where one is no result.
    """
    from eval.results import read_result

    files = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    if not files:
        raise NotFound(f"no result file in {', '.join(map(str, paths)) or 'an empty list'}")
    page = render([read_result(file.parent, file.stem) for file in files], title, [file.stem for file in files])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")
    return out


def _section(result: Result, name: str, ident: str) -> Section:
    return Section(
        ident=ident,
        name=name,
        task=f"bench {result.bench}" if result.bench else result.task or "result",
        dataset=result.dataset,
        protocol=result.protocol,
        sampled=result.sampled,
        summary=_summary(result),
        warnings=tuple(_warnings(result)),
        main=_main_table(result),
        comparisons=_comparison_table(result),
        plots=tuple(plots_of(result, ident)),
        key=tuple(Line(result.label(each), (), key=place) for place, each in enumerate(shown_systems(result))),
        details=tuple(_details(result)),
        facts=tuple(_facts(result)),
        versions=", ".join(f"{package} {version}" for package, version in result.versions.items()),
        notes=tuple(result.notes),
        leak=tuple(_leak(result)),
        more=_more(result),
    )


def _summary(result: Result) -> str:
    metric = result.primary
    if metric is None:
        better = sum(1 for value in result.ratios.values() if value is not None and value >= 1)
        return f"{better} of {len(result.ratios)} ratios are 1 or more." if result.ratios else ""
    best, tied = best_of(result, metric)
    system = result.against if result.against in result.systems else best
    value = result.systems[system].get(metric) if system else None
    if system is None or value is None:
        return ""
    digits = digits_of(each.get(metric) for each in result.systems.values())
    interval = result.interval(system, metric)
    between = f" ({bounds(interval, digits)})" if interval else ""
    reached = f"{result.label(system)} reaches {metric} {number(value, digits)}{between}"
    if system != result.against:
        return f"{reached}: the highest, {f'not to be told from {len(tied)} others' if tied else 'beyond noise'}."
    return f"{reached}{_standing(result, system, metric)}."


def _standing(result: Result, system: str, metric: str) -> str:
    words: Counter[str] = Counter(
        verdict(metric, each.difference, each.p_corrected)
        for each in result.comparisons
        if each.metric == metric and result.compared_system(each) == system
    )
    parts = [
        f"{saying} {words[word]}"
        for word, saying in (("better", "better than"), ("worse", "worse than"), ("noise", "not to be told from"))
        if words[word]
    ]
    return f": {', '.join(parts)} of {sum(words.values())} others" if parts else ""


def _warnings(result: Result) -> Iterator[str]:
    if result.sampled:
        yield "Ranked against a sample of the items: to reproduce old papers, comparable with no other number here."
    if result.dirty:
        yield "Measured with uncommitted changes: the commit does not say which code this was."
    if not result.commit:
        yield "No commit says which code gave this."
    if result.test_looks is not None and result.test_looks > 1:
        yield f"The test part was looked at {result.test_looks} times: what was chosen in between may fit it by chance."


def _main_table(result: Result) -> Table | None:
    if result.ratios and not result.systems:
        lines = [
            Line(
                name,
                (Cell("–" if value is None else f"{value:.2f}", kind="" if value is None or value < 1 else "better"),),
            )
            for name, value in result.ratios.items()
        ]
        return Table("Ratio of theirs to ours; above 1 is ours", ("", "ratio"), tuple(lines))
    if not result.systems:
        return None
    metrics = result.metrics
    columns = [[_cell_of(result, name, metric) for name in result.systems] for metric in metrics]
    keys = {name: place for place, name in enumerate(shown_systems(result))}
    lines = [
        Line(result.label(name), cells, ours=name == OURS, key=keys.get(name))
        for name, cells in zip(result.systems, zip(*columns, strict=True), strict=True)
    ]
    caption = "Means" + (" with 95 % bootstrap intervals" if result.intervals else "")
    head = ("", *metrics)
    if result.published:
        lines = [*_published(result, metrics), *(_with_source(line) for line in lines)]
        head = (*head, "source")
    return Table(_sampled_caption(result, caption), head, tuple(lines))


def _cell_of(result: Result, name: str, metric: str) -> Cell:
    value = result.systems[name].get(metric)
    digits = digits_of(each.get(metric) for each in result.systems.values())
    best, tied = best_of(result, metric)
    kind = "tied" if name in tied or (name == best and tied) else "best" if name == best else ""
    return _cell(value, digits, result.interval(name, metric), kind)


def _cell(value: float | None, digits: int, interval: tuple[float, float] | None = None, kind: str = "") -> Cell:
    if value is None:
        return Cell("–")
    return Cell(number(value, digits), bounds(interval, digits) if interval else "", kind)


def _published(result: Result, metrics: Sequence[str]) -> Iterator[Line]:
    for row in result.published:
        cells = (_cell(row.values.get(metric), max(3, digits_of([row.values.get(metric)]))) for metric in metrics)
        yield Line(published_label(row), tuple(cells), published=True, source=row.source)


def _with_source(line: Line) -> Line:
    return Line(line.name, line.cells, line.ours, key=line.key, source="this run")


def _comparison_table(result: Result) -> Table | None:
    if not result.comparisons:
        return None
    pairs = dict.fromkeys((result.compared_system(each), each.baseline) for each in result.comparisons)
    metrics = tuple(dict.fromkeys(each.metric for each in result.comparisons))
    found = {(result.compared_system(each), each.baseline, each.metric): each for each in result.comparisons}
    lines = [
        Line(
            result.label(f"{system} − {baseline}"),
            tuple(_compared_cell(found.get((system, baseline, metric))) for metric in metrics),
        )
        for system, baseline in pairs
    ]
    caption = f"Paired differences; noise where the p-value corrected for all {len(result.comparisons)} is .05 and more"
    return Table(_sampled_caption(result, caption), ("", *metrics), tuple(lines))


def _compared_cell(compared: Compared | None) -> Cell:
    if compared is None or compared.difference is None:
        return Cell("–")
    digits = 4 if abs(compared.difference) < 0.01 else 3
    interval: Interval | None = compared.interval
    known = known_bounds(interval)
    word = verdict(compared.metric, compared.difference, compared.p_corrected)
    return Cell(number(compared.difference, digits, signed=True), bounds(known, digits) if known else "", word, word)


def _details(result: Result) -> Iterator[tuple[str, Table]]:
    """Tables that are folded away: every slice, what it cost, what was chosen."""
    metric = result.primary
    for name, values in result.slices.items():
        if metric is None:
            break
        systems = list(result.systems)
        digits = digits_of(value.systems.get(s, {}).get(metric) for value in values.values() for s in systems)
        lines = [
            Line(
                label,
                (
                    _cell(value.cases, 0),
                    *(
                        _cell(value.systems.get(s, {}).get(metric), digits, known_interval(value.intervals, s, metric))
                        for s in systems
                    ),
                ),
            )
            for label, value in values.items()
        ]
        title = f"{metric} by {name.replace('_', ' ')}"
        yield title, Table(_sampled_caption(result, title), ("", "cases", *map(result.label, systems)), tuple(lines))
    yield from _costs(result)
    yield from _choices(result)


def _costs(result: Result) -> Iterator[tuple[str, Table]]:
    names = [name for name in result.systems if name in result.fit_seconds or name in result.latency_ms]
    if not names:
        return
    lines = []
    for name in names:
        latency = result.latency_ms.get(name)
        numbers = (result.fit_seconds.get(name), latency.p50 if latency else None, latency.p95 if latency else None)
        lines.append(
            Line(result.label(name), tuple(_cell(each, 1 if place == 0 else 2) for place, each in enumerate(numbers)))
        )
    title = "Time to fit and to answer"
    caption = _sampled_caption(result, "Seconds to fit; milliseconds for one case asked alone")
    yield title, Table(caption, ("", "fit s", "p50 ms", "p95 ms"), tuple(lines))


def _choices(result: Result) -> Iterator[tuple[str, Table]]:
    lines = [
        Line(result.label(name), (Cell(", ".join(f"{key} {_text(value)}" for key, value in chosen.items())),))
        for name, chosen in result.chosen.items()
        if chosen
    ]
    if lines:
        caption = _sampled_caption(result, "Settings of each system, chosen on valid")
        yield "Chosen settings", Table(caption, ("", "settings"), tuple(lines))


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    yield "commit", (result.commit or "unknown") + (" with uncommitted changes" if result.dirty else "")
    count = result.per_case.get("count") or len(_listed(result.per_query.get("queries")))
    if count:
        yield "cases", _text(count)
    yield "data checksum", result.checksum or "none"
    yield "seed", "none" if result.seed is None else str(result.seed)
    if result.test_looks is not None:
        yield "looks at test", str(result.test_looks)
    if result.seconds is not None:
        yield "seconds", f"{result.seconds:,.1f}"
    if result.settings:
        yield "settings", ", ".join(f"{key} {_text(value)}" for key, value in result.settings.items())
    if result.machine:
        yield "machine", ", ".join(f"{key} {_text(value)}" for key, value in result.machine.items())


def _leak(result: Result) -> Iterator[str]:
    leak = result.leak
    if leak is None:
        return
    if not leak.known:
        yield "Times of different people cannot be compared here: how much of the future a system saw is unknown."
        return
    if leak.train_after_target is not None:
        yield f"For {_share(leak.train_after_target)} of the test cases, train has events of others after the target."
    if leak.rows_after_median is not None:
        yield f"{_share(leak.rows_after_median)} of the training events are younger than the median target."
    if leak.unborn_targets is not None:
        yield f"{_share(leak.unborn_targets)} of the test cases turn to an item that nobody had touched before."


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"


def _more(result: Result) -> str:
    """What the file says beyond the parts that have a place of their own."""
    rest = {**(result.model_extra or {}), **({"raw": result.raw} if result.raw is not None else {})}
    if not rest:
        return ""
    text = json.dumps(rest, indent=1, ensure_ascii=False, default=str)
    text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r"\s*\n\s*", " ", m[1]) + "]", text)
    return (
        text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n… ({len(text):,} characters; the rest is in the file)"
    )


def _sampled_caption(result: Result, caption: str) -> str:
    return f"{caption}; sampled ranking" if result.sampled else caption


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
