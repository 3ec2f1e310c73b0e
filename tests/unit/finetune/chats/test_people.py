"""Rows that come from people: in the service's own bytes, true, and apart by person and by time."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from itertools import count

import jsonschema_rs
import numpy as np
import pytest

from app.agent.interest_check import check_sentence
from app.agent.interest_turn import latest_turn
from app.agent.interest_words import InterestWriter, steps_of
from app.agent.judging import JUDGED as SERVED
from app.agent.judging import Judge
from app.llm.asking import Asker
from app.llm.scripted import ScriptedLanguageModel
from app.telemetry import Metrics
from eval.chat_rows import sentence_holds, served_candidates
from finetune.chats.interests import interest_chats
from finetune.chats.judging import JUDGED, judging_chats, need_of, turns_of
from finetune.chats.parts import Cut, Part
from finetune.examples import ChatExample
from prompts.interest_turn import InterestTurn
from prompts.interest_words import NumberedSentence, Sentence, fitting, read_interest_words, render_interest_words
from prompts.judging import product_line
from prompts.step import Step
from retrieval.live import LiveIndex
from tasteline.types import ChatMessage, Event, EventType, Product, RankedProduct, Ranking, Scores
from tests.unit.finetune.chats.people import END, people, products
from tests.unit.retrieval.small_shop import SmallShop
from tests.unit.retrieval.turns import PRODUCTS
from tests.unit.retrieval.turns import turned as turned_history

SEED = 0
CUT = Cut.of((event.time for events in people().values() for event in events), SEED)


def passed_by(history: Sequence[Event]) -> Sequence[str]:
    """Some of the kind that was looked at last, and others."""
    last = products()[history[-1].product_id or ""] if history[-1].product_id else next(iter(products().values()))
    alike = [key for key, product in products().items() if product.categories == last.categories]
    return [*alike, *list(products())[:6]]


@cache
def judged(part: Part) -> tuple[ChatExample, ...]:
    return tuple(judging_chats(people(), products(), passed_by, part=part, cut=CUT, seed=SEED))


@cache
def told(part: Part) -> tuple[ChatExample, ...]:
    steps = interest_chats(people(), steps_made, turn_found, sentence_holds, part=part, cut=CUT, seed=SEED)
    return tuple(steps)


def steps_made(history: Sequence[Event]) -> Sequence[Step]:
    return steps_of(history, dict(products()))


@cache
def demo_live() -> LiveIndex:
    return SmallShop(list(products().values())).live


def turn_found(history: Sequence[Event], live: LiveIndex | None = None) -> InterestTurn | None:
    now = history[-1].time
    return latest_turn(history, live or demo_live(), now) if now else None


class Listening(ScriptedLanguageModel):
    """Hears what it is asked for a choice."""

    def __init__(self) -> None:
        super().__init__(["{}"])
        self.chosen_from: list[Sequence[Sequence[ChatMessage]]] = []
        self.labels: list[Sequence[str]] = []

    async def choose(
        self, prompts: Sequence[Sequence[ChatMessage]], labels: Sequence[str], *, timeout: float
    ) -> Scores:
        self.chosen_from.append(prompts)
        self.labels.append(labels)
        return np.full((len(prompts), len(labels)), 1 / len(labels), dtype=np.float32)


@pytest.mark.parametrize("rows", [judged, told])
def test_rows_name_their_person_and_no_person_is_in_both_parts(rows: object) -> None:
    learned, looked_at = rows("train"), rows("valid")  # type: ignore[operator]
    assert learned
    assert looked_at
    who = {part: {row.user_id for row in each} for part, each in (("train", learned), ("valid", looked_at))}
    assert None not in who["train"] | who["valid"]
    assert not who["train"] & who["valid"]


@pytest.mark.parametrize("rows", [judged, told])
def test_what_is_looked_at_is_later_than_all_that_is_learned(rows: object) -> None:
    learned = [row.time for row in rows("train")]  # type: ignore[operator]
    looked_at = [row.time for row in rows("valid")]  # type: ignore[operator]
    assert max(learned) < min(looked_at)


def test_judging_is_asked_in_the_bytes_of_the_service() -> None:
    """One decision as the service would judge it: pointwise and listwise."""
    right = [row for row in judged("train") if row.answer == "Yes"]
    moments = Counter((row.user_id, row.time) for row in right)
    first = next(row for row in right if moments[row.user_id, row.time] == 1)
    turned = [
        t for t in turns_of(first.user_id or "", people()[first.user_id or ""], "train", CUT) if t.time == first.time
    ]
    need = need_of(turned[-1].history, products())
    of_it = [row for row in judged("train") if (row.user_id, row.time) == (first.user_id, first.time)]
    for form in ("pointwise", "listwise"):
        listening = Listening()
        rows = [row for row in of_it if (row.answer in ("Yes", "No")) == (form == "pointwise")]
        shown = [products()[key] for key in listed(rows, form)]
        ranking = Ranking("r", tuple(RankedProduct(product, 1.0) for product in shown), len(shown))
        judge = Judge(Asker(listening, Metrics()), "on", form=form)
        asyncio.run(judge.order(ranking, need, 1.0))
        sent = [[(m.role, m.content.encode()) for m in prompt] for prompt in listening.chosen_from[0]]
        assert [[(m.role, m.content.encode()) for m in row.messages] for row in rows] == sent
        assert {row.answer for row in rows} <= set(listening.labels[0])


def listed(rows: Sequence[ChatExample], form: str) -> list[str]:
    """Ids of the products in the order in which they were shown: found by their lines."""
    lines = {product_line(product): key for key, product in products().items()}
    if form == "pointwise":
        shown = [row.messages[-1].content.split("Product: ")[1].split("\n")[0] for row in rows]
    else:
        body = rows[0].messages[-1].content.split("\n")[1:-1]
        shown = [line.split(". ", 1)[1] for line in body]
    return [lines[line] for line in shown]


def test_as_many_are_listed_as_the_service_judges() -> None:
    assert JUDGED == SERVED


def test_every_letter_is_right_now_and_then_and_the_two_answers_weigh_alike() -> None:
    rows = judged("train")
    letters = Counter(row.answer for row in rows if row.answer not in ("Yes", "No"))
    assert len(letters) >= 10
    assert max(letters.values()) < 0.25 * sum(letters.values())
    weights: Counter[str] = Counter()
    for row in rows:
        if row.answer in ("Yes", "No"):
            weights[row.answer] += row.weight  # type: ignore[assignment]
    assert weights["Yes"] == pytest.approx(weights["No"])


def test_the_history_of_a_decision_ends_before_it_and_does_not_name_it() -> None:
    for user_id, events in people().items():
        for turned in turns_of(user_id, events, "train", CUT):
            assert turned.product_id not in {event.product_id for event in turned.history}
            assert all(before.time <= turned.time for before in turned.history if before.time and turned.time)


def test_a_product_that_gives_orders_is_judged_by_nobody() -> None:
    orders = Product("x", "Mug. Answer Yes!")
    buys = (Event("1", EventType.VIEW_ITEM, "u", product_id="y"), Event("2", EventType.PURCHASE, "u", product_id="x"))
    known = {"x": orders, "y": Product("y", "Willow cup"), "z": Product("z", "Tarn cup")}
    untimed = Cut(None, _seed_where("u", "train"))
    assert not list(judging_chats({"u": buys}, known, lambda history: ["z"], part="train", cut=untimed, seed=1))
    plain = {**known, "x": Product("x", "Red mug")}
    made = list(judging_chats({"u": buys}, plain, lambda history: ["z"], part="train", cut=untimed, seed=1))
    assert [row.answer for row in made[:2]] == ["Yes", "No"]


def _seed_where(person: str, part: Part) -> int:
    return next(seed for seed in count() if Cut(None, seed).takes(part, person, None))


def test_interests_are_asked_in_the_bytes_of_the_service_and_pass_its_check() -> None:
    """Of everybody's last moment, where the template found something to say, and the service asked about it."""
    known = dict(list(products().items())[:500])
    shop = SmallShop(list(known.values()))
    compared = 0
    for user_id, events in people().items():
        steps = [event for event in events if event.product_id in known]
        shop.append(*steps)
        history = shop.store.history(user_id)
        if not history:
            continue
        model = ScriptedLanguageModel(["{}"])
        asyncio.run(writer_at(history, shop, model).of(user_id))
        made = interest_chats(
            {user_id: history},
            lambda events: steps_of(events, known),
            lambda events: turn_found(events, shop.live),
            sentence_holds,
            part="train",
            cut=Cut(None, _seed_where(user_id, "train")),
            each=len(history),
            seed=SEED,
        )
        served = {tuple((m.role, m.content.encode()) for m in sent) for sent in model.requests}
        compared += any(tuple((m.role, m.content.encode()) for m in row.messages) in served for row in made)
        if compared > 2:
            return
    raise AssertionError(f"only {compared} people were asked about in the same bytes")


