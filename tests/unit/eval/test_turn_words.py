"""What counts as told, as true and as borne out, and that whoever words it is judged by the same people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import cast

from app.llm.scripted import ScriptedLanguageModel
from eval.drift import Change, Person, Prefix
from eval.turn_words import measured
from retrieval.steps import steps_of
from retrieval.topics import Topic
from tasteline.types import ChatMessage, Event
from tests.unit.retrieval.small_shop import SmallShop
from tests.unit.retrieval.turns import PRODUCTS, SHELVES, turned, visit

TOPICS = {pid: Topic(f"{pid.capitalize()}s", shelf) for pid, shelf in SHELVES.items()}
TO_OUTDOOR = Change(8, True, frozenset({"Outdoor"}), frozenset({"Kitchen"}))


def person(name: str, history: Sequence[Event], *changes: Change) -> Person:
    visits = [list(events) for _, events in groupby(history, key=lambda event: event.session_id)]
    known = [steps_of([e for events in visits[: count + 1] for e in events]) for count in range(len(visits))]
    return Person(name, tuple(Prefix(steps, TOPICS) for steps in known), changes)


def people() -> list[Person]:
    steady = [e for day in range(0, 39, 3) for e in visit(day, "kettle", "pan")]
    return [
        person("anna", turned(), TO_OUTDOOR),
        person("ben", steady),
        person("carl", turned(), Change(8, True, frozenset({"Outdoor"}), frozenset({"Home"}))),
        person("dora", turned()),
    ]


def report(model: ScriptedLanguageModel | None = None) -> dict[str, object]:
    shop = SmallShop(PRODUCTS)
    products = {each.id: each for each in PRODUCTS}
    return measured(people(), products, shop.live, shop.recommender, model, worded=2)[""]


def values(result: dict[str, object], system: str) -> dict[str, list[float | None]]:
    per_case = cast("dict[str, dict[str, dict[str, list[float | None]]]]", result["per_case"])
    return per_case["values"][system]


def test_told_true_and_told_without_are_counted_visit_by_visit() -> None:
    said = values(report(), "template")
    told, true, without = said["told"], said["true"], said["told_without"]
    assert told[0] == 1.0  # three visits after it, and from then on
    assert true[0] == 1.0
    assert (told[1], without[1], true[1]) == (None, 0.0, None)
    assert true[2] == 0.0, "from something else than what the plan left"
    assert true[3] == 0.0
    assert without[3], "there was no change at all"


def test_without_a_model_the_template_stands_alone_and_is_borne_out() -> None:
    result = report()
    assert set(cast("dict[str, object]", result["systems"])) == {"template", "template, first 2"}
    assert values(result, "template, first 2")["borne_out"] == [1.0, None, 1.0, None]
    json.dumps(result, allow_nan=False)


def test_what_is_found_is_what_the_next_visit_is_about_and_was_not_known() -> None:
    shop, history = SmallShop(PRODUCTS), [*turned(after=4), *visit(36, "tent", "lamp")]
    eve = [person("eve", history, TO_OUTDOOR)]
    found = measured(eve, {each.id: each for each in PRODUCTS}, shop.live, shop.recommender)["retrieval"]
    per_case = cast("dict[str, list[str]]", found["per_case"])
    assert per_case["names"] == ["eve/11"], "the visit before the one with the lamp"
    assert set(cast("dict[str, object]", found["systems"])) == {"nothing", "words of all", "words of the new topic"}
    assert {each["recall@10"] for each in cast("dict[str, dict[str, float]]", found["systems"]).values()} == {1.0}


def test_a_models_sentences_are_counted_before_the_check_and_after_it() -> None:
    said = ["You turned from Kitchen to Outdoor.", "You turned from Outdoor to Kitchen."]

    def reply(messages: Sequence[ChatMessage]) -> str:
        line = messages[-1].content.count("\n") - 1
        sentences = [{"events": [line], "text": said.pop(0)}, {"events": [line - 1], "text": "You viewed a piano."}]
        return json.dumps({"sentences": sentences, "query": ["tent"]})

    result = report(ScriptedLanguageModel(reply))
    model = cast("dict[str, object]", result["model"])
    assert (model["sentences"], model["kept"], model["dropped"]) == (4, 1, {"word": 2, "turn": 1})
    assert model["of_turns"] == {"sentences": 2, "right_names": 1, "kept": 1, "dropped": {"turn": 1}}
    assert model["second_reading"] == {"kept": {"true": 1}, "dropped": {"false": 3}}
    assert values(result, "model, checked, first 2")["told"] == [1.0, None, 0.0, None]
    assert values(result, "model, checked, first 2")["borne_out"] == [1.0, None, None, None]
    assert values(result, "model, unchecked, first 2")["true"] == [1.0, None, 0.0, None]
    assert values(result, "model, unchecked, first 2")["borne_out"] == [0.5, None, 0.0, None]
