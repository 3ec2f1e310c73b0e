"""What shoppers would type to find a product: asked of a language model, to learn from where a shop has no labels.

Takes a product, gives a `Prompt` and reads the answer (doc2query; Nogueira and Lin, 2019). Text of the feed is made
plain on its way in. Whether a query finds its product is for the caller to try.
"""

from __future__ import annotations

import json
import re
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prompts import view
from prompts.prompt import Prompt, Reading
from prompts.rendering import template
from prompts.untrusted import plain
from tasteline.types import ChatMessage, Product

NAME = "product_queries_v1"
FENCE_OPEN, FENCE_CLOSE = "<<<PRODUCT", "PRODUCT>>>"
COUNT = 3
MOST_WORDS = 8
"""What is longer is a title or a sentence."""
TOKENS_EACH = 24
_WORD = re.compile(r"[^\W_]")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    searches: list[str] = Field(min_length=1)


_EXAMPLES: Final = (
    (
        Product("1", "Alder Trail Boots GTX, size 42, brown", brand="Fernway", categories=("Outdoor", "Hiking Boots")),
        ("waterproof hiking boots", "brown fernway boots", "sturdy shoes for mountain trails"),
    ),
    (
        Product("2", "Hob 1.2 l Steel Teapot with Infuser", brand="Hob", categories=("Kitchen", "Teapots")),
        ("teapot for loose tea", "large steel teapot", "hob tea pot infuser"),
    ),
)


def render_product_queries(product: Product, count: int = COUNT) -> Prompt:
    """Asks for `count` queries. Only the last message depends on the product: an engine keeps the rest."""
    system = template(f"{NAME}_system.txt.jinja").render(open=FENCE_OPEN, close=FENCE_CLOSE, count=count).strip()
    messages = [ChatMessage("system", system)]
    for shown, searches in _EXAMPLES:
        answer = json.dumps({"searches": [searches[place % len(searches)] for place in range(min(count, 3))]})
        messages += [_user(shown), ChatMessage("assistant", answer)]
    return Prompt(NAME, (*messages, _user(product)), TOKENS_EACH * count, _schema(count))


def read_product_queries(text: str) -> Reading[tuple[str, ...]]:
    """The queries, each once, in lower case; those that are no search at all are left out.

    >>> read_product_queries('{"searches": ["Steel teapot", "steel  teapot", "a"]}').value
    ('steel teapot',)
    >>> read_product_queries("steel teapot").outcome, read_product_queries("").outcome
    ('wrong_format', 'missing')
    """
    if not text.strip():
        return Reading("missing")
    try:
        answer = _Answer.model_validate_json(text[text.find("{") : text.rfind("}") + 1])
    except ValidationError:
        return Reading("wrong_format")
    queries = tuple(dict.fromkeys(filter(None, map(_query, answer.searches))))
    return Reading("ok", queries) if queries else Reading("missing")


def _query(text: str) -> str:
    """As somebody types it; empty where nobody would."""
    typed = plain(text, 120).casefold().strip(" .,;:!?\"'")
    fits = len(_WORD.findall(typed)) > 2 and len(typed.split()) <= MOST_WORDS and not typed.endswith("...")
    return typed if fits else ""


def _user(product: Product) -> ChatMessage:
    content = template(f"{NAME}.txt.jinja").render(
        open=FENCE_OPEN,
        close=FENCE_CLOSE,
        title=view.title(product, 120),
        brand=plain(product.brand or "", 40),
        kind=plain(product.categories[-1], 60) if product.categories else "",
        told=view.excerpt(product),
    )
    return ChatMessage("user", content.strip())


def _schema(count: int) -> str:
    search = {"type": "string", "pattern": "^[A-Za-z0-9 '-]{3,60}$"}
    searches = {"type": "array", "items": search, "minItems": count, "maxItems": count}
    return json.dumps(
        {
            "type": "object",
            "properties": {"searches": searches},
            "required": ["searches"],
            "additionalProperties": False,
        }
    )
