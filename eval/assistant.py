"""What the assistant claims: generated conversations with the real service, every answer read by `eval.claims`.

Takes settings, a number of answers and a seed; fills the demo shop in a home of its own, talks to it in process with
the configured engine, several conversations at a time, and counts what was claimed and what of it holds: apart for the
model's lines and the templates', and, as a contrast, for what the same model wrote before the service checked it. Each
claim that left and is false, or cannot be recounted, stands in the report with its words. Knows no check but its own.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from statistics import mean, median
from time import perf_counter

from prometheus_client import Counter as Metric

from app.agent.pipeline import Answer
from app.agent.situation import ChatTurn
from app.bootstrap import open_shop
from app.engines import open_language_model, open_store, wait_until_loaded
from app.indexing import build_index
from app.shop import Shop
from eval import demo_shop
from eval.claims import Claim, Claims, Told
from eval.known_item import known_item_queries
from eval.wrapped_model import WrappedModel
from prompts.facts import ReplyFacts
from prompts.reply import render_parts
from prompts.wording import render_wording
from tasteline.settings import Settings
from tasteline.types import ChatMessage, EventType, Piece, Product

ANSWERS = 500
AT_ONCE = 4
PATIENCE_SECONDS = 30.0
"""For the model's words: what is measured is their truth, so that a busy machine should not silence it."""
SHOP_NAME = "Larkspur & Co."
OURS, UNCHECKED = "tasteline", "unchecked model"
PROTOCOL = (
    "{answers} answers of generated conversations (seed {seed}, {at_once} at a time) on the demo shop; every claim in"
    " them read out of the text and recomputed from the catalogue by eval.claims, which shares nothing with the service"
)
LISTED = 200
"""False claims of the unchecked model that the report spells out: enough to judge the checker by."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Talk:
    """What one shopper says, message by message."""

    messages: tuple[str, ...]
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Replied:
    """One answer as it left, and as the model wrote it."""

    text: str
    facts: ReplyFacts
    worded: bool
    """Has the model's words in it, as the service itself says."""
    written: str
    """All that the model wrote for it before any check; empty where it was not asked or gave nothing."""
    user_id: str | None
    seconds: float


@dataclass(slots=True)
class Tally:
    """Claims of one voice."""

    answers: int = 0
    by_kind: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    wrong_answers: int = 0

    def add(self, claims: Sequence[Claim]) -> None:
        self.answers += 1
        self.wrong_answers += any(claim.verdict == "unsupported" for claim in claims)
        for claim in claims:
            self.by_kind[claim.kind][claim.verdict] += 1

    def total(self, verdict: str) -> int:
        return sum(verdicts[verdict] for verdicts in self.by_kind.values())

    def figures(self) -> dict[str, int]:
        verdicts = {verdict: self.total(verdict) for verdict in ("supported", "unsupported", "unverifiable")}
        return {
            "answers": self.answers,
            "claims": sum(verdicts.values()),
            **verdicts,
            "answers_with_unsupported": self.wrong_answers,
        }

    def kinds(self) -> dict[str, dict[str, int]]:
        return {kind: dict(verdicts) for kind, verdicts in sorted(self.by_kind.items())}


class Recording(WrappedModel):
    """Keeps what the model writes, under the conversation that asked for it."""

    async def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, timeout: float, schema: str | None = None
    ) -> AsyncGenerator[Piece, None]:
        text, ended = "", False
        try:
            async with aclosing(
                self._model.stream(messages, max_tokens=max_tokens, timeout=timeout, schema=schema)
            ) as pieces:
                async for piece in pieces:
                    text, ended = text + piece.text, ended or piece.finish == "stop"
                    yield piece
        finally:
            _WRITTEN.get()[tuple(messages)] = text if ended else _whole(text)


_WRITTEN: ContextVar[dict[tuple[ChatMessage, ...], str]] = ContextVar("_WRITTEN")
_LAST_END = re.compile(r"^.*(?:[.!?](?=\s)|\n|(?<!\d)[.!?]$|(?<=\.\d\d)\.$)", re.DOTALL)
"""Not the point of an amount that was being written."""


