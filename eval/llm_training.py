"""`tasteline train llm`: the shop's own prompts in, a tuned language model and what it brings out.

Takes settings and what the command line says; makes chats as the service sends them, trains, measures how likely the
wanted answers have become about people, products and moments that no training saw, and makes the model live where they
have. `tasteline eval assistant` tells what the service gains by it. The one place where chats, trainer and registry
meet.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import get_args

import numpy as np

from eval.beginnings import base_folder, base_named
from eval.chat_rows import ChatsAsked, chats_at, write_chats
from eval.lora_entry import Hearing, Lesson, drawn, learned, registered
from eval.measured import Measured, Slice, SystemResult
from eval.own_shop import brought_up_to_date, erasures
from finetune.chats.parts import Part
from finetune.examples import ChatExample, Task, read_examples
from finetune.llm import log_likelihoods
from finetune.lora.adapter import MERGED
from finetune.lora.settings import LlmSettings, read_settings
from retrieval.adapters.weights import language_model_folder
from retrieval.registry import Entry
from tasteline.errors import InvalidInput
from tasteline.settings import Settings

BASE, TUNED = "base", "tuned"
MAIN_METRIC = "log_likelihood"
PROTOCOL = (
    "prompts as the service sends them, about people, products and moments that no training saw; log_likelihood is the "
    "mean over the tokens of the wanted answer, larger is better"
)
TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True, slots=True)
class LlmTrainingAsked:
    """What the command line says."""

    data: Path | None = None
    """Imported into the shop first."""
    currency: str | None = None
    base: str | None = None
    """Folder, hub id, or id of a model of this registry; None: the language model of the settings."""
    file: Path | None = None
    """TOML of settings for the job."""
    assignments: tuple[str, ...] = ()
    """name=value, which overrule the file."""
    tasks: tuple[Task, ...] = TASKS
    rows: int = 96
    """To learn from, at most; drawn by chance, from each task as many."""
    measured: int = 40
    seed: int = 0
    promote: bool = True


def tasks_of(names: str | None) -> tuple[Task, ...]:
    """
    >>> tasks_of("judging, wording")
    ('judging', 'wording')
    """
    named = [name.strip() for name in names.split(",")] if names else list(TASKS)
    if unknown := [name for name in named if name not in TASKS]:
        raise InvalidInput(f"there is no task {unknown[0]!r}; there are {', '.join(TASKS)}", field="tasks")
    return tuple(task for task in TASKS if task in named)


def train_language_model(
    asked: LlmTrainingAsked, settings: Settings, hearing: Hearing
) -> tuple[dict[str, object], Entry, bool]:
    """The table as a result mapping, the registered model, and whether it is live now.

    A job that was broken off goes on with the same command. Raises InvalidInput for settings that do not exist and
    where no chat can be made, MissingExtra where the base is not there.
    """
    asked = replace(asked, base=base_named(settings.home, asked.base))
    chosen = read_settings(LlmSettings(seed=asked.seed), asked.file, asked.assignments)
    brought_up_to_date(settings, asked.data, asked.currency, hearing.told, hearing.embedding)
    known = erasures(settings)
    began = base_folder(settings.home, asked.base) or settings.language_model_name
    base = language_model_folder(began, settings.home / "models")

    def rows() -> tuple[tuple[ChatExample, ...], tuple[ChatExample, ...], dict[str, str]]:
        hearing.told("chats")
        write_chats(settings, ChatsAsked(seed=asked.seed))
        train = _rows(settings.home, "train", asked.rows, asked)
        hearing.told(f"llm learns from {len(train):,} chats")
        return train, _rows(settings.home, "valid", asked.measured, asked), {}

    made = f"{asked.tasks} {asked.rows} {asked.measured} {asked.seed}"
    with learned(settings.home, "llm", base, chosen, made, rows, hearing) as (folder, outcome):
        hearing.told("measuring")
        train, valid = (list(read_examples(folder / f"{part}.jsonl", ChatExample)) for part in get_args(Part))
        report = _measured((base, str(folder / MERGED)), valid, chosen, settings, asked.seed)
        lesson = _lesson(asked, train, chosen, settings, outcome.seconds, known)
        entry, live = registered(
            folder, lesson, report, settings, system=TUNED, baseline=BASE, metric=MAIN_METRIC, promote=asked.promote
        )
    return report, entry, live


def _rows(home: Path, part: Part, most: int, asked: LlmTrainingAsked) -> tuple[ChatExample, ...]:
    """Of each task as many as of the others, where there are so many."""
    found: dict[Task, list[ChatExample]] = {task: [] for task in asked.tasks}
    for row in read_examples(chats_at(home, part), ChatExample):
        if row.task in found:
            found[row.task].append(row)
    each = -(-most // max(1, len(found)))
    rows = tuple(row for of_task in found.values() for row in drawn(of_task, each, asked.seed))
    if not rows:
        raise InvalidInput("no chat can be made of this shop; import products and events first")
    return rows


def _measured(
    models: tuple[str, str], valid: Sequence[ChatExample], chosen: LlmSettings, settings: Settings, seed: int
) -> dict[str, object]:
    """`models`: the base and the tuned one."""
    started = time.perf_counter()
    base, tuned = (log_likelihoods(model, valid, chosen) for model in models)
    kept: list[int] = np.flatnonzero(~np.isnan(base)).tolist()
    codes = np.array([TASKS.index(valid[place].task) for place in kept])
    return Measured(
        task="llm",
        dataset=settings.home.resolve().name,
        checksum=_checksum(valid),
        protocol=PROTOCOL,
        cases=tuple(f"{valid[place].task} {place}" for place in kept),
        systems={
            BASE: SystemResult({MAIN_METRIC: base[kept].astype(np.float64)}),
            TUNED: SystemResult({MAIN_METRIC: tuned[kept].astype(np.float64)}),
        },
        slices=[Slice("task", TASKS, codes)],
        seed=seed,
        seconds=time.perf_counter() - started,
        reference=TUNED,
    ).as_mapping()


def _lesson(
    asked: LlmTrainingAsked,
    train: Sequence[ChatExample],
    chosen: LlmSettings,
    settings: Settings,
    seconds: float,
    known: int,
) -> Lesson:
    return Lesson(
        kind="llm",
        checksum=_checksum(train),
        people={row.user_id for row in train if row.user_id is not None},
        products=0,
        rows=len(train),
        settings={"tasks": asked.tasks, "rows": asked.rows, **asdict(chosen)},
        base=asked.base or settings.language_model_name,
        seed=asked.seed,
        seconds=seconds,
        erasures=known,
    )


def _checksum(rows: Sequence[ChatExample]) -> str:
    return sha256("\0".join(f"{row.messages}\0{row.answer}" for row in rows).encode()).hexdigest()
