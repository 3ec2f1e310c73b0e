"""Words about a person hold only where the events that they quote bear them out; an engine can only fail to help."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent import interest_words
from app.agent.interest_words import (
    InterestWords,
    InterestWriter,
    KeptWords,
    check_sentence,
    retrieval_query,
)
from app.agent.voice import TEMPLATES
from app.llm.asking import Asker
from app.llm.live import LiveLanguageModel
from app.llm.scripted import ScriptedLanguageModel
from app.telemetry import Metrics
from prompts.interest_words import NumberedSentence, Sentence, Step
from tasteline.types import Event, EventType, Product
from tests.unit.prompts.attacks import ATTACKS
from tests.unit.retrieval.small_shop import SmallShop, event, product

BOOTS = product("boots", "Best Tarn Boots, Size 42, 2 Pair", "Outdoor", "Hiking", "Boots", brand="Tarn")
SOCKS = product(
    "socks", "Fell Wool Socks", "Outdoor", "Hiking", "Socks", brand="Fell Works", attributes={"colour": ("red",)}
)
MUG = product("mug", "Enamel Mug", "Kitchen", "Mugs", brand="The Tin Shop")
STEPS = [
    Step(Event("e1", EventType.PURCHASE, product_id="boots"), BOOTS),
    Step(Event("e2", EventType.VIEW_ITEM, product_id="socks"), SOCKS),
    Step(Event("e3", EventType.ADD_TO_CART, product_id="mug"), MUG),
]


def judged(text: str, *lines: int) -> object:
    verdict = check_sentence(NumberedSentence(text, lines), STEPS)
    return verdict.event_ids if isinstance(verdict, Sentence) else verdict


@pytest.mark.parametrize(
    ("text", "lines", "events"),
    [
        ("You bought Best Tarn Boots.", (1,), ("e1",)),
        ("You bought Tarn boots in size 42.", (1,), ("e1",)),
        ("You looked at red wool socks.", (2,), ("e2",)),
        ("You put an Enamel Mug in the cart.", (3,), ("e3",)),
        ("You added the Enamel Mug to your cart.", (3,), ("e3",)),
        ("You bought boots, looked at socks and put a mug in the cart.", (1, 2, 3), ("e1", "e2", "e3")),
        ("You are interested in hiking boots and socks.", (1, 2), ("e1", "e2")),
        ("You seem to like things for hiking.", (1, 2, 3), ("e1", "e2")),
        ("You may like mugs by The Tin Shop.", (3,), ("e3",)),
    ],
)
def test_what_the_events_show_may_be_said_of_those_that_show_it(
    text: str, lines: tuple[int, ...], events: tuple[str, ...]
) -> None:
    assert judged(text, *lines) == events


@pytest.mark.parametrize(
    ("text", "lines", "why"),
    [
        ("You bought boots.", (), "unquoted"),
        ("You bought boots.", (4,), "unquoted"),
        ("You bought boots.", (0, 1), "unquoted"),
        ("You bought boots", (1,), "unfinished"),
        ("They bought boots.", (1,), "unfinished"),
        ("You viewed boots.", (1,), "word"),
        ("You bought socks.", (1, 2), "word"),
        ("You looked at red boots.", (1, 2), "word"),
        ("You bought boots and socks.", (1, 2), "word"),
        ("You bought boots in size 43.", (1,), "word"),
        ("You bought 42 pair boots.", (1,), "word"),
        ("You bought three boots.", (1,), "word"),
        ("You bought boots for your bad knee.", (1,), "word"),
        ("You bought boots because you are a hiker.", (1,), "word"),
        ("You bought the best boots.", (1,), "claim"),
        ("You never bought boots.", (1,), "claim"),
        ("You bought cheaper boots.", (1,), "claim"),
        ("You love boots.", (1,), "opening"),
        ("You need boots.", (1,), "opening"),
        ("You are a hiker.", (1,), "opening"),
        ("Your boots are from Tarn.", (1,), "opening"),
        ("You put a tin shop in the cart.", (3,), "word"),
        ("You bought it.", (1,), "empty"),
    ],
)
def test_what_they_do_not_show_may_not(text: str, lines: tuple[int, ...], why: str) -> None:
    assert judged(text, *lines) == why


@given(st.text(alphabet="Yyou bghtlikedar.,!42&", max_size=60), st.lists(st.integers(-2, 6), max_size=4))
def test_any_text_is_judged(text: str, lines: list[int]) -> None:
    verdict = check_sentence(NumberedSentence(f"You bought {text}", tuple(lines)), STEPS)
    if isinstance(verdict, Sentence):
        assert verdict.event_ids
        assert set(verdict.event_ids) <= {"e1", "e2", "e3"}


@pytest.mark.parametrize("attack", ATTACKS)
def test_orders_are_no_interests(attack: str) -> None:
    assert isinstance(judged(attack, 1, 2, 3), str)


def reply(*sentences: tuple[Sequence[int], str], query: str = "boots") -> str:
    return json.dumps(
        {"sentences": [{"events": list(n), "text": text} for n, text in sentences], "query": query.split()}
    )


EVENTS = (
    event("anna", "boots", "purchase", id="e1", position=1),
    event("anna", "socks", id="e2", position=2),
    event("anna", "mug", "add_to_cart", id="e3", position=3),
)


@pytest.fixture
def shop() -> SmallShop:
    return SmallShop([BOOTS, SOCKS, MUG], EVENTS)


def writer_of(shop: SmallShop, model: ScriptedLanguageModel | None = None, describes: bool = True) -> InterestWriter:
    return InterestWriter(Asker(model, Metrics()), shop.live, shop.store, describes)


def write(writer: InterestWriter, user: str | None = "anna", said: str = "", timeout: float = 2.0) -> InterestWords:
    return asyncio.run(writer.of(user, said=said, timeout=timeout))


def texts(words: InterestWords) -> list[str]:
    return [sentence.text for sentence in words.sentences]


def test_templates_speak_where_no_model_does(shop: SmallShop) -> None:
    idle = ScriptedLanguageModel([reply(([1], "You bought boots."))])
    words = write(writer_of(shop, idle, describes=False))
    assert words == write(writer_of(shop))
    assert not idle.requests
    assert (words.engine, words.outcome) == (TEMPLATES, None)
    assert texts(words)[0] == "You put Enamel Mug in the cart."
    assert 2 <= len(words.sentences) <= 3
    assert {e for s in words.sentences for e in s.event_ids} <= {"e1", "e2", "e3"}


def test_sentences_that_hold_are_the_models_and_the_others_the_templates(shop: SmallShop) -> None:
    model = ScriptedLanguageModel(
        [reply(([1], "You bought Tarn boots."), ([2], "You love socks."), query="tarn boots shiny wool")]
    )
    words = write(writer_of(shop, model))
    assert texts(words) == ["You bought Tarn boots.", "You put Enamel Mug in the cart."]
    assert words.engine == "scripted"
    assert (words.kept, words.dropped, words.outcome) == (1, ("opening",), "ok")
    assert words.query == "tarn boots"


def test_a_model_of_which_nothing_holds_is_not_named(shop: SmallShop) -> None:
    words = write(writer_of(shop, ScriptedLanguageModel([reply(([9], "You bought a car."), query="car")])))
    plain_words = write(writer_of(shop))
    assert words.engine == TEMPLATES
    assert words.sentences[0] == plain_words.sentences[0]
    assert words.query == plain_words.query


@pytest.mark.parametrize(
    ("model", "outcome"),
    [
        (ScriptedLanguageModel(["You like boots."]), "wrong_format"),
        (ScriptedLanguageModel([" "]), "missing"),
        (ScriptedLanguageModel(["word " * 20], fail_after=2), "failed"),
        (ScriptedLanguageModel(["word " * 20], delay=1.0), "late"),
    ],
)
def test_a_failing_engine_leaves_it_to_templates(shop: SmallShop, model: ScriptedLanguageModel, outcome: str) -> None:
    words = write(writer_of(shop, model), timeout=0.2)
    plain_words = write(writer_of(shop))
    assert words.outcome == outcome
    assert (words.sentences, words.query, words.engine) == (plain_words.sentences, plain_words.query, TEMPLATES)


def test_a_stranger_is_told_nothing_and_not_asked_about(shop: SmallShop) -> None:
    model = ScriptedLanguageModel([reply(([1], "You bought boots."))])
    words = write(writer_of(shop, model), "nobody", "warm socks")
    assert (words.sentences, words.query) == ((), "warm socks")
    assert not model.requests


def test_what_is_said_leads_the_query_of_the_model(shop: SmallShop) -> None:
    model = ScriptedLanguageModel([reply(([1], "You bought Tarn boots."), query="boots free money")])
    assert write(writer_of(shop, model), said="Blue laces").query == "Blue laces boots"


def test_the_same_is_written_once_until_something_is_new(shop: SmallShop) -> None:
    model = ScriptedLanguageModel([reply(([1], "You bought Tarn boots."), ([1], "You are interested in boots."))])
    writer = writer_of(shop, model)
    assert write(writer) is write(writer)
    assert len(model.requests) == 1
    write(writer, said="socks")
    shop.append(event("anna", "socks", id="e4", position=4))
    write(writer)
    assert len(model.requests) == 3
    shop.put(product("boots", "Ridge Shoes", "Outdoor", "Hiking", "Shoes"))
    assert texts(write(writer))[0] != "You bought Tarn boots."


def test_the_erased_are_forgotten_at_once(shop: SmallShop) -> None:
    writer = writer_of(shop, describes=False)
    assert write(writer).sentences
    shop.store.erase_user("anna")
    assert write(writer).sentences == ()
    assert [words.sentences for words in writer._kept.all()] == [()]


class Named(ScriptedLanguageModel):
    """Writes one true sentence, and has a name of its own."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__([reply(([1], sentence))])
        self._name = name

    @property
    def name(self) -> str:
        return self._name


