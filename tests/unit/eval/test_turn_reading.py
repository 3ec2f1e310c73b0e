"""The second reading of sentences about a person: by hand, and against what it must not believe."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from eval import turn_reading
from eval.turn_reading import Past, Turned, turn_in, verdict
from tasteline.types import Event, EventType, Product

PRODUCTS = {
    each.id: each
    for each in (
        Product("pan", "Iron Pan", brand="Hob", categories=("Kitchen & Dining", "Pans")),
        Product("cup", "Blue Cup", categories=("Kitchen & Dining", "Cups")),
        Product("tent", "Dome Tent and Pegs", categories=("Outdoor", "Tents"), attributes={"colour": ("green",)}),
        Product("lamp", "Desk Lamp", categories=("Home", "Lamps")),
    )
}
DONE = ["pan", "cup", "pan", "lamp", "pan", "tent", "tent", "lamp", "tent"]
PAST = Past(
    [
        Event(f"e{n}", EventType.PURCHASE if n == 8 else EventType.VIEW_ITEM, product_id=product_id)
        for n, product_id in enumerate(DONE)
    ],
    PRODUCTS,
)


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("You turned from Kitchen & Dining to Outdoor.", ("kitchen & dining",), ("outdoor",)),
        (
            "Lately you turned to Outdoor and Home from Kitchen & Dining.",
            ("kitchen & dining",),
            ("outdoor", "home"),
        ),
        ("You turned from Games to Outdoor.", (), ("outdoor",)),
        ("You turned from Kitchen & Dining to Outdoor life.", ("kitchen & dining",), ()),
        ("You turned to it.", (), ()),
    ],
)
def test_sides_are_read_by_own_categories(text: str, before: tuple[str, ...], after: tuple[str, ...]) -> None:
    assert turn_in(text, PAST) == Turned(before, after)


def test_a_sentence_without_a_turn_has_none() -> None:
    assert turn_in("You viewed Iron Pan.", PAST) is None


@pytest.mark.parametrize(
    ("text", "events", "said"),
    [
        ("You turned from Kitchen & Dining to Outdoor.", ("e4", "e5"), "true"),
        ("Lately you turned from Kitchen & Dining to Outdoor: you looked at Dome Tent.", ("e4", "e5"), "true"),
        ("Lately you turned from Kitchen & Dining to Outdoor: you looked at Desk Lamp.", ("e4", "e5"), "false"),
        ("You turned from Outdoor to Kitchen & Dining.", ("e4", "e5"), "false"),
        ("You turned from Outdoor to Kitchen & Dining.", ("e5", "e4"), "false"),
        ("You turned from Home to Outdoor.", ("e3", "e5"), "false"),
        ("You turned from Kitchen & Dining to Outdoor.", ("e5",), "false"),
        ("You turned from Kitchen & Dining to Outdoor.", (), "false"),
        ("You turned from Kitchen & Dining to Outdoor.", ("e4", "e5", "x"), "false"),
        ("You bought Dome Tent and Pegs.", ("e8",), "true"),
        ("You bought green tents.", ("e8",), "true"),
        ("You viewed Dome Tent.", ("e8",), "false"),
        ("You bought Iron Pan.", ("e0", "e8"), "false"),
        ("You looked at Iron Tent.", ("e0", "e5"), "false"),
        ("You are interested in pans and cups.", ("e0", "e1"), "true"),
        ("You are interested in pans and lamps.", ("e0", "e1"), "false"),
        ("It is by Hob.", ("e0",), "unread"),
    ],
)
def test_what_is_said_is_recounted_from_the_events(text: str, events: tuple[str, ...], said: str) -> None:
    assert verdict(text, events, PAST) == said


def test_it_shares_nothing_with_the_service() -> None:
    tree = ast.parse(Path(turn_reading.__file__).read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name for name in imported if name.split(".")[0] in ("app", "prompts", "retrieval")}
