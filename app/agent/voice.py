"""How a reply is spoken: the template's lines, those of the first products in a language model's words where they hold.

Takes the facts of an answer, gives its text piece by piece. The opening line needs no model and leaves at once; then
the model writes about the products, and each sentence is checked before it leaves. A line that it does not get right
is the template's; when the engine is late or breaks in mid-sentence, all lines that are left are. Never raises for
anything that an engine does.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from app.agent.grounding import Grounding, Judged, sentences
from app.agent.stages import Stages
from app.llm.asking import Asker, EngineSilent
from app.telemetry import Metrics
from prompts import view
from prompts.facts import ReplyFacts
from prompts.prompt import Outcome, Prompt
from prompts.reply import render_parts
from prompts.wording import render_wording
from tasteline.types import ChatMessage

TEMPLATES = "templates"
WORDED = {"found", "refined", "more", "recommended", "similar", "complement"}
"""Kinds of answer in which a model may word the products; the others are facts alone."""
_MARKUP = re.compile(r"```|<\w+[ >]|</")
_NUMBER = re.compile(r"(?:\d+\. )?")


@dataclass(slots=True)
class Spoken:
    """What came of one reply; complete once it has been spoken."""

    text: str = ""
    engine: str = TEMPLATES
    """Which voice spoke, beside the templates'."""


@dataclass(slots=True)
class _Draft:
    """The products' lines while a model writes them anew, from the first to the last."""

    lines: list[str]
    """The template's, one by one replaced."""
    figures: list[str]
    grounding: Grounding
    wanted: int
    """Of how many products the model writes."""
    done: int = 0
    """Lines before this one are as they will be."""
    rest: str = ""
    """What was written and is no whole sentence yet."""
    verdicts: list[str] = field(default_factory=list)

    def take(self, piece: str, *, finished: bool) -> None:
        """More of what the model writes."""
        complete, self.rest = sentences(self.rest + piece)
        if finished:
            complete, self.rest = [*complete, self.rest], ""
        for raw in complete:
            judged = self.grounding.judge(raw)
            if judged.text:
                self.verdicts.append(judged.why or self._placed(judged))

    @property
    def markup(self) -> bool:
        """Code or a web page instead of sentences: no more of it is wanted."""
        return bool(_MARKUP.search(self.rest))

    def _placed(self, judged: Judged) -> str:
        """A line is about one product, by its name, and in the order in which they are shown."""
        if len(judged.about) != 1 or not self.done <= judged.about[0] < self.wanted:
            return "misplaced"
        place = judged.about[0]
        number = _NUMBER.match(self.lines[place])
        told = self.grounding.quotes_an_amount(judged) or not self.figures[place]
        self.lines[place] = (number.group() if number else "") + judged.text
        self.lines[place] += "" if told else f" {self.figures[place]}."
        self.done = place + 1
        return "kept"


class Voice:
    """`worded` is of how many products the model writes, `patience` how long a reply waits for it, in seconds."""

    def __init__(self, asker: Asker, metrics: Metrics, worded: int, patience: float) -> None:
        self._asker = asker
        self._metrics = metrics
        self._worded = worded
        self._patience = patience

    async def speak(
        self, facts: ReplyFacts, history: Sequence[ChatMessage], spoken: Spoken, stages: Stages
    ) -> AsyncGenerator[str, None]:
        """The reply in pieces, before the deadline of `stages`; `spoken` tells how it went."""
        parts = render_parts(facts)
        figures = [item.figures for item in view.views(facts.products)]
        wanted = min(self._worded, len(parts.items), len(figures)) if facts.kind in WORDED else 0
        draft = _Draft(list(parts.items), figures, Grounding(facts), wanted)
        for piece in _pieces(spoken, parts.opening):
            yield piece
        said = 0
        if wanted and self._asker.present:
            prompt = render_wording(facts, wanted, history)
            async with aclosing(self._write(prompt, draft, spoken, stages)) as steps:
                async for done in steps:
                    for piece in _pieces(spoken, *draft.lines[said:done]):
                        yield piece
                    said = done
        for piece in _pieces(spoken, *draft.lines[said:], parts.closing):
            yield piece

    async def _write(self, prompt: Prompt, draft: _Draft, spoken: Spoken, stages: Stages) -> AsyncGenerator[int, None]:
        """How many lines are done, each time that there is one more."""
        outcome: Outcome = "missing"
        try:
            async with aclosing(self._asker.stream(prompt, min(self._patience, stages.left))) as pieces:
                async for piece in pieces:
                    before = draft.done
                    draft.take(piece.text, finished=piece.finish is not None)
                    outcome = "ok" if draft.done else "wrong_format" if draft.verdicts else outcome
                    if draft.done > before:
                        spoken.engine = self._asker.name
                        yield draft.done
                    if draft.done == draft.wanted or draft.markup:
                        break
        except EngineSilent as silence:
            outcome = silence.outcome
            stages.degraded.append("wording")
        finally:
            self._asker.count(prompt, outcome)
            for verdict in draft.verdicts:
                self._metrics.sentences.labels(verdict).inc()


def _pieces(spoken: Spoken, *lines: str) -> Iterator[str]:
    """Words with the space that follows them, so that a reader sees the reply grow."""
    for line in filter(None, lines):
        words = f"\n{line}".split(" ") if spoken.text else line.split(" ")
        for piece in (*(word + " " for word in words[:-1]), words[-1]):
            spoken.text += piece
            yield piece
