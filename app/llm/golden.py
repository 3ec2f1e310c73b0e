"""Before a trained language model gets traffic: does it write, and does it tell anything apart?

Takes an engine and products of the shop; asks it, in the words that the judge of short lists uses, of products by their
own title and by another's. Found is what is broken, not what is bad: see `retrieval.golden`.
"""

from __future__ import annotations

from collections.abc import Sequence

from prompts.judging import render_judgement
from retrieval.golden import check_spread, checked_scores
from tasteline.errors import InvalidInput
from tasteline.ports import LanguageModel
from tasteline.types import ChatMessage, Product

LEAST_PROBABILITY_SPREAD = 0.001
"""Between the surest and the least sure yes. SmolLM2-135M as published, no good judge, has .05 on the demo shop."""
SECONDS = 120.0
"""For all questions: the first ones compile something."""
PRODUCTS = 4
_SPARE = tuple(
    Product(f"golden-{title}", title) for title in ("Electric kettle", "Running shoes", "Toner cartridge", "Puzzle")
)
_HELLO = (ChatMessage("user", "Say hello to a customer."),)


async def check_language_model(model: LanguageModel, products: Sequence[Product]) -> None:
    """Raises InvalidInput, which says what is wrong, and whatever the engine raises."""
    known = [product for product in products if product.title.strip()][:PRODUCTS]
    known = known if len(known) > 1 else list(_SPARE)
    prompts: list[Sequence[ChatMessage]] = []
    for product, other in zip(known, [*known[1:], known[0]], strict=True):
        judgement = render_judgement("pointwise", product.title, [product, other])
        prompts += judgement.prompts
    chosen = await model.choose(prompts, judgement.labels, timeout=SECONDS)
    checked = checked_scores(chosen, (len(prompts), len(judgement.labels)))
    check_spread(checked[:, 0], LEAST_PROBABILITY_SPREAD)
    pieces = model.stream(_HELLO, max_tokens=8, timeout=SECONDS)
    if not "".join([piece.text async for piece in pieces]).strip():
        raise InvalidInput("it writes nothing")
