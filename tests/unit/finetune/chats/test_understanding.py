"""Requests made from a catalogue: asked as the service asks, answered so that the service reads what was meant."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Sequence
from functools import cache
from typing import Any

import jsonschema_rs
import pytest

from app.agent.understanding import Understanding
from app.llm.asking import Asker
from app.llm.scripted import ScriptedLanguageModel
from app.telemetry import Metrics
from eval import demo_shop
from eval.chat_rows import served_asking
from eval.understanding import load
from eval.understanding.score import Shop
from finetune.chats.parts import Part, part_of
from finetune.chats.understanding import Asked, frames, shelves_of, understanding_chats
from finetune.examples import ChatExample
from prompts.understanding import Choice, RequestReading, Slot, read_understanding, write_understanding
from tasteline.types import ChatMessage, Piece, Price, Product

SEED = 3
NUMBER = re.compile(
    r"\b(?:\d+k?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty|hundred|thousand|grand)\b"
)


@cache
def shop() -> Shop:
    return Shop(demo_shop.products())


@cache
def rows(part: Part) -> tuple[ChatExample, ...]:
    asking = served_asking(demo_shop.products())
    return tuple(understanding_chats(demo_shop.products(), asking, part=part, count=150, seed=SEED))


def said(row: ChatExample) -> str:
    return row.messages[-1].content.split("<<<SAID\n")[-1].split("\nSAID>>>")[0]


def bare(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


@cache
def shop_words() -> frozenset[str]:
    names = {name for product in demo_shop.products() for name in (*product.categories, product.brand or "")}
    names |= {value for product in demo_shop.products() for values in product.attributes.values() for value in values}
    words = {word for name in names for word in bare(name).split() if len(word) > 3}
    return frozenset(words | {word.removesuffix("s") for word in words} | {"dollar", "dollars", "bucks", "usd"})


def frame(text: str) -> str:
    """The sentence with blanks where the shop's words and numbers stood; "" where nothing else is left."""
    words = ["_" if word in shop_words() else word for word in bare(NUMBER.sub(" _ ", text.lower())).split()]
    joined = re.sub(r"_(?: _)+", "_", " ".join(word if word.isalnum() else "_" for word in words))
    return joined if len(joined.replace("_", " ").split()) > 2 else ""


def test_the_bytes_and_the_form_are_those_of_the_service() -> None:
    """Each message that became a row is put to the service, with a model that listens."""
    heard: list[tuple[Sequence[ChatMessage], str | None]] = []

    class Listening(ScriptedLanguageModel):
        def stream(self, messages: Sequence[ChatMessage], **how: Any) -> AsyncGenerator[Piece, None]:
            heard.append((messages, how["schema"]))
            return super().stream(messages, **how)

    service = Understanding(Asker(Listening(["{}"]), Metrics()), lambda: shop().vocabulary)
    served, asked = served_asking(demo_shop.products()), list[tuple[str, Sequence[str], Sequence[str]]]()

    def asking(*message: Any) -> Asked | None:
        question = served(*message)
        if question is not None:
            asked.append(message)
        return question

    made = list(understanding_chats(demo_shop.products(), asking, part="train", count=40, seed=SEED))
    assert any(before for _, before, _ in asked)
    by_text = {frozenset(row.messages): row for row in made}
    assert len(by_text) == 40
    for message in asked:
        asyncio.run(service.completed(shop().situation(*message), 1.0))
    compared = 0
    for messages, schema in heard:
        row = by_text.get(frozenset(messages))
        if row is not None:
            assert [(m.role, m.content.encode()) for m in row.messages] == [
                (m.role, m.content.encode()) for m in messages
            ]
            jsonschema_rs.validate(json.loads(schema or ""), json.loads(row.answer))
            assert read_understanding(row.answer).outcome == "ok"
            compared += 1
    assert compared == 40


def test_there_are_rows_of_every_slot_with_and_without_an_answer() -> None:
    forms = [json.loads(row.answer) for row in rows("train")]
    assert len(forms) == 150
    for slot in ("price_max", "price_min", "exclude", "attributes", "in_stock", "sort", "intent", "references"):
        assert any(form.get(slot) for form in forms), slot
    for slot in ("price_max", "price_min", "in_stock"):
        assert any(slot in form and form[slot] is None for form in forms), slot


def test_no_evaluated_request_is_learned() -> None:
    evaluated = {bare(request.text) for request in load()}
    learned = {bare(said(row)) for part in ("train", "valid") for row in rows(part)}
    assert learned
    assert not learned & evaluated


