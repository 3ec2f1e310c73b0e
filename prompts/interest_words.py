"""A person's interests in two or three sentences and a search query: asked of a language model, or said without one.

Takes steps (an event with its product), oldest first, what the shopper says, and the latest turn of their interests
where there is one; gives a `Prompt` whose lines are numbered, so that every sentence can quote what it rests on, and
reads the answer. `describe` says the same from counts alone. Text of strangers is made plain on its way in. Whether a
sentence is true is for the caller to check.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prompts import view
from prompts.interest_turn import InterestTurn, turn_line, turn_told
from prompts.prompt import Prompt, Reading, tokens_at_most
from prompts.rendering import template
from prompts.step import Step
from prompts.untrusted import plain
from tasteline.types import ChatMessage, Event, EventType, Interest, Product

NAME = "interest_words_v1"
SYSTEM_TEMPLATE = "interest_words_system_v1.txt.jinja"
USER_TEMPLATE = "interest_words_v1.txt.jinja"
SPOKEN_TEMPLATE = "interest_words_spoken_v1.txt.jinja"
FENCE_OPEN, FENCE_CLOSE = "<<<HISTORY", "HISTORY>>>"

PROMPT_TOKENS = 900
"""Of the whole prompt, by `tokens_at_most`; the oldest lines go first. Instruction and examples take some 560."""
TURN_TOKENS = 200
"""More, where a turn is to be told: one more example, and its line."""
ANSWER_TOKENS = 160
MOST_STEPS = 6
"""Lines in the prompt: what three sentences can tell of."""
TITLE_CHARACTERS, SAID_CHARACTERS = 80, 160
MOST_SENTENCES = 3
ASKED_SENTENCES = 2
"""Of the model. The frame of a third, and a title that stands in the query too, look like a model that turns in
circles: half of 100 answers were stopped for it."""
ASKED_WORDS = 3
"""Of the model's query; with eight, a third of the answers ended in one word again and again."""
QUERY_WORDS = 16
TITLES_IN_QUERY = 2
_OPENINGS: Final = {"bought": "bought", "put in the cart": "put", "saved": "saved", "viewed": "(viewed|looked at)"}
"""Act -> how a sentence may begin."""
_TURNED: Final = "turned from"
"""The same for a turn."""
_TITLE_TAIL = re.compile(r",|\s[-–—|(]|\(")
_WORD = re.compile(r"[^\W_][\w'’-]*")


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str
    event_ids: tuple[str, ...]
    """What it rests on."""


@dataclass(frozen=True, slots=True)
class Described:
    sentences: tuple[Sentence, ...]
    query: str


@dataclass(frozen=True, slots=True)
class NumberedSentence:
    text: str
    lines: tuple[int, ...]
    """Line numbers of the prompt, from 1, as the model gave them."""


@dataclass(frozen=True, slots=True)
class Worded:
    """What a model answered; nothing in it is checked."""

    sentences: tuple[NumberedSentence, ...]
    query: str


class _SentenceAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    events: list[int] = Field(min_length=1)
    text: str


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    sentences: list[_SentenceAnswer] = Field(max_length=MOST_SENTENCES)
    query: list[str]


def _example(number: int, act: EventType, title: str, brand: str, *categories: str) -> Step:
    return Step(Event(f"{number}", act), Product(f"{number}", title, brand=brand, categories=categories))


_EXAMPLES: Final = (
    (
        (
            _example(1, EventType.PURCHASE, "Alder Trail Boots", "Fernway", "Outdoor", "Hiking", "Boots"),
            _example(2, EventType.VIEW_ITEM, "Merino Wool Socks, 2 Pair", "Fernway", "Outdoor", "Hiking", "Socks"),
        ),
        None,
        [([1], "You bought Alder Trail Boots."), ([1, 2], "You are interested in boots and socks by Fernway.")],
        ["boots", "wool", "socks"],
    ),
    (
        (
            _example(1, EventType.ADD_TO_CART, "Hob Steel Teapot", "Hob", "Kitchen", "Tea", "Teapots"),
            _example(2, EventType.ADD_TO_CART, "Willow Cups", "Willow", "Kitchen", "Tea", "Cups"),
        ),
        None,
        [([1, 2], "You put Hob Steel Teapot and Willow Cups in the cart."), ([1], "You are interested in teapots.")],
        ["teapot", "cups", "steel"],
    ),
)
"""Steps, turn, sentences, query. Nothing is said in them: a model of 135M parameters made everybody want what the
example had said."""
_SAVED_BOARD: Final = _example(1, EventType.ADD_TO_WISHLIST, "Oak Chess Board", "Rook", "Games", "Chess")
_VIEWED_REEL: Final = _example(2, EventType.VIEW_ITEM, "Tarn Fly Reel", "Tarn", "Angling", "Reels")
_TURN_EXAMPLE: Final = (
    (_SAVED_BOARD, _VIEWED_REEL),
    InterestTurn(("Games",), ("Angling",), (_SAVED_BOARD,), (_VIEWED_REEL,)),
    [([3], "You turned from Games to Angling."), ([2], "You viewed Tarn Fly Reel.")],
    ["reel", "angling"],
)


