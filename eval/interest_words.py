"""Do interests in words find the next purchase of somebody who is hardly known? The service with them and without.

Takes a next-item set and settings; gives one result: people whose history is cut to their last one to four purchases,
the target ranked against all other products, by the recommender as it is, with the template's words as one more source
of candidates, and with a language model's. The model, being slow, words the first of the people only: their rows say
so, and stand beside the other systems on the same people. Knows the weight of the words only as the service has it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from app.agent.interest_words import InterestWords, InterestWriter
from app.engines import open_language_model, wait_until_loaded
from app.llm.asking import Asker
from app.shop import Shop
from app.telemetry import Metrics
from eval.datasets import checksum_of
from eval.metrics import bootstrap_interval, holm, paired_randomisation_test
from eval.metrics.ranking import Values
from eval.next_item_sample import (
    INTERACTIONS_FILE,
    ITEMS_FILE,
    PROTOCOL,
    Case,
    Person,
    Split,
    cases,
    means,
    measure,
    steps,
    train_shop,
)
from retrieval.recommend import WISH_WEIGHT, RecommendationQuery
from tasteline.ports import LanguageModel
from tasteline.settings import Settings
from tasteline.types import Ranking

LONGEST_HISTORY = 4
WORDED = 200
"""People whose interests the model words: some minutes on two cores."""
AT_ONCE = 8
"""Questions that the model works on together."""
PATIENCE_SECONDS = 120.0
"""For one description; a shopper would not wait so long, and `latency_ms` says so."""
DEPTH = 20
WITHOUT, TEMPLATE, MODEL = "without", "template words", "model words"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Written:
    """Descriptions of several people, in their order."""

    words: tuple[InterestWords, ...]
    milliseconds: Values
    """Of each; with AT_ONCE of them under way."""


def run(
    settings: Settings,
    data: Path,
    people: int = 500,
    split: Split = "test",
    *,
    worded: int = WORDED,
    seed: int = 0,
    language_model: LanguageModel | None = None,
    progress: Progress | None = None,
) -> dict[str, object]:
    """The result in the shape of `tasteline eval`. `language_model` stands in for the one of the settings.

    Raises NotFound where a file of the set is missing, and what opening the language model raises.
    """
    started = time.perf_counter()
    with train_shop(data, settings) as shop:
        drawn = shortened(cases(data, people=people, seed=seed, split=split))
        told = asyncio.run(_written(shop, None, drawn, progress))
        model = language_model or open_language_model(settings)
        written = Written((), np.zeros(0))
        if model is not None:
            with closing(model):
                wait_until_loaded(model)
                written = asyncio.run(_written(shop, model, drawn[:worded], progress))
        measured = _measured(shop, drawn, told, written)
    return {
        "task": "interest-words",
        "dataset": data.resolve().name,
        "protocol": f"{PROTOCOL}; histories cut to the last 1 to {LONGEST_HISTORY} purchases; split {split}",
        **_compared(measured, seed),
        "model": _model_report(written, model.name if model else ""),
        "latency_ms": {TEMPLATE: _percentiles(told.milliseconds), MODEL: _percentiles(written.milliseconds)},
        "settings": {
            "people": len(drawn),
            "worded": len(written.words),
            "weight": WISH_WEIGHT["home"],
            "at_once": AT_ONCE,
            "depth": DEPTH,
            "split": split,
        },
        "seed": seed,
        "checksum": checksum_of([data / ITEMS_FILE, data / INTERACTIONS_FILE]),
        "seconds": round(time.perf_counter() - started, 3),
    }


def shortened(drawn: Sequence[Case]) -> list[Case]:
    """The last 1, 2, 3, 4, 1, … purchases: as many people of each length."""
    return [replace(case, history=case.history[-(1 + place % LONGEST_HISTORY) :]) for place, case in enumerate(drawn)]


async def _written(
    shop: Shop, model: LanguageModel | None, drawn: Sequence[Case], progress: Progress | None
) -> Written:
    writer = InterestWriter(Asker(model, Metrics()), shop.live, shop.store, model is not None)
    together = asyncio.Semaphore(AT_ONCE)
    done = 0

    async def one(case: Case) -> tuple[InterestWords, float]:
        nonlocal done
        async with together:
            started = time.perf_counter()
            words = await writer.of(None, steps(case.user_id, case.history), timeout=PATIENCE_SECONDS)
        done += 1
        if progress is not None:
            progress(done, len(drawn))
        return words, 1000 * (time.perf_counter() - started)

    found = await asyncio.gather(*map(one, drawn))
    return Written(tuple(words for words, _ in found), np.array([took for _, took in found]))


def _measured(shop: Shop, drawn: Sequence[Case], told: Written, written: Written) -> dict[str, dict[str, Values]]:
    """system → metric → value of each person. The model's row comes with the others' on its own people."""
    first = len(written.words)
    without = _values(shop, drawn, [""] * len(drawn))
    template = _values(shop, drawn, [words.query for words in told.words])
    measured = {WITHOUT: without, TEMPLATE: template}
    if first:
        measured |= {
            f"{name}, first {first}": {metric: values[:first] for metric, values in each.items()}
            for name, each in ((WITHOUT, without), (TEMPLATE, template))
        }
        measured[f"{MODEL}, first {first}"] = _values(shop, drawn[:first], [words.query for words in written.words])
    return measured


def _values(shop: Shop, drawn: Sequence[Case], wishes: Sequence[str]) -> dict[str, Values]:
    rankings = [_ranking(shop, case, wish) for case, wish in zip(drawn, wishes, strict=True)]
    people = [Person(case.user_id, (), case.target_id, ranking) for case, ranking in zip(drawn, rankings, strict=True)]
    return measure(people, rankings)


def _ranking(shop: Shop, case: Case, wish: str) -> Ranking:
    session = steps(case.user_id, case.history)
    return shop.recommender.recommend(RecommendationQuery(session=session, wish=wish, limit=DEPTH, exclude_seen=True))


def _compared(measured: Mapping[str, dict[str, Values]], seed: int) -> dict[str, object]:
    """Means, their intervals, and each system with words against the one without, on the same people."""
    pairs = [(name, _without(name, measured), metric) for name in measured for metric in measured[name]]
    pairs = [(name, baseline, metric) for name, baseline, metric in pairs if name != baseline]
    p_values = [
        paired_randomisation_test(measured[name][metric], measured[baseline][metric], seed=seed)
        for name, baseline, metric in pairs
    ]
    return {
        "systems": {name: _rounded(means(values)) for name, values in measured.items()},
        "intervals": {
            name: {
                metric: [round(bound, 6) for bound in bootstrap_interval(v, seed=seed)] for metric, v in each.items()
            }
            for name, each in measured.items()
        },
        "comparisons": [
            {
                "system": name,
                "baseline": baseline,
                "metric": metric,
                "difference": round(float(np.mean(measured[name][metric] - measured[baseline][metric])), 6),
                "p": round(p, 6),
                "p_corrected": round(corrected, 6),
            }
            for (name, baseline, metric), p, corrected in zip(pairs, p_values, holm(p_values), strict=True)
        ],
    }


def _without(name: str, measured: Mapping[str, object]) -> str:
    """The system without words on the same people."""
    _, comma, people = name.partition(",")
    return WITHOUT + comma + people if WITHOUT + comma + people in measured else WITHOUT


def _model_report(written: Written, name: str) -> dict[str, object]:
    """What became of the questions, and how much of what was written passed the check against its events."""
    kept = sum(words.kept for words in written.words)
    dropped = Counter(why for words in written.words for why in words.dropped)
    sentences = kept + dropped.total()
    return {
        "name": name,
        "outcomes": dict(Counter(str(words.outcome) for words in written.words)),
        "sentences": sentences,
        "kept": kept,
        "kept_share": round(kept / sentences, 4) if sentences else None,
        "dropped": dict(dropped),
    }


def _percentiles(milliseconds: Values) -> dict[str, float | None]:
    return {
        f"p{share}": round(float(np.percentile(milliseconds, share)), 1) if len(milliseconds) else None
        for share in (50, 95)
    }


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {metric: round(value, 6) for metric, value in values.items()}
