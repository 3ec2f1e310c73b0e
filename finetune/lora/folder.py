"""A LoRA job as a folder: what is learned from lies in it, adapter and merged model come to lie in it.

Takes rows, texts of products, a base and settings; runs the trainer of the kind in this process, in several of this
machine (`processes`, started by accelerate), or in the workers of a cluster (`workers`, Ray Train). All of them read
the folder, and the first one writes. As a program, `python -m finetune.lora.folder FOLDER`, it is one such process. The
folder lies among the data sets, so that an erasure finds the rows of a person. Knows no store and no registry.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter

from finetune.encoder import TrainedEncoder, train_encoder
from finetune.examples import ChatExample, Question, read_examples, write_examples
from finetune.llm import TrainedLlm, train_llm
from finetune.lora.adapter import MERGED
from finetune.lora.hardware import Hardware
from finetune.lora.job import Outcome, Step
from finetune.lora.on_ray import on_cluster
from finetune.lora.settings import KINDS, EncoderSettings, Kind, LlmSettings, LoraSettings, RerankerSettings
from finetune.reranker import TrainedReranker, train_reranker
from finetune.training import Told
from tasteline.errors import EngineFailed

JOB, TEXTS, OUTCOME, CHECKPOINT = "job.json", "texts.json", "outcome.json", "checkpoint"
Rows = Sequence[Question] | Sequence[ChatExample]
Stepped = Callable[[Step], None]
_OUTCOME = TypeAdapter(Outcome)


def prepare(
    folder: Path,
    kind: Kind,
    base: str,
    settings: LoraSettings,
    train: Rows,
    valid: Rows,
    texts: Mapping[str, str] | None = None,
    made: str = "",
    verdict: Rows = (),
) -> None:
    """In the place of whatever lay there. `texts`: of products by id, for questions. `made`: how the rows were.

    `verdict`: rows that the trainer does not look at, for the measuring afterwards.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, rows in (("train", train), ("valid", valid), ("verdict", verdict)):
        write_examples(rows, ChatExample if kind == "llm" else Question, folder / f"{name}.jsonl")  # type: ignore[type-var]
    (folder / TEXTS).write_text(json.dumps(texts or {}), encoding="utf-8")
    (folder / JOB).write_text(
        _job(folder, kind, base, settings, made), encoding="utf-8"
    )  # last: now it can be gone on with


def is_prepared(folder: Path, kind: Kind, base: str, settings: LoraSettings, made: str = "") -> bool:
    """Was this very job broken off, and has nobody been erased from its rows since?

    How often a checkpoint is written makes no other job of it: that is then as `settings` say.
    """
    path = folder / JOB
    if not path.is_file():
        return False
    wanted = _job(folder, kind, base, settings, made)
    if same := _apart_from_checkpoints(path.read_text(encoding="utf-8")) == _apart_from_checkpoints(wanted):
        path.write_text(wanted, encoding="utf-8")
    return same


def finished(folder: Path) -> Outcome | None:
    """Of a job that has learned to its end; None where it has not."""
    path = folder / OUTCOME
    if not (path.is_file() and (folder / MERGED).is_dir()):
        return None
    return _OUTCOME.validate_python(json.loads(path.read_text()))  # with NaN, which JSON proper lacks


def run(
    folder: Path, settings: LoraSettings, told: Told = lambda epoch: None, stepped: Stepped = lambda step: None
) -> Outcome:
    """Learn what `prepare` put down; `folder` then has `adapter` and `merged`. Only a job of this process tells.

    Raises what the trainers and `on_cluster` raise, EngineFailed where processes of its own break.
    """
    if settings.workers:
        on_cluster(lambda: learn(folder.resolve()), settings)  # Ray's workers have working folders of their own
    elif settings.processes > 1:
        _launch(folder, settings)
    else:
        learn(folder, told, stepped)
    outcome = finished(folder)
    if outcome is None:
        raise EngineFailed(f"the training ended without a result in {folder}; do all its workers see that folder?")
    return outcome


def learn(folder: Path, told: Told = lambda epoch: None, stepped: Stepped = lambda step: None) -> None:
    """This process's part of the job; the first one writes the result."""
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    kind: Kind = job["kind"]
    settings = TypeAdapter(KINDS[kind]).validate_python(job["settings"])
    trained = _trained(folder, job["base"], settings, told, stepped)
    if Hardware.of(settings).accelerator.is_main_process:
        trained.write(folder)
        written = folder / f"{OUTCOME}.tmp"
        written.write_text(json.dumps(asdict(trained.outcome)))
        written.rename(folder / OUTCOME)  # last and at once: with it the job is finished


def _trained(
    folder: Path, base: str, settings: LoraSettings, told: Told, stepped: Stepped
) -> TrainedEncoder | TrainedReranker | TrainedLlm:
    checkpoint = folder / CHECKPOINT
    if isinstance(settings, LlmSettings):
        chats, valid_chats = (list(read_examples(folder / f"{name}.jsonl", ChatExample)) for name in ("train", "valid"))
        return train_llm(chats, base, settings, valid=valid_chats, told=told, stepped=stepped, checkpoint=checkpoint)
    train, valid = (list(read_examples(folder / f"{name}.jsonl", Question)) for name in ("train", "valid"))
    texts = json.loads((folder / TEXTS).read_text(encoding="utf-8"))
    if isinstance(settings, EncoderSettings):
        return train_encoder(
            train, texts, base, settings, valid=valid, told=told, stepped=stepped, checkpoint=checkpoint
        )
    assert isinstance(settings, RerankerSettings)
    return train_reranker(train, texts, base, settings, valid=valid, told=told, stepped=stepped, checkpoint=checkpoint)


def _job(folder: Path, kind: Kind, base: str, settings: LoraSettings, made: str) -> str:
    rows = sha256(b"".join((folder / f"{name}.jsonl").read_bytes() for name in ("train", "valid"))).hexdigest()
    return json.dumps({"kind": kind, "base": base, "settings": asdict(settings), "made": made, "rows": rows})


def _apart_from_checkpoints(job: str) -> dict[str, object]:
    read = json.loads(job)
    return {**read, "settings": {**read["settings"], "checkpoint_seconds": None}}


def _launch(folder: Path, settings: LoraSettings) -> None:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(settings.processes)]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command += ["--cpu"] if settings.device == "cpu" else []
    ended = subprocess.run([*command, "-m", "finetune.lora.folder", str(folder)], check=False)
    if ended.returncode:
        raise EngineFailed(f"a process of the training ended with {ended.returncode}; what it said is above")


def _told(epoch: object) -> None:
    sys.stderr.write(f"{epoch}\n")


if __name__ == "__main__":
    learn(Path(sys.argv[1]), _told)
