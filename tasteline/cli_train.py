"""`tasteline train`: offline jobs that learn from the shop's own data and put what they made into the registry."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tasteline.terminal import AsJson, progress_bar, read_settings, say, say_json

if TYPE_CHECKING:
    from eval.search_training import SearchTrainingAsked
    from finetune.lora.job import Step
    from finetune.training import Epoch
    from retrieval.registry import Entry

app = typer.Typer(help="Learn from the shop's own data; the result goes to the registry.", no_args_is_help=True)


@app.command("next-item")
def next_item(
    data: Annotated[Path | None, typer.Option(help="Imported first: any feed and events that `import` takes.")] = None,
    currency: Annotated[str | None, typer.Option(help="Of prices that name none.")] = None,
    systems: Annotated[
        str | None, typer.Option(help="Baselines beside it in the table, with commas between; default: cheap ones.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 0,
    promote: Annotated[
        bool, typer.Option(help="Make it live where no baseline is ahead of it; --no-promote leaves it a candidate.")
    ] = True,
    begin: Annotated[
        str | None, typer.Option("--from", help="Begin from this model, an id or the folder of another shop's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Learn what people turn to next; a running service ranks by it within two seconds.

    Each person's last event is asked for, once; what was measured is what is served. Broken off, it goes on where it
    was.
    """
    from eval.next_item_training import BESIDE, TrainingAsked, train_next_item
    from eval.recommending import names

    asked = TrainingAsked(data, currency, names(systems) or BESIDE, seed, promote, begin)
    with progress_bar("embedding") as advance, epochs() as heard:
        report, entry, live = train_next_item(asked, read_settings(), _told, heard, advance)
    _say(report, entry, live, as_json)


Base = Annotated[
    str | None, typer.Option(help="Hub id, folder, or model's id to begin from; default: the encoder of the settings.")
]
LlmBase = Annotated[
    str | None,
    typer.Option(help="Hub id, folder, or model's id to begin from; default: the language model of the settings."),
]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="TOML of settings for this and other jobs.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="name=value, overruling the file: preset=gpu, minutes=10.")
]
Questions = Annotated[int, typer.Option(min=1, help="To learn from, at most.")]
Each = Annotated[int, typer.Option(min=1, help="Queries made for each product.")]
Data = Annotated[Path | None, typer.Option(help="Imported first: any feed and events that `import` takes.")]
Currency = Annotated[str | None, typer.Option(help="Of prices that name none.")]
Seed = Annotated[int, typer.Option(help="Of every draw.")]
Promote = Annotated[
    bool, typer.Option(help="Make it live where the search is not worse with it; --no-promote leaves it a candidate.")
]


@app.command()
def encoder(
    data: Data = None,
    currency: Currency = None,
    base: Base = None,
    file: SettingsFile = None,
    assignments: Set = None,
    each: Each = 2,
    questions: Questions = 2_000,
    seed: Seed = 0,
    promote: Promote = True,
    as_json: AsJson = False,
) -> None:
    """Tune the encoder, by LoRA, to what is typed in this shop; no labels are needed.

    Questions are made of the catalogue, and of searches where there are events. Broken off, it goes on where it was.
    """
    from eval.search_training import SearchTrainingAsked

    asked = (data, currency, base, file, tuple(assignments or ()), each)
    _train_for_search(SearchTrainingAsked("encoder", *asked, questions=questions, seed=seed, promote=promote), as_json)


@app.command()
def reranker(
    data: Data = None,
    currency: Currency = None,
    base: Base = None,
    file: SettingsFile = None,
    assignments: Set = None,
    each: Each = 2,
    questions: Questions = 2_000,
    next_items: Annotated[
        bool, typer.Option("--next-items", help="Of what people decided for next, not of searches; for `eval rerank`.")
    ] = False,
    seed: Seed = 0,
    promote: Promote = True,
    as_json: AsJson = False,
) -> None:
    """Tune a cross-encoder, by LoRA, that reads request and product together and orders the top of a search."""
    from eval.search_training import SearchTrainingAsked

    asked = (data, currency, base, file, tuple(assignments or ()), each)
    training = SearchTrainingAsked(
        "reranker", *asked, questions=questions, next_items=next_items, seed=seed, promote=promote
    )
    _train_for_search(training, as_json)


