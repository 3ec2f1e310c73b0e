"""`tasteline insights`: what the whole shop is turning to, from a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tasteline.terminal import AsJson, fail, read_settings, say, say_json

if TYPE_CHECKING:
    from app.schemas_insights import ActionModel, InsightsResponse
    from retrieval.insights.desk import InsightsDesk
    from tasteline.types import Product

PATIENCE_SECONDS = 3_600.0
"""Nobody waits in line behind a command."""


def insights(
    days: Annotated[int | None, typer.Option(min=7, max=364, help="Of each window: whole weeks.")] = None,
    category: Annotated[str | None, typer.Option(help="Only findings about it, at any level of the path.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=50, help="Lines of each list.")] = 8,
    data: Annotated[
        str | None, typer.Option(help="Instead of the shop's own events: completejourney, the PyPI package.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What rises and falls among all shoppers, among whom, what follows what, and what to do about it."""
    from contextlib import closing

    from app.schemas_insights import InsightsResponse

    settings = read_settings(insights_days=days)
    with closing(_desk(data)) as desk:
        told = desk.view(settings.insights_days, PATIENCE_SECONDS)
    shown = InsightsResponse.of(told, (), category, limit)
    say(shown.model_dump_json()) if as_json else say(_text(shown))


def bench(
    repeats: Annotated[int, typer.Option(min=1, help="Turns of each side.")] = 3,
    save: Annotated[str | None, typer.Option(help="Keep the result as eval/results/NAME.json.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rules of 155,848 real baskets and the view at a million events, against mlxtend and pandas in the same run."""
    from pathlib import Path

    from eval.bench import insights as bench_insights
    from eval.datasets import checksum_of
    from eval.results import commit_of, markdown_table, write_result
    from retrieval.importing.completejourney import PRODUCTS, TRANSACTIONS, data_folder

    folder, root = data_folder(), Path(__file__).parents[1]
    report = {
        **bench_insights.run(repeats, told=_told),
        "dataset": "completejourney",
        "settings": {"repeats": repeats},
        "seed": 0,
        "checksum": checksum_of((folder / PRODUCTS, folder / TRANSACTIONS)),
    }
    if save:
        sys.stderr.write(f"written: {write_result(report, root / 'eval' / 'results', save)}\n")
    commit = commit_of(root)
    report["commit"] = commit.sha if commit else None
    say_json(report) if as_json else say(markdown_table(report))


def _told(text: str) -> None:
    sys.stderr.write(f"tasteline: {text}\n")


def _desk(data: str | None) -> InsightsDesk:
    from app.engines import open_store
    from eval.shop_events import shop_events
    from retrieval.deed_log import DeedLog
    from retrieval.insights.desk import InsightsDesk

    settings = read_settings()
    fewest, rest = settings.insights_people, settings.insights_seconds
    if data is not None:
        if data != "completejourney":
            fail("--data takes completejourney; import other data first (`tasteline import`)", 2)
        shop = shop_events()
        return InsightsDesk(DeedLog(shop), lambda: shop.products, fewest, rest)
    store = open_store(settings)

    def products() -> list[Product]:
        return [each.product for each in store.changes(0) if each.product]

    return InsightsDesk(DeedLog(store), products, fewest, rest)


def _text(shown: InsightsResponse) -> str:
    since = f"{shown.shoppers:,} shoppers in the {shown.days} days before {shown.as_of:%d %B %Y}" if shown.as_of else ""
    lines = [
        f"{since} ({shown.shoppers_before:,} in the {shown.days} days before them)." if since else "",
        *shown.notes,
    ]
    lists: list[tuple[str, list[ActionModel]]] = [
        ("Rising", [each.action for each in shown.rising]),
        ("Falling", [each.action for each in shown.falling]),
        ("Early signs", [each.action for each in shown.early]),
        ("What follows what", [each.action for each in shown.follows]),
        ("Bought together", [each.action for each in shown.rules]),
        ("Segments", [each.action for each in shown.segments]),
    ]
    for title, actions in lists:
        if actions:
            lines += ["", title, *(f"  {action.text}\n    {action.because}" for action in actions)]
    return "\n".join(line for line in lines if line is not None).strip()
