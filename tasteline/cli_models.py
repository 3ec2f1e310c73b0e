"""`tasteline models`: which trained models there are, and which one of each kind the service uses."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tasteline.terminal import AsJson, read_settings, say, say_json

if TYPE_CHECKING:
    from rich.table import Table

    from retrieval.registry import Change, Entry, Registry

app = typer.Typer(help="Trained models: which there are and which are live.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="Of a model, or as much of its beginning as no other shares.")]


@app.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Option(help="next-item, encoder, reranker, llm, forecast or offers; default: all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """All trained models, oldest first within their kind."""
    from retrieval.model_card import kind_of

    only = kind_of(kind) if kind else None
    registry = _registry()
    entries, damaged = registry.entries(only), [str(error) for error in registry.damaged(only)]
    if as_json:
        say_json({"models": [_described(entry) for entry in entries], "damaged": damaged})
        return
    for message in damaged:
        sys.stderr.write(f"tasteline: {message}\n")
    _print(_table(entries)) if entries else say("No model was trained yet.")


@app.command()
def show(model: Id, as_json: AsJson = False) -> None:
    """One model's card: data, code, settings, and its metrics beside the baselines'."""
    from retrieval.learned_from import LearnedFrom
    from retrieval.model_card import card_to_markdown

    entry = _registry().find(model)
    record = LearnedFrom(read_settings().home).record(entry.card.kind, entry.id)
    if as_json:
        people = {"known": record.people, "erased": record.forgotten} if record else None
        say_json({**_described(entry), "people": people})
        return
    say(card_to_markdown(entry.card, entry.state).rstrip())
    if record is None:
        say("\nNobody wrote down whom it learned from.")
    else:
        say(
            f"\nOf the people whom it learned from {record.people:,} are known, {record.forgotten:,} were erased since."
        )


@app.command()
def promote(
    model: Id,
    force: Annotated[bool, typer.Option("--force", help="Although it was measured worse than what was live.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a model the live one of its kind. A running service takes it up within two seconds; an encoder when the
    catalogue is embedded anew, a language model when its weights are loaded."""
    registry = _registry()
    _tell(registry.promote(registry.find(model).id, force=force), as_json)


@app.command()
def rollback(
    kind: Annotated[str, typer.Argument(help="next-item, encoder, reranker, llm, forecast or offers.")],
    as_json: AsJson = False,
) -> None:
    """Take the last promotion back: what was live before it is live again."""
    from retrieval.model_card import kind_of

    _tell(_registry().rollback(kind_of(kind)), as_json)


@app.command()
def retire(model: Id, as_json: AsJson = False) -> None:
    """Take a model out of service for good: what was live before it is live again, and it never is."""
    registry = _registry()
    entry = registry.find(model)
    change = registry.withdraw(entry.card.kind, [entry.id])
    if as_json:
        say_json({"kind": entry.card.kind, "retired": entry.id, "live": change.live, "before": change.before})
    else:
        say(f"{entry.card.kind} {entry.id} is retired; {f'{change.live} is live' if change.live else 'none is live'}.")


def _registry() -> Registry:
    from retrieval.registry import Registry

    return Registry(read_settings().home)


def _tell(change: Change, as_json: bool) -> None:
    kind, live = change.kind, change.live.id if change.live else None
    before = f"before it was {change.before}" if change.before else "none was before"
    if as_json:
        say_json({"kind": kind, "live": live, "before": change.before, "changed": change.changed})
    elif live is None:
        say(f"no {kind} model is live; {before}.")
    elif not change.changed:
        say(f"{kind} {live} is live already.")
    else:
        say(f"{kind} {live} is live; {before}.")


def _described(entry: Entry) -> dict[str, object]:
    import json

    from retrieval.model_card import card_to_json

    return {"state": entry.state, "folder": str(entry.folder), **json.loads(card_to_json(entry.card))}


def _table(entries: list[Entry]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("id", "kind", "state", "created", "data", "metric", box=None)
    table.add_column("seconds", justify="right")
    for entry in entries:
        card = entry.card
        value = "not measured" if card.main_value is None else f"{card.main_metric} {card.main_value:.4f}"
        created = f"{card.created:%Y-%m-%d %H:%M}"
        cells = (entry.id, card.kind, entry.state, created, card.data.name, value, f"{card.seconds:,.0f}")
        table.add_row(*(escape(cell) for cell in cells))
    return table


def _print(table: Table) -> None:
    """Wide enough for a script to read a row as a line where standard output is no terminal."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)
