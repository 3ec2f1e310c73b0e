"""The form that a model fills in: what is asked, what is fenced, what it costs, and what may become of the answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.prompt import tokens_at_most
from prompts.understanding import (
    FENCE_CLOSE,
    FENCE_OPEN,
    MAX_TOKENS,
    PROMPT_TOKENS,
    Choice,
    RequestReading,
    Slot,
    read_understanding,
    render_understanding,
)
from tests.unit.prompts.attacks import ATTACKS

PRICE: dict[Slot, tuple[Choice, ...]] = {"price_max": (50.0,), "price_min": (50.0,)}


def asked(text: str, slots: dict[Slot, tuple[Choice, ...]] = PRICE, **told: tuple[str, ...]) -> str:
    return render_understanding(text, slots, **told).messages[-1].content  # type: ignore[arg-type]


def test_only_what_is_open_is_asked_and_only_what_was_said_can_be_answered() -> None:
    schema = json.loads(render_understanding("a tent, not over fifty", PRICE | {"exclude": ("tent",)}).schema or "")
    assert list(schema["properties"]) == ["price_max", "price_min", "exclude"] == schema["required"]
    assert schema["properties"]["price_max"] == {"enum": [50, None]}
    assert schema["properties"]["exclude"]["anyOf"][0]["items"] == {"enum": ["tent"]}
    assert not schema["additionalProperties"]


def test_an_intent_is_never_null() -> None:
    schema = json.loads(render_understanding("and more?", {"intent": ("find", "more")}).schema or "")
    assert schema["properties"] == {"intent": {"enum": ["find", "more"]}}


def test_a_form_without_slots_is_refused() -> None:
    with pytest.raises(ValueError, match="asks nothing"):
        render_understanding("hello", {})


def test_what_never_changes_comes_first() -> None:
    one = render_understanding("a tent", PRICE)
    other = render_understanding("mugs", {"exclude": ("mugs",)}, shown=("Tin Mug",), earlier=("cups",), known=("red",))
    assert one.messages[:-1] == other.messages[:-1]
    assert [message.role for message in one.messages] == [
        "system",
        *["user", "assistant"] * (len(one.messages) // 2 - 1),
        "user",
    ]
    assert one.name == "understanding_v1"
    assert one.max_tokens <= MAX_TOKENS <= 96


def test_the_examples_follow_their_own_form() -> None:
    messages = render_understanding("a tent", PRICE).messages[1:-1]
    for question, answer in zip(messages[::2], messages[1::2], strict=True):
        reading = read_understanding(answer.content)
        assert reading.outcome == "ok", answer
        assert question.content.endswith("Fill in: " + ", ".join(json.loads(answer.content)))


def test_everything_known_is_told_in_order() -> None:
    content = asked(
        "the second", earlier=("kettles",), shown=("Tin Kettle", "Red Kettle"), words=("Kettles",), known=("red",)
    )
    assert content.splitlines() == [
        "Earlier: kettles",
        "Shown: 1. Tin Kettle 2. Red Kettle",
        "Shop words: Kettles",
        "Known: red",
        FENCE_OPEN,
        "the second",
        FENCE_CLOSE,
        "Fill in: price_max, price_min",
    ]


@pytest.mark.parametrize("attack", ATTACKS)
def test_nobody_closes_the_fence(attack: str) -> None:
    content = asked(attack, shown=(attack,), earlier=(attack,), words=(attack,), known=(attack,))
    assert content.count(FENCE_OPEN) == content.count(FENCE_CLOSE) == 1
    assert len(content.splitlines()) == 8
    assert "<|" not in content
    assert "\u200b" not in content


@given(st.text(max_size=3_000), st.lists(st.text(max_size=300), max_size=9))
def test_the_budget_holds_in_every_script(text: str, others: list[str]) -> None:
    told = tuple(others)
    prompt = render_understanding(text, PRICE, shown=told, earlier=told, words=told, known=told)
    assert sum(tokens_at_most(message.content) for message in prompt.messages) <= PROMPT_TOKENS


def test_the_budget_holds_where_a_character_costs_two_tokens() -> None:
    told = ("茶壶" * 100,) * 9
    prompt = render_understanding("茶壶" * 1000, PRICE, shown=told, earlier=told, words=told, known=told)
    assert sum(tokens_at_most(message.content) for message in prompt.messages) <= PROMPT_TOKENS


def test_a_good_answer_is_read_and_null_says_nothing() -> None:
    reading = read_understanding(' {"price_max": 50, "price_min": null, "exclude": null, "references": [2, 1]}\n')
    assert reading.value == RequestReading(price_max=50, references=(2, 1))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("", "missing"),
        (" \n", "missing"),
        ("Sure! Here is the form.", "wrong_format"),
        ('{"price_max": 50', "wrong_format"),
        ('{"price_max": "fifty"}', "wrong_format"),
        ('{"price_max": -1}', "wrong_format"),
        ('{"price_max": NaN}', "wrong_format"),
        ('{"rating_min": 6}', "wrong_format"),
        ('{"intent": "refund"}', "wrong_format"),
        ('{"references": [0]}', "wrong_format"),
        ('{"discount": 90}', "wrong_format"),
        ("[]", "wrong_format"),
        ('{"query": "very good pot very good pot very good pot very good pot', "repetition"),
    ],
)
def test_a_bad_answer_is_a_value(answer: str, outcome: str) -> None:
    reading = read_understanding(answer)
    assert (reading.outcome, reading.value) == (outcome, None)


@given(st.text())
def test_reading_never_raises(answer: str) -> None:
    reading = read_understanding(answer)
    assert (reading.value is not None) == (reading.outcome == "ok")
