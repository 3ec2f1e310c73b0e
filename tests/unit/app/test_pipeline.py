"""The assistant answers always: late, broken and lying parts are skipped, and the answer says so."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.agent.interest_words import InterestWriter
from app.agent.judging import Judge
from app.agent.pipeline import SHOWN, Answer, Assistant
from app.agent.situation import ChatTurn
from app.agent.tasks import ModelTasks
from app.agent.understanding import Understanding
from app.agent.voice import TEMPLATES, Voice
from app.llm.asking import Asker
from app.llm.scripted import ScriptedLanguageModel
from app.telemetry import Metrics
from prompts.reply import render_reply
from retrieval.understanding import Vocabulary
from tasteline.errors import EngineFailed, SnapshotMismatch
from tasteline.settings import Settings
from tasteline.trials import Trial
from tasteline.types import Piece
from tests.unit.retrieval.small_shop import SmallShop, event, product

PRODUCTS = [
    product(f"jacket{i}", f"{name} Waterproof Jacket", "Clothing", "Jackets", price=5_000 + 1_000 * i)
    for i, name in enumerate(["Ridge", "Storm", "Calder", "Dune", "Fell", "Moor"])
] + [product("kettle", "Enamel Kettle", "Kitchen", "Kettles", price=2_900)]
VOCABULARY = Vocabulary.from_products(PRODUCTS)
Make = Callable[..., Assistant]


@pytest.fixture
def shop() -> SmallShop:
    return SmallShop(PRODUCTS, [event("anna", "jacket1", id="e1")])


@pytest.fixture
def assistant(shop: SmallShop) -> Iterator[Make]:
    made: list[Assistant] = []

    def make(
        model: ScriptedLanguageModel | None = None,
        deadline: float = 5.0,
        trial: Trial | None = None,
        **options: object,
    ) -> Assistant:
        settings = Settings(deadline_seconds=deadline, _env_file=None, **options)  # type: ignore[arg-type]
        metrics = Metrics()
        asker = Asker(model, metrics)
        tasks = ModelTasks(
            Understanding(asker, lambda: VOCABULARY, asks=settings.model_understands),
            Judge(asker, settings.model_judges),
            InterestWriter(asker, shop.live, shop.store, settings.model_describes),
            Voice(asker, metrics, settings.worded_products, settings.wording_seconds),
            trial,
        )
        found = (shop.searcher, shop.recommender, shop.newcomers)
        made.append(Assistant(shop.store, shop.live, *found, lambda *_: tasks, metrics, settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ask(assistant: Assistant, text: str, **fields: object) -> tuple[Answer, str]:
    async def converse() -> tuple[Answer, str]:
        turn = ChatTurn(text, "talk", **fields)  # type: ignore[arg-type]
        answer = await assistant.answer(turn)
        return answer, "".join([piece async for piece in assistant.speak(turn, answer)])

    return asyncio.run(converse())


def shown(answer: Answer) -> list[str]:
    return [item.product.id for item in answer.facts.products]


def test_a_whole_answer(assistant: Make, shop: SmallShop) -> None:
    answer, text = ask(assistant(), "waterproof jacket", user_id="anna")
    assert len(shown(answer)) == SHOWN
    assert all(item.product.title in text for item in answer.facts.products)
    assert set(answer.stages.trace) == {"understand", "listen", "retrieve", "rank", "interests", "respond"}
    assert (answer.engine, answer.stages.degraded) == (TEMPLATES, [])
    assert [interest.topic for interest in answer.interests] == ["Jackets"]
    assert answer.follow_ups
    user, assistant_turn = shop.store.turns("talk")
    assert (user.text, assistant_turn.text) == ("waterproof jacket", text)
    assert assistant_turn.product_ids == tuple(shown(answer))


@pytest.mark.parametrize("message", ["waterproof jacket", "recommend something for me"])
@pytest.mark.parametrize("trial", [None, Trial("of-language-models", "B", "00")])
def test_a_chat_counts_for_the_experiment_of_language_models_before_any_other(
    assistant: Make, shop: SmallShop, monkeypatch: pytest.MonkeyPatch, trial: Trial | None, message: str
) -> None:
    other = Trial("of-rankers", "A", "11")
    for finder, method in ((shop.searcher, "search"), (shop.recommender, "recommend")):
        find = getattr(finder, method)

        def tried(query: object, find: Any = find) -> object:
            found = find(query)
            many = isinstance(found, list)
            return [replace(each, trial=other) for each in found] if many else replace(found, trial=other)

        monkeypatch.setattr(finder, method, tried)
    answer, _ = ask(assistant(trial=trial), message, user_id="anna")
    assert answer.ranking is not None
    assert answer.ranking.trial == (trial or other)


def test_a_conversation_is_remembered_apart_from_others(assistant: Make) -> None:
    one = assistant()
    first, _ = ask(one, "waterproof jacket")
    again, text = ask(one, "the second one")
    assert shown(again) == [shown(first)[1]]
    assert "$" in text
    other = asyncio.run(one.answer(ChatTurn("the second one", "another talk")))
    assert other.facts.kind in ("found", "nothing_found")


def test_a_history_lived_through_again_gives_it_a_meaning(assistant: Make) -> None:
    one = assistant()
    asyncio.run(one.relive(ChatTurn("waterproof jacket", "talk")))
    answer, _ = ask(one, "cheaper")
    assert answer.facts.kind == "refined"


def test_a_late_search_is_skipped_within_the_deadline(
    assistant: Make, shop: SmallShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(shop.searcher, "search", lambda _: release.wait(5))
    started = time.monotonic()
    with capture_logs() as logs:
        answer, text = ask(assistant(deadline=0.3), "waterproof jacket")
    release.set()
    assert time.monotonic() - started < 2
    assert (answer.stages.degraded[0], answer.facts.kind, shown(answer)) == ("retrieve", "degraded", [])
    assert text
    assert logs[0] == {"stage": "retrieve", "error": "TimeoutError", "event": "stage_skipped", "log_level": "warning"}


@pytest.mark.parametrize("error", [EngineFailed("broken"), SnapshotMismatch("stale", remedy="tasteline index")])
def test_a_broken_search_is_skipped(
    assistant: Make, shop: SmallShop, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(_: object) -> None:
        raise error

    monkeypatch.setattr(shop.searcher, "search", broken)
    answer, text = ask(assistant(), "waterproof jacket")
    assert (answer.stages.degraded, answer.facts.kind) == (["retrieve"], "degraded")
    assert text


def test_without_personal_ranking_the_order_of_the_search_stays(
    assistant: Make, shop: SmallShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise EngineFailed("broken")

    monkeypatch.setattr(shop.recommender, "personalised", broken)
    answer, _ = ask(assistant(), "waterproof jacket", user_id="anna")
    assert answer.stages.degraded == ["rank"]
    assert shown(answer)


def test_without_memory_a_message_stands_for_itself(
    assistant: Make, shop: SmallShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise EngineFailed("locked")

    monkeypatch.setattr(shop.store, "turns", broken)
    answer, _ = ask(assistant(), "waterproof jacket")
    assert answer.stages.degraded == ["understand"]
    assert shown(answer)


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(
    assistant: Make, shop: SmallShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise EngineFailed("locked")

    monkeypatch.setattr(shop.store, "append_turns", broken)
    answer, text = ask(assistant(), "waterproof jacket")
    assert answer.stages.degraded == ["remember"]
    assert "Jacket" in text


def test_a_product_deleted_between_two_messages_is_asked_back(assistant: Make, shop: SmallShop) -> None:
    one = assistant()
    first, _ = ask(one, "waterproof jacket")
    shop.delete(shown(first)[1])
    for message in ("something like the second one", "what goes with the second one?", "tell me about the second one"):
        answer, text = ask(one, message)
        assert (answer.facts.kind, answer.stages.degraded) == ("clarify", [])
        assert text


def worded(name: str = "Moor Waterproof Jacket") -> str:
    return f"Take a look at the {name}."


def lines_of(assistant: Assistant, text: str = "waterproof jacket") -> tuple[Answer, list[str], list[str]]:
    """The answer, the lines of its reply, and those of the templates alone."""
    answer, reply = ask(assistant, text)
    return answer, reply.split("\n"), render_reply(answer.facts).split("\n")


def test_true_words_of_a_model_take_the_place_of_a_line(assistant: Make) -> None:
    first = shown(ask(assistant(), "waterproof jacket")[0])[0]
    title = next(product.title for product in PRODUCTS if product.id == first)
    answer, said, template = lines_of(assistant(ScriptedLanguageModel([worded(title)])))
    assert said[1].startswith(f"1. {worded(title)} $")
    assert [said[0], *said[2:]] == [template[0], *template[2:]]
    assert (answer.engine, answer.stages.degraded) == ("scripted", [])


@pytest.mark.parametrize(
    "lie",
    [
        "The Ridge Waterproof Jacket is only $1 today!",
        "Take a look at the Everest Waterproof Jacket.",
        "There are nine jackets for you here.",
        "```python",
        "",
        "You could look at these. " * 12,
    ],
)
def test_what_is_false_or_nothing_leaves_the_template(assistant: Make, lie: str) -> None:
    answer, said, template = lines_of(assistant(ScriptedLanguageModel([lie])))
    assert said == template
    assert (answer.engine, answer.stages.degraded) == (TEMPLATES, [])


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_words_are_read_alike_however_they_are_cut(assistant: Make, size: int) -> None:
    """A tokenizer may give the space before a number as a piece of its own."""
    first = ask(assistant(), "waterproof jacket")[0].facts.products[0].product
    written = f"{worded(first.title)[:-1]} at ${first.price.amount / 100:.2f}."  # type: ignore[union-attr]

    class Cut(ScriptedLanguageModel):
        async def stream(self, *arguments: object, **options: object) -> AsyncGenerator[Piece, None]:  # type: ignore[override]
            for start in range(0, len(written), size):
                yield Piece(written[start : start + size])
            yield Piece(finish="stop")

    _, said, _ = lines_of(assistant(Cut(["."])))
    assert said[1] == f"1. {written}"


def test_the_opening_does_not_wait_for_the_model(assistant: Make) -> None:
    """It comes although the model says nothing as long as anybody listens."""
    one = assistant(ScriptedLanguageModel([worded()], first_delay=3600), deadline=3600, wording_seconds=3600)

    async def first() -> str:
        turn = ChatTurn("waterproof jacket", "talk")
        async with asyncio.timeout(30), aclosing(one.speak(turn, await one.answer(turn))) as pieces:
            return await anext(pieces)

    assert asyncio.run(first())


def test_a_late_model_costs_its_time_and_no_line(assistant: Make) -> None:
    model = ScriptedLanguageModel([worded()], delay=0.04)
    answer, said, template = lines_of(assistant(model, wording_seconds=0.05))
    assert said == template
    assert (answer.stages.degraded, answer.engine) == (["wording"], TEMPLATES)


def test_a_model_that_breaks_in_mid_sentence_costs_only_eloquence(assistant: Make) -> None:
    titles = [item.product.title for item in ask(assistant(), "waterproof jacket")[0].facts.products]
    script = " ".join(map(worded, titles[:2]))
    model = ScriptedLanguageModel([script], fail_after=len(worded(titles[0]).split()) + 3)
    answer, said, template = lines_of(assistant(model, worded_products=4))
    assert said[1].startswith(f"1. {worded(titles[0])}")
    assert said[2:] == template[2:]
    assert (answer.stages.degraded, answer.engine) == (["wording"], "scripted")


def test_several_products_are_worded_in_their_order(assistant: Make) -> None:
    titles = [item.product.title for item in ask(assistant(), "waterproof jacket")[0].facts.products]
    script = "\n".join(f"{place}. {worded(title)}" for place, title in enumerate([titles[0], titles[2], titles[1]], 1))
    answer, said, template = lines_of(assistant(ScriptedLanguageModel([script]), worded_products=4))
    assert [line.startswith(f"{n}. Take a look") for n, line in enumerate(said[1:5], 1)] == [True, False, True, False]
    assert said[2] == template[2]
    assert answer.stages.degraded == []


def test_who_leaves_takes_the_engine_along(assistant: Make) -> None:
    gone: list[bool] = []

    class Watched(ScriptedLanguageModel):
        async def stream(self, *arguments: object, **options: object) -> AsyncGenerator[Piece, None]:  # type: ignore[override]
            try:
                while True:
                    yield Piece("Not yet a sentence ")
                    await asyncio.sleep(0.01)
            finally:
                gone.append(True)

    one = assistant(Watched(["."]), wording_seconds=5.0)

    async def leave() -> None:
        turn = ChatTurn("waterproof jacket", "talk")
        speaking = asyncio.create_task(anext(_after_opening(one, turn, await one.answer(turn))))
        await asyncio.sleep(0.2)
        speaking.cancel()
        with suppress(asyncio.CancelledError):
            await speaking

    asyncio.run(leave())
    assert gone == [True]


async def _after_opening(assistant: Assistant, turn: ChatTurn, answer: Answer) -> AsyncGenerator[str, None]:
    async with aclosing(assistant.speak(turn, answer)) as pieces:
        async for piece in pieces:
            if piece.startswith("\n"):
                yield piece


@pytest.mark.parametrize("message", ["hi", "thanks", "help", "what's the weather like?", "no such thing zzzz under $1"])
def test_a_model_is_not_asked_where_there_is_nothing_to_show(assistant: Make, message: str) -> None:
    model = ScriptedLanguageModel(["Hello!"])
    answer, text = ask(assistant(model), message)
    assert model.requests == []
    assert text
    assert answer.ranking is None or answer.ranking.items == ()


def test_a_person_is_recommended_to_and_told_why(assistant: Make) -> None:
    answer, text = ask(assistant(), "recommend something for me", user_id="anna")
    assert answer.facts.kind == "recommended"
    assert any("e1" in reason.evidence for item in answer.facts.products for reason in item.reasons)
    assert text


def test_pieces_are_the_whole_text(assistant: Make) -> None:
    one = assistant()

    async def collect() -> list[str]:
        turn = ChatTurn("waterproof jacket", "talk")
        return [piece async for piece in one.speak(turn, await one.answer(turn))]

    pieces = asyncio.run(collect())
    assert len(pieces) > 10
    assert all(pieces)
