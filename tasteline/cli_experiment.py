"""`tasteline experiment`: traffic split between two models of a kind, and what came of it so far."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from tasteline.terminal import AsJson, fail, read_settings, say, say_json

if TYPE_CHECKING:
    from rich.table import Table

    from eval.online import ExperimentReport
    from retrieval.experiment import Experiment, Experiments
    from tasteline.settings import Settings

app = typer.Typer(help="Two models of a kind, side by side on the shop's own traffic.", no_args_is_help=True)

SPLIT = ("next-item", "reranker", "llm")
"""Kinds of which a running service can hold two."""
NO_ENCODERS = (
    "two encoders need two indexes of the whole catalogue, and a service has one"
    " (docs/adr/0023-encoders-are-compared-offline.md). Compare them offline: `tasteline eval search --data FOLDER"
    " --encoder {id}`; what is promoted is taken back by `tasteline models rollback encoder`"
)
"""And what to do instead."""

Kind = Annotated[str, typer.Argument(help="next-item, reranker or llm.")]


class Metric(StrEnum):
    """What a ranking may lead to."""

    CLICK = "click"
    CART = "cart"
    PURCHASE = "purchase"


@app.command()
def start(
    kind: Kind,
    model: Annotated[str, typer.Argument(help="A candidate, by its id or a beginning of it: arm B.")],
    share: Annotated[float, typer.Option(help="Of people who get it; the others get the live model.")] = 0.5,
    metric: Annotated[Metric, typer.Option(help="What decides, per ranking.")] = Metric.CLICK,
    as_json: AsJson = False,
) -> None:
    """Split people between the live model and a candidate; a running service does so within two seconds."""
    from retrieval.registry import Registry

    settings = read_settings()
    entry = Registry(settings.home).find(model)
    if (why := _refused(kind, entry.id, settings)) is not None:
        fail(why, 2)
    if entry.card.kind != kind:
        fail(f"{entry.id} is a {entry.card.kind} model", 2)
    started = _experiments().start(entry.id, share, metric.value)
    if as_json:
        _say_experiment(started)
    else:
        say(f"experiment {started.id}: A {started.a} (live), B {started.b} for {started.share:.0%} of people.")


@app.command()
def stop(kind: Kind, as_json: AsJson = False) -> None:
    """Everybody gets the live model again; promote the candidate with `tasteline models promote`."""
    from retrieval.model_card import kind_of

    stopped = _experiments().stop(kind_of(kind))
    _say_experiment(stopped) if as_json else say(f"experiment {stopped.id} has ended.")


@app.command()
def status(
    kind: Kind,
    as_json: AsJson = False,
) -> None:
    """The last experiment of a kind: rates of both arms, their difference, and whether to stop.

    Look as often as you like: the test is made for it.
    """
    from contextlib import closing

    from app.engines import open_store
    from eval.online import report_of
    from retrieval.model_card import kind_of

    known = _experiments().all(kind_of(kind))
    if not known:
        fail(f"there was no experiment of {kind} yet", 2)
    with closing(open_store(read_settings())) as store:
        report = report_of(known[-1], store.trial_outcomes(known[-1].id))
    if as_json:
        say_json(report.as_mapping())
        return
    _show(report, running=_experiments().running(kind_of(kind)) is not None)


def _refused(kind: str, entry_id: str, settings: Settings) -> str | None:
    """Why no service could split people between two models of the kind; None where it can."""
    from app.trained import RUNS_TRAINED
    from retrieval.model_card import kind_of

    if kind_of(kind) not in SPLIT:
        others = f"experiments are made with {', '.join(SPLIT)} models: of the others a service holds one at a time"
        return NO_ENCODERS.format(id=entry_id) if kind == "encoder" else others
    if kind == "llm" and settings.language_model not in RUNS_TRAINED:
        runs = ", ".join(RUNS_TRAINED)
        return f"the engine “{settings.language_model}” runs no trained model; set TASTELINE_LANGUAGE_MODEL to {runs}"
    return None


def _experiments() -> Experiments:
    from retrieval.experiment import Experiments

    return Experiments(read_settings().home)


def _say_experiment(experiment: Experiment) -> None:
    from dataclasses import asdict

    say_json(asdict(experiment))


def _show(report: ExperimentReport, *, running: bool) -> None:
    from rich.console import Console

    one = report.experiment
    state = "runs" if running else "has ended"
    say(f"experiment {one.id} {state}: A {one.a}, B {one.b} for {one.share:.0%} of people")
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    console.print(_table(report))
    say(f"{one.decides} decides: {report.verdict}.")


def _table(report: ExperimentReport) -> Table:
    from rich.table import Table

    table = Table("per ranking", "A", "B", "B - A", "p (always valid)", box=None)
    for name, each in report.metrics.items():
        low, high = each.comparison.interval
        reach = f" [{low:+.4f}, {high:+.4f}]" if math.isfinite(low) else " (too few people yet)"
        rates = [
            f"{rate.value:.4f} ({rate.people:,} people, {rate.shown:,} rankings)" if rate.people else "nobody yet"
            for rate in (each.a, each.b)
        ]
        table.add_row(name, *rates, f"{each.comparison.difference:+.4f}{reach}", f"{each.comparison.p:.4f}")
    return table
