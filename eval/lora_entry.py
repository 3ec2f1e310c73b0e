"""From a LoRA job to an entry of the registry: the folder that it is written to, its card, and whether it becomes live.

Takes what was trained and the report of how it was measured; shared by `eval.search_training` and `eval.llm_training`.
Knows no trainer.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from eval.own_shop import Told, erasures
from eval.results import DISTRIBUTION, commit_of, machine
from eval.served import Progress
from finetune.lora.adapter import ADAPTER, MERGED
from finetune.lora.folder import JOB, Rows, finished, is_prepared, prepare, run
from finetune.lora.hardware import require_device
from finetune.lora.job import Outcome, Step
from finetune.lora.settings import Kind, LoraSettings
from finetune.question_sets import FOLDER
from finetune.training import Epoch
from retrieval.model_card import Comparison, ModelCard, ModelKind, Scalar, TrainingData, new_id
from retrieval.registry import Entry, Registry
from tasteline.errors import InvalidInput, Overloaded, TransientError
from tasteline.settings import Settings

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Hearing:
    """Who is told how far a training is."""

    told: Told
    epoch: Callable[[str, Epoch], None] = lambda part, epoch: None
    step: Callable[[Step], None] = lambda step: None
    embedding: Progress | None = None


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a card says of a training."""

    kind: ModelKind
    checksum: str
    """Of the rows."""
    people: AbstractSet[str]
    products: int
    rows: int
    settings: Mapping[str, object]
    """Flat."""
    base: str
    seed: int
    seconds: float
    erasures: int
    """People who had been erased before it began."""
    kept: int
    """The epoch whose weights it has; 0: nothing that was learned was better than the base."""


def drawn(rows: Sequence[Row], most: int, seed: int) -> tuple[Row, ...]:
    """At most so many, by chance, in the order given."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:most])
    return tuple(rows[place] for place in chosen)


@contextmanager
def learned(
    home: Path,
    kind: Kind,
    base: str,
    settings: LoraSettings,
    made: str,
    rows: Callable[[], tuple[Rows, Rows, Mapping[str, str], Rows]],
    hearing: Hearing,
) -> Iterator[tuple[Path, Outcome]]:
    """The folder of a trained model, called as the entry will be: vectors and graphs made of it are found again after
    promotion. `rows`: to learn from, to stop by, texts of products, and rows for the verdict; not asked for where a job
    that was broken off, of the same settings and with rows `made` in the same way, goes on with those that it had. One
    that had learned to its end is only measured again. The folder goes when all went well, and where somebody of its
    rows is erased.

    Raises TransientError for the latter, Overloaded where another training of the kind runs on this home, SetupError
    where there is no such device.
    """
    if not settings.workers:
        require_device(settings)
    with _alone(home, kind):
        folder = home / FOLDER / f"training-{kind}"
        begun = [path.parent for path in sorted((home / FOLDER).glob(f"*/{JOB}")) if _is_of(path, kind)]
        same = next((each for each in begun if is_prepared(each, kind, base, settings, made)), None)
        for other in begun:
            if other != same:
                hearing.told(f"an unfinished training of {kind} with other settings or rows is thrown away")
                shutil.rmtree(other)
        if same is None:
            train, valid, texts, verdict = rows()
            prepare(folder, kind, base, settings, train, valid, texts, made, verdict)
        else:
            folder = same
            hearing.told(f"goes on with the training of {kind} that was broken off")
        begun_at = folder

        def step(done: Step) -> None:
            if not (begun_at / JOB).is_file():
                raise _somebody_erased(kind)
            hearing.step(done)

        try:
            outcome = finished(folder) or run(folder, settings, lambda epoch: hearing.epoch(kind, epoch), step)
            if folder.name == f"training-{kind}":
                folder = folder.rename(folder.with_name(new_id(datetime.now(UTC), secrets.token_hex(3))))
            yield folder, outcome
        except Exception as error:
            if (folder / JOB).is_file():
                raise
            shutil.rmtree(folder, ignore_errors=True)  # what was written after it had gone
            raise _somebody_erased(kind) from error
        shutil.rmtree(folder, ignore_errors=True)


def _somebody_erased(kind: Kind) -> TransientError:
    return TransientError(f"somebody was erased from whom this training of {kind} learned; start it again")


@contextmanager
def _alone(home: Path, kind: Kind) -> Iterator[None]:
    """Ends with the process, however that ends."""
    lock_file = home / "models" / f"training-{kind}.lock"
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Overloaded(f"another training of {kind} runs on {home}; wait for its end, or stop it") from error
        yield


def _is_of(job: Path, kind: Kind) -> bool:
    return bool(json.loads(job.read_text(encoding="utf-8"))["kind"] == kind)


def registered(
    folder: Path,
    lesson: Lesson,
    report: Mapping[str, object],
    settings: Settings,
    *,
    system: str,
    baseline: str,
    metric: str,
    promote: bool,
    before: str,
) -> tuple[Entry, bool]:
    """The entry, and whether it is live: where `promote`, it has learned something, and `system` is not behind
    `baseline`, which is the model `before` ("": the shop without one), and still live.

    Where somebody was erased while it learned it is withdrawn for good.
    """
    registry, commit = Registry(settings.home), commit_of(Path(__file__).parent)
    comparison = comparison_of(report, baseline, metric, before)
    home = settings.home.resolve().name
    card = ModelCard(
        id=folder.name,
        kind=lesson.kind,
        created=datetime.now(UTC),
        data=TrainingData(home, lesson.checksum, len(lesson.people), lesson.products, lesson.rows),
        settings={name: _scalar(value) for name, value in lesson.settings.items()},
        metrics=cast(Mapping[str, Mapping[str, float | None]], report["systems"]),
        system=system,
        main_metric=metric,
        split="test",
        seconds=round(lesson.seconds, 1),
        seed=lesson.seed,
        machine=machine(),
        version=metadata.version(DISTRIBUTION),
        commit=commit.sha if commit else None,
        dirty=commit.dirty if commit else False,
        base=lesson.base,
        notes="" if lesson.kept else "Nothing that was learned was better than the base: this is the base.",
        comparison=comparison,
    )
    entry = registry.register(card, lambda into: _moved(folder, into), lesson.people)
    if erasures(settings) != lesson.erasures:
        registry.disown(entry)
        return entry, False
    return entry, promote and lesson.kept > 0 and promoted(registry, entry)


def promoted(registry: Registry, entry: Entry) -> bool:
    """Whether it is live now: not where it is behind, nor where something else became live meanwhile."""
    try:
        registry.promote(entry.id)
    except InvalidInput:
        return False
    return True


def live_id(settings: Settings, kind: ModelKind) -> str:
    """Of the model that is live; "" where none is."""
    live = Registry(settings.home).live(kind)
    return live.id if live else ""


def comparison_of(report: Mapping[str, object], baseline: str, metric: str, before: str) -> Comparison:
    """The row of a report's comparisons; `before`: id of the model that was live."""
    rows = cast(Sequence[Mapping[str, object]], report["comparisons"])
    row = next(each for each in rows if each["baseline"] == baseline and each["metric"] == metric)
    low, high = cast(Sequence[float], row["interval"])
    return Comparison(before, metric, cast(float, row["difference"]), low, high, cast(float, row["p"]))


def _moved(folder: Path, into: Path) -> None:
    for part in (ADAPTER, MERGED):
        shutil.move(folder / part, into / part)


def _scalar(value: object) -> Scalar:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else cast(Scalar, value)
