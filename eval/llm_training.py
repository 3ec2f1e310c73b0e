"""`tasteline train llm`: the shop's own prompts in, a tuned language model and what it brings out.

Takes settings and what the command line says; makes chats as the service sends them, trains, measures how likely the
wanted answers have become about people, products and moments that no training saw, and makes the model live where they
have. `tasteline eval assistant` tells what the service gains by it. The one place where chats, trainer and registry
meet.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias, get_args

import numpy as np

from eval.beginnings import base_folder, base_named
from eval.chat_rows import ChatsAsked, chats_at, write_chats
from eval.lora_entry import Hearing, Lesson, drawn, learned, registered
from eval.measured import Measured, Slice, SystemResult
from eval.own_shop import brought_up_to_date, erasures, revision
from finetune.chats.parts import Part
from finetune.examples import ChatExample, Task, read_examples
from finetune.llm import log_likelihoods
from finetune.lora.adapter import MERGED
from finetune.lora.job import Outcome
from finetune.lora.settings import LlmSettings, read_settings
from retrieval.adapters.weights import language_model_folder
from retrieval.registry import Entry, Registry
from tasteline.errors import InvalidInput
from tasteline.settings import Settings

BASE, LIVE, TUNED = "base", "live", "tuned"
VERDICT = "verdict.jsonl"
MAIN_METRIC = "log_likelihood"
PROTOCOL = (
    "prompts as the service sends them, about people, products and moments that no training saw or was stopped by, all "
    "of a person taken together; log_likelihood is the mean over the tokens of the wanted answer, larger is better"
)
TASKS: tuple[Task, ...] = get_args(Task)
Chats: TypeAlias = tuple[ChatExample, ...]


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
    """To stop by, and as many for the verdict."""
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

    def rows() -> tuple[Chats, Chats, dict[str, str], Chats]:
        hearing.told("chats")
        write_chats(settings, ChatsAsked(seed=asked.seed))
        train = _rows(settings.home, "train", asked.rows, asked)
        hearing.told(f"llm learns from {len(train):,} chats")
        valid, verdict = halves(_rows(settings.home, "valid", 2 * asked.measured, asked))
        return train, valid, {}, verdict

    before = Registry(settings.home).live("llm")
    baseline, weights = (LIVE, str(before.folder / MERGED)) if before else (BASE, base)
    made = f"{asked.tasks} {asked.rows} {asked.measured} {asked.seed} of {revision(settings)}"
    with learned(settings.home, "llm", base, chosen, made, rows, hearing) as (folder, outcome):
        hearing.told("measuring")
        train, verdict = (list(read_examples(folder / name, ChatExample)) for name in ("train.jsonl", VERDICT))
        models = {baseline: weights, TUNED: str(folder / MERGED)}
        report = _measured(models, verdict, chosen, settings, asked.seed)
        entry, live = registered(
            folder,
            _lesson(asked, train, chosen, settings, outcome, known),
            report,
            settings,
            system=TUNED,
            baseline=baseline,
            metric=MAIN_METRIC,
            promote=asked.promote,
            before=before.id if before else "",
        )
    return report, entry, live


def halves(rows: Sequence[ChatExample]) -> tuple[Chats, Chats]:
    """Those to stop by and those for the verdict, all of a person on one side. Raises InvalidInput for an empty one."""
    second = [sha256(_about(row).encode("utf-8", "surrogatepass")).digest()[0] % 2 == 1 for row in rows]
    sides = tuple(tuple(row for row, late in zip(rows, second, strict=True) if late == side) for side in (False, True))
    if not all(sides):
        raise InvalidInput(
            "too few chats are about people and products that are kept for measuring; import more products and events"
        )
    return sides[0], sides[1]


def _about(row: ChatExample) -> str:
    """Whom or what a row is about: rows about the same hang together."""
    return row.user_id if row.user_id is not None else row.messages[-1].content


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
    models: Mapping[str, str], rows: Sequence[ChatExample], chosen: LlmSettings, settings: Settings, seed: int
) -> dict[str, object]:
    """`models`: weights by the name in the table."""
    started = time.perf_counter()
    found = {name: log_likelihoods(weights, rows, chosen) for name, weights in models.items()}
    kept: list[int] = np.flatnonzero(~np.isnan(found[TUNED])).tolist()
    if not kept:
        raise InvalidInput(
            f"none of the {len(rows)} chats for the verdict fits into {chosen.max_length} tokens; --set max_length=…"
        )
    codes = np.array([TASKS.index(rows[place].task) for place in kept])
    about = np.unique([_about(rows[place]) for place in kept], return_inverse=True)[1]
    return Measured(
        task="llm",
        dataset=settings.home.resolve().name,
        checksum=_checksum(rows),
        protocol=PROTOCOL,
        cases=tuple(f"{rows[place].task} {place}" for place in kept),
        systems={name: SystemResult({MAIN_METRIC: values[kept].astype(np.float64)}) for name, values in found.items()},
        groups=about,
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
    outcome: Outcome,
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
        seconds=outcome.seconds,
        erasures=known,
        kept=outcome.kept,
    )


def _checksum(rows: Sequence[ChatExample]) -> str:
    return sha256("\0".join(f"{row.messages}\0{row.answer}" for row in rows).encode()).hexdigest()