def _whole(text: str) -> str:
    """Without the sentence in which it was cut: half an amount is nobody's claim."""
    found = _LAST_END.match(text)
    return found.group() if found else ""


def run_claims(
    settings: Settings, answers: int = ANSWERS, seed: int = 7, progress: Progress | None = None
) -> dict[str, object]:
    """`tasteline eval assistant`: the demo shop's answers, claim by claim. Raises EngineFailed for a dead engine."""
    began = perf_counter()
    products, people = demo_shop.products(), demo_shop.featured(demo_shop.shoppers())
    chosen = _filled(settings, products)
    talks = talks_of(products, [person.id for person in people], answers, seed)
    model = open_language_model(chosen)
    with closing(open_shop(chosen, language_model=Recording(model) if model else None)) as shop:
        if model is not None:
            wait_until_loaded(model)
        replies = asyncio.run(_talk(shop, talks, progress))
        counters = {
            "sentences": _counted(shop.metrics.sentences, "verdict"),
            "model_answers": _counted(shop.metrics.model_answers, "outcome"),
        }
        deeds = _deeds(shop, [person.id for person in people])
    report = report_of(replies, {product.id: product for product in products}, deeds)
    return {
        "task": "assistant",
        "dataset": "demo shop",
        "protocol": PROTOCOL.format(answers=len(replies), seed=seed, at_once=AT_ONCE),
        **report,
        "model": model.name if model else None,
        "engine": settings.language_model,
        "counters": counters,
        "settings": {
            "language_model": settings.language_model,
            "language_model_name": settings.language_model_name,
            "worded_products": settings.worded_products,
            "wording_seconds": PATIENCE_SECONDS,
            "answers": answers,
        },
        "seed": seed,
        "checksum": _checksum(products),
        "seconds": round(perf_counter() - began, 1),
    }


def report_of(
    replies: Sequence[Replied], products: Mapping[str, Product], deeds: Mapping[str, Mapping[str, frozenset[str]]]
) -> dict[str, object]:
    """Systems, claims by kind for each voice, and under "raw" every claim that left and does not hold."""
    reader = Claims(products)
    all_said, unchecked, by_model, by_template = Tally(), Tally(), Tally(), Tally()
    replaced: list[dict[str, str]] = []
    left: list[dict[str, str]] = []
    held_back: list[dict[str, str]] = []
    for reply in replies:
        told = told_of(reply, deeds)
        known = set(render_parts(reply.facts).text.split("\n"))
        claims = reader.of(reply.text, told)
        all_said.add(claims)
        if reply.worded:
            by_model.add([claim for claim in claims if claim.line not in known])
        by_template.add([claim for claim in claims if claim.line in known])
        left += [_listed(claim, reply, claim.line not in known) for claim in claims if claim.verdict != "supported"]
        if reply.written:
            written = reader.of(reply.written, told)
            unchecked.add(written)
            if written and not reply.worded and all(claim.supported for claim in written):
                replaced.append({"written": reply.written, "request": reply.facts.request})
            held_back += [_listed(claim, reply, True) for claim in written if claim.verdict == "unsupported"]
    asked = sum(bool(reply.written) for reply in replies)
    worded = sum(reply.worded for reply in replies)
    seconds = [reply.seconds for reply in replies] or [0.0]
    return {
        "systems": {
            OURS: all_said.figures() | {"worded_by_model": worded},
            UNCHECKED: unchecked.figures() | {"worded_by_model": asked},
        },
        "kinds": {
            OURS: all_said.kinds(),
            "model's lines": by_model.kinds(),
            "templates' lines": by_template.kinds(),
            UNCHECKED: unchecked.kinds(),
        },
        "voices": {"model's lines": by_model.figures(), "templates' lines": by_template.figures()},
        "check": {
            "answers_written": asked,
            "answers_kept": worded,
            "written_with_unsupported": unchecked.wrong_answers,
            "replaced_though_all_supported": len(replaced),
        },
        "answer_seconds": {"p50": round(median(seconds), 3), "mean": round(mean(seconds), 3), "max": max(seconds)},
        "reply_kinds": dict(Counter(reply.facts.kind for reply in replies)),
        "raw": {
            "unsupported": [entry for entry in left if entry["verdict"] == "unsupported"],
            "unverifiable": [entry for entry in left if entry["verdict"] == "unverifiable"],
            "unchecked_unsupported": held_back[:LISTED],
            "replaced_though_all_supported": replaced[:LISTED],
        },
    }