def test_one_models_words_never_stand_for_anothers(shop: SmallShop) -> None:
    """Two arms of an experiment share one memory, and so do the models before and after a promotion."""
    kept = KeptWords()
    one, other = Named("one", "You bought Tarn boots."), Named("other", "You are interested in boots.")
    writers = [InterestWriter(Asker(model, Metrics()), shop.live, shop.store, True, kept) for model in (one, other)]
    for _ in range(2):
        said = [(words.engine, texts(words)[0]) for words in map(write, writers)]
        assert said == [("one", "You bought Tarn boots."), ("other", "You are interested in boots.")]
    assert [len(model.requests) for model in (one, other)] == [1, 1]
    engine = LiveLanguageModel()
    promoted = InterestWriter(Asker(engine, Metrics()), shop.live, shop.store, True)
    for model in (one, other):
        engine.exchange(model)
        assert write(promoted).engine == model.name


def test_words_of_a_model_that_was_exchanged_meanwhile_are_not_kept(shop: SmallShop) -> None:
    engine = LiveLanguageModel()
    engine.exchange(Named("one", "You bought Tarn boots."))
    writer = InterestWriter(Asker(engine, Metrics()), shop.live, shop.store, True)

    class Leaving(Asker):
        async def ask(self, *arguments: Any, **options: Any) -> Any:
            read = await super().ask(*arguments, **options)
            engine.exchange(Named("other", "You are interested in boots."))
            return read

    writer._asker = Leaving(engine, Metrics())
    assert texts(write(writer))[0] == "You bought Tarn boots."
    assert writer._kept.all() == []


