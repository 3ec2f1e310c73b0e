"""Results as Markdown tables; ours in bold, intervals in brackets, counts without decimals.

Takes results, gives text. A ranking against sampled items says so in every row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from eval.report.reading import OURS, Published, Result, is_count, known_interval, read
from tasteline.errors import InvalidInput, NotFound

MINUS = "−"


def markdown_table(result: Mapping[str, object]) -> str:
    """The result as a Markdown table with a line of provenance under it; ours in bold, intervals in brackets.

    Rows of papers that the result carries (`published`) stand above ours. Raises InvalidInput for another shape.

    >>> systems = {"bm25": {"ndcg@10": 0.5, "found": 12.0}, "tasteline": {"ndcg@10": 0.75, "found": 1300.0}}
    >>> print(markdown_table({"systems": systems, "commit": "c0ffee"}))
    | | ndcg@10 | found |
    |---|---|---|
    | bm25 | .500 | 12 |
    | **tasteline** | **.750** | **1,300** |
    <BLANKLINE>
    commit c0ffee
    """
    if "systems" not in result and "ratios" not in result:
        raise InvalidInput("a result has `systems` or `ratios`; this one has " + ", ".join(result))
    known = read(result)
    if known.published:
        return published_table(result, known.published)
    lines = _systems_table(known) if "systems" in result else _ratios_table(known)
    return "\n".join([*lines, "", _provenance(known)])


def published_table(result: Mapping[str, object], rows: Sequence[Published]) -> str:
    """The rows that others have printed, then ours, with the source of each in the last column.

    Columns are the metrics of the result, then those that only the papers have. Published rows carry no interval.

    >>> ours = {"systems": {"popular": {"recall@10": 0.0134}}, "commit": "c0ffee"}
    >>> print(published_table(ours, [Published(name="A", values={"recall@10": 0.0648}, source="B, 2023")]))
    | | recall@10 | source |
    |---|---|---|
    | A (published) | .0648 | B, 2023 |
    | popular | .0134 | this run |
    <BLANKLINE>
    commit c0ffee
    """
    known = read(result)
    metrics = list(dict.fromkeys([*known.metrics, *(metric for row in rows for metric in row.values)]))
    columns = [
        [*(row.values.get(m) for row in rows), *(each.get(m) for each in known.systems.values())] for m in metrics
    ]
    digits = [digits_of(column) for column in columns]
    lines = _head(["", *metrics, "source"])
    for row in rows:
        cells = [cell(row.values.get(metric), places) for metric, places in zip(metrics, digits, strict=True)]
        lines.append(_row([published_label(row), *cells, row.source]))
    for name in known.systems:
        lines.append(_row([*_system_row(known, name, metrics, digits), "this run"], bold=name == OURS))
    return "\n".join([*lines, "", _provenance(known)])


def published_label(row: Published) -> str:
    """How a row from a paper is called."""
    return f"{row.name} (published{', sampled' if row.sampled else ''})"


def slices_table(result: Mapping[str, object], of: str, metric: str | None = None) -> str:
    """One metric by slice: a line for each kind of case, a column for each system, intervals in brackets.

    Raises NotFound where the result has no slice of that name.

    >>> cut = {"2-4": {"cases": 9, "systems": {"popular": {"ndcg@10": 0.5}}}}
    >>> result = {"systems": {"popular": {"ndcg@10": 0.5}}, "slices": {"history": cut}}
    >>> print(slices_table(result, "history"))
    | history, ndcg@10 | cases | popular |
    |---|---|---|
    | 2-4 | 9 | .500 |
    """
    known = read(result)
    values = known.slices.get(of)
    chosen = metric or known.primary
    if values is None or chosen is None:
        raise NotFound(f"the result has no slice {of!r}; it has: {', '.join(known.slices) or 'none'}")
    names = list(dict.fromkeys(name for value in values.values() for name in value.systems))
    digits = digits_of(value.systems.get(name, {}).get(chosen) for value in values.values() for name in names)
    lines = _head([f"{of}, {chosen}", "cases", *map(known.label, names)])
    for label, value in values.items():
        cells = [
            cell(value.systems.get(name, {}).get(chosen), digits, known_interval(value.intervals, name, chosen))
            for name in names
        ]
        lines.append(_row([label, cell(value.cases, 0), *cells]))
    return "\n".join(lines)


def digits_of(values: Iterable[float | None]) -> int:
    """Decimals for a column: none for counts, four where all are under .1 and three would hide differences.

    >>> digits_of([12.0, 7.0]), digits_of([0.0583, 0.0134]), digits_of([0.5, 0.02])
    (0, 4, 3)
    """
    known = [value for value in values if value is not None]
    if is_count(known):
        return 0
    return 4 if known and 0 < max(abs(value) for value in known) < 0.1 else 3


def cell(value: float | None, digits: int, interval: tuple[float, float] | None = None) -> str:
    """A value with its interval in brackets, or a dash.

    >>> cell(0.5, 3, (0.25, 0.75)), cell(None, 3), cell(1300.0, 0), cell(-0.012, 3)
    ('.500 (.250–.750)', '–', '1,300', '−.012')
    """
    if value is None:
        return "–"
    return number(value, digits) + (f" ({bounds(interval, digits)})" if interval else "")


def bounds(interval: tuple[float, float], digits: int) -> str:
    """The two ends of an interval; "to" between them where a dash would meet a minus sign."""
    low, high = interval
    return f"{number(low, digits)}{' to ' if min(low, high) < 0 else '–'}{number(high, digits)}"


def number(value: float, digits: int, *, signed: bool = False) -> str:
    """Thousands apart, no zero before the point, a real minus sign."""
    text = f"{abs(value):,.{digits}f}"
    text = text[1:] if text.startswith("0.") else text
    # what rounds to nothing has no sign
    sign = "" if not text.strip("0.,") else MINUS if value < 0 else "+" if signed else ""
    return sign + (text or "0")


def _systems_table(result: Result) -> list[str]:
    metrics = result.metrics
    digits = [digits_of(values.get(metric) for values in result.systems.values()) for metric in metrics]
    lines = _head(["", *metrics])
    lines += [_row(_system_row(result, name, metrics, digits), bold=name == OURS) for name in result.systems]
    return lines


def _system_row(result: Result, name: str, metrics: Sequence[str], digits: Sequence[int]) -> list[str]:
    values = result.systems[name]
    cells = [
        cell(values.get(metric), places, result.interval(name, metric))
        for metric, places in zip(metrics, digits, strict=True)
    ]
    return [result.label(name), *cells]


def _ratios_table(result: Result) -> list[str]:
    lines = _head(["", "ratio, above 1 is ours"])
    lines += [_row([name, "–" if value is None else f"{value:.2f}"]) for name, value in result.ratios.items()]
    return lines


def _head(cells: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(cells).lstrip() + " |", "|---" * len(cells) + "|"]


def _row(cells: Sequence[str], *, bold: bool = False) -> str:
    escaped = [text.replace("|", "\\|") for text in cells]
    return "| " + " | ".join(f"**{text}**" if bold else text for text in escaped) + " |"


def _provenance(result: Result) -> str:
    commit = (result.commit[:12] or "unknown") + (" with changes" if result.dirty else "")
    parts = [part for part in (result.dataset, result.protocol) if part]
    if result.intervals:
        parts.append("95 % bootstrap intervals in brackets")
    return "; ".join([*parts, f"commit {commit}"])
