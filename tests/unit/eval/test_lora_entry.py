"""A training that is broken off anywhere goes on where it was, keeps its work, and is alone on its home."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eval.lora_entry import Hearing, learned
from finetune.examples import Question
from finetune.lora.folder import Rows
from finetune.lora.settings import EncoderSettings
from retrieval.adapters.store_sql import SqlStore
from retrieval.erasure import erase_person
from tasteline.errors import Overloaded, SetupError, TransientError
from tests.unit.finetune.test_reranker import QUESTIONS, TEXTS
from tests.unit.tiny_models import make_encoder

SETTINGS = EncoderSettings(device="cpu", precision="float32", epochs=1, batch=8)


class BrokenOff(Exception):
    pass


@dataclass
class Training:
    """What a trainer would be told, and how often it was asked for rows and for an epoch."""

    home: Path
    base: str
    asked: int = 0
    epochs: int = 0
    heard: list[str] = field(default_factory=list)

    def rows(self) -> tuple[Rows, Rows, Mapping[str, str], Rows]:
        self.asked += 1
        rows: list[Question] = list(QUESTIONS)
        return rows, rows[:4], TEXTS, rows[4:6]

    def _epoch(self, *_: object) -> None:
        self.epochs += 1

    def run(self, settings: EncoderSettings = SETTINGS, made: str = "", measuring: Exception | None = None) -> str:
        """The name of the folder; `measuring` breaks it off after the learning."""
        hearing = Hearing(self.heard.append, self._epoch)
        with learned(self.home, "encoder", self.base, settings, made, self.rows, hearing) as (folder, _):
            assert (folder / "merged" / "modules.json").is_file()
            assert len((folder / "verdict.jsonl").read_text().splitlines()) == 2
            if measuring is not None:
                raise measuring
            return folder.name

    def left(self) -> list[str]:
        return sorted(path.name for path in (self.home / "datasets").iterdir() if path.is_dir())


@pytest.fixture
def training(tmp_path: Path) -> Training:
    make_encoder(tmp_path / "tiny-encoder")
    return Training(tmp_path / "home", str(tmp_path / "tiny-encoder"))


def test_nothing_is_left_when_all_went_well(training: Training) -> None:
    training.run()
    assert training.left() == []


def test_what_was_learned_is_measured_and_not_learned_again(training: Training) -> None:
    with pytest.raises(BrokenOff):
        training.run(measuring=BrokenOff())
    kept = training.left()
    assert len(kept) == 1
    epochs = training.epochs
    assert epochs > 0
    assert training.run() == kept[0]  # what measuring has embedded is found again by this name
    assert (training.asked, training.epochs, training.left()) == (1, epochs, [])
    assert any("goes on" in line for line in training.heard)


@pytest.mark.parametrize(
    ("settings", "made"), [(replace(SETTINGS, rank=4), ""), (SETTINGS, "of a newer catalogue")], ids=["rank", "rows"]
)
def test_another_job_begins_anew_and_says_so(training: Training, settings: EncoderSettings, made: str) -> None:
    with pytest.raises(BrokenOff):
        training.run(measuring=BrokenOff())
    training.run(settings, made)
    assert (training.asked, training.left()) == (2, [])
    assert any("thrown away" in line for line in training.heard)


def test_how_often_a_checkpoint_is_written_makes_no_other_job(training: Training) -> None:
    with pytest.raises(BrokenOff):
        training.run(measuring=BrokenOff())
    training.run(replace(SETTINGS, checkpoint_seconds=7.0))
    assert training.asked == 1


def test_two_trainings_of_a_kind_do_not_share_a_home(training: Training) -> None:
    hearing = Hearing(training.heard.append)
    with (
        learned(training.home, "encoder", training.base, SETTINGS, "", training.rows, hearing),
        pytest.raises(Overloaded, match="another training of encoder runs"),
    ):
        training.run()


@pytest.mark.parametrize("when", ["learning", "measuring"])
def test_where_somebody_is_erased_whose_rows_it_has_nothing_of_it_is_left(training: Training, when: str) -> None:
    def erase(*_: object) -> None:
        with closing(SqlStore(f"sqlite:///{training.home / 'tasteline.db'}")) as store:
            erased = erase_person(training.home, store, lambda home: store, "anna")
        if erased.caches:
            (training.home / erased.caches[0]).mkdir(exist_ok=True)
            (training.home / erased.caches[0] / "checkpoint").write_text("written after it had gone")

    def rows() -> tuple[Rows, Rows, Mapping[str, str], Rows]:
        theirs = replace(QUESTIONS[0], user_id="anna", time=datetime(2026, 3, 1, tzinfo=UTC))
        return [theirs, *QUESTIONS[1:]], list(QUESTIONS[:4]), TEXTS, []

    hearing = Hearing(training.heard.append, step=erase if when == "learning" else lambda step: None)

    def learn() -> None:
        with learned(training.home, "encoder", training.base, SETTINGS, "", rows, hearing) as (folder, _):
            assert when == "measuring"
            erase()
            (folder / "merged").rename(training.home / "merged")

    with pytest.raises(TransientError, match="somebody was erased"):
        learn()
    assert training.left() == []


def test_a_checkpoint_that_is_being_written_is_no_leftover(training: Training) -> None:
    def erase(*_: object) -> None:
        (training.home / "datasets/training-encoder/checkpoint.tmp").write_text("half")
        with closing(SqlStore(f"sqlite:///{training.home / 'tasteline.db'}")) as store:
            assert erase_person(training.home, store, lambda home: store, "anna").caches == ()
        assert (training.home / "datasets/training-encoder/checkpoint.tmp").is_file()

    hearing = Hearing(training.heard.append, step=erase)
    with learned(training.home, "encoder", training.base, SETTINGS, "", training.rows, hearing) as (folder, _):
        assert (folder / "merged").is_dir()


def test_a_gpu_that_is_not_there_is_missed_before_rows_are_made(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SetupError, match="no GPU here"):
        training.run(replace(SETTINGS, device="gpu"))
    assert training.asked == 0
