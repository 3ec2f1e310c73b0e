"""Asks a language model what a request means beyond what the rules have read: a small form, filled in as JSON.

Takes the shopper's message and what is known of it, gives a Prompt whose schema has only the slots still open: the
unchanging instruction and examples first (an engine caches a prefix that repeats), then the earlier messages, then the
new one between fences. `read_understanding` gives back a typed form or says what was wrong with the answer. Nothing
here believes the answer: who asks checks every slot against the shopper's words and the shop's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from prompts.prompt import Prompt, Reading, tokens_at_most
from prompts.rendering import template
from prompts.untrusted import plain
from tasteline.types import ChatMessage, Sort

NAME = "understanding_v1"
FENCE_OPEN, FENCE_CLOSE = "<<<SAID", "SAID>>>"
MAX_TOKENS = 96
"""Of the answer: a full form has some 70."""
PROMPT_TOKENS = 1_700
"""What a prompt may cost at most, by `tokens_at_most`; some 900 by the tokenizer of SmolLM2."""
TEXT_TOKENS, EARLIER_TOKENS, TITLE_TOKENS, WORD_TOKENS = 200, 50, 20, 14
"""Of the new message, of each earlier one, of a shown product's title, of a word of the shop or a limit known."""
MOST_EARLIER, MOST_SHOWN, MOST_WORDS = 3, 6, 6
MOST_NAMES = 3
"""Values that are wanted or not wanted, in one answer."""
WORD_LIMIT = 40
"""Characters of one word or name in the answer."""

Intent = Literal[
    "find", "refine", "more", "recommend", "similar", "complement",
    "details", "compare", "greeting", "thanks", "help", "off_topic",
]  # fmt: skip
Slot = Literal[
    "intent", "references", "query", "category", "brand", "price_min", "price_max", "rating_min", "in_stock",
    "exclude", "attributes", "sort", "wishes",
]  # fmt: skip

Word = Annotated[str, Field(min_length=1, max_length=WORD_LIMIT)]


class RequestReading(BaseModel):
    """The form as a model filled it in; null and left out are the same: nothing said."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    intent: Intent | None = None
    query: Annotated[str, Field(max_length=120)] = ""
    category: Word | None = None
    brand: Word | None = None
    price_min: Annotated[float, Field(ge=0)] | None = None
    """Both in whole units of the shop's currency, as a shopper says them."""
    price_max: Annotated[float, Field(ge=0)] | None = None
    rating_min: Annotated[float, Field(ge=0, le=5)] | None = None
    in_stock: bool = False
    attributes: Annotated[tuple[Word, ...], Field(max_length=4)] = ()
    """Values only: "red", "cotton"; the catalogue knows of what."""
    exclude: Annotated[tuple[Word, ...], Field(max_length=4)] = ()
    wishes: Annotated[tuple[Word, ...], Field(max_length=3)] = ()
    sort: Sort = "relevance"
    references: Annotated[tuple[Annotated[int, Field(ge=1, le=MOST_SHOWN)], ...], Field(max_length=MOST_SHOWN)] = ()
    """Places in the list shown, from 1."""

    @model_validator(mode="before")
    @classmethod
    def _said(cls, form: object) -> object:
        return {slot: value for slot, value in form.items() if value is not None} if isinstance(form, dict) else form


Choice = str | float
Schema = dict[str, object]
_NOT_SAID: Final[Schema] = {"type": "null"}
_TEXT: Final[Schema] = {"type": "string", "maxLength": WORD_LIMIT}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, _NOT_SAID]}


def _list(item: Schema, most: int) -> Schema:
    return {"anyOf": [{"type": "array", "items": item, "minItems": 1, "maxItems": most}, _NOT_SAID]}


