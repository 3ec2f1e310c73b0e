"""What a person is drawn to, in words that their own events bear out, and a query to retrieve by.

Takes a person (stored history, the steps of a session, what they say); gives two or three sentences, each with the
events that it rests on, and the query. A language model may word them; each of its sentences is checked here against
the events that it quotes, and one that fails gives way to the template's. The check is closed by default: a sentence
has one of a few openings, which claim no more than an event shows, and everything after it is said of one product.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.agent.grounding import CLAIM, product_words, root, roots
from app.agent.grounding import phrase_pattern as phrase
from app.agent.voice import TEMPLATES
from app.llm.asking import Asker
from prompts import view
from prompts.interest_words import (
    MOST_SENTENCES,
    QUERY_WORDS,
    Described,
    NumberedSentence,
    Sentence,
    Step,
    Worded,
    describe,
    fitting,
    read_interest_words,
    render_interest_words,
)
from prompts.prompt import Outcome
from prompts.untrusted import plain
from retrieval.interests import interests, touched_products
from retrieval.live import LiveIndex
from tasteline.ports import EventStore
from tasteline.types import Event, Interest, Product

SHORT_HISTORY = 4
"""Products touched, up to which words are worth retrieving by even when nothing is said."""
MOST_KEPT = 2_000
"""Descriptions in memory: a few megabytes."""
STEPS_DESCRIBED = 12
"""Most recent products that the template looks at; the model gets as many as its prompt has room for."""
TIMEOUT_SECONDS = 4.0

Why = Literal["unquoted", "unfinished", "opening", "claim", "word", "empty"]
CERTAIN: Final[frozenset[Outcome | None]] = frozenset([None, "ok", "wrong_format", "repetition", "missing"])
"""Outcomes that would be the same again; a late or broken engine may do better the next time, so those are not kept."""

_VERBS: Final = {
    "bought": "bought", "purchased": "bought", "ordered": "bought",
    "viewed": "viewed", "looked at": "viewed", "browsed": "viewed", "were looking at": "viewed",
    "saved": "saved", "wishlisted": "saved",
    "put": "put in the cart", "added": "put in the cart",
}  # fmt: skip
"""Verb → the act that every product it is said of must have seen."""
_ACT = re.compile(
    r"(?:(?:you|you've|have|also|then|recently|just|lately)\s+)*(?P<verb>" + "|".join(_VERBS) + r")\b", re.IGNORECASE
)
_DRAWN = re.compile(
    r"you (?:also )?(?:are|seem|seem to be|may be|might be) (?:also )?(?:interested in|drawn to)\b"
    r"|you (?:also )?(?:may|might|seem to) (?:also )?(?:like|enjoy)\b"
    r"|you (?:also )?(?:show|have shown|have) (?:an )?interest in\b",
    re.IGNORECASE,
)
"""What any event shows: attention. Not "you need", "you own", "you are a", "your skin"."""
_IN_CART = re.compile(r"\s*\b(?:in|into|to)\s+(?:the|your)\s+(?:shopping\s+)?cart\b", re.IGNORECASE)
_PART = re.compile(r"\s*[,;:()]\s*|\s+(?:and|or|but|&|–|—|-)\s+|(?<=[.!])\s+", re.IGNORECASE)
_TOKEN = re.compile(r"[^\W_][\w'’.%/-]*")
_LINKING_WORDS = """
a an the this that these those some several few both of for from in on at by with about to also too then and or it its
them product products item items thing things kind kinds sort type types brand category such as
"""
_LINKING: Final = frozenset(_LINKING_WORDS.split())
"""Words that say nothing by themselves. Fewer than `harmless_words`, which praise and speak to the shopper: a sentence
about a person may do neither."""


@dataclass(frozen=True, slots=True)
class InterestWords:
    sentences: tuple[Sentence, ...]
    """Two or three; fewer where little is known, none of somebody unknown."""
    query: str
    """To retrieve by; empty where nothing is known and nothing was said."""
    engine: str = TEMPLATES
    """Whose words stand in it: a model's name when at least one sentence of it passed."""
    outcome: Outcome | None = None
    """What became of the question to the model; None when it was not asked."""
    dropped: tuple[Why, ...] = ()
    """Why sentences of the model gave way to the template's."""
    kept: int = 0
    """Sentences of the model."""


