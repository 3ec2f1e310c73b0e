"""How well requests are understood, slot by slot: by the rules alone, and with the language model on top.

Takes the requests of this folder, the demo catalogue and an Asker; runs the very code that the service runs and
compares what a message is taken to say with its gold. A wrong hard limit hides what the shopper wants, so those are
counted apart. Knows no engine.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from app.agent.dialogue import DialogueState
from app.agent.evidence import Evidence
from app.agent.situation import Situation, read
from app.agent.understanding import Trace, Understanding, evident
from app.encoders import MERGED
from app.engines import open_language_model, wait_until_loaded
from app.llm.asking import Asker
from app.telemetry import Metrics
from eval import demo_shop
from eval.datasets import checksum_of
from eval.metrics.significance import paired_randomisation_test
from eval.understanding import REQUESTS, Request, Split, Style, load
from retrieval.catalogue import Catalogue
from retrieval.registry import Registry
from retrieval.search import SearchQuery, understood
from retrieval.understanding import Vocabulary, merge, understand
from tasteline.errors import InvalidInput
from tasteline.ports import LanguageModel
from tasteline.settings import Settings
from tasteline.types import Filters, Product, Sort, Turn, Understood

PROTOCOL = (
    "exact match of each slot with what the message itself says; prices to one minor unit; `category` is right where "
    "the kind limits the search, `category_lenient` also where nothing limits it and the query keeps its words; `hard` "
    "is all limits together (category lenient), `whole` also intent, order and references; limit precision and recall "
    "over single limits, recall without "
    "categories, which the rules leave in the query on purpose"
)
RULES, WITH_MODEL, WITH_TUNED, WITH_YES = "rules", "rules+model", "rules+tuned", "rules+yes"
"""The last takes every limit that a model could have been asked to confirm: what the model's judgement is worth."""
TEMPLATE: Final[Style] = "template"
"""Made by a program; everything else is written by hand."""
TIMEOUT = 120.0
"""Seconds for one answer: what is measured is what the model can do, and its time beside it."""
PARALLEL = 8

Limit = tuple[str, ...]
"""One hard limit in comparable form: ("price_max", "5000"), ("attribute", "color", "red")."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one system took a message to say."""

    situation: Situation
    understood: Understood
    filters: Filters
    trace: Trace = ()
    seconds: float = 0.0

    @property
    def asked(self) -> bool:
        return bool(self.trace)

    @property
    def outcome(self) -> str:
        """Of the model's answer."""
        said = [step.removeprefix("model: ") for step in self.trace if step.startswith("model: ")]
        return said[0] if said else "ok"


class Shop:
    """What reading needs of the demo shop: its products and their words."""

    def __init__(self, products: Sequence[Product]) -> None:
        self.catalogue = Catalogue()
        self.catalogue.add(products)
        self.vocabulary = Vocabulary.from_products(products)

    def by_rules(self, request: Request) -> Taken:
        return self.taken(self.situation(request.text, request.before, request.shown))

    def situation(self, text: str, before: Sequence[str] = (), shown: Sequence[str] = ()) -> Situation:
        """As the service reads a message that follows `before` and stands below `shown`."""
        turns: list[Turn] = []
        if before or shown:
            focus = shown[0] if shown else None
            state = DialogueState(fragments=tuple(before), shown=tuple(shown), seen=tuple(shown), focus=focus)
            turns = [Turn("user", earlier) for earlier in before]
            turns.append(Turn("assistant", "…", tuple(shown), state.to_json()))
        return read(text, (), turns, self.catalogue)

    def taken(self, situation: Situation, trace: Trace = (), seconds: float = 0.0) -> Taken:
        """The limits that this message alone puts on a search; none where its move makes no search."""
        state, intent = situation.state, situation.move.intent
        carried = len(situation.before.fragments) if intent == "refine" else 0
        added = state.fragments[carried:] if intent in ("find", "refine") else ()
        if not added:
            return Taken(situation, Understood("", ""), Filters(), trace, seconds)
        query = SearchQuery(added[0], further=added[1:])
        meaning = understood(query, lambda text, ignore: understand(text, self.vocabulary, ignore))
        return Taken(situation, meaning, merge(Filters(), meaning.constraints), trace, seconds)


