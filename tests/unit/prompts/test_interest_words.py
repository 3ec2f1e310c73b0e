"""Interests in words: what is asked of a model, how its answer is read, and what is said without one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.interest_words import (
    FENCE_CLOSE,
    FENCE_OPEN,
    MOST_SENTENCES,
    MOST_STEPS,
    PROMPT_TOKENS,
    NumberedSentence,
    Worded,
    describe,
    fitting,
    read_interest_words,
    render_interest_words,
)
from prompts.prompt import tokens_at_most
from prompts.step import Step
from tasteline.types import Event, EventType, Interest, Product
from tests.unit.prompts.attacks import ATTACKS

BOOTS = Product("p1", "Tarn Boots, size 42", brand="Tarn", categories=("Outdoor", "Hiking", "Boots"))
SOCKS = Product("p2", "Tarn Wool Socks", brand="Tarn", categories=("Outdoor", "Hiking", "Socks"))
MUG = Product("p3", "Enamel Mug")


def step(number: int, product: Product, act: EventType = EventType.VIEW_ITEM) -> Step:
    return Step(Event(f"e{number}", act, product_id=product.id), product)


STEPS = [step(1, BOOTS, EventType.PURCHASE), step(2, SOCKS), step(3, MUG, EventType.ADD_TO_CART)]
TOPICS = [
    Interest("Boots", 0.7, 0.6, "steady", ("e1",)),
    Interest("Socks", 0.2, 0.1, "rising", ("e2",)),
]


def question(steps: list[Step], said: str = "") -> str:
    return render_interest_words(steps, said).messages[-1].content


def test_lines_are_numbered_and_name_act_product_and_kind() -> None:
    assert question(STEPS, "a gift").splitlines() == [
        FENCE_OPEN,
        "1. bought: Tarn Boots (Boots)",
        "2. viewed: Tarn Wool Socks (Socks)",
        "3. put in the cart: Enamel Mug",
        "said: a gift",
        FENCE_CLOSE,
    ]


def test_only_the_last_message_changes_so_that_a_prefix_cache_hits() -> None:
    one, other = render_interest_words(STEPS), render_interest_words(STEPS[:1], "warm socks")
    assert one.messages[:-1] == other.messages[:-1]
    assert one.messages[0].role == "system"
    assert one.max_tokens <= 160


def test_the_schema_knows_the_lines_and_the_acts() -> None:
    schema = json.loads(render_interest_words(STEPS[:2]).schema or "")
    sentence = schema["properties"]["sentences"]["items"]["properties"]
    assert sentence["events"]["items"]["enum"] == [1, 2]
    assert "bought|(viewed|looked at)|are interested in" in sentence["text"]["pattern"]
    assert "put" not in sentence["text"]["pattern"]
    assert list(sentence) == ["events", "text"]


def test_examples_follow_the_schema_and_are_read() -> None:
    answers = [m.content for m in render_interest_words(STEPS).messages if m.role == "assistant"]
    assert answers
    assert all(read_interest_words(answer).outcome == "ok" for answer in answers)


def test_without_steps_there_is_nothing_to_ask() -> None:
    with pytest.raises(ValueError, match="step"):
        render_interest_words([])


titles = st.text(max_size=300)


@given(st.lists(titles, min_size=1, max_size=12), st.text(max_size=2_000))
def test_any_text_stays_within_the_budget(names: list[str], said: str) -> None:
    steps = [step(place, Product(str(place), name, brand=name, categories=(name,))) for place, name in enumerate(names)]
    prompt = render_interest_words(steps, said)
    assert sum(tokens_at_most(message.content) for message in prompt.messages) <= PROMPT_TOKENS
    shown = fitting(steps, said)
    assert 1 <= len(shown) <= MOST_STEPS
    assert shown == tuple(steps[-len(shown) :]) == fitting(shown, said)


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_text_leaves_its_line_or_closes_the_fence(attack: str) -> None:
    hostile = Product("p", attack, brand=attack, categories=(attack,))
    lines = question([step(1, hostile), step(2, MUG)], attack).splitlines()
    assert lines[0] == FENCE_OPEN
    assert lines[-1] == FENCE_CLOSE
    assert len(lines) in (4, 5)
    assert not any(mark in "".join(lines[1:-1]) for mark in (FENCE_OPEN, FENCE_CLOSE, "<|", "```", "\u200b"))


def answer(*sentences: tuple[list[int], str], query: str = "mug") -> str:
    return json.dumps(
        {"sentences": [{"events": lines, "text": text} for lines, text in sentences], "query": query.split()}
    )


def test_an_answer_is_read_with_its_numbers() -> None:
    reading = read_interest_words("Sure: " + answer(([2, 1, 2], " You saved a mug. ")))
    assert reading.value == Worded((NumberedSentence("You saved a mug.", (2, 1)),), "mug")


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("", "missing"),
        (answer(), "missing"),
        (answer(([1], "  ")), "missing"),
        ("You like mugs.", "wrong_format"),
        (answer(([1], "You saved a mug."))[:-9], "wrong_format"),
        (answer(([], "You saved a mug.")), "wrong_format"),
        ('{"sentences": [{"events": ["1"], "text": "You saved it."}], "query": []}', "wrong_format"),
        ('{"sentences": [], "query": [], "price": 3}', "wrong_format"),
        (answer(([1], "You saved a mug."), ([2], "you saved a mug.")), "repetition"),
    ],
)
def test_a_malformed_answer_is_a_value(text: str, outcome: str) -> None:
    reading = read_interest_words(text)
    assert (reading.outcome, reading.value) == (outcome, None)


@given(st.text())
def test_reading_never_raises(text: str) -> None:
    assert (read_interest_words(text).value is None) == (read_interest_words(text).outcome != "ok")


def test_the_template_says_it_from_counts() -> None:
    told = describe(STEPS, TOPICS)
    assert [(s.text, s.event_ids) for s in told.sentences] == [
        ("You put Enamel Mug in the cart.", ("e3",)),
        ("Lately it is mostly Boots, with some Socks.", ("e1", "e2")),
        ("Tarn comes up twice.", ("e1", "e2")),
    ]
    assert told.query == "Enamel Mug Tarn Wool Socks Boots"


def test_steps_alike_are_told_together_latest_first() -> None:
    told = describe([step(1, BOOTS), step(2, MUG, EventType.PURCHASE), step(3, SOCKS, EventType.PURCHASE)])
    assert told.sentences[0].text == "You bought Tarn Wool Socks and Enamel Mug."
    assert told.sentences[0].event_ids == ("e3", "e2")


def test_one_step_gives_two_sentences_where_the_feed_knows_more() -> None:
    known = describe([step(1, SOCKS)], [Interest("Socks", 1.0, 1.0, "steady", ("e1",))])
    assert [s.text for s in known.sentences] == [
        "You looked at Tarn Wool Socks.",
        "Lately it is mostly Socks.",
        "It is by Tarn.",
    ]
    assert [s.text for s in describe([step(1, MUG)]).sentences] == ["You looked at Enamel Mug."]


@pytest.mark.parametrize(
    ("trend", "text"),
    [
        ("fading", "You turn to Boots less than before."),
        ("new", "Boots has come up only lately."),
        ("rising", "You turn to Boots more than before."),
    ],
)
def test_a_trend_is_told(trend: str, text: str) -> None:
    moving = Interest("Boots", 0.5, 0.1, trend, ("e1",))  # type: ignore[arg-type]
    assert text in [s.text for s in describe([step(3, MUG)], [moving]).sentences]


def test_what_was_said_leads_the_query_and_a_stranger_has_only_that() -> None:
    assert describe(STEPS, TOPICS, "a red mug").query.startswith("a red mug Enamel")
    assert describe([], [], "a red mug").query == "a red mug"
    assert describe([]) == describe([], [], " ")
    assert not describe([]).sentences


@given(st.lists(st.sampled_from(STEPS), max_size=8), st.lists(st.sampled_from(TOPICS), max_size=3), st.text())
def test_every_templated_sentence_names_events_of_the_person(
    steps: list[Step], topics: list[Interest], said: str
) -> None:
    told = describe(steps, topics, said)
    known = {s.event.id for s in steps} | {event_id for topic in topics for event_id in topic.evidence}
    assert len(told.sentences) <= MOST_SENTENCES
    assert all(sentence.event_ids and set(sentence.event_ids) <= known for sentence in told.sentences)
    assert told == describe(steps, topics, said)
