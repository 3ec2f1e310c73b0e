"""What the assistant may ask a language model for, task by task; each answers without one as well."""

from __future__ import annotations

from dataclasses import dataclass

from app.agent.interest_words import InterestWriter
from app.agent.judging import Judge
from app.agent.understanding import Understanding
from app.agent.voice import Voice

TASK_SECONDS = 2.0
"""For each task before the reply begins: the shopper waits, and the rules' own reading is there already."""


@dataclass(frozen=True, slots=True)
class ModelTasks:
    understanding: Understanding
    judge: Judge
    writer: InterestWriter
    voice: Voice
