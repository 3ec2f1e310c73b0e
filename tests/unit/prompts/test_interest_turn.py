"""How a turn is called: its line, its sentence, its names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prompts.interest_turn import InterestTurn, callings, turn_line, turn_told
from prompts.interest_words import PROMPT_TOKENS, TURN_TOKENS, describe, fitting, render_interest_words
from prompts.prompt import tokens_at_most
from prompts.step import Step
from tasteline.types import Event, EventType, Product
from tests.unit.prompts.attacks import ATTACKS


def step(number: int, title: str, act: EventType = EventType.VIEW_ITEM) -> Step:
    return Step(Event(f"e{number}", act), Product(f"p{title}", title))


TURN = InterestTurn(
    ("Kitchen",),
    ("Outdoor", "Garden"),
    (step(1, "Iron Pan"),),
    (step(2, "Dome Tent"), step(3, "Dome Tent", EventType.ADD_TO_CART), step(4, "Watering Can", EventType.PURCHASE)),
)


def test_the_template_names_both_sides_and_what_began_it() -> None:
    assert turn_told(TURN) == (
        "Lately you turned from Kitchen to Outdoor and Garden: you looked at Dome Tent and bought Watering Can."
    )
    told = describe([step(4, "Watering Can")], turn=TURN).sentences[0]
    assert told.event_ids == ("e1", "e2", "e3", "e4")


def test_acts_of_a_kind_are_told_together() -> None:
    alike = replace(TURN, shown_after=(step(2, "Dome Tent"), step(5, "Stove")))
    assert turn_told(alike).endswith("you looked at Dome Tent and Stove.")


@pytest.mark.parametrize("side", ["before", "after", "shown_before", "shown_after"])
def test_half_a_turn_is_not_told(side: str) -> None:
    half = replace(TURN, **{side: ()})
    assert not half.can_be_said
    assert turn_told(half) == ""
    assert not any("turned" in sentence.text for sentence in describe([step(2, "Tent")], turn=half).sentences)


def test_a_turn_is_the_line_after_the_steps_and_may_be_quoted() -> None:
    steps = [step(1, "Iron Pan"), step(2, "Dome Tent")]
    prompt = render_interest_words(steps, "a gift", TURN)
    assert prompt.messages[-1].content.splitlines()[3:5] == [
        f"3. {turn_line(TURN)}",
        "said: a gift",
    ]
    assert '"enum": [1, 2, 3]' in (prompt.schema or "")
    assert "turned from" in (prompt.schema or "")


def test_what_comes_before_is_the_same_with_a_turn_and_without() -> None:
    steps = [step(1, "Iron Pan")]
    plain, turned = render_interest_words(steps).messages, render_interest_words(steps, turn=TURN).messages
    assert turned[: len(plain) - 1] == plain[:-1]
    assert len(turned) == len(plain) + 2
    assert "turned" not in "".join(message.content for message in plain)
    assert "turned" not in (render_interest_words(steps).schema or "")


@pytest.mark.parametrize("attack", ATTACKS)
def test_names_stay_on_their_line_and_in_the_budget(attack: str) -> None:
    hostile = replace(TURN, before=(attack, attack[::-1]), after=(attack,))
    steps = [step(number, attack) for number in range(6)]
    prompt = render_interest_words(steps, attack, hostile)
    lines = prompt.messages[-1].content.splitlines()
    assert sum(tokens_at_most(message.content) for message in prompt.messages) <= PROMPT_TOKENS + TURN_TOKENS
    shown = fitting(steps, attack, hostile)
    assert len(lines) - 3 - bool(lines[-2].startswith("said:")) == len(shown)
    assert not any(mark in "".join(lines[1:-1]) for mark in ("<|", "```", "\u200b", "<<<", ">>>"))


def test_a_side_may_be_called_by_one_of_its_topics_or_by_all() -> None:
    assert set(callings(("Tea", "Mugs"))) == {"Tea", "Mugs", "Tea and Mugs", "Mugs and Tea"}
    assert callings(("\u200b",)) == ()
