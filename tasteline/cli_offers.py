"""`tasteline eval offers` and `train offers`: advice about coupons, carts and paid places, and what it is worth."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from tasteline.terminal import AsJson, fail, read_settings, say, say_json


def reports(data: str, part: str, seed: int, told: Callable[[str], None]) -> Mapping[str, dict[str, object]]:
    """Results by part; ends the run for a part that is not known."""
    from eval.offers import PARTS, run

    chosen = [each for each in PARTS if part in (each, "all")]
    if not chosen:
        fail(f"--part {part!r} is not known; there are {', '.join(PARTS)} and all", 2)
    return run(data, read_settings(), seed, told, chosen)


Part = Annotated[
    str,
    typer.Option(
        "--part", help="people: who redeems; coupons: which; cart: what is added; sponsored: paid places; all."
    ),
]


def train(
    data: Annotated[str, typer.Option(help="completejourney: real coupon campaigns.")] = "completejourney",
    promote: Annotated[bool, typer.Option(help="Make it live where no simple rule is better.")] = True,
    as_json: AsJson = False,
) -> None:
    """Learn from coupon campaigns who takes up an offer; once it is live, advice about offers ranks by it."""
    from eval.data.campaigns import read_campaigns
    from eval.offer_training import train_offers
    from eval.results import markdown_table
    from retrieval.importing.completejourney import NAME

    if data != NAME:
        fail(f"{data!r} has no coupon campaigns; `{NAME}` has", 2)
    log, checksum = read_campaigns()
    report, entry, live = train_offers(log, NAME, checksum, read_settings(), _told, promote=promote)
    if as_json:
        say_json({**report, "model": entry.id, "live": live})
        return
    say(markdown_table(report))
    say(f"{entry.id} is {'live' if live else 'a candidate'}.")


def _told(name: str) -> None:
    sys.stderr.write(f"tasteline: {name}\n")