def told_of(reply: Replied, deeds: Mapping[str, Mapping[str, frozenset[str]]]) -> Told:
    """What the reply was about, as its reader knows it: products, request and limits, nobody's wording of them."""
    facts = reply.facts
    beside = [facts.anchor.id] if facts.anchor else []
    return Told(
        shown=tuple(item.product.id for item in facts.products),
        asked=tuple(beside + [product.id for product in facts.cart]),
        request=facts.request,
        query=facts.query,
        constraints=facts.constraints,
        deeds=deeds.get(reply.user_id or "", {}),
        shop_name=facts.shop_name,
    )


def _listed(claim: Claim, reply: Replied, by_model: bool) -> dict[str, str]:
    return {
        "verdict": claim.verdict,
        "kind": claim.kind,
        "claim": claim.text,
        "why": claim.why,
        "line": claim.line,
        "voice": "model" if by_model else "template",
        "request": reply.facts.request,
    }


async def _talk(shop: Shop, talks: Sequence[Talk], progress: Progress | None) -> list[Replied]:
    waiting = iter(enumerate(talks))
    done: dict[int, list[Replied]] = {}
    total = sum(len(talk.messages) for talk in talks)

    async def one_after_another() -> None:
        for number, talk in waiting:
            done[number] = []
            for message in talk.messages:
                done[number].append(await _reply(shop, ChatTurn(message, f"talk-{number}", talk.user_id)))
                if progress is not None:
                    progress(sum(map(len, done.values())), total)

    await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))
    return [reply for number in sorted(done) for reply in done[number]]


async def _reply(shop: Shop, turn: ChatTurn) -> Replied:
    written: dict[tuple[ChatMessage, ...], str] = {}
    _WRITTEN.set(written)
    began = perf_counter()
    answer = await shop.assistant.answer(turn)
    async with aclosing(shop.assistant.speak(turn, answer)) as pieces:
        text = "".join([piece async for piece in pieces])
    seconds = round(perf_counter() - began, 3)
    worded = shop.language_model is not None and answer.engine == shop.language_model.name
    return Replied(text, answer.facts, worded, _wording(written, answer, shop.settings), turn.user_id, seconds)


def _wording(written: Mapping[tuple[ChatMessage, ...], str], answer: Answer, settings: Settings) -> str:
    """Of all that the model wrote for an answer, what was meant to be read by the shopper."""
    wanted = min(settings.worded_products, len(answer.facts.products))
    if not written or not wanted:
        return ""
    return written.get(render_wording(answer.facts, wanted, answer.history).messages, "").strip()


def _filled(settings: Settings, products: Sequence[Product]) -> Settings:
    """The demo shop with a year of its visitors, indexed; kept, so that a second run embeds nothing."""
    home = settings.home / "eval" / f"demo-shop-{_checksum(products)[:16]}"
    patience = {"wording_seconds": PATIENCE_SECONDS, "deadline_seconds": 2 * PATIENCE_SECONDS}
    chosen = settings.model_copy(update={"home": home, "database_url": None, "shop_name": SHOP_NAME, **patience})
    with closing(open_store(chosen)) as store:
        if not store.revision():
            midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            store.append_events(list(demo_shop.events(products, demo_shop.shoppers(), midnight)))
            store.put_products(products)
    build_index(chosen)
    return chosen


def _counted(metric: Metric, label: str) -> dict[str, int]:
    """The samples of a counter by one of its labels."""
    found: Counter[str] = Counter()
    for family in metric.collect():
        for sample in family.samples:
            if sample.name.endswith("_total"):
                found[sample.labels[label]] += int(sample.value)
    return dict(sorted(found.items()))