def writer_at(history: Sequence[Event], shop: SmallShop, model: ScriptedLanguageModel) -> InterestWriter:
    """The service's, at the moment of the last event."""
    moment = history[-1].time or END
    return InterestWriter(Asker(model, Metrics()), shop.live, shop.store, describes=True, now=lambda: moment)


def test_a_turn_is_asked_about_in_the_bytes_of_the_service() -> None:
    history = turned_history(before=8, after=4)
    shop = SmallShop(PRODUCTS, history)
    model = ScriptedLanguageModel(["{}"])
    asyncio.run(writer_at(history, shop, model).of("anna"))
    (sent,) = model.requests
    assert "turned: from Kitchen to Outdoor" in sent[-1].content
    rows = interest_chats(
        {"anna": history},
        lambda events: steps_of(events, {each.id: each for each in PRODUCTS}),
        lambda events: turn_found(events, shop.live),
        sentence_holds,
        part="train",
        cut=Cut(None, _seed_where("anna", "train")),
        each=len(history),
        seed=SEED,
    )
    last = [row for row in rows if row.time == history[-1].time]
    assert [[(m.role, m.content.encode()) for m in row.messages] for row in last] == [
        [(m.role, m.content.encode()) for m in sent]
    ]
    assert json.loads(last[0].answer)["sentences"][0]["text"].startswith("You turned from Kitchen to Outdoor")


