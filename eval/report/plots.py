"""Plots of one result as inline SVG, the same bytes for the same numbers.

Takes a Result, gives Plots: markup whose colours are the page's CSS variables (light and dark), whose text is text,
and which names no other address. Small panels of one width, so that a phone shows them at a readable size.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eval.report.reading import OURS, SAMPLED, Result, SliceValue, direction, known_bounds, known_interval, verdict
from eval.report.tables import digits_of, number
from tasteline.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

SHOWN = 7
"""Systems in one plot: more cannot be told apart by colour and shape; the tables have them all."""
SLICE_VALUES = 12
LONGEST_NAME = 28
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""One for each place in a plot, ours first; the page's key draws the same shapes."""
SERIES = tuple(f"#00010{place}" for place in range(SHOWN))
INK, SOFT, LINE, SURFACE = "#000110", "#000111", "#000112", "#000113"
# matplotlib wants colours: these stand for the page's variables and are replaced by them in the markup
_VARIABLES = {colour: f"var(--series-{place})" for place, colour in enumerate(SERIES)} | {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    LINE: "var(--line)",
    SURFACE: "var(--surface)",
}
_WIDTH = 420  # points: one column on a desktop, a whole phone at nine tenths
_STYLE: dict[RcKeyType, object] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tasteline",
    "text.parse_math": False,  # names are data: a dollar sign is a dollar sign
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
}
_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_SVG_TAG = re.compile(r"<svg[^>]*viewBox=\"([^\"]+)\"[^>]*>")
_FONT = re.compile(r"font-family: [^;\"]*;? ?")
_ID = re.compile(r" id=\"(?P<name>[^\"]+)\"")


@dataclass(frozen=True, slots=True)
class Plot:
    title: str
    caption: str
    label: str
    """What a screen reader says instead of the picture."""
    svg: str


