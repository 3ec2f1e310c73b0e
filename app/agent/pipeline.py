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

from app.agent.situation import ASKS_BACK, ChatTurn, Situation, facts_of, first_look, put_to, read, search_query, wanted
from app.agent.stages import Stages
from app.agent.tasks import TASK_SECONDS, ModelTasks, TasksOf
from app.agent.voice import TEMPLATES, Spoken
from app.telemetry import Metrics
from prompts.facts import ReplyFacts
from prompts.judging import taste_of
from prompts.reply import follow_ups, render_reply
from retrieval.live import LiveIndex
from retrieval.newcomers import Newcomers
from retrieval.recommend import Recommender
from retrieval.search import Searcher
from retrieval.welcome import Question
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


@dataclass(slots=True)
class Answer:
    """What is known before the reply is spoken; `stages` and `engine` are complete once it has been."""

    facts: ReplyFacts
    ranking: Ranking | None
    situation: Situation
    stages: Stages
    tasks: ModelTasks
    """Of one language model, for the whole of the answer."""
    interests: list[Interest] = field(default_factory=list)
    follow_ups: tuple[str, ...] = ()
    history: History = ()
    """What was said before, oldest first."""
    heard: tuple[str, ...] = ()
    """What the language model was asked about the message, and what was taken of its reading."""
    question: Question | None = None
    """What a newcomer is asked in return."""
    engine: str = TEMPLATES


class Assistant:
    def __init__(
        self,
        conversations: ConversationStore,
        live: LiveIndex,
        searcher: Searcher,
        recommender: Recommender,
        newcomers: Newcomers,
        tasks: TasksOf,
        metrics: Metrics,
        settings: Settings,
    ) -> None:
        self._conversations = conversations
        self._live = live
        self._searcher = searcher
        self._recommender = recommender
        self._newcomers = newcomers
        self._tasks = tasks
        self._metrics = metrics
        self._settings = settings
        self._workers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="assistant")

    async def answer(self, turn: ChatTurn) -> Answer:
        """Everything but the words. A stage that fails or is late leaves its name in `degraded`."""
        stages = Stages(time.monotonic() + self._settings.deadline_seconds, self._workers, self._metrics)
        unread: tuple[Situation, History] = (first_look(turn.text), ())
        situation, history = await stages.run("understand", lambda: self._understand(turn), unread)
        tasks = self._tasks(turn.user_id, turn.session_id)
        reading = tasks.understanding.completed(situation, min(TASK_SECONDS, stages.left))
        situation, heard = await stages.wait("listen", reading, (situation, ()))
        wish = await self._wish(turn, situation, tasks, stages)
        depth = tasks.judge.depth(SHOWN)
        ranking = await stages.run("retrieve", lambda: self._retrieve(turn, situation, wish, depth, stages), None)
        if ranking is not None:
            found = ranking
            stages.degraded += found.degraded
            ranking = await stages.run("rank", lambda: self._rank(turn, found), found)
            ranking = await self._judged(ranking, turn, " ".join(situation.state.fragments), tasks, stages)
        nothing_known: list[Interest] = []
        interests = await stages.run("interests", lambda: self._interests(turn), nothing_known)
        asks = situation.move.intent in ASKS_BACK
        question = await stages.run("ask", lambda: self._asked_back(turn, situation), None) if asks else None
        facts = self._facts(situation, ranking, interests, stages.degraded)
        facts = replace(facts, question=put_to(question), chosen=situation.chosen)
        return Answer(facts, ranking, situation, stages, tasks, interests, follow_ups(facts), history, heard, question)

    async def speak(self, turn: ChatTurn, answer: Answer) -> AsyncGenerator[str, None]:
        """The reply in pieces; afterwards the conversation is kept."""
        spoken = Spoken()
        with answer.stages.timed("respond"):
            written = answer.tasks.voice.speak(answer.facts, answer.history, spoken, answer.stages)
            async with aclosing(written) as pieces:
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
            situation = read(turn.text, turn.ignore, turns, indexes.catalogue)
        state = replace(situation.state, answers=self._newcomers.known(situation.state.answers))
        return replace(situation, state=state), history

    def _asked_back(self, turn: ChatTurn, situation: Situation) -> Question | None:
        """The question that tells most of somebody who has done nothing yet and does not know what they want."""
        known = self._recommender.recent(turn.user_id, turn.session_id, limit=1)
        return None if known else self._newcomers.question(situation.state.answers)

    async def _wish(self, turn: ChatTurn, situation: Situation, tasks: ModelTasks, stages: Stages) -> str:
        """A short history in words, which propose products where there is little else to go by."""
        if situation.move.intent != "recommend":
            return ""
        wish = tasks.writer.wish(turn.user_id, turn.session_id, min(TASK_SECONDS, stages.left))
        return await stages.wait("describe", wish, "")

    async def _judged(self, ranking: Ranking, turn: ChatTurn, said: str, tasks: ModelTasks, stages: Stages) -> Ranking:
        """The short list in the model's order, where it is asked for its opinion; then what is shown of it.

        In an experiment with language models a chat counts for that one alone: docs/adr/0018.
        """
        if tasks.judge.asked:
            need = said or await stages.run("need", lambda: self._need(turn), "")
            judging = tasks.judge.order(ranking, need, min(TASK_SECONDS, stages.left))
            judged = await stages.wait("judge", judging, ranking)
            stages.degraded += [name for name in judged.degraded if name not in ranking.degraded]
            ranking = judged
        return replace(ranking, items=ranking.items[:SHOWN], trial=tasks.trial or ranking.trial)

    def _need(self, turn: ChatTurn) -> str:
        """What a person wants, as the titles of what they touched last."""
        return taste_of(self._recommender.recent(turn.user_id, turn.session_id))

    def _retrieve(self, turn: ChatTurn, situation: Situation, wish: str, depth: int, stages: Stages) -> Ranking | None:
        """None where the move needs no products, or only ones that were shown already."""
        if (recommendation := wanted(situation, turn.user_id, turn.session_id)) is not None:
            return self._recommender.recommend(replace(recommendation, limit=depth, wish=wish))
        if (query := search_query(situation, turn.user_id)) is not None:
            return self._searcher.search([replace(query, deadline=stages.deadline)])[0]
        return None

    def _rank(self, turn: ChatTurn, ranking: Ranking) -> Ranking:
        return self._recommender.personalised(ranking, turn.user_id, turn.session_id)

    def _interests(self, turn: ChatTurn) -> list[Interest]:
        return self._recommender.interests(turn.user_id) if turn.user_id else []

    def _facts(
        self, situation: Situation, ranking: Ranking | None, interests: list[Interest], degraded: list[str]
    ) -> ReplyFacts:
        with self._live.read() as indexes:
            return facts_of(situation, ranking, interests, degraded, indexes.catalogue, self._settings.shop_name)

    async def _remember(self, turn: ChatTurn, answer: Answer, text: str) -> None:
        shown = tuple(item.product.id for item in answer.facts.products)
        state = answer.situation.after(shown, answer.question).to_json()
        turns = [Turn("user", turn.text), Turn("assistant", text, shown, state)]
        keep = self._conversations.append_turns
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._workers, keep, turn.conversation_id, turn.user_id, turns)
        except TastelineError as error:
            # The answer has been given already; only the next "it" will not be understood.
            log.warning("conversation_not_kept", error=type(error).__name__)
            answer.stages.degraded.append("remember")
