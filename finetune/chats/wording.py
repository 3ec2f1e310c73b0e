"""A friendly sentence about a product that was found, from facts alone: answers by template, kept where the check lets
them pass.

Takes products and the service's check of a sentence; gives rows. What is asked for is made of a product's own kind, so
nothing here comes from a person. Products of some families are kept for looking, and so are some sentences (`Part`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from finetune.chats.drawing import drawn
from finetune.chats.parts import Part, part_of
from finetune.examples import ChatExample
from prompts import view
from prompts.facts import ReplyFacts
from prompts.wording import render_wording
from tasteline.types import ChatMessage, Product, RankedProduct

Holds = Callable[[ReplyFacts, Sequence[str]], bool]
"""Would the service show these sentences, one about each product, in this order?"""

_REQUESTS: Final[Mapping[Part, tuple[str, ...]]] = {
    "train": ("{kind}", "a good {kind} please", "I need {kind}", "show me {kind} in {value}", "{value} {kind}"),
    "valid": ("do you sell {kind}?", "{kind}, {value} if you can"),
}
_SENTENCES: Final[Mapping[Part, tuple[str, ...]]] = {
    "train": (
        "Have a look at the {title} at {price}.",
        "You might like the {title} at {price}.",
        "You could consider the {title} at {price}.",
        "The {title} is here for {price}.",
        "I can recommend the {title} at {price}.",
        "Take a look at the {title}, it is {price}.",
    ),
    "valid": ("You may want to see the {title} at {price}.", "I would suggest the {title} at {price}."),
}
_WITHOUT_PRICE: Final = "Take a look at the {title}."


def wording_chats(
    products: Sequence[Product], holds: Holds, *, part: Part, count: int, worded: int = 1, seed: int
) -> Iterator[ChatExample]:
    """At most `count` rows about `worded` products each, as `Settings.worded_products` has it; no question twice."""
    asked: set[tuple[ChatMessage, ...]] = set()
    shelves = _shelves(products, part, seed)
    rng = np.random.default_rng([seed, part == "valid", 4])
    for _ in range(count if shelves else 0):
        shelf = drawn(shelves, rng)
        if len(shelf) < worded:
            continue
        shown = [shelf[int(place)] for place in rng.permutation(len(shelf))[:worded]]
        facts = ReplyFacts(
            "found",
            request=_request(shown[0], part, rng),
            products=tuple(RankedProduct(product, 1.0) for product in shown),
            total=len(shelf),
        )
        said = [_sentence(product, facts, place, part, rng) for place, product in enumerate(shown)]
        messages = render_wording(facts, worded).messages
        if messages not in asked and holds(facts, said):
            asked.add(messages)
            yield ChatExample(task="wording", messages=messages, answer="\n".join(said))


def _shelves(products: Sequence[Product], part: Part, seed: int) -> list[list[Product]]:
    kinds: dict[str, list[Product]] = {}
    for product in products:
        if product.categories and part_of(product.categories[-1], seed) == part:
            kinds.setdefault(product.categories[-1], []).append(product)
    return [kinds[kind] for kind in sorted(kinds)]


def _request(product: Product, part: Part, rng: np.random.Generator) -> str:
    values = [value for values in product.attributes.values() for value in values]
    ways = [way for way in _REQUESTS[part] if values or "{value}" not in way]
    value = drawn(values, rng) if values else ""
    return drawn(ways, rng).format(kind=product.categories[-1].casefold(), value=value.casefold())


def _sentence(product: Product, facts: ReplyFacts, place: int, part: Part, rng: np.random.Generator) -> str:
    item = view.views(facts.products)[place]
    way = drawn(_SENTENCES[part], rng) if item.price else _WITHOUT_PRICE
    return way.format(title=item.title, price=item.price)