class KeptWords:
    """Descriptions in memory, the ones used last; shared by all who write, so that an erasure reaches them all."""

    def __init__(self) -> None:
        self._words: OrderedDict[tuple[object, ...], InterestWords] = OrderedDict()
        self._erasures = 0

    def of(self, key: tuple[object, ...], erasures: int) -> InterestWords | None:
        """What was written of a person must not outlive them in memory; who else it concerned is written anew."""
        if erasures > self._erasures:
            self._words.clear()
            self._erasures = erasures
        if key in self._words:
            self._words.move_to_end(key)
        return self._words.get(key)

    def keep(self, key: tuple[object, ...], words: InterestWords, erasures: int) -> None:
        """Unless somebody was erased since `erasures` was read."""
        if erasures != self._erasures:
            return
        self._words[key] = words
        while len(self._words) > MOST_KEPT:
            self._words.popitem(last=False)

    def all(self) -> list[InterestWords]:
        """Oldest use first."""
        return list(self._words.values())


@dataclass(frozen=True, slots=True)
class _Known:
    """A person against the catalogue of the moment."""

    steps: tuple[Step, ...]
    interests: tuple[Interest, ...]
    key: tuple[object, ...]
    """Changes with everything that the words are made of, but for who writes them."""
    erasures: int


class InterestWriter:
    """One for each language model. `describes`: let it word them, where it is there; templates otherwise."""

    def __init__(
        self, asker: Asker, live: LiveIndex, events: EventStore, describes: bool, kept: KeptWords | None = None
    ) -> None:
        self._asker = asker
        self._live = live
        self._events = events
        self._describes = describes
        self._kept = KeptWords() if kept is None else kept

    async def of(
        self,
        user_id: str | None,
        session: Sequence[Event] = (),
        said: str = "",
        timeout: float = TIMEOUT_SECONDS,
        session_id: str | None = None,
    ) -> InterestWords:
        """`session`: steps that came with the request, oldest first; they follow what is stored.

        Never raises for anything that an engine does.
        """
        known = await asyncio.to_thread(self._known, user_id, session_id, tuple(session), said)
        model = self._model
        key = (model, *known.key)
        if (before := self._kept.of(key, known.erasures)) is not None:
            return before
        words = await self._worded(known, said, timeout)
        waits_for_model = self._describes and words.outcome is None and known.steps
        if words.outcome in CERTAIN and not waits_for_model and model == self._model:  # none was exchanged meanwhile
            self._kept.keep(key, words, known.erasures)
        return words

    @property
    def _model(self) -> str:
        """Whose words are looked for: one model's must not stand for another's."""
        return self._asker.name if self._describes else TEMPLATES

    async def wish(
        self, user_id: str | None, session_id: str | None, timeout: float, session: Sequence[Event] = ()
    ) -> str:
        """For `RecommendationQuery.wish`: the words where they may help, else nothing (see `retrieval_query`)."""
        if user_id is None and session_id is None and not session:
            return ""
        words = await self.of(user_id, session, timeout=timeout, session_id=session_id)
        known = user_id is not None or session_id is not None
        stored = await asyncio.to_thread(self._events.history, user_id, session_id) if known else []
        return retrieval_query(words, [*stored, *session])

    def _known(self, user_id: str | None, session_id: str | None, session: tuple[Event, ...], said: str) -> _Known:
        erasures = self._events.erasures()
        stored = self._events.history(user_id, session_id) if user_id is not None or session_id is not None else []
        history = [*stored, *session]
        with self._live.read() as indexes:

            def product(product_id: str) -> Product | None:
                row = indexes.catalogue.row(product_id)
                return None if row is None else indexes.catalogue.product(row)

            steps = steps_of(
                history, {e.product_id: p for e in history if e.product_id and (p := product(e.product_id))}
            )
            named = tuple(interests(history, product))
            revision = indexes.revision
        # Ids of steps that came with a request are nobody's own: "step-0" of one session is not that of another.
        latest = tuple((event.id, event.type, event.product_id) for event in (*stored[-1:], *session))
        return _Known(steps, named, (user_id, session_id, len(stored), latest, revision, said), erasures)

    async def _worded(self, known: _Known, said: str, timeout: float) -> InterestWords:
        told = describe(known.steps, known.interests, said)
        if not (self._describes and self._asker.available and known.steps):
            return InterestWords(told.sentences, told.query)
        prompt = render_interest_words(known.steps, said)
        reading = await self._asker.ask(prompt, read_interest_words, timeout)
        if reading.value is None:
            return InterestWords(told.sentences, told.query, outcome=reading.outcome)
        return _joined(reading.value, fitting(known.steps, said), told, said, self._asker.name)


