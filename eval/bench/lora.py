"""Speed of fine-tuning: tokens a second of our language-model job beside a plain transformers `Trainer` with PEFT.

Takes products, gives both sides the same chats (judging and wording, as the service would send them), base, adapter,
rate and epochs, each in a process of its own, turns alternating. A token counts once for each time that an example is
read, and padding never; loading the base and reading the chats are under the clock, since a user waits for them, too.
Precision is the same on both sides: bfloat16 where the hardware computes in it. A `Trainer` that is not told so stands
beside it.
"""

from __future__ import annotations

import json
import os
import platform
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from eval.bench.sides import RIVALS_PYTHON, Contender, Sides, Turn, ratio_of, summary_of
from eval.known_item import known_item_queries
from finetune.examples import ChatExample, write_examples
from finetune.lora.hardware import Hardware
from finetune.lora.settings import LlmSettings
from prompts.facts import ReplyFacts
from prompts.judging import render_judgement
from prompts.wording import render_wording
from retrieval.adapters.weights import language_model_folder
from tasteline.errors import InvalidInput
from tasteline.types import Product, RankedProduct

CHATS, PLAIN = "chats.jsonl", "lora.json"
OURS: Contender = ("ours_lora", "llm")
TRAINER: Contender = ("with_transformers_trainer", "llm")
FLOAT32: Contender = ("with_transformers_trainer", "llm_float32")
JUDGED, WORDED = 0.75, 0.25
"""Shares of the chats: a judgement is asked of every product of a short list, a sentence once for a reply."""


@dataclass(frozen=True, slots=True)
class SameJob:
    """What both sides are told."""

    base: str
    rank: int
    alpha: float
    targets: tuple[str, ...]
    learning_rate: float
    epochs: int
    batch: int
    seed: int
    bfloat16: bool


def run(
    products: Sequence[Product],
    home: Path,
    *,
    examples: int = 128,
    epochs: int = 1,
    turns: int = 2,
    threads: int | None = None,
    base: str = "embedded",
    seed: int = 0,
    float32: bool = True,
) -> dict[str, Any]:
    """`{"bench": "train", "ratios": {"train_throughput": …}, "raw": …}`; above 1 ours is faster.

    `home`: where the base is kept as a folder. `float32`: also a turn of the `Trainer` in float32, where that differs.
    Raises InvalidInput where the products allow no chat, RuntimeError where a side fails.
    """
    threads = threads or len(os.sched_getaffinity(0))
    settings = LlmSettings(epochs=epochs, seed=seed)
    with tempfile.TemporaryDirectory(prefix="bench-lora-") as name:
        folder = Path(name)
        chats = list(chats_of(products, examples, seed))
        write_examples(chats, ChatExample, folder / CHATS)
        job = _job(settings, language_model_folder(base, home))
        (folder / PLAIN).write_text(json.dumps({each: getattr(job, each) for each in job.__slots__}))
        sides = Sides(folder, RIVALS_PYTHON, threads, patience=7_200)
        ours, theirs = [], []
        for _ in range(turns):
            ours.append(sides.turn(OURS, "--cold"))
            theirs.append(sides.turn(TRAINER, "--cold"))
        plain = [sides.turn(FLOAT32, "--cold")] if float32 and job.bfloat16 else []
    return {
        "bench": "train",
        "ratios": {"train_throughput": ratio_of("seconds", ours, theirs)},
        "raw": {
            "machine": platform.machine(),
            "threads": threads,
            "precision": "bfloat16" if job.bfloat16 else "float32",
            "examples": len(chats),
            "epochs": epochs,
            "by_cpu_seconds": round(ratio_of("cpu_seconds", ours, theirs), 3),
            "tasteline": _told(ours),
            "trainer": _told(theirs),
            **({"trainer_float32": _told(plain)} if plain else {}),
        },
    }


def chats_of(products: Sequence[Product], examples: int, seed: int) -> Iterator[ChatExample]:
    """Judgements of products that fit and do not fit a query made from the catalogue, and sentences about products.

    Raises InvalidInput where no query can be made.
    """
    queries = known_item_queries(products, each=max(10, examples // 4), seed=seed)
    if not queries:
        raise InvalidInput("no queries can be made from these products; there are too few of them")
    by_id = {product.id: product for product in products}
    chance = random.Random(seed)
    for _ in range(examples):
        query = chance.choice(queries)
        if chance.random() < WORDED:
            product = by_id[sorted(query.relevant)[0]]
            facts = ReplyFacts("found", request=query.text, products=(RankedProduct(product, 1.0),))
            yield ChatExample(
                task="wording", messages=render_wording(facts).messages, answer=f"Take a look at the {product.title}."
            )
            continue
        product = chance.choice(products) if chance.random() < 0.5 else by_id[chance.choice(sorted(query.relevant))]
        (prompt,) = render_judgement("pointwise", query.text, [product]).prompts
        yield ChatExample(task="judging", messages=prompt, answer="Yes" if product.id in query.relevant else "No")


def _job(settings: LlmSettings, base: str) -> SameJob:
    from transformers import AutoConfig

    from finetune.lora.adapter import TARGETS

    bfloat16 = str(Hardware.of(settings).precision) == "torch.bfloat16"
    targets = TARGETS[AutoConfig.from_pretrained(base).model_type]
    return SameJob(
        base,
        settings.rank,
        settings.alpha,
        targets,
        settings.learning_rate,
        settings.epochs,
        settings.batch,
        settings.seed,
        bfloat16,
    )


def _told(turns: Sequence[Turn]) -> dict[str, Any]:
    summary = summary_of(turns)
    rate = median(turn["values"]["tokens"] / turn["seconds"] for turn in turns)
    busy = median(turn["values"]["tokens"] / turn["cpu_seconds"] for turn in turns)
    return {"tokens_per_second": round(rate, 1), "tokens_per_cpu_second": round(busy, 1), **summary}
