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
    from finetune.training import Epoch

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
    from eval.report.tables import markdown_table

    asked = TrainingAsked(data, currency, names(systems) or BESIDE, seed, promote, begin)
    with progress_bar("embedding") as advance, epochs() as heard:
        report, entry, live = train_next_item(asked, read_settings(), _told, heard, advance)
    if as_json:
        say_json({"id": entry.id, "live": live, "folder": str(entry.folder), "table": report["systems"]})
        return
    say(markdown_table(report))
    state = "is live" if live else "is a candidate; `tasteline models promote` makes it live"
    say(f"\nnext-item {entry.id} {state}.")


def _told(what: str) -> None:
    sys.stderr.write(f"tasteline: {what}\n")


@contextmanager
def epochs() -> Iterator[Callable[[str, Epoch], None]]:
    """The epoch at hand on a terminal, one line for each epoch elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("training") as status:

        def heard(part: str, epoch: Epoch) -> None:
            value = "" if epoch.value != epoch.value else f", nDCG@10 on valid {epoch.value:.4f}"
            line = f"{part}: epoch {epoch.number}, {epoch.seconds:.0f} s, loss {epoch.loss:.3f}{value}"
            if console.is_terminal:
                status.update(line)
            else:
                _told(line)

        yield heard