def retrieval_query(words: InterestWords, history: Sequence[Event], said: str = "") -> str:
    """What to put into `RecommendationQuery.wish`: the words where they may help, else nothing.

    They may where the shopper says something, and where what they did is too little to go by.
    """
    touched = len({event.product_id for event in history if event.product_id})
    return words.query if said.strip() or 0 < touched <= SHORT_HISTORY else ""


def steps_of(history: Sequence[Event], products: dict[str, Product]) -> tuple[Step, ...]:
    """The products touched last, each with the last event that touched it, oldest first."""
    touched = [item for item in touched_products(history) if item.product_id in products]
    return tuple(Step(item.last, products[item.product_id]) for item in touched[-STEPS_DESCRIBED:])


def check_sentence(sentence: NumberedSentence, steps: Sequence[Step]) -> Sentence | Why:
    """The sentence with those of its events that bear it out, or why it may not be said.

    >>> from tasteline.types import EventType
    >>> steps = [Step(Event("e1", EventType.PURCHASE), Product("1", "Willow Teapot", categories=("Kitchen", "Tea")))]
    >>> check_sentence(NumberedSentence("You bought a teapot.", (1,)), steps)
    Sentence(text='You bought a teapot.', event_ids=('e1',))
    >>> check_sentence(NumberedSentence("You viewed a teapot.", (1,)), steps)
    'word'
    >>> check_sentence(NumberedSentence("You love tea.", (1,)), steps)
    'opening'
    """
    quoted = [steps[line - 1] for line in sentence.lines if 1 <= line <= len(steps)]
    if not quoted or len(quoted) < len(sentence.lines):
        return "unquoted"
    text = plain(sentence.text, 240)
    if not text.endswith((".", "!")) or not text.startswith("You"):
        return "unfinished"
    if CLAIM.search(_without_titles(text, quoted)):
        return "claim"
    parts = _said(text)
    if parts is None:
        return "opening"
    borne: dict[str, None] = {}
    for act, part in parts:
        bearing = [step for step in quoted if act in (None, step.act) and _covers(step.product, part)]
        if not bearing:
            return "word"
        borne |= dict.fromkeys(step.event.id for step in bearing)
    return Sentence(text, tuple(borne)) if borne else "empty"