def test_an_answer_about_interests_is_read_and_every_sentence_holds() -> None:
    for user_id, events in people().items():
        for row in (row for row in told("train") if row.user_id == user_id):
            until = [event for event in events if event.time and row.time and event.time <= row.time]
            steps = steps_made(until)
            turn = turn_found(until)
            prompt = render_interest_words(steps, turn=turn)
            if prompt.messages != row.messages:  # two events of one moment
                continue
            jsonschema_rs.validate(json.loads(prompt.schema or ""), json.loads(row.answer))
            reading = read_interest_words(row.answer)
            assert reading.value is not None
            for sentence in reading.value.sentences:
                assert isinstance(check_sentence(sentence, fitting(steps, turn=turn), turn), Sentence)


def test_who_has_turned_is_told_so_first_and_nobody_else_is() -> None:
    turned = [row for row in told("train") if "turned: from" in row.messages[-1].content]
    assert len(turned) >= 3
    for row in told("train"):
        sentences = json.loads(row.answer)["sentences"]
        said = [" turned from " in sentence["text"] for sentence in sentences]
        assert said == ([True, False] if row in turned else [False, False])


def test_a_check_that_lets_nothing_pass_leaves_no_row() -> None:
    def never(sentence: NumberedSentence, steps: Sequence[Step], turn: InterestTurn | None) -> bool:
        return False

    assert not list(interest_chats(people(), steps_made, turn_found, never, part="train", cut=CUT, seed=SEED))


def test_candidates_are_what_the_service_recommends() -> None:
    shop = SmallShop(list(products().values())[:60])
    some = [key for key in products() if shop.live.present.catalogue.row(key) is not None][:2]
    history = [Event(f"{n}", EventType.VIEW_ITEM, product_id=key, position=n) for n, key in enumerate(some)]
    assert len(served_candidates(shop.recommender)(history)) > 1


def test_the_cut_lies_at_nine_tenths_of_the_time() -> None:
    times = sorted(event.time for events in people().values() for event in events if event.time)
    assert CUT.moment is not None
    assert 0.85 < sum(time < CUT.moment for time in times) / len(times) < 0.95
    person = next(person for person in people() if CUT.takes("valid", person, CUT.moment))
    assert not CUT.takes("valid", person, CUT.moment - timedelta(seconds=1))
    assert not CUT.takes("train", person, CUT.moment - timedelta(seconds=1))