async def evaluate(
    requests: Sequence[Request],
    products: Sequence[Product],
    asker: Asker | None,
    parallel: int = PARALLEL,
    tuned: Asker | None = None,
) -> dict[str, object]:
    """Systems, outcomes and times; only the rules where there is nobody to ask. `parallel` questions at once."""
    shop = Shop(products)
    by_rules = [shop.by_rules(request) for request in requests]
    taken = {RULES: by_rules}
    taken[WITH_YES] = [shop.taken(*evident(one.situation, shop.vocabulary)) for one in by_rules]
    for name, asked in ((WITH_MODEL, asker), (WITH_TUNED, tuned)):
        if asked is not None:
            taken[name] = await _with_model(shop, by_rules, asked, parallel)
    return {
        "systems": {name: measures(requests, each, shop.vocabulary) for name, each in taken.items()},
        "apart": {name: _apart(requests, each, shop.vocabulary) for name, each in taken.items()},
        "styles": {name: _by_style(requests, each, shop.vocabulary) for name, each in taken.items()},
        "comparisons": _compared(requests, taken, shop.vocabulary),
        "model": _of_model(taken[WITH_MODEL]) if asker is not None else None,
        "tuned": _of_model(taken[WITH_TUNED]) if tuned is not None else None,
        "per_request": {
            name: {
                request.id: _report(request, one, shop.vocabulary) for request, one in zip(requests, each, strict=True)
            }
            for name, each in taken.items()
        },
    }


async def _with_model(shop: Shop, by_rules: Sequence[Taken], asker: Asker, parallel: int) -> list[Taken]:
    understanding = Understanding(asker, lambda: shop.vocabulary)
    room = asyncio.Semaphore(parallel)

    async def one(before: Taken) -> Taken:
        async with room:
            started = time.perf_counter()
            situation, trace = await understanding.completed(before.situation, TIMEOUT)
            return shop.taken(situation, trace, time.perf_counter() - started)

    return list(await asyncio.gather(*map(one, by_rules)))


def measures(requests: Sequence[Request], taken: Sequence[Taken], vocabulary: Vocabulary) -> dict[str, float]:
    """Share of requests with each slot right, and precision and recall of hard limits. NaN for no requests."""
    pairs = list(zip(requests, taken, strict=True))
    right = [slots_right(request, one, vocabulary) for request, one in pairs]
    shares = {slot: _share([each[slot] for each in right]) for slot in (right[0] if right else ())}
    found = [(set(limits_of(one.filters)), set(gold_limits(request))) for request, one in pairs]
    wrong = [said - gold for said, gold in found]
    proposed = sum(len(said) for said, _ in found)
    due = [{limit for limit in gold if limit[0] != "category"} for _, gold in found]
    met = sum(len(gold & said) for gold, (said, _) in zip(due, found, strict=True))
    return shares | {
        "limit_precision": 1 - sum(map(len, wrong)) / proposed if proposed else float("nan"),
        "limit_recall": met / total if (total := sum(map(len, due))) else float("nan"),
        "wrong_limits": float(sum(map(len, wrong))),
        "requests_with_wrong_limit": float(sum(map(bool, wrong))),
    }


def slots_right(request: Request, taken: Taken, vocabulary: Vocabulary) -> dict[str, bool]:
    """Slot → is it as the gold says?"""
    said, gold = set(limits_of(taken.filters)), set(gold_limits(request))

    def same(*kinds: str) -> bool:
        return {limit for limit in said if limit[0] in kinds} == {limit for limit in gold if limit[0] in kinds}

    slots = {kind: same(kind) for kind in ("price_min", "price_max", "brand", "attributes", "exclude")}
    slots |= {kind: same(kind) for kind in ("rating_min", "in_stock")}
    lenient = same("category") or _keeps_kind(request, taken, vocabulary)
    hard = lenient and all(slots.values())
    moves = {
        "intent": taken.situation.move.intent == request.intent,
        "sort": _sort(taken) == request.sort,
        "references": set(taken.situation.move.references) == set(request.references),
    }
    return {
        "intent": moves.pop("intent"),
        "category": same("category"),
        "category_lenient": lenient,
        **slots,
        **moves,
        "hard": hard,
        "whole": hard and taken.situation.move.intent == request.intent and all(moves.values()),
    }


