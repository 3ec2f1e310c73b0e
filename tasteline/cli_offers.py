"""`tasteline eval offers` and `train offers`: advice about coupons, carts and paid places, and what it is worth."""

from __future__ import annotations

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
    as_json: AsJson = False,
) -> None:
    """Learn from coupon campaigns who takes up an offer; the advice of this home ranks by it from then on.

    Delete the file that it names to go back to counts.
    """
    from eval.coupon_response import serving_model
    from eval.data.campaigns import read_campaigns
    from retrieval.importing.completejourney import NAME
    from retrieval.offers.adviser import MODEL_FILE

    if data != NAME:
        fail(f"{data!r} has no coupon campaigns; `{NAME}` has", 2)
    model, freedom = serving_model(read_campaigns()[0])
    path = read_settings().home / MODEL_FILE
    model.write(path)
    said = {"file": str(path), "learned_from": model.learned_from, "freedom": freedom}
    say_json(said) if as_json else say(f"learned from {model.learned_from}: {path}")