_SLOTS: Final[Mapping[Slot, Schema]] = {
    "intent": {"enum": list(get_args(Intent))},
    "references": _list({"type": "integer", "minimum": 1, "maximum": MOST_SHOWN}, 4),
    # Whole numbers: a small model writes decimals without end, and amounts in figures are the rules' work anyway.
    "price_max": _or_null({"type": "integer", "minimum": 0, "maximum": 99_999}),
    "price_min": _or_null({"type": "integer", "minimum": 0, "maximum": 99_999}),
    "rating_min": _or_null({"type": "integer", "minimum": 1, "maximum": 5}),
    "in_stock": _or_null({"type": "boolean"}),
    "exclude": _list(_TEXT, MOST_NAMES),
    "attributes": _list(_TEXT, MOST_NAMES),
    "brand": _or_null(_TEXT),
    "category": _or_null(_TEXT),
    "sort": _or_null({"enum": ["price_asc", "price_desc", "rating", "popular"]}),
    "query": _or_null({"type": "string", "maxLength": 60}),
    "wishes": _list(_TEXT, 2),
}
"""In the order of the form: what needs no words comes first, so that an answer cut short has lost the least."""
_LISTS: Final = frozenset({"references", "exclude", "attributes"})


class _Example(NamedTuple):
    """Written for this prompt; none is from an evaluation."""

    text: str
    form: Mapping[Slot, object]
    shown: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


_JUGS: Final = ("Ambler Copper Jug", "Larkspur Tin Jug")
_EXAMPLES: Final = (
    _Example("I only have 40 dollars and I need a rain coat", {"price_max": 40, "price_min": None}),
    _Example("globe, no less than 200 bucks", {"price_max": None, "price_min": 200}),
    _Example("ukulele from 75 to 90", {"price_max": 90, "price_min": 75}),
    _Example("a 12 string ukulele, 300 is my limit", {"price_max": 300, "price_min": None}),
    _Example("a vase please but I am fed up with glass", {"exclude": ["glass"]}),
    _Example("how big is the Larkspur?", {"intent": "details", "references": [2]}, _JUGS),
    _Example("I would rather have a taller one", {"intent": "refine"}, _JUGS),
    _Example("which of the 2 is stronger", {"intent": "compare", "references": [1, 2]}, _JUGS),
    _Example("flags for kids, nothing below 5 stars, most liked first", {"rating_min": 5, "sort": "rating"}),
    _Example("they told me 3 stars would do, but I want to know about lamps", {"rating_min": None}),
    _Example(
        "my neck is stiff after every night, something soft and washable maybe",
        {"category": "Neck Rolls", "query": "neck roll"},
        words=("Neck Rolls",),
    ),
)
_AGAIN = re.compile(r"(.{8,40}?)\1{2,}", re.DOTALL)


def render_understanding(
    text: str,
    slots: Mapping[Slot, Sequence[Choice]],
    *,
    known: Sequence[str] = (),
    words: Sequence[str] = (),
    earlier: Sequence[str] = (),
    shown: Sequence[str] = (),
) -> Prompt:
    """What does `text` say of `slots`? Only they are in the form: a model contradicts nothing that it is not asked.

    Where a slot has choices the answer is one of them, or null; else it is free words. `known` are limits already
    read, in words; `words` names of this shop that may be meant; `earlier` what the shopper said before, oldest first;
    `shown` the titles on the screen, in order. Each is cut so that the whole stays within PROMPT_TOKENS. Raises
    ValueError where there is nothing to ask.
    """
    if not slots:
        raise ValueError("a form without slots asks nothing")
    asked = [slot for slot in _SLOTS if slot in slots]
    examples = [
        message
        for example in _EXAMPLES
        for message in (
            _user(example.text, list(example.form), shown=example.shown, words=example.words),
            ChatMessage("assistant", _compact(example.form)),
        )
    ]
    new = _user(text, asked, known=known, words=words, earlier=earlier, shown=shown)
    return Prompt(
        NAME,
        (ChatMessage("system", _system()), *examples, new),
        MAX_TOKENS,
        _schema({slot: slots[slot] for slot in asked}),
    )


