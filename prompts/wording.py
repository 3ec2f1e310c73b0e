"""Asks a language model for one friendly sentence that opens an answer. What it says is checked before it is used.

Takes ReplyFacts, gives chat messages: the unchanging instruction first (an engine caches a prefix that repeats), then the
conversation, then the facts between fences. Text of strangers is made plain, shortened, and cannot close a fence.
"""

from __future__ import annotations

from collections.abc import Sequence

from prompts import view
from prompts.facts import ReplyFacts
from prompts.rendering import template
from prompts.untrusted import plain
from tasteline.types import ChatMessage, Price, Product, RankedProduct

SYSTEM_TEMPLATE = "wording_system_v1.txt.jinja"
USER_TEMPLATE = "wording_v1.txt.jinja"
MOST_PRODUCTS = 3
"""More do not help one sentence, and a small model confuses them."""
HISTORY_CHARACTERS = 600
"""Some 150 tokens of English; with instruction and facts a prompt stays near 400."""
FENCE_OPEN, FENCE_CLOSE = "<<<FACTS", "FACTS>>>"


def _example(request: str, *products: tuple[str, int]) -> ReplyFacts:
    shown = (Product(title, title, price=Price(amount, "USD")) for title, amount in products)
    return ReplyFacts("found", request=request, products=tuple(RankedProduct(product, 1.0) for product in shown))


_EXAMPLES = (
    (
        _example("a blue teapot", ("Willow Teapot", 2400), ("Ashby Kettle", 3150)),
        "You asked for a blue teapot: take a look at the Willow Teapot at $24.00, or the Ashby Kettle at $31.50.",
    ),
    (
        _example("something for a picnic", ("Meadow Blanket", 4900)),
        "For something for a picnic, the Meadow Blanket at $49.00 could be a nice choice.",
    ),
)
"""Without them a model of 135M parameters copies the facts line by line (20 of 20 tried)."""


def render_wording_messages(facts: ReplyFacts, history: Sequence[ChatMessage] = ()) -> list[ChatMessage]:
    """`history` is oldest first; its last messages are sent as far as the budget goes."""
    system = template(SYSTEM_TEMPLATE).render(open=FENCE_OPEN, close=FENCE_CLOSE)
    examples = [message for shown, said in _EXAMPLES for message in (_user(shown), ChatMessage("assistant", said))]
    return [ChatMessage("system", system), *examples, *_recent(history), _user(facts)]


def _user(facts: ReplyFacts) -> ChatMessage:
    content = template(USER_TEMPLATE).render(
        open=FENCE_OPEN,
        close=FENCE_CLOSE,
        request=plain(facts.request, 160),
        limits=view.limits(facts),
        items=view.views(facts.products[:MOST_PRODUCTS]),
        anchor=view.title(facts.anchor, 60) if facts.anchor else "",
        interests=[plain(interest.topic, 40) for interest in facts.interests[:3]],
    )
    return ChatMessage("user", content)


def _recent(history: Sequence[ChatMessage]) -> list[ChatMessage]:
    kept: list[ChatMessage] = []
    budget = HISTORY_CHARACTERS
    for message in reversed(history):
        content = plain(message.content, 200)
        if message.role == "system" or len(content) > budget:
            break
        budget -= len(content)
        kept.append(ChatMessage(message.role, content))
    return kept[::-1]