def _said(text: str) -> list[tuple[str | None, str]] | None:
    """(act, words) of each part of a sentence that says something; None where it has no such opening.

    The act is None where any will do. It holds until the next verb: "You saved a cup and a pot, and bought tea."
    """
    drawn = _DRAWN.match(text)
    act: str | None = None
    parts: list[tuple[str | None, str]] = []
    for place, piece in enumerate(_PART.split(text[drawn.end() :] if drawn else text)):
        verb = _ACT.match(piece)
        if verb is not None:
            act = _VERBS[verb["verb"].casefold()]
        elif place == 0 and drawn is None:
            return None
        said = piece[verb.end() :] if verb else piece
        if act == "put in the cart":
            said = _IN_CART.sub("", said)
        if _telling(said):
            parts.append((act, said))
    return parts


def _telling(text: str) -> list[str]:
    tokens = (token.rstrip(".'’-/") for token in _TOKEN.findall(text.casefold()))
    return [token for token in tokens if token and token not in _LINKING]


def _covers(product: Product, text: str) -> bool:
    """Is every telling word one of the product's, and every figure one of its title, of the same thing?

    A brand is named as it is written: "a body shop" is not The Body Shop.
    """
    known = product_words(product)
    brand = plain(product.brand or "", 60)
    if brand and brand not in text and set(map(root, _telling(text))) <= set(roots(brand)):
        return False
    tokens = [token.rstrip(".'’-/") for token in _TOKEN.findall(text.casefold())]
    title = f" {' '.join(token.rstrip('.,') for token in _TOKEN.findall(view.title(product, 200).casefold()))} "
    for place, token in enumerate(tokens):
        if any(character.isdigit() for character in token):
            if f" {' '.join(tokens[place : place + 2])} " not in title:
                return False
        elif token not in _LINKING and root(token) not in known and not all(r in known for r in roots(token)):
            return False
    return True


def _without_titles(text: str, steps: Sequence[Step]) -> str:
    """What is left when titles, or beginnings of them, are taken out: their words are quoted, not claimed."""
    for step in steps:
        words = view.title(step.product, 120).removesuffix("...").split()
        for count in range(len(words), 1, -1):
            text, times = phrase(" ".join(words[:count])).subn(" ", text)
            if times:
                break
    return text


def _joined(worded: Worded, steps: Sequence[Step], told: Described, said: str, engine: str) -> InterestWords:
    """The model's sentences that hold, the template's in the place of the others."""
    judged = [check_sentence(sentence, steps) for sentence in worded.sentences]
    kept = [sentence for sentence in judged if isinstance(sentence, Sentence)]
    spare = sorted(told.sentences, key=lambda sentence: _overlap(sentence, kept))
    chosen: list[Sentence] = []
    for sentence in judged:
        if isinstance(sentence, Sentence):
            chosen.append(sentence)
        elif spare:
            chosen.append(spare.pop(0))
    sentences = tuple(chosen[:MOST_SENTENCES])
    evidence = {event_id for sentence in sentences for event_id in sentence.event_ids}
    query = _query_of(worded.query, [step.product for step in steps if step.event.id in evidence], said)
    return InterestWords(
        sentences,
        query or told.query,
        engine if kept else TEMPLATES,
        "ok",
        tuple(why for why in judged if not isinstance(why, Sentence)),
        len(kept),
    )


def _overlap(sentence: Sentence, kept: Sequence[Sentence]) -> float:
    """Share of its events that are told of already: what adds most comes first."""
    told = {event_id for other in kept for event_id in other.event_ids}
    return len(told.intersection(sentence.event_ids)) / max(1, len(sentence.event_ids))


def _query_of(query: str, products: Sequence[Product], said: str) -> str:
    """What was said, then those words of `query` that are the products'; empty where it has none of either."""
    spoken = plain(said)
    known = {word for product in products for word in product_words(product)} | set(roots(spoken))
    words: dict[str, str] = {}
    for token in [*_TOKEN.findall(spoken), *_TOKEN.findall(plain(query))]:
        word = token.rstrip(".'’-/")
        if word.casefold() not in _LINKING and root(word.casefold()) in known:
            words.setdefault(root(word.casefold()), word)
    return " ".join(list(words.values())[:QUERY_WORDS])