def render_interest_words(steps: Sequence[Step], said: str = "", turn: InterestTurn | None = None) -> Prompt:
    """Asks about `fitting(steps, said, turn)`: line n of the prompt is the n-th of those, the one after them the turn.

    Raises ValueError without steps.
    """
    if not steps:
        raise ValueError("a description needs at least one step")
    shown = fitting(steps, said, turn)
    return Prompt(NAME, (*_beginning(turn), _user(shown, said, turn)), ANSWER_TOKENS, _schema(shown, turn))


def fitting(steps: Sequence[Step], said: str = "", turn: InterestTurn | None = None) -> tuple[Step, ...]:
    """The latest of `steps` that the prompt has room for, at least one; the same when applied twice."""
    budget = PROMPT_TOKENS if turn is None else PROMPT_TOKENS + TURN_TOKENS
    budget -= sum(tokens_at_most(message.content) for message in _beginning(turn))
    shown = tuple(steps[-MOST_STEPS:])
    while len(shown) > 1 and tokens_at_most(_user(shown, said, turn).content) > budget:
        shown = shown[1:]
    return shown


def read_interest_words(text: str) -> Reading[Worded]:
    """
    >>> read_interest_words('{"sentences": [{"events": [1], "text": "You saved a mug."}], "query": ["mug"]}').outcome
    'ok'
    >>> read_interest_words("You saved a mug.").outcome, read_interest_words(" ").outcome
    ('wrong_format', 'missing')
    """
    if not text.strip():
        return Reading("missing")
    try:
        answer = _Answer.model_validate_json(text[text.find("{") : text.rfind("}") + 1])
    except ValidationError:
        return Reading("wrong_format")
    said = [sentence for sentence in answer.sentences if sentence.text.strip()]
    if not said:
        return Reading("missing")
    if len({sentence.text.casefold().strip() for sentence in said}) < len(said):
        return Reading("repetition")
    return Reading(
        "ok",
        Worded(
            tuple(NumberedSentence(sentence.text.strip(), tuple(dict.fromkeys(sentence.events))) for sentence in said),
            " ".join(word.strip() for word in answer.query),
        ),
    )


def write_interest_words(worded: Worded) -> str:
    """The answer that `read_interest_words` reads: what a model is to write.

    >>> write_interest_words(Worded((NumberedSentence("You saved a mug.", (1,)),), "mug"))
    '{"sentences": [{"events": [1], "text": "You saved a mug."}], "query": ["mug"]}'
    """
    sentences = [{"events": list(sentence.lines), "text": sentence.text} for sentence in worded.sentences]
    return json.dumps({"sentences": sentences, "query": worded.query.split()})


def describe(
    steps: Sequence[Step], interests: Sequence[Interest] = (), said: str = "", turn: InterestTurn | None = None
) -> Described:
    """The same from what is known, without a model: a turn, the latest steps, the topics, the brand or the trend.

    Two or three sentences; fewer where the feed gives a product no brand and no category, none without steps.
    """
    if not steps:
        return Described((), _query((), (), said))
    turned = None if turn is None else told_of(turn)
    # What somebody turned to is what it is lately: said once.
    sentences = [turned, _latest(steps), None if turned else _topics(interests), _brand(steps), _trend(interests)]
    told = [sentence for sentence in sentences if sentence is not None]
    return Described(tuple(told[:MOST_SENTENCES]), _query(steps, interests, said))


def told_of(turn: InterestTurn) -> Sentence | None:
    """The template's sentence of a turn, with the events that show it."""
    text = turn_told(turn)
    return Sentence(text, turn.evidence) if text else None


def _beginning(turn: InterestTurn | None) -> tuple[ChatMessage, ...]:
    """What never changes, but for one more example where there is a turn: an engine keeps its prefix."""
    system = template(SYSTEM_TEMPLATE).render(open=FENCE_OPEN, close=FENCE_CLOSE).strip()
    messages = [ChatMessage("system", system)]
    for steps, turned, sentences, query in _EXAMPLES if turn is None else (*_EXAMPLES, _TURN_EXAMPLE):
        told = tuple(NumberedSentence(text, tuple(lines)) for lines, text in sentences)
        answer = write_interest_words(Worded(told, " ".join(query)))
        messages += [_user(steps, "", turned), ChatMessage("assistant", answer)]
    return tuple(messages)


