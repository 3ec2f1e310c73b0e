"""A turn is told where the timeline found it and nowhere else, whoever words it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

from app.agent.interest_check import check_sentence
from app.agent.interest_turn import latest_turn
from app.agent.interest_words import InterestWords, InterestWriter
from app.agent.voice import TEMPLATES
from app.llm.asking import Asker
from app.llm.scripted import ScriptedLanguageModel
from app.telemetry import Metrics
from prompts.interest_turn import InterestTurn
from prompts.interest_words import NumberedSentence, Sentence
from prompts.step import Step
from retrieval.turning import turning
from tasteline.types import Event, EventType
from tests.unit.prompts.attacks import ATTACKS
from tests.unit.retrieval.small_shop import SmallShop, product
from tests.unit.retrieval.turns import PRODUCTS, START, turned, visit

PAN = product("pan", "Iron Pan", "Kitchen & Dining", "Pans")
TENT = product("tent", "Dome Tent", "Outdoor", "Tents")
DECK = product("deck", "Walnut Turntable", "Audio", "Turntables")
LIE = product("lie", "Tent turned from Audio to Outdoor", "Outdoor", "Tents")
STEPS = [
    Step(Event("e1", EventType.VIEW_ITEM, product_id="pan"), PAN),
    Step(Event("e2", EventType.PURCHASE, product_id="tent"), TENT),
    Step(Event("e3", EventType.VIEW_ITEM, product_id="deck"), DECK),
    Step(Event("e4", EventType.PURCHASE, product_id="lie"), LIE),
]
TURN = InterestTurn(("Kitchen & Dining",), ("Outdoor", "Garden"), (STEPS[0],), (STEPS[1],))
LINE = 5


def judged(text: str, *lines: int, turn: InterestTurn | None = TURN) -> object:
    verdict = check_sentence(NumberedSentence(text, lines), STEPS, turn)
    return verdict.event_ids if isinstance(verdict, Sentence) else verdict


@pytest.mark.parametrize(
    ("text", "lines", "events"),
    [
        ("You turned from Kitchen & Dining to Outdoor.", (LINE,), ("e1", "e2")),
        ("You turned from kitchen and dining to Garden and Outdoor lately.", (LINE,), ("e1", "e2")),
        ("Lately you have turned away from Kitchen & Dining to Outdoor and Garden.", (LINE,), ("e1", "e2")),
        ("Recently, you moved to Garden from Kitchen & Dining!", (LINE,), ("e1", "e2")),
        ("You turned from Kitchen & Dining to Outdoor: you bought a Dome Tent.", (2, LINE), ("e1", "e2")),
        (
            "You turned from Kitchen & Dining to Outdoor and viewed a Walnut Turntable.",
            (3, LINE),
            ("e1", "e2", "e3"),
        ),
        ("You viewed a walnut turntable.", (3,), ("e3",)),
    ],
)
def test_the_turn_that_was_found_may_be_told_with_the_events_that_show_it(
    text: str, lines: tuple[int, ...], events: tuple[str, ...]
) -> None:
    assert judged(text, *lines) == events


@pytest.mark.parametrize(
    ("text", "lines", "why"),
    [
        ("You turned from Outdoor to Kitchen & Dining.", (LINE,), "turn"),
        ("You turned to Kitchen & Dining from Outdoor.", (LINE,), "turn"),
        ("You turned from Kitchen & Dining to Audio.", (LINE,), "turn"),
        ("You turned from Kitchen to Outdoor.", (LINE,), "turn"),
        ("You turned from Outdoor to Garden.", (LINE,), "turn"),
        ("You turned from Kitchen & Dining to Outdoor Living.", (LINE,), "turn"),
        ("You turned from Kitchen & Dining to Outdoor & Audio.", (LINE,), "turn"),
        ("You turned from Audio and Kitchen & Dining to Outdoor.", (LINE,), "turn"),
        ("You turned to Outdoor.", (LINE,), "turn"),
        ("You turned away from Kitchen & Dining.", (LINE,), "turn"),
        ("You never turned from Kitchen & Dining to Outdoor.", (LINE,), "turn"),
        ("You should have turned from Kitchen & Dining to Outdoor.", (LINE,), "turn"),
        ("Your life turned from Kitchen & Dining to Outdoor.", (LINE,), "turn"),
        ("You turned from Kitchen & Dining to Outdoor.", (1, 2), "turn"),
        ("You turned from Kitchen & Dining to Outdoor.", (LINE + 1,), "unquoted"),
        ("You turned from Kitchen & Dining to Outdoor and turned from Outdoor to Audio.", (LINE,), "turn"),
        ("You turned from Kitchen & Dining to Outdoor and Audio.", (LINE,), "opening"),
        ("You turned from Kitchen & Dining to Outdoor. You own a dog.", (LINE,), "opening"),
        ("You turned from Kitchen & Dining to Outdoor: you bought a Walnut Turntable.", (3, LINE), "word"),
        ("You turned from Kitchen & Dining to Outdoor and bought the best Dome Tent.", (2, LINE), "claim"),
        ("You turned from Kitchen & Dining to Outdoor: a Dome Tent.", (2, LINE), "opening"),
        ("You bought a Dome Tent and turned from Kitchen & Dining to Outdoor.", (2, LINE), "turn"),
        ("Lately you bought a Dome Tent.", (2, LINE), "unfinished"),
        ("You bought a tent, then turned from Audio to Outdoor.", (4,), "turn"),
        ("You bought Tent turned from Audio to Outdoor.", (4, LINE), "turn"),
        ("You changed from Audio to Outdoor.", (4, LINE), "turn"),
        ("You bought a Dome Tent.", (LINE,), "word"),
    ],
)
def test_no_other_turn_may(text: str, lines: tuple[int, ...], why: str) -> None:
    assert judged(text, *lines) == why


def test_without_a_turn_none_may_be_told() -> None:
    told = "You turned from Kitchen & Dining to Outdoor."
    assert judged(told, 1, 2, turn=None) == "turn"
    assert judged(told, LINE, turn=None) == "unquoted"


@pytest.mark.parametrize("attack", ATTACKS)
def test_orders_are_no_turn_and_names_that_give_orders_are_made_plain(attack: str) -> None:
    assert isinstance(judged(attack, 1, 2, 3, 4, LINE), str)
    hostile = InterestTurn((attack,), ("Outdoor",), (STEPS[0],), (STEPS[1],))
    assert isinstance(judged("You turned from Kitchen & Dining to Outdoor.", LINE, turn=hostile), str)


# --- finding it -------------------------------------------------------------------------------------------------------

NOW = START + timedelta(days=34)


def found(history: Sequence[Event], after: timedelta = timedelta()) -> InterestTurn | None:
    return latest_turn(history, SmallShop(PRODUCTS).live, NOW + after)


def test_a_turn_is_what_the_timeline_found_with_the_same_events() -> None:
    history = turned()
    turn = found(history)
    (drift,) = turning(history, SmallShop(PRODUCTS).live).drifts
    assert turn is not None
    assert (turn.before, turn.after, turn.evidence) == (drift.before, drift.after, drift.evidence)
    assert {step.product.categories[0] for step in turn.shown_before} == {"Kitchen"}
    assert {step.product.categories[0] for step in turn.shown_after} == {"Outdoor"}


def test_an_old_turn_or_none_is_not_told() -> None:
    assert found(turned(), timedelta(days=60)) is None
    assert found(turned(before=9, after=0)) is None
    assert found([]) is None
    untimed = [Event(e.id, e.type, "anna", product_id=e.product_id, position=n) for n, e in enumerate(turned())]
    assert found(untimed) is None


def test_a_turn_whose_events_are_gone_is_not_told() -> None:
    history, live = turned(), SmallShop(PRODUCTS).live
    drifts = turning(history, live).drifts
    assert latest_turn(history, live, NOW, drifts) is not None
    others = [event for event in history if event.id != drifts[-1].evidence[0]]
    assert latest_turn(others, live, NOW, drifts) is None
    gone = SmallShop([each for each in PRODUCTS if each.id != "tent"])
    assert latest_turn(history, gone.live, NOW, drifts) is None


# --- saying it --------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop() -> SmallShop:
    steady = [e for day in range(0, 36, 3) for e in visit(day, "kettle", "pan", user="ben")]
    return SmallShop(PRODUCTS, [*turned(), *steady])


def write(shop: SmallShop, *answers: str, user: str = "anna", days: int = 0) -> InterestWords:
    model = ScriptedLanguageModel(list(answers)) if answers else None
    asker = Asker(model, Metrics())
    writer = InterestWriter(asker, shop.live, shop.store, describes=True, now=lambda: NOW + timedelta(days=days))
    return asyncio.run(writer.of(user, timeout=2.0))


def reply(*sentences: tuple[Sequence[int], str]) -> str:
    return json.dumps({"sentences": [{"events": list(n), "text": text} for n, text in sentences], "query": ["tent"]})


def texts(words: InterestWords) -> list[str]:
    return [sentence.text for sentence in words.sentences]


TOLD = "Lately you turned from Kitchen to Outdoor: you looked at The tent and The stove."


def test_the_template_tells_it_first_with_its_events(shop: SmallShop) -> None:
    words = write(shop)
    assert texts(words)[0] == TOLD
    assert words.sentences[0].event_ids == turning(turned_of(shop), shop.live).drifts[-1].evidence
    assert len(words.sentences) >= 2
    assert not any("Lately it is" in text for text in texts(words))


def turned_of(shop: SmallShop) -> list[Event]:
    return shop.store.history("anna")


def test_who_has_not_turned_lately_is_not_told_so(shop: SmallShop) -> None:
    assert not any("turned" in text for text in [*texts(write(shop, user="ben")), *texts(write(shop, days=40))])


def test_the_model_may_phrase_it(shop: SmallShop) -> None:
    words = write(shop, reply(([5], "You turned from Kitchen to Outdoor."), ([3, 4], "You viewed the tent and stove.")))
    assert texts(words)[0] == "You turned from Kitchen to Outdoor."
    assert words.sentences[0].event_ids == turning(turned_of(shop), shop.live).drifts[-1].evidence
    assert (words.dropped, words.kept, words.engine) == ((), 2, "scripted")


@pytest.mark.parametrize(
    "said",
    ["You turned from Outdoor to Kitchen.", "You turned from Home to Outdoor.", "You turned from Games to Angling."],
)
def test_a_turn_that_was_not_gives_way_to_the_one_that_was(shop: SmallShop, said: str) -> None:
    words = write(shop, reply(([5], said), ([3], "You viewed the stove.")))
    assert texts(words)[0] == TOLD
    assert said not in texts(words)
    assert words.dropped[0] == "turn"


def test_a_model_that_says_nothing_of_it_does_not_silence_it(shop: SmallShop) -> None:
    words = write(shop, reply(([3], "You viewed the stove."), ([4], "You are interested in tents.")))
    assert TOLD in texts(words)


def test_the_turn_of_somebody_else_is_not_told(shop: SmallShop) -> None:
    words = write(shop, reply(([1], "You turned from Kitchen to Outdoor."), ([2], "You viewed the pan.")), user="ben")
    assert not any("turned" in text for text in texts(words))
    assert words.dropped == ("turn",)
    nobody = write(shop, reply(([1], "You turned from Kitchen to Outdoor.")), user="nobody")
    assert (nobody.sentences, nobody.engine) == ((), TEMPLATES)


def test_products_that_speak_of_turns_turn_nobody() -> None:
    lies = [product(f"lie{n}", "You turned from Kitchen to Outdoor", "Home", "Lamps", brand="turned to") for n in "ab"]
    history = [e for day in range(0, 36, 3) for e in visit(day, "liea", "lieb", user="eve")]
    words = write(
        SmallShop([*PRODUCTS, *lies], history), reply(([1], "You turned from Kitchen to Outdoor.")), user="eve"
    )
    assert words.dropped == ("turn",)
    assert not any(text.startswith(("You turned", "Lately you turned")) for text in texts(words))
