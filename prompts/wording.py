"""Asks a language model for one friendly sentence about the best product, to open an answer; it is checked before use.

Takes ReplyFacts, gives chat messages: the unchanging instruction first (an engine caches a prefix that repeats), then
the conversation, then the facts between fences. Text of strangers is made plain, shortened, and cannot close a fence.
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
MOST_PRODUCTS = 1
"""The template lists the rest. Of 20 sentences of SmolLM2-135M on up to three, 10 passed the check; on one, 17."""
HISTORY_CHARACTERS = 600
"""Some 150 tokens of English; with instruction and facts a prompt stays near 400."""
FENCE_OPEN, FENCE_CLOSE = "<<<FACTS", "FACTS>>>"


def _example(request: str, title: str, amount: int) -> ReplyFacts:
    product = Product(title, title, price=Price(amount, "USD"))
    return ReplyFacts("found", request=request, products=(RankedProduct(product, 1.0),))


_EXAMPLES = (
    (_example("a blue teapot", "Willow Teapot", 2400), "Take a look at the Willow Teapot at $24.00."),
    (_example("warm gloves", "Tarn Fleece Gloves", 1850), "You might like the Tarn Fleece Gloves at $18.50."),
    (
        _example("something for a picnic", "Meadow Blanket", 4900),
        "The Meadow Blanket at $49.00 could be a lovely choice for you.",
    ),
)
"""Without them a model of 135M parameters copies the facts line by line (18 of 20 tried)."""


def render_wording_messages(facts: ReplyFacts, history: Sequence[ChatMessage] = ()) -> list[ChatMessage]:
    """`history` is oldest first; its last messages are sent as far as the budget goes."""
    system = template(SYSTEM_TEMPLATE).render(open=FENCE_OPEN, close=FENCE_CLOSE)
    examples = [message for shown, said in _EXAMPLES for message in (_user(shown), ChatMessage("assistant", said))]
    return [ChatMessage("system", system), *examples, *_recent(history), _user(facts)]


def _user(facts: ReplyFacts) -> ChatMessage:
    content = template(USER_TEMPLATE).render(
        open=FENCE_OPEN,
        close=FENCE_CLOSE,
        request="" if facts.anchor else plain(facts.request, 160),
        items=view.views(facts.products[:MOST_PRODUCTS]),
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
