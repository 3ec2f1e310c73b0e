"""Queries of products written by a language model: slower than templates, and in words that no title has.

Takes products and a LanguageModel, gives questions and what became of each prompt. Off unless asked for: a model of
135M parameters on two cores writes some queries a second, and many of them are poor. What the search does not bring
home is dropped afterwards, as all queries are.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from finetune.examples import Question
from prompts.product_queries import COUNT, read_product_queries, render_product_queries
from prompts.prompt import Outcome, Prompt
from tasteline.errors import DeadlineExceeded, TransientError
from tasteline.ports import LanguageModel
from tasteline.types import Product

ORIGIN = "written"
AT_ONCE = 8
"""Prompts that the model works on together."""
PATIENCE_SECONDS = 60.0
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class WrittenQueries:
    questions: tuple[Question, ...]
    outcomes: Mapping[Outcome, int]
    """How many prompts ended how; see `prompts.prompt.Outcome`."""


def written_queries(
    products: Sequence[Product],
    model: LanguageModel,
    each: int = COUNT,
    patience: float = PATIENCE_SECONDS,
    progress: Progress | None = None,
) -> WrittenQueries:
    """At most `each` questions for each product, in the order of `products`. An answer of no use is counted, no more.

    Must not be called from within a running event loop.
    """
    outcomes: Counter[Outcome] = Counter()
    answers = asyncio.run(_all(products, model, each, patience, outcomes, progress))
    questions = [
        Question(query=query, positive=product.id, origin=ORIGIN)
        for product, queries in zip(products, answers, strict=True)
        for query in queries[:each]
    ]
    return WrittenQueries(tuple(questions), dict(outcomes))


async def _all(
    products: Sequence[Product],
    model: LanguageModel,
    each: int,
    patience: float,
    outcomes: Counter[Outcome],
    progress: Progress | None,
) -> list[tuple[str, ...]]:
    answers: list[tuple[str, ...]] = []
    for start in range(0, len(products), AT_ONCE):
        prompts = [render_product_queries(product, each) for product in products[start : start + AT_ONCE]]
        answers += await asyncio.gather(*(_one(prompt, model, patience, outcomes) for prompt in prompts))
        if progress is not None:
            progress(len(answers), len(products))
    return answers


async def _one(prompt: Prompt, model: LanguageModel, patience: float, outcomes: Counter[Outcome]) -> tuple[str, ...]:
    try:
        text, finish = await _text(prompt, model, patience)
    except TransientError as error:
        outcomes["late" if isinstance(error, DeadlineExceeded) else "failed"] += 1
        return ()
    reading = read_product_queries(text)
    outcomes["repetition" if finish == "repetition" else reading.outcome] += 1
    return reading.value or () if finish != "repetition" else ()


async def _text(prompt: Prompt, model: LanguageModel, patience: float) -> tuple[str, str | None]:
    pieces = model.stream(prompt.messages, max_tokens=prompt.max_tokens, timeout=patience, schema=prompt.schema)
    written, finish = [], None
    async with aclosing(pieces):
        async for piece in pieces:
            written.append(piece.text)
            finish = piece.finish or finish
    return "".join(written), finish