def _deeds(shop: Shop, people: Sequence[str]) -> dict[str, dict[str, frozenset[str]]]:
    """person → event name → products."""
    found: dict[str, dict[str, frozenset[str]]] = {}
    for person in people:
        done: dict[str, set[str]] = defaultdict(set)
        for event in shop.store.history(person, limit=1_000_000):
            if event.product_id is not None and event.type is not EventType.VIEW_ITEM_LIST:
                done[event.type.value].add(event.product_id)
        found[person] = {name: frozenset(ids) for name, ids in done.items()}
    return found


def _checksum(products: Sequence[Product]) -> str:
    return sha256("\n".join(map(repr, products)).encode()).hexdigest()


# What shoppers say. A share of each sort of request, so that all kinds of answer are heard.

_WISHES = (
    "Recommend something for me",
    "What would suit me?",
    "What should I look at next?",
    "Show me something that I might like",
)
_LEADS = ("{}", "I'm looking for {}", "Do you have {}?", "show me {}", "{} please")
_SECONDS = (
    "Something cheaper",
    "Show me more",
    "What is similar to the first one?",
    "What goes with the first one?",
    "Compare the first two",
    "Tell me more about the second one",
    "Only 4 stars and up",
    "in black",
    "in green",
    "under $60",
    "What is similar to the second one?",
    "only what is in stock",
    "Is the first one waterproof?",
    "What does the second one weigh?",
    "Is it wireless?",
)


def talks_of(products: Sequence[Product], people: Sequence[str], answers: int, seed: int) -> list[Talk]:
    """Conversations of one to three messages, `answers` messages in all; the same for the same seed."""
    chance = random.Random(seed)
    each = max(4, answers // 8)
    known = [query.text for query in known_item_queries(products, each, seed)]
    chance.shuffle(known)
    openings = _openings(products, people, known, chance)
    talks: list[Talk] = []
    left = answers
    while left > 0:
        talk = next(openings)
        further = chance.sample(_SECONDS, k=chance.choice((0, 0, 1, 1, 2)))
        messages = (*talk.messages, *further)[:left]
        talks.append(Talk(messages, talk.user_id))
        left -= len(messages)
    return talks


def _openings(
    products: Sequence[Product], people: Sequence[str], known: Sequence[str], chance: random.Random
) -> Iterator[Talk]:
    """First messages without end: half of them known items, a third with limits, the rest wishes of known people."""
    number = 0
    while True:
        kind = chance.choices(("known", "limits", "wish"), (5, 3, 2))[0]
        if kind == "known" and known:
            yield Talk((chance.choice(_LEADS).format(known[number % len(known)]),), _maybe(people, chance))
            number += 1
        elif kind == "wish" and people:
            yield Talk((chance.choice(_WISHES),), chance.choice(people))
        else:
            yield Talk((chance.choice(_LEADS).format(_limited(chance.choice(products), chance)),))


def _maybe(people: Sequence[str], chance: random.Random) -> str | None:
    return chance.choice(people) if people and chance.random() < 0.4 else None


def _limited(product: Product, chance: random.Random) -> str:
    """A request with one or two limits that the product keeps, so that some answer is likely."""
    words = product.categories[-1].casefold() if product.categories else product.title.split()[-1]
    limits = []
    if product.price is not None:
        step = 10 if product.price.amount < 10_000 else 100
        limits.append(f"{words} under ${(product.price.amount // 100 // step + 1) * step}")
        limits.append(f"{words} over ${max(product.price.amount // 100 // step * step, 5)}")
    if product.brand:
        limits.append(f"{words} by {product.brand}")
    limits += [f"{value} {words}" for name in ("color", "material") for value in product.attributes.get(name, ())]
    limits.append(f"{words} with at least 4 stars")
    limits += [f"{words} not {value}" for value in ("leather", "plastic", "black")]
    limits.append(f"{words} in stock")
    first, second = chance.sample(limits, k=2)
    return (
        first
        if chance.random() < 0.6
        else f"{first}{second.removeprefix(words)}"
        if second.startswith(words)
        else first
    )