def limits_of(filters: Filters) -> Iterator[Limit]:
    """Single limits, comparable with `gold_limits`; values that mean the same name count once."""
    for side, amount in (("price_min", filters.price_min), ("price_max", filters.price_max)):
        if amount is not None:
            yield side, str(_rounded(amount))
    for category in filters.categories:
        yield "category", category.casefold()
    for brand in dict.fromkeys(name.casefold() for name in filters.brands):
        yield "brand", brand
    for attribute in filters.attributes:
        # "blue" is widened to "navy blue" and the like: the shortest value is the one that was said.
        said = min(attribute.values, key=len, default=f"{attribute.minimum}..{attribute.maximum}")
        yield "attributes", attribute.name.casefold(), said.casefold()
    excluded = (*filters.exclude_terms, *filters.exclude_brands, *filters.exclude_categories)
    for word in dict.fromkeys(name.casefold() for name in excluded):
        yield "exclude", word
    if filters.rating_min is not None:
        yield "rating_min", f"{filters.rating_min:g}"
    if filters.in_stock:
        yield ("in_stock",)


def gold_limits(request: Request) -> Iterator[Limit]:
    for side, amount in (("price_min", request.price_min), ("price_max", request.price_max)):
        if amount is not None:
            yield side, str(_rounded(round(100 * amount)))
    if request.category:
        yield "category", request.category.casefold()
    if request.brand:
        yield "brand", request.brand.casefold()
    for name, value in request.attributes.items():
        yield "attributes", name.casefold(), value.casefold()
    for word in request.exclude:
        yield "exclude", word.casefold()
    if request.rating_min is not None:
        yield "rating_min", f"{request.rating_min:g}"
    if request.in_stock:
        yield ("in_stock",)


def run(settings: Settings, split: Split, parallel: int = PARALLEL, tuned: str | None = None) -> dict[str, object]:
    """`tasteline eval assistant --part understanding`: all systems on one split, with the configured engine.

    `tuned`: a language model of the registry (its id or the beginning of one) or a folder, merged weights or a LoRA
    adapter. Both models then run in transformers, so that they differ in their weights alone, unless a server is
    configured for the untuned one.
    """
    started = time.perf_counter()
    requests = [request for request in load() if request.split == split]
    if tuned is not None and settings.language_model == "openvino":
        settings = settings.model_copy(update={"language_model": "transformers"})
    with ExitStack() as opened:
        models = [open_language_model(settings), _open_tuned(settings, tuned) if tuned is not None else None]
        for model in models:
            if model is not None:
                opened.callback(model.close)
                wait_until_loaded(model)
        askers = [Asker(model, Metrics()) if model is not None else None for model in models]
        found = asyncio.run(evaluate(requests, demo_shop.products(), askers[0], parallel, askers[1]))
    return {
        "task": "assistant",
        "part": "understanding",
        "dataset": f"demo shop requests, {split} ({len(requests)})",
        "protocol": PROTOCOL,
        **found,
        "settings": {
            "language_model": settings.language_model,
            "name": settings.language_model_name,
            "tuned": tuned,
            "parallel": parallel,
        },
        "seed": None,
        "checksum": checksum_of([REQUESTS]),
        "seconds": round(time.perf_counter() - started, 3),
    }


