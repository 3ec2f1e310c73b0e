"""`tasteline eval assistant --part turns`: is a turn of interests told where it was one, and are the words true?

Takes settings; gives one result on the demo shop's people, whose plans say when their interests change. After each of
their visits it is asked what the service would say: how often a turn is told after one, how often it is the one that
was, how often one is told without any. At the first moment of each person at which one is told, a language model is
asked as the service asks it; its sentences are counted before and after the check, and read a second time by
`eval.turn_reading`. At the same moments what to retrieve by is measured: nothing, the words of all, of the new topic.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from app.agent.interest_check import check_sentence
from app.agent.interest_turn import latest_turn
from app.agent.interest_words import steps_of
from app.bootstrap import open_shop
from app.engines import open_language_model, open_store, wait_until_loaded
from app.indexing import build_index
from app.llm.asking import Asker
from app.shop import Shop
from app.telemetry import Metrics
from eval import demo_shop, drift
from eval.drift import NEAR, Change, Person
from eval.measured import Measured, SystemResult
from eval.turn_reading import Past, Verdict, turn_in, verdict
from prompts.interest_turn import InterestTurn
from prompts.interest_words import Sentence, describe, fitting, read_interest_words, render_interest_words, told_of
from prompts.prompt import Outcome
from retrieval.interests import DAY, interests
from retrieval.live import LiveIndex
from retrieval.recommend import WISH_WEIGHT, RecommendationQuery, Recommender
from retrieval.turn_reasons import LATELY
from tasteline.ports import LanguageModel
from tasteline.settings import Settings
from tasteline.types import Event, Product

CROWD_SEED = 9
"""Of the people whom the shop has counted: others than those who are measured."""
WORDED = 60
AT_ONCE = 8
PATIENCE_SECONDS = 120.0
DEPTH = 10
EXAMPLES = 30
"""Sentences that the result spells out."""
SPLITS = {"valid": 0, "test": 1}
"""As in `eval.drift`, whose settings were chosen on the first half."""
TEMPLATE, CHECKED, UNCHECKED = "template", "model, checked", "model, unchecked"
WITHOUT, ALL_WORDS, NEW_WORDS = "nothing", "words of all", "words of the new topic"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Moment:
    """After a visit at which a turn is told."""

    person: Person
    at: int
    """Number of the visit."""
    history: tuple[Event, ...]
    turn: InterestTurn
    right: bool
    """Did the plan turn there, from and to what is told?"""


@dataclass(frozen=True, slots=True)
class Heard:
    """What somebody is told over a year."""

    told: float
    """Of the visits within a month of a change that could be found: share at which a turn is told."""
    told_without: float
    """The same of all other visits."""
    true: float
    """Of the visits at which one is told: share at which it is the one that was."""
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """One voice at one moment."""

    sentences: tuple[Sentence, ...]
    why: tuple[str, ...] = ()
    """Of what did not pass."""
    outcome: Outcome | None = None


def run(
    settings: Settings,
    split: str = "test",
    *,
    worded: int = WORDED,
    progress: Progress | None = None,
) -> dict[str, dict[str, object]]:
    """Results in the shape of `tasteline eval` by name: "" for the words, "retrieval" for what is found by them.

    Without rows of a model where the settings have none.
    """
    started = time.perf_counter()
    products = {product.id: product for product in demo_shop.products()}
    everyone = [person for seed in drift.SEEDS for person in drift.people(seed)][SPLITS[split] :: 2]
    with closing(_crowd(settings, list(products.values()))) as shop:
        model = open_language_model(settings)
        if model is None:
            report = measured(everyone, products, shop.live, shop.recommender, progress=progress)
        else:
            with closing(model):
                wait_until_loaded(model)
                report = measured(everyone, products, shop.live, shop.recommender, model, worded, progress)
    about = {"seconds": round(time.perf_counter() - started, 3)}
    return {n: {**each, "protocol": f"{each['protocol']}; split {split}", **about} for n, each in report.items()}


def measured(
    people: Sequence[Person],
    products: Mapping[str, Product],
    live: LiveIndex,
    recommender: Recommender,
    model: LanguageModel | None = None,
    worded: int = WORDED,
    progress: Progress | None = None,
) -> dict[str, dict[str, object]]:
    """What these people are told by a shop of these products, by the template and by `model`; and what is found."""
    heard = [_heard(person, live) for person in _watched(people, progress)]
    moments = [moment for each in heard for moment in each.moments]
    first = [each.moments[0] for each in heard if each.moments][:worded]
    said = asyncio.run(_asked(model, first, products)) if model else []
    words = Measured(
        task="interest-words",
        dataset="demo shop",
        checksum="",
        protocol=(
            f"after each visit of made-up people what they are told; a change is a plan that shifts by {drift.SHIFT} "
            f"or more; told: of the visits within {LATELY.days} days of one that could be found; true: it lies within "
            f"{NEAR} visits of a change, from and to what it says; borne out: sentences that a second reading finds in "
            f"the events; the model words the first such moment of {len(first)} people"
        ),
        cases=tuple(person.name for person in people),
        systems={TEMPLATE: _of_everybody(heard)} | _voices(people, first, said, products),
        settings={"seeds": list(drift.SEEDS), "worded": len(said), "moments": len(moments)},
        reference=TEMPLATE,
        more={
            "part": "turns",
            "model": _model_report(model.name if model else "", said, first, products),
        },
    )
    return {"": words.as_mapping(), "retrieval": _retrieval(moments, live, recommender).as_mapping()}


def _watched(people: Sequence[Person], progress: Progress | None) -> Iterator[Person]:
    for number, person in enumerate(people, 1):
        yield person
        if progress is not None:
            progress(number, len(people))


def _crowd(settings: Settings, products: Sequence[Product]) -> Shop:
    """The demo shop as other people have used it; kept, so that a second run embeds nothing."""
    home = settings.home / "eval" / "demo-shop-crowd"
    chosen = settings.model_copy(update={"home": home, "database_url": None, "language_model": "none"})
    with closing(open_store(chosen)) as store:
        if not store.revision():
            people = demo_shop.shoppers(CROWD_SEED)
            store.append_events(list(demo_shop.events(products, people, drift.END, CROWD_SEED)))
            store.put_products(products)
    build_index(chosen)
    return open_shop(chosen)


# --- what is told -----------------------------------------------------------------------------------------------------


def _heard(person: Person, live: LiveIndex) -> Heard:
    moments, after, without = [], [], []
    for at, prefix in enumerate(person.prefixes):
        history = prefix.steps.events
        moment = history[-1].time
        turn = latest_turn(history, live, moment) if moment else None
        if any(_is_recent(change, person, at) for change in person.changes if change.findable):
            after.append(turn is not None)
        elif not any(_is_recent(change, person, at) for change in person.changes):
            without.append(turn is not None)
        if turn is not None:
            moments.append(Moment(person, at, history, turn, _is_right(turn, person)))
    return Heard(_mean(after), _mean(without), _mean([moment.right for moment in moments]), tuple(moments))


def _is_recent(change: Change, person: Person, at: int) -> bool:
    """Up to a month before this visit, and as many visits as a change needs to be seen."""
    steps = person.prefixes[at].steps
    if change.visit > at - drift.REGIME + 1:
        return False
    began = steps.times[np.searchsorted(steps.visits, change.visit)]
    return bool(steps.times[-1] - began <= LATELY / timedelta(days=1) * DAY)


def _is_right(turn: InterestTurn, person: Person) -> bool:
    steps = person.prefixes[-1].steps
    began = next(place for place, event in enumerate(steps.events) if event.id == turn.shown_after[0].event.id)
    visit = int(steps.visits[began])
    return any(
        abs(change.visit - visit) <= NEAR and change.gained & {*turn.after} and change.lost & {*turn.before}
        for change in person.changes
    )


def _of_everybody(heard: Sequence[Heard]) -> SystemResult:
    names = ("told", "told_without", "true")
    return SystemResult({name: np.array([getattr(each, name) for each in heard], dtype=np.float64) for name in names})


# --- whose words ------------------------------------------------------------------------------------------------------


async def _asked(model: LanguageModel, moments: Sequence[Moment], products: Mapping[str, Product]) -> list[Said]:
    """What the model writes, as the service asks it; `sentences` are those that the check lets pass."""
    asker, together = Asker(model, Metrics()), asyncio.Semaphore(AT_ONCE)

    async def one(moment: Moment) -> Said:
        steps = steps_of(moment.history, dict(products))
        prompt = render_interest_words(steps, turn=moment.turn)
        async with together:
            reading = await asker.ask(prompt, read_interest_words, PATIENCE_SECONDS)
        shown = fitting(steps, turn=moment.turn)
        written = reading.value.sentences if reading.value else ()
        judged = [check_sentence(sentence, shown, moment.turn) for sentence in written]
        ids = [*(step.event.id for step in shown)]
        rests_on = [
            tuple(i for line in s.lines for i in (moment.turn.evidence if line > len(ids) else ids[line - 1 : line]))
            for s in written
        ]
        raw = tuple(Sentence(s.text, each) for s, each in zip(written, rests_on, strict=True))
        why = tuple("" if isinstance(each, Sentence) else each for each in judged)
        return Said(raw, why, reading.outcome)

    return list(await asyncio.gather(*map(one, moments)))


def _kept(said: Said) -> Said:
    """What passed of it."""
    return Said(tuple(s for s, why in zip(said.sentences, said.why, strict=True) if not why))


def _voices(
    people: Sequence[Person], moments: Sequence[Moment], said: Sequence[Said], products: Mapping[str, Product]
) -> dict[str, SystemResult]:
    """Each voice at the same moments; everybody else has none."""
    templates = [Said(tuple(filter(None, [told_of(moment.turn)]))) for moment in moments]
    number = {person.name: place for place, person in enumerate(people)}
    voices = {f"{TEMPLATE}, first {len(moments)}": templates}
    if said:
        voices |= {f"{CHECKED}, first {len(said)}": [_kept(each) for each in said]}
        voices |= {f"{UNCHECKED}, first {len(said)}": list(said)}
    found = {}
    for name, voice_of in voices.items():
        values = {metric: np.full(len(people), np.nan) for metric in ("told", "true", "passed", "borne_out")}
        for moment, voice in zip(moments, voice_of, strict=False):
            place, past = number[moment.person.name], Past(moment.history, products)
            told = [s for s in voice.sentences if turn_in(s.text, past) is not None]
            verdicts = [verdict(s.text, s.event_ids, past) for s in voice.sentences]
            values["told"][place] = float(bool(told))
            if told:
                values["true"][place] = _mean([moment.right and _names(s, moment, past) for s in told])
            values["passed"][place] = _mean([not why for why in voice.why])
            values["borne_out"][place] = _mean([read == "true" for read in verdicts if read != "unread"])
        found[name] = SystemResult(values)
    return found


def _names(sentence: Sentence, moment: Moment, past: Past) -> bool:
    """Does it say the turn of this moment, in its direction?"""
    said = turn_in(sentence.text, past)
    sides = [{topic.casefold() for topic in side} for side in (moment.turn.before, moment.turn.after)]
    return bool(said and said.before and said.after and {*said.before} <= sides[0] and {*said.after} <= sides[1])


@dataclass(frozen=True, slots=True)
class _Written:
    """One sentence of the model, judged twice."""

    text: str
    why: str
    """Of the check; empty where it passed."""
    verdict: Verdict
    """Of the second reading."""
    of_turn: bool
    named: bool
    """Does it say the turn that was found, in its direction, whatever lines it quotes?"""


def _model_report(
    name: str, said: Sequence[Said], moments: Sequence[Moment], products: Mapping[str, Product]
) -> dict[str, object]:
    written = [each for voice, moment in zip(said, moments, strict=False) for each in _judged(voice, moment, products)]
    of_turns = [each.why for each in written if each.of_turn]
    return {
        "name": name,
        "outcomes": dict(Counter(str(each.outcome) for each in said)),
        "sentences": len(written),
        "kept": sum(not each.why for each in written),
        "dropped": dict(Counter(each.why for each in written if each.why)),
        "of_turns": {
            "sentences": len(of_turns),
            "right_names": sum(each.named for each in written),
            "kept": of_turns.count(""),
            "dropped": dict(Counter(filter(None, of_turns))),
        },
        "second_reading": {
            "kept": dict(Counter(each.verdict for each in written if not each.why)),
            "dropped": dict(Counter(each.verdict for each in written if each.why)),
        },
        "kept_not_borne_out": [each.text for each in written if not each.why and each.verdict != "true"],
        "dropped_though_borne_out": [each.text for each in written if each.why and each.verdict == "true"],
        "examples": [{"text": each.text, "why": each.why or "kept"} for each in written[:EXAMPLES]],
    }


def _judged(said: Said, moment: Moment, products: Mapping[str, Product]) -> Iterator[_Written]:
    past = Past(moment.history, products)
    for sentence, why in zip(said.sentences, said.why, strict=True):
        of_turn = turn_in(sentence.text, past) is not None
        named = _names(sentence, moment, past)
        yield _Written(sentence.text, why, verdict(sentence.text, sentence.event_ids, past), of_turn, named)


# --- what to retrieve by ----------------------------------------------------------------------------------------------


def _retrieval(moments: Sequence[Moment], live: LiveIndex, recommender: Recommender) -> Measured:
    """The first product of the next visit that the person did not know, by what is retrieved by."""
    asked = [(moment, target) for moment in moments if (target := _next(moment))]
    names = (WITHOUT, ALL_WORDS, NEW_WORDS)
    values: dict[str, dict[str, list[float]]] = {name: {"ndcg@10": [], "recall@10": []} for name in names}
    for moment, target in asked:
        new = _of_new(moment, live)
        for name, words_of in ((WITHOUT, ()), (ALL_WORDS, moment.history), (NEW_WORDS, new)):
            wish = _query(live, words_of)
            query = RecommendationQuery(session=moment.history, wish=wish, limit=DEPTH, exclude_seen=True)
            ids = [item.product.id for item in recommender.recommend(query).items]
            rank = ids.index(target) if target in ids else None
            values[name]["recall@10"].append(float(rank is not None))
            values[name]["ndcg@10"].append(0.0 if rank is None else float(1 / np.log2(rank + 2)))
    return Measured(
        task="interest-words",
        dataset="demo shop",
        checksum="",
        protocol=(
            "made-up people after each visit at which a turn of their interests is told; the first product of the next "
            "visit that they did not know, ranked against all others by a shop that has counted other people; words "
            "are one more source of candidates"
        ),
        cases=tuple(f"{moment.person.name}/{moment.at}" for moment, _ in asked),
        systems={name: SystemResult({m: np.array(v) for m, v in each.items()}) for name, each in values.items()},
        settings={"seeds": list(drift.SEEDS), "crowd": CROWD_SEED, "weight": WISH_WEIGHT["home"], "depth": DEPTH},
        reference=WITHOUT,
        groups=np.unique([moment.person.name for moment, _ in asked], return_inverse=True)[1],
        more={"part": "turns"},
    )


def _next(moment: Moment) -> str | None:
    if moment.at + 1 >= len(moment.person.prefixes):
        return None
    known = {event.product_id for event in moment.history}
    later = moment.person.prefixes[moment.at + 1].steps.events[len(moment.history) :]
    return next((event.product_id for event in later if event.product_id and event.product_id not in known), None)


def _of_new(moment: Moment, live: LiveIndex) -> Sequence[Event]:
    """What was done with the topics that the person turned to."""
    with live.read() as indexes:
        rows = {e.product_id: indexes.catalogue.row(e.product_id or "") for e in moment.history}
        new = {
            pid
            for pid, row in rows.items()
            if row is not None and {*indexes.catalogue.product(row).categories} & {*moment.turn.after}
        }
    return [event for event in moment.history if event.product_id in new]


def _query(live: LiveIndex, history: Sequence[Event]) -> str:
    if not history:
        return ""
    with live.read() as indexes:
        there = {e.product_id: row for e in history if (row := indexes.catalogue.row(e.product_id or "")) is not None}
        products = {pid: indexes.catalogue.product(row) for pid, row in there.items() if pid}
    return describe(steps_of(history, products), interests(history, products.get)).query


def _mean(values: Sequence[bool | float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
