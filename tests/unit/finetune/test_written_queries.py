"""A scripted model writes; what it writes badly is counted and does no harm."""

from __future__ import annotations

from collections.abc import Sequence

from app.llm.scripted import GARBAGE, ScriptedLanguageModel
from finetune.examples import Question
from finetune.written_queries import AT_ONCE, written_queries
from tasteline.types import ChatMessage, Product

PRODUCTS = [Product(f"p{number}", f"Thing {number}") for number in range(AT_ONCE + 3)]


def about_the_thing(messages: Sequence[ChatMessage]) -> str:
    thing = messages[-1].content.splitlines()[1]
    return f'{{"searches": ["buy {thing}", "{thing} for a gift"]}}'


def test_each_product_gets_its_own_queries_in_order() -> None:
    heard: list[tuple[int, int]] = []
    written = written_queries(
        PRODUCTS, ScriptedLanguageModel(about_the_thing), progress=lambda done, of: heard.append((done, of))
    )
    assert written.questions[:2] == (
        Question(query="buy thing 0", positive="p0", origin="written"),
        Question(query="thing 0 for a gift", positive="p0", origin="written"),
    )
    assert [row.positive for row in written.questions] == [each.id for each in PRODUCTS for _ in range(2)]
    assert written.outcomes == {"ok": len(PRODUCTS)}
    assert heard == [(AT_ONCE, len(PRODUCTS)), (len(PRODUCTS), len(PRODUCTS))]


def test_no_more_than_asked_for() -> None:
    written = written_queries(PRODUCTS, ScriptedLanguageModel(about_the_thing), each=1)
    assert len(written.questions) == len(PRODUCTS)


def test_garbage_silence_and_failure_are_counted() -> None:
    model = ScriptedLanguageModel([GARBAGE, " ", about_the_thing([ChatMessage("user", "\nThing 2")])])
    written = written_queries(PRODUCTS[:3], model)
    assert written.outcomes == {"wrong_format": 1, "missing": 1, "ok": 1}
    assert {row.positive for row in written.questions} == {"p2"}
    assert written_queries(PRODUCTS[:2], ScriptedLanguageModel(["x"], fail_after=0)).outcomes == {"failed": 2}
    late = written_queries(PRODUCTS[:1], ScriptedLanguageModel(["x"], first_delay=5), patience=0.01)
    assert late.outcomes == {"late": 1}
    circling = ScriptedLanguageModel(about_the_thing, finish="repetition")
    assert written_queries(PRODUCTS[:1], circling).questions == ()