def _open_tuned(settings: Settings, tuned: str) -> LanguageModel | None:
    """Raises NotFound where it is neither a folder nor in the registry, InvalidInput for another kind of model."""
    folder = Path(tuned)
    if not folder.is_dir():
        entry = Registry(settings.home).find(tuned)
        if entry.card.kind != "llm":
            raise InvalidInput(f"{entry.id} is a {entry.card.kind} and no language model", field="tuned")
        folder = entry.folder / MERGED
    changed = {"language_model": "transformers", "language_model_name": str(folder)}
    return open_language_model(settings.model_copy(update=changed))


def _keeps_kind(request: Request, taken: Taken, vocabulary: Vocabulary) -> bool:
    """Does nothing limit the kind, and does the query still say it where the message did?"""
    if request.category is None or taken.filters.categories:
        return False
    in_text = Evidence(request.text, vocabulary).any_part(request.category) is not None
    return not in_text or Evidence(taken.understood.query, vocabulary).any_part(request.category) is not None


def _sort(taken: Taken) -> Sort:
    return taken.understood.sort


def _rounded(amount: int) -> int:
    """Minor units to the nearest whole one: "under $50" is 49.99 to the rules and 50 to a reader."""
    return amount + 1 if amount % 100 == 99 else amount - 1 if amount % 100 == 1 else amount


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else float("nan")


def _apart(requests: Sequence[Request], taken: Sequence[Taken], vocabulary: Vocabulary) -> dict[str, dict[str, float]]:
    """The measures of what a program made and of what was written by hand."""
    parts: dict[str, list[int]] = {"template": [], "written": []}
    for place, request in enumerate(requests):
        parts["template" if request.style == TEMPLATE else "written"].append(place)
    return {
        name: {
            "requests": float(len(places)),
            **measures([requests[i] for i in places], [taken[i] for i in places], vocabulary),
        }
        for name, places in parts.items()
    }


def _compared(
    requests: Sequence[Request], taken: Mapping[str, Sequence[Taken]], vocabulary: Vocabulary
) -> list[dict[str, object]]:
    """Each model against the rules and the untuned one, on the whole form: difference and paired test."""
    whole = {
        name: np.array([slots_right(r, one, vocabulary)["whole"] for r, one in zip(requests, each, strict=True)], float)
        for name, each in taken.items()
    }
    pairs = ((WITH_MODEL, RULES), (WITH_TUNED, RULES), (WITH_TUNED, WITH_MODEL), (WITH_TUNED, WITH_YES))
    return [
        {
            "system": ours,
            "baseline": other,
            "metric": "whole",
            "difference": float((whole[ours] - whole[other]).mean()),
            "p": paired_randomisation_test(whole[ours], whole[other], permutations=10_000, seed=0),
        }
        for ours, other in pairs
        if ours in whole and other in whole and requests
    ]


def _by_style(
    requests: Sequence[Request], taken: Sequence[Taken], vocabulary: Vocabulary
) -> dict[str, dict[str, float]]:
    """Of each way to write: how many, and the share with all limits right."""
    right: dict[str, list[bool]] = {}
    for request, one in zip(requests, taken, strict=True):
        right.setdefault(request.style, []).append(slots_right(request, one, vocabulary)["hard"])
    return {style: {"requests": float(len(flags)), "hard": _share(flags)} for style, flags in sorted(right.items())}


def _of_model(taken: Sequence[Taken]) -> dict[str, object]:
    asked = [one for one in taken if one.asked]
    seconds = sorted(one.seconds for one in asked)
    steps = Counter(step for one in asked for step in one.trace)
    return {
        "asked": _share([one.asked for one in taken]),
        "outcomes": dict(Counter(one.outcome for one in asked)),
        "seconds_p50": round(median(seconds), 3) if seconds else None,
        "seconds_p95": round(seconds[int(0.95 * (len(seconds) - 1))], 3) if seconds else None,
        "steps": dict(steps.most_common()),
    }


def _report(request: Request, taken: Taken, vocabulary: Vocabulary) -> Mapping[str, list[str]]:
    """What is wrong with one request, and how it came about."""
    wrong = [slot for slot, right in slots_right(request, taken, vocabulary).items() if not right]
    return {"wrong": wrong, "trace": list(taken.trace)}