def _user(steps: Sequence[Step], said: str, turn: InterestTurn | None) -> ChatMessage:
    lines = [{"act": step.act, "title": short_title(step.product), "origin": _origin(step.product)} for step in steps]
    spoken = plain(said, SAID_CHARACTERS)
    content = template(USER_TEMPLATE).render(
        open=FENCE_OPEN, close=FENCE_CLOSE, lines=lines, turned=turn_line(turn) if turn else "", said=spoken
    )
    return ChatMessage("user", content.strip())


def short_title(product: Product) -> str:
    """The beginning of a title, up to where sizes and variants follow.

    >>> short_title(Product("1", "Merino Wool Socks, 2 Pair (Grey)"))
    'Merino Wool Socks'
    """
    title = view.title(product, TITLE_CHARACTERS)
    start = _TITLE_TAIL.split(title, maxsplit=1)[0].strip()
    return start if len(start.split()) > 1 else title


def _origin(product: Product) -> str:
    """Brand, unless the title names it, and the narrowest category."""
    brand = plain(product.brand or "", 40)
    named = brand.casefold() in view.title(product, TITLE_CHARACTERS).casefold()
    return "; ".join(filter(None, ("" if named else brand, *(plain(name, 40) for name in product.categories[-1:]))))


def _schema(steps: Sequence[Step], turn: InterestTurn | None) -> str:
    """Numbers come before the words that rest on them, so that the words are written for those lines.

    The query is a list, because a small model rambles in a string.
    """
    openings = [_OPENINGS[act] for act in dict.fromkeys(step.act for step in steps)]
    openings += ["are interested in", *([_TURNED] if turn else [])]
    pattern = rf"^You ({'|'.join(openings)}) [A-Za-z0-9 ,.'&-]{{3,80}}\.$"
    lines = len(steps) + (turn is not None)
    numbers = {"enum": list(range(1, lines + 1))}
    sentence = _object(
        events={"type": "array", "items": numbers, "minItems": 1, "maxItems": min(lines, 3)},
        text={"type": "string", "pattern": pattern},
    )
    word = {"type": "string", "pattern": "^[A-Za-z0-9'-]{2,20}$"}
    return json.dumps(
        _object(
            sentences={"type": "array", "items": sentence, "minItems": ASKED_SENTENCES, "maxItems": ASKED_SENTENCES},
            query={"type": "array", "items": word, "minItems": 1, "maxItems": ASKED_WORDS},
        )
    )


def _object(**properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _spoken(macro: str, *facts: object) -> str:
    return str(getattr(template(SPOKEN_TEMPLATE).module, macro)(*facts)).strip()


def _latest(steps: Sequence[Step]) -> Sentence:
    """What was done last, and just before it in the same way."""
    act = steps[-1].act
    alike = list(takewhile(lambda step: step.act == act, reversed(steps)))[:2]
    titles = [view.title(step.product, 60) for step in alike]
    return Sentence(_spoken("did", act, titles), tuple(step.event.id for step in alike))


def _topics(interests: Sequence[Interest]) -> Sentence | None:
    named = [(topic, i) for i in interests[:2] if i.short_term > 0 and (topic := plain(i.topic, 60))]
    if not named:
        return None
    evidence = dict.fromkeys(event_id for _, interest in named for event_id in interest.evidence)
    text = _spoken("topics", [topic for topic, _ in named], named[0][1].short_term > 0.5)
    return Sentence(text, tuple(evidence))


def _brand(steps: Sequence[Step]) -> Sentence | None:
    """The commonest brand, or who made the only product that there is."""
    brands = Counter(brand for step in steps if (brand := plain(step.product.brand or "", 40)))
    if not brands:
        return None
    name, count = brands.most_common(1)[0]
    of_it = tuple(step.event.id for step in steps if plain(step.product.brand or "", 40) == name)
    if count > 1:
        return Sentence(_spoken("brand", name, count), of_it)
    return Sentence(_spoken("maker", name), of_it) if len(steps) == 1 else None


def _trend(interests: Sequence[Interest]) -> Sentence | None:
    moving = [interest for interest in interests if interest.trend != "steady" and plain(interest.topic, 60)]
    if not moving:
        return None
    most = max(moving, key=lambda interest: (abs(interest.short_term - interest.long_term), interest.topic))
    return Sentence(_spoken("trend", plain(most.topic, 60), most.trend), most.evidence)


def _query(steps: Sequence[Step], interests: Sequence[Interest], said: str) -> str:
    """What was said first, then titles of the latest, then topics; each word once."""
    titles = [view.title(step.product, TITLE_CHARACTERS) for step in reversed(steps[-TITLES_IN_QUERY:])]
    topics = [plain(interest.topic, 60) for interest in interests[:2]]
    words: dict[str, str] = {}
    for text in (plain(said, SAID_CHARACTERS), *titles, *topics):
        for word in _words(text):
            words.setdefault(word.casefold(), word)
    return " ".join(list(words.values())[:QUERY_WORDS])


def _words(text: str) -> list[str]:
    return _WORD.findall(text.removesuffix("..."))