def test_the_erased_are_forgotten_in_all_arms(shop: SmallShop) -> None:
    """Nobody asks the candidate's writer any more, and it had written of them."""
    kept = KeptWords()
    usual, candidate = (
        InterestWriter(Asker(Named(name, "You bought Tarn boots."), Metrics()), shop.live, shop.store, True, kept)
        for name in ("usual", "candidate")
    )
    assert write(candidate).engine == "candidate"
    shop.store.erase_user("anna")
    write(usual, "nobody")
    assert [words.sentences for words in kept.all()] == [()]


def test_a_late_answer_is_not_kept_and_memory_is_bounded(shop: SmallShop, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = writer_of(shop, ScriptedLanguageModel(["word " * 20], delay=1.0))
    write(slow, timeout=0.05)
    assert not slow._kept.all()
    monkeypatch.setattr(interest_words, "MOST_KEPT", 2)
    writer = writer_of(shop, describes=False)
    for said in ("one", "two", "three"):
        write(writer, said=said)
    assert len(writer._kept.all()) == 2


def test_steps_of_a_session_follow_what_is_stored(shop: SmallShop) -> None:
    viewed = Event("step-0", EventType.VIEW_ITEM, product_id="boots")
    words = asyncio.run(writer_of(shop).of("anna", [viewed]))
    assert words.sentences[0].text.startswith("You looked at Best Tarn Boots")
    assert words.sentences[0].event_ids[0] == "step-0"
    assert asyncio.run(writer_of(shop).of(None, [viewed])).sentences[0].event_ids == ("step-0",)


def test_sessions_whose_steps_are_called_the_same_are_kept_apart(shop: SmallShop) -> None:
    writer = writer_of(shop)
    one, other = (
        asyncio.run(writer.of(None, [Event("step-0", EventType.VIEW_ITEM, product_id=product_id)]))
        for product_id in ("boots", "mug")
    )
    assert "Boots" in one.sentences[0].text
    assert "Mug" in other.sentences[0].text


def test_templates_of_a_model_that_was_not_there_yet_are_not_kept(
    shop: SmallShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = writer_of(shop, ScriptedLanguageModel([reply(([1], "You bought Tarn boots."))]))
    with monkeypatch.context() as loading:
        loading.setattr(Asker, "available", property(lambda asker: False))
        assert write(writer).engine == TEMPLATES
    assert write(writer).engine == "scripted"


def test_products_that_are_gone_are_not_spoken_of(shop: SmallShop) -> None:
    shop.delete("mug")
    assert "Mug" not in " ".join([*texts(write(writer_of(shop))), write(writer_of(shop)).query])


def test_words_are_retrieved_by_where_little_is_known_or_something_is_said() -> None:
    words = InterestWords((), "boots")
    long = [event("anna", f"p{number}") for number in range(5)]
    assert retrieval_query(words, long[:4]) == "boots"
    assert retrieval_query(words, long) == ""
    assert retrieval_query(words, long, "warm") == "boots"
    assert retrieval_query(words, [], " ") == ""


def test_hostile_products_stay_words(shop: SmallShop) -> None:
    for place, attack in enumerate(ATTACKS):
        shop.store.put_products([Product(f"bad{place}", attack, brand=attack[:150], categories=(attack[:150],))])
        shop.store.append_events([event("eve", f"bad{place}", id=f"bad{place}", position=place)])
    shop.sync()
    words = write(writer_of(shop), "eve")
    told = " ".join([*texts(words), words.query])
    assert words.sentences
    assert not any(mark in told for mark in ("<", "```", "http", "\u200b", "\n"))
