"""What a language model of this shop learns from, asked and checked by the very code that serves.

Takes a running shop, gives `ChatExample` rows for each task and writes them under `home/datasets/chats`, one file for
what is learned from and one for what is looked at. `finetune.chats` makes the rows; this module lends it what only the
service knows. Who was erased is not in the store, and so in none of them. Knows no trainer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from app.agent.grounding import Grounding
from app.agent.interest_check import check_sentence
from app.agent.interest_turn import latest_turn
from app.agent.interest_words import steps_of
from app.agent.understanding import question_about
from app.bootstrap import open_shop
from app.shop import Shop as RunningShop
from eval.understanding.score import Shop
from finetune.chats.interests import interest_chats
from finetune.chats.judging import JUDGED, Candidates, judging_chats
from finetune.chats.parts import Cut, Part
from finetune.chats.understanding import Asked, Asking, understanding_chats
from finetune.chats.wording import wording_chats
from finetune.examples import ChatExample, write_examples
from prompts.facts import ReplyFacts
from prompts.interest_turn import InterestTurn
from prompts.interest_words import NumberedSentence, Sentence
from prompts.step import Step
from retrieval.recommend import RecommendationQuery, Recommender
from tasteline.errors import TransientError
from tasteline.ports import Store
from tasteline.settings import Settings
from tasteline.types import Event, Product

FOLDER = "datasets/chats"
STEPS_REMEMBERED = 100
"""Latest steps that a ranking of candidates is asked for with."""


@dataclass(frozen=True, slots=True)
class ChatsAsked:
    """How many rows; of valid a tenth of what is counted here, and as many decisions of a person."""

    understanding: int = 3_000
    wording: int = 600
    each: int = 2
    """Decisions, and moments, of each person."""
    people: int = 2_000
    """The first of the store, by id."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What rows are made of."""

    products: Mapping[str, Product]
    people: Mapping[str, Sequence[Event]]
    """By user id, oldest first."""


def write_chats(settings: Settings, asked: ChatsAsked) -> dict[Part, Counter[str]]:
    """Rows by task of both parts, written to `train.jsonl` and `valid.jsonl`. Nobody's rows but those in the store.

    Raises TransientError where somebody was erased meanwhile; then nothing is left.
    """
    with closing(open_shop(settings.model_copy(update={"language_model": "none"}))) as shop:
        erasures = shop.store.erasures()  # before reading
        known = known_of(shop.store, asked.people)
        made: dict[Part, Counter[str]] = {}
        for part in get_args(Part):
            rows = list(chat_rows(known, shop, part, asked))
            write_examples(rows, ChatExample, settings.home / FOLDER / f"{part}.jsonl")
            made[part] = Counter(row.task for row in rows)
        if shop.store.erasures() != erasures:
            for part in get_args(Part):
                chats_at(settings.home, part).unlink(missing_ok=True)
            raise TransientError("somebody was erased while chats were made of what they did; start again")
    return made


def chats_at(home: Path, part: Part) -> Path:
    """Where the rows of a part lie."""
    return home / FOLDER / f"{part}.jsonl"


def known_of(store: Store, people: int) -> Known:
    """The products of a store, and what its people did."""
    products = {change.product_id: change.product for change in store.changes(0) if change.product is not None}
    ids = sorted({event.user_id for _, event in store.events() if event.user_id is not None})[:people]
    histories = {user_id: store.history(user_id) for user_id in ids}
    return Known(products, histories)


def chat_rows(known: Known, shop: RunningShop, part: Part, asked: ChatsAsked) -> Iterator[ChatExample]:
    """All rows of one part."""
    products, seed = list(known.products.values()), asked.seed
    share = 1.0 if part == "train" else 0.1
    cut = Cut.of((event.time for events in known.people.values() for event in events), seed)
    yield from understanding_chats(
        products, served_asking(products), part=part, count=int(share * asked.understanding), seed=seed
    )
    yield from wording_chats(products, sentences_hold, part=part, count=int(share * asked.wording), seed=seed)
    candidates = served_candidates(shop.recommender)
    yield from judging_chats(known.people, known.products, candidates, part=part, cut=cut, each=asked.each, seed=seed)

    def steps(history: Sequence[Event]) -> Sequence[Step]:
        return steps_of(history, dict(known.products))

    def turn(history: Sequence[Event]) -> InterestTurn | None:
        return latest_turn(history, shop.live, history[-1].time) if history[-1].time else None

    yield from interest_chats(known.people, steps, turn, sentence_holds, part=part, cut=cut, each=asked.each, seed=seed)


def served_asking(products: Sequence[Product]) -> Asking:
    """How the service would put a message to its model; None where it would not."""
    shop = Shop(products)

    def asking(text: str, before: Sequence[str], shown: Sequence[str]) -> Asked | None:
        question = question_about(shop.situation(text, before, shown), shop.vocabulary)
        if question is None:
            return None
        return Asked(question.prompt.messages, {slot: found.choices for slot, found in question.asked.items()})

    return asking


def served_candidates(recommender: Recommender) -> Candidates:
    """What the service recommends a stranger with this history."""

    def candidates(history: Sequence[Event]) -> Sequence[str]:
        query = RecommendationQuery(session=tuple(history[-STEPS_REMEMBERED:]), limit=JUDGED)
        return [item.product.id for item in recommender.recommend(query).items]

    return candidates


def sentence_holds(sentence: NumberedSentence, steps: Sequence[Step], turn: InterestTurn | None) -> bool:
    """Would the service show it?"""
    return isinstance(check_sentence(sentence, steps, turn), Sentence)


def sentences_hold(facts: ReplyFacts, said: Sequence[str]) -> bool:
    """Would the service show each as its product's line?"""
    grounding = Grounding(facts)
    judged = [grounding.judge(sentence) for sentence in said]
    return all(each.why is None and each.about == (place,) for place, each in enumerate(judged))