@app.command()
def llm(
    data: Data = None,
    currency: Currency = None,
    base: LlmBase = None,
    file: SettingsFile = None,
    assignments: Set = None,
    tasks: Annotated[
        str | None, typer.Option(help="Of judging, interests, understanding, wording; default: all.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Chats to learn from, at most.")] = 96,
    seed: Seed = 0,
    promote: Annotated[
        bool,
        typer.Option(help="Make it live where its answers are not less likely; --no-promote leaves it a candidate."),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Tune the language model, by LoRA, to the prompts of this service and the answers that its checks let pass."""
    from eval.llm_training import LlmTrainingAsked, tasks_of, train_language_model
    from eval.lora_entry import Hearing

    asked = LlmTrainingAsked(
        data, currency, base, file, tuple(assignments or ()), tasks_of(tasks), rows, seed=seed, promote=promote
    )
    with steps("working") as (advance, step), epochs("log-likelihood on valid") as heard:
        report, entry, live = train_language_model(asked, read_settings(), Hearing(_told, heard, step, advance))
    _say(report, entry, live, as_json)


@app.command()
def forecast(
    data: Data = None,
    currency: Currency = None,
    seed: Seed = 0,
    promote: Annotated[
        bool, typer.Option(help="Make it live where no simple rule is ahead; --no-promote leaves it a candidate.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Learn what people buy within the next 30 days, by category and product, and who stays away.

    Needs purchases with a user id and a time, over 150 days or more. Measured on the last 30 days beside simple rules.
    """
    from eval.forecast_training import ForecastTrainingAsked, train_shop_forecast

    asked = ForecastTrainingAsked(data, currency, seed, promote)
    report, entry, live = train_shop_forecast(asked, read_settings(), _told)
    _say(report, entry, live, as_json)


def _train_for_search(asked: SearchTrainingAsked, as_json: bool) -> None:
    from eval.lora_entry import Hearing
    from eval.search_training import train_for_search

    with steps("working") as (advance, step), epochs("MRR@10 on valid") as heard:
        report, entry, live = train_for_search(asked, read_settings(), Hearing(_told, heard, step, advance))
    _say(report, entry, live, as_json)


def _say(report: dict[str, object], entry: Entry, live: bool, as_json: bool) -> None:
    """The table and what became of the model."""
    if as_json:
        say_json({"id": entry.id, "live": live, "folder": str(entry.folder), "table": report["systems"]})
        return
    from eval.report.tables import markdown_table

    say(markdown_table(report))
    row = entry.card.comparison
    promote = f"tasteline models promote {entry.id}{' --force' if row is not None and row.is_worse else ''}"
    state = "is live" if live else f"is a candidate; `{promote}` makes it live"
    say(f"\n{entry.card.kind} {entry.id} {state}.")


@contextmanager
def steps(description: str) -> Iterator[tuple[Callable[[int, int], None], Callable[[Step], None]]]:
    """One bar for what is counted, and for the steps of a training with loss and speed; silent off a terminal."""
    with progress_bar(description) as advance:

        def step(at: Step) -> None:
            advance(at.number, at.of)

        yield advance, step


def _told(what: str) -> None:
    sys.stderr.write(f"tasteline: {what}\n")


@contextmanager
def epochs(value_name: str = "nDCG@10 on valid") -> Iterator[Callable[[str, Epoch], None]]:
    """The epoch at hand on a terminal, one line for each epoch elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("training") as status:

        def heard(part: str, epoch: Epoch) -> None:
            value = "" if epoch.value != epoch.value else f", {value_name} {epoch.value:.4f}"
            line = f"{part}: epoch {epoch.number}, {epoch.seconds:.0f} s, loss {epoch.loss:.3f}{value}"
            if console.is_terminal:
                status.update(line)
            else:
                _told(line)

        yield heard
