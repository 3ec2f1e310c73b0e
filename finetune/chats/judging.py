"""Which of a short list people turned to next, from their own steps, asked in both forms of `prompts.judging`.

Takes people's events, products, and candidates that a ranking has for a history; gives rows. The product that was
turned to is among candidates that look right and were passed by, so a model learns to tell near from right. Everything
of one person stands in one part, and what is looked at is later than all that is learned (`Cut`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from finetune.chats.parts import Cut, Part
from finetune.examples import ChatExample
from prompts.judging import NO, YES, Form, addresses_judge, render_judgement, taste_of
from retrieval.interests import touched_products
from tasteline.types import Event, EventType, Product

JUDGED = 12
"""Products in a list, as the service judges them."""
PASSED_BY = 3
"""Of them asked about alone, for one that was turned to; their rows together weigh as much as its own."""
TURNS: Final = (EventType.ADD_TO_CART, EventType.PURCHASE)
"""What is worth predicting: looking around is not deciding."""
FORMS: Final[tuple[Form, ...]] = ("pointwise", "listwise")

Candidates = Callable[[Sequence[Event]], Sequence[str]]
"""A history, oldest first → ids of products that a ranking has for it, best first."""


@dataclass(frozen=True, slots=True)
class Turned:
    """What somebody knew and turned to."""

    user_id: str
    time: datetime | None
    history: tuple[Event, ...]
    product_id: str


def judging_chats(
    people: Mapping[str, Sequence[Event]],
    products: Mapping[str, Product],
    candidates: Candidates,
    *,
    part: Part,
    cut: Cut,
    each: int = 2,
    seed: int,
) -> Iterator[ChatExample]:
    """Rows of at most `each` decisions of a person, the last ones. `people`: events by user id, oldest first."""
    rng = np.random.default_rng([seed, part == "valid", 2])
    for user_id, events in people.items():
        for turned in turns_of(user_id, events, part, cut)[-each:]:
            if turned.product_id in products:
                yield from _rows(turned, products, candidates(turned.history), rng)


def turns_of(user_id: str, events: Sequence[Event], part: Part, cut: Cut) -> list[Turned]:
    """Decisions for something that the person had not decided for before, with all that was done until then."""
    found: list[Turned] = []
    decided: set[str] = set()
    for place, event in enumerate(events):
        product_id = event.product_id
        if event.type not in TURNS or product_id is None or product_id in decided:
            continue
        decided.add(product_id)
        # What was done with the product itself on the way to the decision would give it away.
        history = tuple(before for before in events[:place] if before.product_id != product_id)
        if history and cut.takes(part, user_id, event.time):
            found.append(Turned(user_id, event.time, history, product_id))
    return found


def need_of(history: Sequence[Event], products: Mapping[str, Product]) -> str:
    """As the service says it of somebody who says nothing."""
    touched = [item.product_id for item in touched_products(history)]
    return taste_of([products[product_id] for product_id in touched if product_id in products])


def _rows(
    turned: Turned, products: Mapping[str, Product], candidates: Sequence[str], rng: np.random.Generator
) -> Iterator[ChatExample]:
    need, right = need_of(turned.history, products), products[turned.product_id]
    passed = [products[key] for key in dict.fromkeys(candidates) if key in products and key != right.id]
    passed = [product for product in passed if not addresses_judge(product)][: JUDGED - 1]
    if not need or not passed or addresses_judge(right):
        return
    alone = [passed[place] for place in rng.permutation(len(passed))[:PASSED_BY]]
    yield from _alone(turned, need, right, alone)
    # A drawn order, so that no place in the list is right more often than another.
    listed = [(right, *passed)[place] for place in rng.permutation(len(passed) + 1)]
    yield from _listed(turned, need, right, listed)


def _alone(turned: Turned, need: str, right: Product, passed: Sequence[Product]) -> Iterator[ChatExample]:
    judgement = render_judgement("pointwise", need, [right, *passed])
    answers = [YES, *[NO] * len(passed)]
    weights = [1.0, *[1 / len(passed)] * len(passed)]
    for messages, answer, weight in zip(judgement.prompts, answers, weights, strict=True):
        yield ChatExample(
            task="judging",
            messages=messages,
            answer=answer,
            weight=weight,
            user_id=turned.user_id,
            time=turned.time,
        )


def _listed(turned: Turned, need: str, right: Product, listed: Sequence[Product]) -> Iterator[ChatExample]:
    judgement = render_judgement("listwise", need, listed)
    for messages, order in zip(judgement.prompts, judgement.orders, strict=True):
        answer = judgement.labels[order.index(listed.index(right))]
        yield ChatExample(
            task="judging",
            messages=messages,
            answer=answer,
            weight=1 / len(judgement.orders),
            user_id=turned.user_id,
            time=turned.time,
        )
