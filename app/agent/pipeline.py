"""The assistant: understand → retrieve → rank → respond, under one deadline, each stage timed and allowed to fail.

Takes a shopper's message, gives an `Answer` whose products are known before its first word is. Facts come from the
store; a language model may word them (`app.agent.voice`), where the check finds every claim in them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import structlog

from app.agent.situation import Situation, facts_of, first_look, read, search_query, wanted
from app.agent.stages import Stages
from app.agent.voice import TEMPLATES, Spoken, Voice
from app.llm.asking import Asker
from app.telemetry import Metrics
from prompts.facts import ReplyFacts
from prompts.reply import follow_ups, render_reply
from retrieval.live import LiveIndex
from retrieval.recommend import Recommender
from retrieval.search import Searcher
from tasteline.errors import TastelineError
from tasteline.ports import ConversationStore
from tasteline.settings import Settings
from tasteline.types import ChatMessage, Interest, Ranking, Turn

SHOWN = 4
"""Products in one chat answer: what a person can hold in mind and point at."""

RECALLED = 4
"""Messages of the conversation that a language model may be told of."""

History = tuple[ChatMessage, ...]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One message; the conversation before it is the store's."""

    text: str
    conversation_id: str
    user_id: str | None = None
    session_id: str | None = None
    ignore: tuple[str, ...] = ()


@dataclass(slots=True)
class Answer:
    """What is known before the reply is spoken; `stages` and `engine` are complete once it has been."""

    facts: ReplyFacts
    ranking: Ranking | None
    situation: Situation
    stages: Stages
    interests: list[Interest] = field(default_factory=list)
    follow_ups: tuple[str, ...] = ()
    history: History = ()
    """What was said before, oldest first."""
    engine: str = TEMPLATES


class Assistant:
    def __init__(
        self,
        conversations: ConversationStore,
        live: LiveIndex,
        searcher: Searcher,
        recommender: Recommender,
        asker: Asker,
        metrics: Metrics,
        settings: Settings,
    ) -> None:
        self._conversations = conversations
        self._live = live
        self._searcher = searcher
        self._recommender = recommender
        self._voice = Voice(asker, metrics, settings.worded_products, settings.wording_seconds)
        self._metrics = metrics
        self._settings = settings
        self._workers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="assistant")

    async def answer(self, turn: ChatTurn) -> Answer:
        """Everything but the words. A stage that fails or is late leaves its name in `degraded`."""
        stages = Stages(time.monotonic() + self._settings.deadline_seconds, self._workers, self._metrics)
        unread: tuple[Situation, History] = (first_look(turn.text), ())
        situation, history = await stages.run("understand", lambda: self._understand(turn), unread)
        ranking = await stages.run("retrieve", lambda: self._retrieve(turn, situation), None)
        if ranking is not None:
            known = ranking
            ranking = await stages.run("rank", lambda: self._rank(turn, situation, known), known)
        nothing_known: list[Interest] = []
        interests = await stages.run("interests", lambda: self._interests(turn), nothing_known)
        facts = self._facts(situation, ranking, interests, stages.degraded)
        return Answer(facts, ranking, situation, stages, interests, follow_ups(facts), history)

    async def speak(self, turn: ChatTurn, answer: Answer) -> AsyncGenerator[str, None]:
        """The reply in pieces; afterwards the conversation is kept."""
        spoken = Spoken()
        with answer.stages.timed("respond"):
            async with aclosing(self._voice.speak(answer.facts, answer.history, spoken, answer.stages)) as pieces:
                async for piece in pieces:
                    yield piece
            answer.engine = spoken.engine
            await self._remember(turn, answer, spoken.text)

    async def relive(self, turn: ChatTurn) -> None:
        """An earlier message of a history that we were not there for: answered silently, so that "it" has a meaning."""
        answer = await self.answer(turn)
        await self._remember(turn, answer, render_reply(answer.facts))

    def close(self) -> None:
        self._workers.shutdown(wait=True, cancel_futures=True)

    def _understand(self, turn: ChatTurn) -> tuple[Situation, History]:
        turns = self._conversations.turns(turn.conversation_id)
        history = tuple(ChatMessage(said.role, said.text) for said in turns[-RECALLED:])
        with self._live.read() as indexes:
            return read(turn.text, turn.ignore, turns, indexes.catalogue), history

    def _retrieve(self, turn: ChatTurn, situation: Situation) -> Ranking | None:
        """None where the move needs no products, or only ones that were shown already."""
        if (recommendation := wanted(situation, turn.user_id, turn.session_id)) is not None:
            return self._recommender.recommend(replace(recommendation, limit=SHOWN))
        if (query := search_query(situation)) is not None:
            return self._searcher.search([query])[0]
        return None

    def _rank(self, turn: ChatTurn, situation: Situation, ranking: Ranking) -> Ranking:
        personal = self._recommender.personalised(ranking, turn.user_id, turn.session_id)
        return replace(personal, items=personal.items[:SHOWN])

    def _interests(self, turn: ChatTurn) -> list[Interest]:
        return self._recommender.interests(turn.user_id) if turn.user_id else []

    def _facts(
        self, situation: Situation, ranking: Ranking | None, interests: list[Interest], degraded: list[str]
    ) -> ReplyFacts:
        with self._live.read() as indexes:
            return facts_of(situation, ranking, interests, degraded, indexes.catalogue, self._settings.shop_name)

    async def _remember(self, turn: ChatTurn, answer: Answer, text: str) -> None:
        shown = tuple(item.product.id for item in answer.facts.products)
        state = answer.situation.after(shown).to_json()
        turns = [Turn("user", turn.text), Turn("assistant", text, shown, state)]
        keep = self._conversations.append_turns
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._workers, keep, turn.conversation_id, turn.user_id, turns)
        except TastelineError as error:
            # The answer has been given already; only the next "it" will not be understood.
            log.warning("conversation_not_kept", error=type(error).__name__)
            answer.stages.degraded.append("remember")