def plots_of(result: Result, prefix: str = "plot") -> list[Plot]:
    """Every plot that the result has numbers for; `prefix` keeps the ids of one page apart.

    Raises MissingExtra where matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtra("Plots need matplotlib.", remedy="make setup") from error
    with mpl.rc_context(), warnings.catch_warnings():
        # the browser draws the letters, with fonts of its own
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()  # a person's own matplotlibrc must not change the page
        mpl.rcParams.update(_STYLE)
        return list(_plots(result, prefix))


def _plots(result: Result, prefix: str) -> Iterator[Plot]:
    metric = result.primary
    if metric is not None:
        yield from _if_drawn(_differences(result, metric, f"{prefix}-differences"))
        for place, (name, values) in enumerate(result.slices.items()):
            yield from _if_drawn(_slice(result, metric, name, values, f"{prefix}-slice-{place}"))
        yield from _if_drawn(_latency(result, metric, f"{prefix}-latency"))
    yield from _if_drawn(_curves(result, f"{prefix}-curves"))
    yield from _if_drawn(_reliability(result, f"{prefix}-reliability"))
    yield from _if_drawn(_ratios(result, f"{prefix}-ratios"))


def _if_drawn(plot: Plot | None) -> Iterator[Plot]:
    if plot is not None:
        yield plot


def shown_systems(result: Result) -> list[str]:
    """The systems that plots show, in the order of their colours: ours, then the best by the first metric."""
    metric = result.primary
    if metric is None:
        return list(dict.fromkeys([*result.curves, *result.reliability]))[:SHOWN]
    way = direction(metric) or 1
    values = {name: each.get(metric) for name, each in result.systems.items()}
    known = sorted((n for n in values if values[n] is not None), key=lambda n: -way * float(values[n] or 0))
    first = [OURS] if OURS in result.systems else []
    chosen = [*first, *(name for name in known if name != OURS)][:SHOWN]
    return [*first, *(name for name in result.systems if name in chosen and name != OURS)]


def _differences(result: Result, metric: str, ident: str) -> Plot | None:
    rows = [each for each in result.comparisons if each.metric == metric and each.difference is not None]
    if not rows or all(each.interval is None for each in rows):
        return None
    figure, axes = _panel(height=44 + 22 * len(rows))
    labels = []
    for place, row in enumerate(rows):
        difference = row.difference or 0.0
        noise = verdict(metric, difference, row.p_corrected) in ("noise", "untested")
        _whisker(
            axes,
            difference,
            len(rows) - 1 - place,
            SOFT if noise else SERIES[0],
            "o",
            across=known_bounds(row.interval),
            hollow=noise,
        )
        labels.append(f"{result.compared_system(row)} − {row.baseline}" if row.system else result.label(row.baseline))
    axes.axvline(0, color=SOFT, linewidth=1)
    _rows(axes, labels)
    against = result.compared_system(rows[0])
    title = f"Differences in {metric}" if rows[0].system else f"{result.label(against)} minus each, {metric}"
    caption = "Paired difference with its 95 % interval; filled where it is more than noise (Holm)."
    said = "; ".join(f"{label}: {_said(row.difference)}" for label, row in zip(labels, rows, strict=True))
    return _plot(result, figure, ident, title, caption, said)


def _slice(result: Result, metric: str, name: str, values: Mapping[str, SliceValue], ident: str) -> Plot | None:
    filled = {label: each for label, each in values.items() if any(metric in v for v in each.systems.values())}
    kept = sorted(filled, key=lambda label: -(filled[label].cases or 0))[:SLICE_VALUES]
    labels = [label for label in filled if label in kept]
    systems = [s for s in shown_systems(result) if any(metric in filled[label].systems.get(s, {}) for label in labels)]
    if not labels or not systems:
        return None
    band = 8 * len(systems) + 14
    figure, axes = _panel(height=40 + band * len(labels))
    for row, label in enumerate(labels):
        for place, system in enumerate(systems):
            value = filled[label].systems.get(system, {}).get(metric)
            if value is None:
                continue
            y = len(labels) - 1 - row + ((len(systems) - 1) / 2 - place) * 8 / band
            colour, marker = _style(result, system)
            _whisker(axes, value, y, colour, marker, across=known_interval(filled[label].intervals, system, metric))
    for edge in range(1, len(labels)):
        axes.axhline(edge - 0.5, color=LINE, linewidth=0.8)
    _rows(axes, labels)
    _counts(axes, [filled[label].cases for label in labels])
    dropped = len(filled) - len(labels)
    caption = f"{metric} with 95 % intervals, by {_words(name)}; n is the number of cases."
    caption += f" The {dropped} smallest kinds are in the table only." if dropped else ""
    said = "; ".join(
        f"{label}: " + ", ".join(f"{s} {_said(filled[label].systems.get(s, {}).get(metric))}" for s in systems)
        for label in labels
    )
    return _plot(result, figure, ident, f"{metric} by {_words(name)}", caption, said)


def _latency(result: Result, metric: str, ident: str) -> Plot | None:
    points = {
        name: (latency.p50, result.systems[name].get(metric), latency.p95)
        for name, latency in result.latency_ms.items()
        if name in shown_systems(result) and name in result.systems
    }
    drawn = {n: (x, y, end) for n, (x, y, end) in points.items() if x is not None and x > 0 and y is not None}
    if len(drawn) < 2:
        return None
    figure, axes = _panel(height=270)
    for name, (x, y, end) in drawn.items():
        colour, marker = _style(result, name)
        _whisker(axes, x, y, colour, marker, across=(x, max(x, end or x)), up=result.interval(name, metric))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter("")
    axes.margins(x=0.16, y=0.08)
    axes.grid(visible=True, axis="both")
    axes.set_xlabel("milliseconds for one case, p50 to p95 (log scale)")
    _decimals(axes.yaxis.set_major_formatter, [y for _, y, _ in drawn.values()])
    _name_points(axes, {result.label(name): (x, y) for name, (x, y, _) in drawn.items()})
    said = "; ".join(f"{name}: {x:.3g} ms, {_said(y)}" for name, (x, y, _) in drawn.items())
    caption = f"Up and to the left is better. {metric} with its 95 % interval; the line to the right ends at p95."
    return _plot(result, figure, ident, f"{metric} against latency", caption, said)


def _curves(result: Result, ident: str) -> Plot | None:
    drawn = {
        name: (curve, [(x, y) for x, y in curve.points if y is not None])
        for name, curve in result.curves.items()
        if curve.points
    }
    if not drawn:
        return None
    figure, axes = _panel(height=230)
    for place, (name, (_, points)) in enumerate(drawn.items()):
        colour, marker = _style(result, name, place)
        xs, ys = [x for x, _ in points], [y for _, y in points]
        axes.plot(xs, ys, color=colour, marker=marker, markersize=3.5, linewidth=1.6, markeredgewidth=0)
    axes.margins(x=0.16)
    axes.grid(visible=True, axis="y")
    _decimals(axes.yaxis.set_major_formatter, [y for _, points in drawn.values() for _, y in points])
    _name_points(axes, {result.label(name): points[-1] for name, (_, points) in drawn.items() if points})
    first = next(iter(drawn.values()))[0]
    axes.set_xlabel(first.x)
    said = "; ".join(f"{name} ends at {_said(points[-1][1])}" for name, (_, points) in drawn.items() if points)
    return _plot(
        result, figure, ident, f"Learning curves, {first.metric}", f"{first.metric} after each {first.x}.", said
    )


def _reliability(result: Result, ident: str) -> Plot | None:
    drawn = {
        name: [(p, seen, n or 0) for p, seen, n in bins if p is not None and seen is not None]
        for name, bins in result.reliability.items()
    }
    if not any(drawn.values()):
        return None
    figure, axes = _panel(height=300)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    for place, (name, bins) in enumerate(drawn.items()):
        colour, marker = _style(result, name, place)
        most = max((n for *_, n in bins), default=0) or 1
        xs, ys = [p for p, *_ in bins], [seen for _, seen, _ in bins]
        axes.plot(xs, ys, color=colour, linewidth=1.2)
        axes.scatter(xs, ys, s=[12 + 60 * n / most for *_, n in bins], color=colour, marker=marker, linewidths=0)
    axes.grid(visible=True)
    axes.set_xlabel("mean forecast")
    axes.set_ylabel("share that happened")
    said = "; ".join(f"{name}: " + ", ".join(f"{p:.2f} → {o:.2f}" for p, o, _ in bins) for name, bins in drawn.items())
    caption = "On the broken line, what was forecast happened as often as forecast; larger points hold more cases."
    return _plot(result, figure, ident, "Reliability of the forecasts", caption, said)


def _ratios(result: Result, ident: str) -> Plot | None:
    known = {name: value for name, value in result.ratios.items() if value is not None and value > 0}
    if not known:
        return None
    figure, axes = _panel(height=44 + 22 * len(known))
    for y, value in zip(range(len(known) - 1, -1, -1), known.values(), strict=True):
        colour = SERIES[0] if value >= 1 else SERIES[1]
        axes.plot([1, value], [y, y], color=colour, linewidth=3, solid_capstyle="butt")
        axes.plot([value], [y], color=colour, marker="o", markersize=6, markeredgewidth=0)
    axes.set_xscale("log")
    low, high = min(1.0, *known.values()), max(1.0, *known.values())
    axes.set_xlim(min(low / 1.15, 0.8), max(high * 1.15, 1.25))
    axes.axvline(1, color=SOFT, linewidth=1)
    ticks = [
        t for t in (0.01, 0.03, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 300, 1000) if low / 1.2 <= t <= high * 1.2
    ]
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.xaxis.set_minor_formatter("")
    _rows(axes, list(known))
    said = "; ".join(f"{name} {value:.2f}" for name, value in known.items())
    return _plot(result, figure, ident, "Ratios", "Right of 1 ours is better (log scale).", said)


def _panel(height: int) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH / 72, height / 72), layout="constrained")
    axes = figure.add_subplot()
    return figure, axes


def _rows(axes: Axes, labels: Sequence[str]) -> None:
    """Names down the side, the first on top."""
    axes.set_yticks(range(len(labels)), [_short(label) for label in reversed(labels)])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="x")
    if axes.get_xscale() == "linear":
        axes.locator_params(axis="x", nbins=6)
        low, high = axes.get_xlim()
        _decimals(axes.xaxis.set_major_formatter, [low, high])


def _counts(axes: Axes, counts: Sequence[int | None]) -> None:
    """How many cases, under each name of a row. A text of its own: two lines in one would not end together."""
    for name, row, count in zip(axes.get_yticklabels(), range(len(counts)), reversed(counts), strict=True):
        if count is not None:
            name.set_verticalalignment("bottom")
            place: tuple[float, float] = (0, row)
            axes.annotate(
                f"n {count:,}", place, xycoords=("axes fraction", "data"), xytext=(-3.5, -2),
                textcoords="offset points", ha="right", va="top", fontsize=9, color=SOFT,
            )  # fmt: skip


def _decimals(set_formatter: Callable[[Callable[[float, object], str]], object], values: Sequence[float]) -> None:
    digits = 3 if max(abs(value) for value in values) < 0.1 else 2
    set_formatter(lambda value, _: number(value, digits))


def _whisker(
    axes: Axes,
    x: float,
    y: float,
    colour: str,
    marker: str,
    *,
    across: tuple[float, float] | None = None,
    up: tuple[float, float] | None = None,
    hollow: bool = False,
) -> None:
    if across is not None:
        axes.plot(across, [y, y], color=colour, linewidth=1.4, alpha=0.65)
    if up is not None:
        axes.plot([x, x], up, color=colour, linewidth=1.4, alpha=0.65)
    axes.plot(
        [x], [y], color=colour, marker=marker, markersize=5.5, markeredgewidth=1.3 if hollow else 0,
        markerfacecolor=SURFACE if hollow else colour, markeredgecolor=colour,
    )  # fmt: skip


def _name_points(axes: Axes, points: Mapping[str, tuple[float, float]]) -> None:
    """Names above and right of points, clear of their whiskers; moved apart where they would cover each other."""
    low, high = axes.get_ylim()
    least, bottom = (high - low) / 16, -float("inf")
    for name, (x, y) in sorted(points.items(), key=lambda point: (point[1][1], point[0])):
        bottom = max(y, bottom + least)
        axes.annotate(_short(name), (x, bottom), xytext=(5, 4), textcoords="offset points", fontsize=9.5, color=INK)


def _style(result: Result, system: str, place: int = 0) -> tuple[str, str]:
    shown = shown_systems(result)
    place = shown.index(system) if system in shown else (len(shown) + place) % SHOWN
    return SERIES[place], MARKERS[place]


def _plot(result: Result, figure: Figure, ident: str, title: str, caption: str, said: str) -> Plot:
    if result.sampled:
        title, caption = f"{title}, sampled", f"Ranked against a sample of the items. {caption}"
    return Plot(title, caption, f"{title}. {said}", _markup(figure, ident, f"{title}. {said}"))


def _markup(figure: Figure, ident: str, label: str) -> str:
    """The figure as an SVG element for a page: the page's colours and font, ids that no other figure has."""
    from markupsafe import escape

    written = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(written, format="svg", metadata=nothing)
    svg = _PROLOGUE.sub("", written.getvalue().decode())
    svg = _SVG_TAG.sub(lambda tag: f'<svg viewBox="{tag[1]}" role="img" aria-label="{escape(label)}">', svg, count=1)
    svg = _FONT.sub("", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    used = {name for name in _ID.findall(svg) if f"#{name}" in svg}
    svg = _ID.sub(lambda each: f' id="{ident}-{each["name"]}"' if each["name"] in used else "", svg)
    return re.sub(r"(url\(#|href=\"#)", rf"\1{ident}-", svg)


def _short(name: str) -> str:
    """A name that leaves room for the numbers, with its end, which may say "sampled"; tables have all of it."""
    name = " ".join(name.split())
    end = len(f", {SAMPLED}")
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - end - 1]}…{name[-end:]}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _said(value: float | None) -> str:
    return "unknown" if value is None else number(value, max(3, digits_of([value])))
