"""`tasteline eval offers`: what advice about coupons, carts and paid places is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from tasteline.terminal import fail, read_settings


def reports(data: str, part: str, seed: int, told: Callable[[str], None]) -> Mapping[str, dict[str, object]]:
    """Results by part; ends the run for a part that is not known."""
    from eval.offers import PARTS, run

    chosen = [each for each in PARTS if part in (each, "all")]
    if not chosen:
        fail(f"--part {part!r} is not known; there are {', '.join(PARTS)} and all", 2)
    return run(data, read_settings(), seed, told, chosen)


Part = Annotated[str, typer.Option("--part", help="people: who redeems; coupons: which coupon; all.")]
