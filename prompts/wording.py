"""Asks a language model for a friendly sentence about each of the first products of an answer; checked before use.

Takes ReplyFacts, gives a Prompt: the unchanging instruction first (an engine caches a prefix that repeats), then the
conversation, then the facts between fences. Text of strangers is made plain, shortened, and cannot close a fence.
Answers are prose: what reads them is the check, sentence by sentence.
"""

from __future__ import annotations

from collections.abc import Sequence

from prompts import view
from prompts.facts import ReplyFacts
from prompts.prompt import Prompt, tokens_at_most
from prompts.rendering import template
from prompts.untrusted import plain
from tasteline.types import ChatMessage, Price, Product, RankedProduct

ONE = "wording_v2"
"""One sentence about the best product: what a model of 135M parameters can do. On up to three it does half as well."""
SEVERAL = "wording_several_v1"
"""A line for each of several, from more facts: for models that can follow it."""
HISTORY_TOKENS = 200
ONE_TOKENS, EACH_TOKENS = 48, 40
"""Of the answer: one sentence with a long title and a price; a line of several."""
PROMPT_TOKENS = 1_200
"""What a prompt may cost at most; titles and requests are cut so that it holds with room."""
FENCE_OPEN, FENCE_CLOSE = "<<<FACTS", "FACTS>>>"


def _example(request: str, title: str, amount: int) -> ReplyFacts:
    product = Product(title, title, price=Price(amount, "USD"))
    return ReplyFacts("found", request=request, products=(RankedProduct(product, 1.0),))


_EXAMPLES = (
    (_example("a blue teapot", "Willow Teapot", 2400), "Take a look at the Willow Teapot at $24.00."),
    (
        _example("warm gloves", "Tarn Fleece Gloves, Size M", 1850),
        "You might like the Tarn Fleece Gloves, Size M at $18.50.",
    ),
    (
        _example("something for a picnic", "Meadow 2-Person Blanket, Moss Green", 4900),
        "Have a look at the Meadow 2-Person Blanket, Moss Green at $49.00.",
    ),
    (
        _example("lamp for my desk", "Pinebark Task Lamp", 3300),
        "You might want to see the Pinebark Task Lamp at $33.00.",
    ),
)
"""What a model of 135M parameters goes by. Of 25 sentences on other requests to the demo shop 21 pass the check; with
examples that begin with the product or have plain names 12, 3 and 1: it then leaves out the verb or the colour."""


def render_wording(facts: ReplyFacts, products: int = 1, history: Sequence[ChatMessage] = ()) -> Prompt:
    """For the first `products` of the answer. `history` is oldest first; its end is sent as far as the budget goes.

    Of one product the conversation is left out: a model that can do no more is led astray by it.
    """
    name = ONE if products == 1 else SEVERAL
    system = template(f"{name}_system.txt.jinja").render(open=FENCE_OPEN, close=FENCE_CLOSE)
    examples = [
        message for shown, said in _EXAMPLES for message in (_user(shown, ONE, 1), ChatMessage("assistant", said))
    ]
    before = examples if products == 1 else _recent(history)
    messages = (ChatMessage("system", system), *before, _user(facts, name, products))
    return Prompt(name, messages, ONE_TOKENS if products == 1 else EACH_TOKENS * products)


def _user(facts: ReplyFacts, name: str, products: int) -> ChatMessage:
    shown = facts.products[:products]
    content = template(f"{name}.txt.jinja").render(
        open=FENCE_OPEN,
        close=FENCE_CLOSE,
        request="" if facts.anchor else plain(facts.request, 160),
        anchor=view.title(facts.anchor, 60) if facts.anchor else "",
        limits=view.limits(facts)[:160],
        items=[(item, _known(ranked)) for item, ranked in zip(view.views(shown), shown, strict=True)],
    )
    return ChatMessage("user", content)


def _known(ranked: RankedProduct) -> str:
    """Attributes of a product that can be spoken of, as far as 120 characters go."""
    return plain("; ".join(f"{name}: {text}" for name, text in view.attributes(ranked.product).items()), 120)


def _recent(history: Sequence[ChatMessage]) -> list[ChatMessage]:
    kept: list[ChatMessage] = []
    budget = HISTORY_TOKENS
    for message in reversed(history):
        content = plain(message.content, 200)
        budget -= tokens_at_most(content)
        if message.role == "system" or budget < 0:
            break
        kept.append(ChatMessage(message.role, content))
    return kept[::-1]
