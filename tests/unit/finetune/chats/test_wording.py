"""Sentences about products: in the service's own bytes, and let pass by its check."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from app.agent.grounding import check
from app.agent.stages import Stages
from app.agent.voice import Spoken, Voice
from app.llm.asking import Asker
from app.llm.scripted import ScriptedLanguageModel
from app.telemetry import Metrics
from eval.chat_rows import sentences_hold
from finetune.chats.wording import wording_chats
from finetune.examples import ChatExample
from prompts.facts import ReplyFacts
from tasteline.types import Product
from tests.unit.finetune.chats.people import products


def rows(worded: int = 1, part: str = "train") -> tuple[list[ChatExample], list[ReplyFacts]]:
    """With the facts that each was made from."""
    facts: list[ReplyFacts] = []

    def holds(each: ReplyFacts, said: Sequence[str]) -> bool:
        if good := sentences_hold(each, said):
            facts.append(each)
        return good

    shop: list[Product] = list(products().values())
    return list(wording_chats(shop, holds, part=part, count=25, worded=worded, seed=1)), facts  # type: ignore[arg-type]


async def speak(model: ScriptedLanguageModel, facts: ReplyFacts, spoken: Spoken, worded: int) -> None:
    voice = Voice(Asker(model, Metrics()), Metrics(), worded, 5.0)
    with ThreadPoolExecutor(1) as workers:
        async for _ in voice.speak(facts, [], spoken, Stages(monotonic() + 5.0, workers, Metrics())):
            pass


def test_the_bytes_are_those_that_the_voice_sends_and_the_answer_is_spoken() -> None:
    for worded in (1, 3):
        made, facts = rows(worded)
        assert made
        for row, known in list(zip(made, facts, strict=True))[:6]:
            model = ScriptedLanguageModel([row.answer])
            spoken = Spoken()

            asyncio.run(speak(model, known, spoken, worded))
            sent = model.requests[0]
            assert [(m.role, m.content.encode()) for m in row.messages] == [(m.role, m.content.encode()) for m in sent]
            assert all(line in spoken.text for line in row.answer.split("\n"))


def test_every_answer_passes_the_whole_check() -> None:
    made, facts = rows()
    assert all(check(row.answer, known).verdict == "ok" for row, known in zip(made, facts, strict=True))


def test_parts_share_neither_products_nor_sentences() -> None:
    learned, looked_at = rows()[0], rows(part="valid")[0]
    assert looked_at
    openings = [{" ".join(row.answer.split()[:4]) for row in some} for some in (learned, looked_at)]
    assert not openings[0] & openings[1]
    asked = [{row.messages[-1].content for row in some} for some in (learned, looked_at)]
    assert not asked[0] & asked[1]


def test_no_question_twice_and_nothing_that_the_check_stops() -> None:
    made = rows()[0]
    assert len({row.messages for row in made}) == len(made)
    assert not list(wording_chats(list(products().values()), lambda *_: False, part="train", count=9, seed=1))
