"""`tasteline eval offers`: who answers a coupon campaign with which coupon, what goes into a cart,
and what paid places cost.

Takes the parts that are asked for, gives one result for each. Each measurement is a module of its own; this one knows
only their names and writes down each look at test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from eval.protocols.looks import Look, record
from eval.results import commit_of
from retrieval.importing.completejourney import NAME
from tasteline.errors import InvalidInput
from tasteline.settings import Settings

Part = Literal["people", "coupons", "cart", "sponsored"]
PARTS: tuple[Part, ...] = get_args(Part)


def run(
    data: str, settings: Settings, seed: int, told: Callable[[str], None], parts: Sequence[Part] = PARTS
) -> dict[str, dict[str, object]]:
    """part → result. Raises InvalidInput for data without coupon campaigns."""
    if data != NAME:
        raise InvalidInput(f"{data!r} has no coupon campaigns; `{NAME}` has")
    return {part: _measured(part, settings, seed, told) for part in parts}


def _measured(part: Part, settings: Settings, seed: int, told: Callable[[str], None]) -> dict[str, object]:
    if part == "cart":
        return _cart(settings, seed, told)
    return _sponsored(settings, seed, told) if part == "sponsored" else _campaigns(part, settings, seed, told)


def _sponsored(settings: Settings, seed: int, told: Callable[[str], None]) -> dict[str, object]:
    """The demo shop, whatever the data: its queries are made, and nothing is chosen on them."""
    from eval import demo_shop
    from eval.sponsoring import measure

    return measure(demo_shop.products(), settings, seed, told).as_mapping()


def _cart(settings: Settings, seed: int, told: Callable[[str], None]) -> dict[str, object]:
    from eval.cart_addons import measure, systems
    from eval.data.campaigns import read_baskets
    from eval.served_carts import served_carts

    deeds, kinds, checksum = read_baskets()
    with served_carts(settings, checksum) as served:
        looks = looked("cart", checksum, [*systems({}), *served], settings, seed)
        report = measure(deeds, kinds, NAME, checksum, seed=seed, told=told, more=served).as_mapping()
    return {**report, "part": "test", "test_looks": looks}


def _campaigns(
    part: Literal["people", "coupons"], settings: Settings, seed: int, told: Callable[[str], None]
) -> dict[str, object]:
    from eval.coupon_response import candidates, measure
    from eval.data.campaigns import read_campaigns

    log, checksum = read_campaigns()
    looks = looked(part, checksum, list(candidates(part)), settings, seed)
    report = measure(log, checksum, part, seed=seed, told=told).as_mapping()
    return {**report, "part": "test", "test_looks": looks}


def looked(part: str, checksum: str, systems: Sequence[str], settings: Settings, seed: int) -> int:
    """How often the test part was looked at before; this look is written down."""
    commit = commit_of(Path(__file__).parent)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    look = Look(NAME, checksum, f"offers-{part}", list(systems), {"seed": seed}, commit.sha if commit else None, now)
    return record(settings.home / "eval", look)
