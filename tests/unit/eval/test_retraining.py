"""What is trained in the place of a withdrawn model: of each kind by its own trainer, as the card says."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval import retraining
from eval.forecast_training import ForecastTrainingAsked
from eval.llm_training import LlmTrainingAsked
from eval.lora_entry import Hearing
from eval.retraining import trained_anew
from finetune.lora.settings import LlmSettings, read_settings
from retrieval.registry import Entry, Registry
from tasteline.settings import Settings
from tests.unit.retrieval.trained import card, writing

HEARING = Hearing(lambda step: None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, _env_file=None)  # type: ignore[call-arg]


def heard(monkeypatch: pytest.MonkeyPatch, trainer: str) -> list[object]:
    asked: list[object] = []

    def train(what: object, *rest: object) -> tuple[object, Entry, bool]:
        asked.append(what)
        made = card(9)
        return {}, Entry(Path(made.id), made, "candidate"), False

    monkeypatch.setattr(retraining, trainer, train)
    return asked


def test_a_language_model_keeps_tasks_rows_and_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = heard(monkeypatch, "train_language_model")
    chosen = {"tasks": "judging, wording", "rows": 70, "rank": 4, "max_length": 512, "seed": 3}
    gone = card(0, kind="llm", settings=chosen, base="embedded")
    assert trained_anew(gone, settings, HEARING) == card(9).id
    (what,) = asked
    assert isinstance(what, LlmTrainingAsked)
    assert (what.tasks, what.rows, what.seed, what.base) == (("judging", "wording"), 70, gone.seed, None)
    read = read_settings(LlmSettings(), assignments=what.assignments)
    assert (read.rank, read.max_length) == (4, 512)


def test_another_base_is_begun_from_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = heard(monkeypatch, "train_language_model")
    trained_anew(card(0, kind="llm", settings={}, base="some/hub-id"), settings, HEARING)
    assert [what.base for what in asked if isinstance(what, LlmTrainingAsked)] == ["some/hub-id"]


def test_a_withdrawn_base_is_not_begun_from_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, registry = heard(monkeypatch, "train_language_model"), Registry(settings.home)
    first = registry.register(card(0, kind="llm", base="embedded"), writing(), ["anna"])
    gone = card(1, kind="llm", settings={}, base=str(first.folder / "merged"))
    registry.withdraw("llm", [first.id])
    trained_anew(gone, settings, HEARING)
    assert [what.base for what in asked if isinstance(what, LlmTrainingAsked)] == [None]


def test_a_forecast_is_trained_from_the_store_and_offers_are_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = heard(monkeypatch, "train_shop_forecast")
    assert trained_anew(card(0, kind="forecast"), settings, HEARING) == card(9).id
    assert asked == [ForecastTrainingAsked(seed=card(0).seed)]
    assert trained_anew(card(0, kind="offers"), settings, HEARING) is None