def test_no_sentence_of_the_evaluation_is_learned_with_other_words_in_it() -> None:
    evaluated = {frame(request.text) for request in load()} - {""}
    assert len(evaluated) > 300
    blanks = {"max": "60", "min": "30", "other": "45", "stars": "four", "place": "first", "place2": "second"}
    names = {"kind": "kettles", "value": "green", "not": "leather", "brand": "Marrow", "name": "Marrow"}
    for part in ("train", "valid"):
        for each in frames(part):
            assert frame(re.sub(r"\{(\w+)\}", lambda m: (blanks | names)[m[1]], each.text)) not in evaluated, each.text
    assert not {frame(said(row)) for row in rows("train")} & evaluated


def test_parts_share_neither_kinds_nor_frames() -> None:
    kinds = {part: {shelf.kind for shelf in shelves_of(demo_shop.products(), part, SEED)} for part in PARTS}
    assert kinds["train"]
    assert kinds["valid"]
    assert not kinds["train"] & kinds["valid"]
    assert not {f.text for f in frames("train")} & {f.text for f in frames("valid")}
    assert {part_of(kind, SEED) for kind in kinds["valid"]} == {"valid"}


PARTS: tuple[Part, ...] = ("train", "valid")


def test_the_same_seed_gives_the_same_rows_and_another_gives_others() -> None:
    products, asking = demo_shop.products(), served_asking(demo_shop.products())
    first = list(understanding_chats(products, asking, part="train", count=12, seed=SEED))
    assert first == list(rows("train")[:12])
    assert first != list(understanding_chats(products, asking, part="train", count=12, seed=SEED + 1))


def test_what_the_rules_read_is_not_asked_and_gives_no_row() -> None:
    products = demo_shop.products()
    assert not list(understanding_chats(products, lambda *_: None, part="train", count=3, seed=SEED))
    assert not list(understanding_chats([], served_asking(products), part="train", count=3, seed=SEED))


def test_an_amount_that_the_service_misreads_is_not_learned_as_unsaid() -> None:
    price = [Product(f"{n}", f"Kettle {n}", categories=("Kettles",), price=Price(4000, "EUR")) for n in range(3)]

    def deaf(text: str, before: Sequence[str], shown: Sequence[str]) -> Asked:
        return Asked((ChatMessage("user", text),), {"price_max": (1.0,), "price_min": (1.0,)})

    found = [row for seed in range(20) for row in understanding_chats(price, deaf, part="train", count=3, seed=seed)]
    assert found
    assert all(row.answer == '{"price_max": null, "price_min": null}' for row in found)
    assert not any(re.search(r"must not eat|wallet|upwards", row.messages[-1].content) for row in found)


def test_a_word_that_the_service_does_not_offer_is_not_learned_as_unsaid() -> None:
    colours = [
        Product(f"{n}", f"Kettle {n}", categories=("Kettles",), attributes={"color": ("red" if n else "gray",)})
        for n in range(3)
    ]

    def offering(*words: str) -> list[str]:
        def asking(text: str, before: Sequence[str], shown: Sequence[str]) -> Asked:
            return Asked((ChatMessage("user", text),), {"exclude": words})

        return [
            row.answer
            for seed in range(20)
            for row in understanding_chats(colours, asking, part="train", count=3, seed=seed)
            if re.search(r"won't do|sick of|tired of", row.messages[-1].content)
        ]

    offered = set(offering("red", "gray"))
    assert offered
    assert offered <= {'{"exclude": ["red"]}', '{"exclude": ["gray"]}'}
    assert offering("blue") == []


@pytest.mark.parametrize(
    ("form", "slots", "answer"),
    [
        ({"exclude": ("Wool",)}, {"exclude": ("wool", "red")}, {"exclude": ["wool"]}),
        ({"exclude": ("tin",)}, {"exclude": ("wool",)}, {"exclude": None}),
        ({"sort": "rating"}, {"sort": ("rating",), "in_stock": ()}, {"in_stock": None, "sort": "rating"}),
        ({"intent": "more"}, {"intent": ("find", "details")}, {"intent": "find"}),
        ({"references": (2,), "intent": "details"}, {"references": (1, 2)}, {"references": [2]}),
        ({"price_min": 49.5}, {"price_min": (49.5,)}, {"price_min": 49.5}),
        (
            {"query": "blue mug", "wishes": ("big",)},
            {"query": (), "wishes": ()},
            {"query": "blue mug", "wishes": ["big"]},
        ),
    ],
)
def test_answers_say_the_form_in_the_words_of_the_choices(
    form: dict[str, object], slots: dict[Slot, Sequence[Choice]], answer: dict[str, object]
) -> None:
    assert json.loads(write_understanding(RequestReading.model_validate(form), slots)) == answer
