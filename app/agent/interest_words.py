"""What a person is drawn to, in words that their own events bear out, and a query to retrieve by.

Takes a person (stored history, the steps of a session, what they say); gives two or three sentences, each with the
events that it rests on, and the query. A language model may word them; each of its sentences is checked against the
events that it quotes (`app.agent.interest_check`), and one that fails gives way to the template's.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from app.agent.grounding import product_words, root, roots
from app.agent.interest_check import LINKING, TOKEN, Why, check_sentence
from app.agent.interest_turn import latest_turn
from app.agent.voice import TEMPLATES
from app.llm.asking import Asker
from prompts.interest_turn import InterestTurn
from prompts.interest_words import (
    MOST_SENTENCES,
    QUERY_WORDS,
    Described,
    Sentence,
    Worded,
    describe,
    fitting,
    read_interest_words,
    render_interest_words,
    told_of,
)
from prompts.prompt import Outcome
from prompts.step import Step
from prompts.untrusted import plain
from retrieval.drifts import Drift
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

CERTAIN: Final[frozenset[Outcome | None]] = frozenset([None, "ok", "wrong_format", "repetition", "missing"])
"""Outcomes that would be the same again; a late or broken engine may do better the next time, so those are not kept."""


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
    turn: InterestTurn | None
    """The latest of their interests, where it may be told."""
    key: tuple[object, ...]
    """Changes with everything that the words are made of, but for who writes them."""
    erasures: int


class InterestWriter:
    """One for each language model. `describes`: let it word them, where it is there; templates otherwise.

    `now` says what is lately: an older turn is not told.
    """

    def __init__(
        self,
        asker: Asker,
        live: LiveIndex,
        events: EventStore,
        describes: bool,
        kept: KeptWords | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._asker = asker
        self._live = live
        self._events = events
        self._describes = describes
        self._kept = KeptWords() if kept is None else kept
        self._now = now

    async def of(
        self,
        user_id: str | None,
        session: Sequence[Event] = (),
        said: str = "",
        timeout: float = TIMEOUT_SECONDS,
        session_id: str | None = None,
        drifts: Sequence[Drift] | None = None,
    ) -> InterestWords:
        """`session`: steps that came with the request, oldest first; they follow what is stored.

        `drifts`: of this person, where the caller has found them already. Never raises for anything that an engine
        does.
        """
        known = await asyncio.to_thread(self._known, user_id, session_id, tuple(session), said, drifts)
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
        known = user_id is not None or session_id is not None
        stored = await asyncio.to_thread(self._events.history, user_id, session_id) if known else []
        history = [*stored, *session]
        if not is_short(history):
            return ""
        words = await self.of(user_id, session, timeout=timeout, session_id=session_id)
        return retrieval_query(words, history)

    def _known(
        self,
        user_id: str | None,
        session_id: str | None,
        session: tuple[Event, ...],
        said: str,
        drifts: Sequence[Drift] | None,
    ) -> _Known:
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
        turn = latest_turn(history, self._live, self._now(), drifts)
        turned = (turn.before, turn.after, turn.evidence) if turn else None
        # Ids of steps that came with a request are nobody's own: "step-0" of one session is not that of another.
        latest = tuple((event.id, event.type, event.product_id) for event in (*stored[-1:], *session))
        key = (user_id, session_id, len(stored), latest, revision, said, turned)
        return _Known(steps, named, turn, key, erasures)

    async def _worded(self, known: _Known, said: str, timeout: float) -> InterestWords:
        told = describe(known.steps, known.interests, said, known.turn)
        if not (self._describes and self._asker.available and known.steps):
            return InterestWords(told.sentences, told.query)
        prompt = render_interest_words(known.steps, said, known.turn)
        reading = await self._asker.ask(prompt, read_interest_words, timeout)
        if reading.value is None:
            return InterestWords(told.sentences, told.query, outcome=reading.outcome)
        shown = fitting(known.steps, said, known.turn)
        return _joined(reading.value, shown, known.turn, told, said, self._asker.name)


def retrieval_query(words: InterestWords, history: Sequence[Event], said: str = "") -> str:
    """What to put into `RecommendationQuery.wish`: the words where they may help, else nothing.

    They may where the shopper says something, and where what they did is too little to go by.
    """
    return words.query if said.strip() or is_short(history) else ""


def is_short(history: Sequence[Event]) -> bool:
    """Something, and so little that words about it may find what counts do not."""
    return 0 < len({event.product_id for event in history if event.product_id}) <= SHORT_HISTORY


def steps_of(history: Sequence[Event], products: dict[str, Product]) -> tuple[Step, ...]:
    """The products touched last, each with the last event that touched it, oldest first."""
    touched = [item for item in touched_products(history) if item.product_id in products]
    return tuple(Step(item.last, products[item.product_id]) for item in touched[-STEPS_DESCRIBED:])


def _joined(
    worded: Worded, steps: Sequence[Step], turn: InterestTurn | None, told: Described, said: str, engine: str
) -> InterestWords:
    """The model's sentences that hold, the template's in the place of the others; a turn is told by one of them."""
    judged = [check_sentence(sentence, steps, turn) for sentence in worded.sentences]
    kept = [sentence for sentence in judged if isinstance(sentence, Sentence)]
    turned = told_of(turn) if turn else None
    untold = turned if turned and not any(_tells(sentence, turned) for sentence in kept) else None
    others = [sentence for sentence in told.sentences if sentence != turned]
    spare = sorted(others, key=lambda sentence: _overlap(sentence, kept))
    chosen: list[Sentence] = [untold] if untold else []
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


def _tells(sentence: Sentence, turned: Sentence) -> bool:
    """Of the same turn? Only a sentence that tells of it has all of its events."""
    return set(turned.event_ids) <= set(sentence.event_ids)


def _overlap(sentence: Sentence, kept: Sequence[Sentence]) -> float:
    """Share of its events that are told of already: what adds most comes first."""
    told = {event_id for other in kept for event_id in other.event_ids}
    return len(told.intersection(sentence.event_ids)) / max(1, len(sentence.event_ids))


def _query_of(query: str, products: Sequence[Product], said: str) -> str:
    """What was said, then those words of `query` that are the products'; empty where it has none of either."""
    spoken = plain(said)
    known = {word for product in products for word in product_words(product)} | set(roots(spoken))
    words: dict[str, str] = {}
    for token in [*TOKEN.findall(spoken), *TOKEN.findall(plain(query))]:
        word = token.rstrip(".'’-/")
        if word.casefold() not in LINKING and root(word.casefold()) in known:
            words.setdefault(root(word.casefold()), word)
    return " ".join(list(words.values())[:QUERY_WORDS])
