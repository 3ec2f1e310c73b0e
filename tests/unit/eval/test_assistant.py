"""The run over generated conversations: what is asked, what is recorded, and what the report makes of it."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from app.llm.scripted import ScriptedLanguageModel
from eval import demo_shop
from eval.assistant import _WRITTEN, OURS, UNCHECKED, Recording, Replied, report_of, run_claims, talks_of
from prompts.facts import ReplyFacts
from prompts.reply import render_reply
from tasteline.settings import Settings
from tasteline.types import ChatMessage, Price, Product, RankedProduct

MUG = Product("mug", "Willow Tall Mug", brand="Willow", price=Price(1200, "USD"), rating=4.5, rating_count=9)
POT = Product("pot", "Cinder Round Pot", brand="Cinder", price=Price(3000, "USD"), rating=4.1, rating_count=3)
SHOP = {product.id: product for product in (MUG, POT)}
FACTS = ReplyFacts(
    "recommended", request="Recommend something", products=(RankedProduct(MUG, 1.0), RankedProduct(POT, 0.9)), total=2
)


def _replied(line: str, written: str) -> Replied:
    text = render_reply(FACTS)
    first = next(each for each in text.split("\n") if each.startswith("1. "))
    worded = bool(line)
    return Replied(text.replace(first, f"1. {line}") if line else text, FACTS, worded, written, None, 0.1)


def test_the_voices_are_told_apart_and_the_check_is_worth_what_it_held_back() -> None:
    true = "You might like the Willow Tall Mug at $12.00."
    false = "You might like the Willow Tall Mug at $9.00, with free delivery."
    replies = [_replied(true, true), _replied("", false), _replied("", true), _replied("", "")]
    report: Any = report_of(replies, SHOP, {})
    ours, unchecked = report["systems"][OURS], report["systems"][UNCHECKED]
    assert (ours["answers"], ours["worded_by_model"], ours["unsupported"]) == (4, 1, 0)
    assert (unchecked["answers"], unchecked["answers_with_unsupported"]) == (3, 1)
    assert report["kinds"]["model's lines"] == {"name": {"supported": 1}, "price": {"supported": 1}}
    assert report["voices"]["templates' lines"]["claims"] == ours["claims"] - 2
    held_back = [(entry["kind"], entry["claim"]) for entry in report["raw"]["unchecked_unsupported"]]
    assert held_back[0] == ("price", "$9.00")
    assert {kind for kind, _ in held_back} == {"price", "promise"}
    assert report["check"]["replaced_though_all_supported"] == 1


def test_a_falsehood_that_left_is_spelled_out() -> None:
    report: Any = report_of([_replied("The Willow Tall Mug costs $9.00.", "")], SHOP, {})
    (entry,) = report["raw"]["unsupported"]
    assert (entry["voice"], entry["kind"], entry["claim"]) == ("model", "price", "$9.00")
    assert entry["line"] == "1. The Willow Tall Mug costs $9.00."


def test_conversations_are_the_same_for_the_same_seed_and_of_all_sorts() -> None:
    products = demo_shop.products()[:400]
    talks = talks_of(products, ["anna", "ben"], 120, 7)
    assert sum(len(talk.messages) for talk in talks) == 120
    assert talks == talks_of(products, ["anna", "ben"], 120, 7)
    assert talks != talks_of(products, ["anna", "ben"], 120, 8)
    firsts = [talk.messages[0] for talk in talks]
    assert any("under $" in text for text in firsts)
    assert any("stars" in text for text in firsts)
    assert any(talk.user_id for talk in talks)
    assert max(len(talk.messages) for talk in talks) > 1


@pytest.mark.parametrize(
    ("replies", "kept"),
    [("The mug. The pot.", "The mug. The pot."), ("The mug at $12.00 and the", "")],
)
def test_what_a_model_writes_is_kept_up_to_its_last_whole_sentence(replies: str, kept: str) -> None:
    question = (ChatMessage("user", "Say something."),)

    async def first_words(model: Recording, most: int) -> None:
        async with aclosing(model.stream(question, max_tokens=50, timeout=5.0)) as pieces:
            async for _ in pieces:
                most -= 1
                if not most:
                    break

    async def read() -> str:
        written: dict[tuple[ChatMessage, ...], str] = {}
        _WRITTEN.set(written)
        await first_words(Recording(ScriptedLanguageModel([replies])), 4)
        return written[question]

    assert asyncio.run(read()) == kept


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch) -> list[Product]:
    """A shelf of the demo shop, without its year of visitors."""
    products = demo_shop.products()[:120]

    def no_events(*_: object, **__: object) -> Sequence[object]:
        return []

    monkeypatch.setattr(demo_shop, "products", lambda: products)
    monkeypatch.setattr(demo_shop, "events", no_events)
    return products


def test_the_service_is_questioned_and_its_answers_checked(tmp_path: Path, small_demo: list[Product]) -> None:
    settings = Settings(home=tmp_path, embedder="hashing", vector_index="numpy", language_model="scripted")
    seen: list[tuple[int, int]] = []
    report: Any = run_claims(settings, answers=12, progress=lambda done, total: seen.append((done, total)))
    ours = report["systems"][OURS]
    assert (ours["answers"], ours["worded_by_model"]) == (12, 0)
    assert ours["claims"] == ours["supported"] + ours["unsupported"] + ours["unverifiable"] > 50
    assert report["systems"][UNCHECKED]["answers"] > 0
    assert report["systems"][UNCHECKED]["claims"] == 0  # "Here is what I found for you." says nothing of products
    assert seen[-1] == (12, 12)
    assert {"task", "dataset", "protocol", "settings", "seed", "checksum", "seconds"} <= report.keys()
    assert report["counters"]["model_answers"]