def read_understanding(text: str) -> Reading[RequestReading]:
    """The form, or what came instead of it.

    >>> read_understanding('{"price_min": null, "price_max": 50}').value.price_max
    50.0
    >>> read_understanding('{"price_min": null, "pri').outcome, read_understanding(" ").outcome
    ('wrong_format', 'missing')
    """
    if not text.strip():
        return Reading("missing")
    try:
        return Reading("ok", RequestReading.model_validate_json(text.strip()))
    except ValidationError:
        return Reading("repetition" if _AGAIN.search(text) else "wrong_format")


def write_understanding(form: RequestReading, slots: Mapping[Slot, Sequence[Choice]]) -> str:
    """The answer that says `form` to a prompt of these slots: what a model is to write, and `read_understanding` reads.

    Of a slot with choices only those are said, as they are written there; what is not said is null. Where the intent is
    asked for and the form's is no choice, it is the first.

    >>> write_understanding(RequestReading(price_max=60), {"price_max": (60.0,), "price_min": (60.0,)})
    '{"price_max": 60, "price_min": null}'
    """
    return _compact({slot: _answer(form, slot, slots[slot]) for slot in _SLOTS if slot in slots})


def _answer(form: RequestReading, slot: Slot, choices: Sequence[Choice]) -> object:
    said = getattr(form, slot)
    if slot in _LISTS or slot == "wishes":
        wanted = {_comparable(value) for value in said}
        return [_whole(value) for value in choices or said if _comparable(value) in wanted][:MOST_NAMES] or None
    if slot == "intent" and choices and said not in choices:
        return choices[0]
    if choices and said is not None:
        said = next((choice for choice in choices if _comparable(choice) == _comparable(said)), None)
    return None if said in (None, "", False, "relevance") else _whole(said)


def _comparable(value: Choice) -> Choice:
    return value.casefold() if isinstance(value, str) else value


def _whole(value: Choice) -> Choice:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _system() -> str:
    return template(f"{NAME}_system.txt.jinja").render(open=FENCE_OPEN, close=FENCE_CLOSE).strip()


def _user(
    text: str,
    slots: Sequence[Slot],
    *,
    known: Sequence[str] = (),
    words: Sequence[str] = (),
    earlier: Sequence[str] = (),
    shown: Sequence[str] = (),
) -> ChatMessage:
    content = template(f"{NAME}.txt.jinja").render(
        open=FENCE_OPEN,
        close=FENCE_CLOSE,
        text=_cut(text, TEXT_TOKENS),
        slots=slots,
        earlier=[_cut(message, EARLIER_TOKENS) for message in earlier[-MOST_EARLIER:]],
        shown=[_cut(title, TITLE_TOKENS) for title in shown[:MOST_SHOWN]],
        words=[_cut(word, WORD_TOKENS) for word in words[:MOST_WORDS]],
        known=[_cut(label, WORD_TOKENS) for label in known[:MOST_WORDS]],
    )
    return ChatMessage("user", content.strip())


def _cut(text: str, tokens: int) -> str:
    """Plain, and within the budget in every script: those that cost two tokens a character get fewer characters."""
    text = plain(text, 3 * tokens - 3)
    return text if tokens_at_most(text) <= tokens else text[: tokens // 2 - 1]


def _schema(slots: Mapping[Slot, Sequence[Choice]]) -> str:
    """Every slot must be filled, with null if need be: left to itself a small model fills in none."""
    properties = {slot: _closed(slot, choices) if choices else _SLOTS[slot] for slot, choices in slots.items()}
    form: Schema = {"type": "object", "properties": properties, "required": list(slots), "additionalProperties": False}
    return _compact(form)


def _closed(slot: Slot, choices: Sequence[Choice]) -> Schema:
    whole = [_whole(choice) for choice in choices]
    if slot in _LISTS:
        return _list({"enum": whole}, min(MOST_NAMES, len(whole)))
    return {"enum": whole if slot == "intent" else [*whole, None]}


def _compact(value: Mapping[Slot, object] | Schema) -> str:
    return json.dumps(value, ensure_ascii=False)
