"""The doctor tries every part, says what is wrong with one and goes on with the next."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from app import engines, indexing
from app.doctor import Finding, examine
from retrieval.experiment import Experiments
from retrieval.models.ranker_files import write_ranker
from retrieval.registry import Registry
from tasteline.errors import MissingExtra
from tasteline.settings import Settings
from tasteline.types import Product
from tests.unit.retrieval.models.small_ranker import network, ranker, stored
from tests.unit.retrieval.trained import card, damage, registered

KINDS = [f"{kind} model" for kind in ("next-item", "encoder", "reranker", "llm", "forecast", "offers")]
PARTS = ["home", "store", "embedder", "index", "language model", *KINDS, "listening"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    values = {"embedder": "hashing", "language_model": "none", "vector_index": "numpy"}
    return Settings(home=tmp_path / "home", _env_file=None, **values)  # type: ignore[arg-type, call-arg]


def findings(settings: Settings) -> dict[str, Finding]:
    found = examine(settings)
    assert [finding.part for finding in found] == PARTS
    assert all(finding.detail and "\n" not in finding.detail for finding in found)
    return {finding.part: finding for finding in found}


def test_a_new_home_is_well(settings: Settings) -> None:
    found = findings(settings)
    assert all(finding.ok for finding in found.values())
    assert found["index"].detail == "up to date"
    assert found["embedder"].detail == "hashing/256, 256 dimensions"
    assert found["language model"].detail == "none: replies are templates"
    assert found["listening"].detail == "127.0.0.1:8080, no key: loopback only"


def test_an_index_that_is_behind_is_well_but_told(settings: Settings) -> None:
    indexing.build_index(settings)
    store = engines.open_store(settings)
    store.put_products([Product("a", "Tent"), Product("b", "Kettle")])
    store.close()
    index = findings(settings)["index"]
    assert index.ok
    assert index.detail.startswith("2 changes behind")


def test_a_damaged_index_does_not_hide_the_rest(settings: Settings) -> None:
    indexing.build_index(settings)
    (settings.home / "index" / "current").write_text("elsewhere")
    found = findings(settings)
    assert [part for part, finding in found.items() if not finding.ok] == ["index"]
    assert "Run: tasteline index" in found["index"].detail


def test_a_missing_part_is_told_with_its_remedy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: Settings) -> None:
        raise MissingExtra("No weights.", remedy="make setup")

    monkeypatch.setattr(engines, "open_language_model", missing)
    found = findings(settings)
    assert (found["language model"].ok, found["language model"].detail) == (False, "No weights. Run: make setup")
    assert found["store"].ok


def test_a_home_that_cannot_be_made(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = findings(settings.model_copy(update={"home": tmp_path / "file"}))
    assert not found["store"].ok
    assert "TASTELINE_HOME" in found["store"].detail


def test_trained_models_are_told_with_the_next_step(settings: Settings) -> None:
    untrained = findings(settings)
    assert all(untrained[kind].detail.startswith("none: ") for kind in KINDS)
    assert "`tasteline train next-item`" in untrained["next-item model"].detail
    registry = Registry(settings.home)
    for number in range(2):
        registered(registry, number, kind="encoder")
    waiting = findings(settings)["encoder model"]
    assert waiting.detail == f"none of 2 is live; `tasteline models promote {card(1).id}` takes the newest"
    registry.promote(card(0).id)
    live = findings(settings)
    told = f"{card(0).id}, trained 2026-03-01 on tents-and-kettles (56,000 events)"
    assert (live["encoder model"].ok, live["encoder model"].detail) == (True, told)
    assert live["next-item model"].detail.startswith("none: ")


def test_an_experiment_is_told_with_both_models(settings: Settings) -> None:
    registry = Registry(settings.home)
    for number in range(2):
        entry = registered(registry, number, kind="llm")
    registry.promote(card(0).id)
    started = Experiments(settings.home).start(card(1).id, share=0.2)
    told = findings(settings)["llm model"].detail
    assert told.startswith(f"{card(0).id}, trained")
    assert told.endswith(f"; experiment {started.id} gives {card(1).id} to 20% of people")
    damage(entry)
    assert not findings(settings)["llm model"].ok
    Experiments(settings.home).stop("llm")
    assert "experiment" not in findings(settings)["llm model"].detail


@pytest.mark.parametrize("trained_with", ["hashing/256", "another"])
def test_a_ranker_trained_on_the_texts_of_another_embedder_is_told(settings: Settings, trained_with: str) -> None:
    small = replace(stored(ranker(network("transformer"), network("gru"))), embedder=trained_with)
    registry = Registry(settings.home)
    registry.promote(registry.register(card(0), lambda folder: write_ranker(small, folder)).id)
    found = findings(settings)["next-item model"]
    assert found.ok == (trained_with == "hashing/256")
    assert found.ok or "trained on texts embedded by another, the shop uses hashing/256" in found.detail


def test_a_damaged_model_is_told_with_its_remedy(settings: Settings) -> None:
    registry = Registry(settings.home)
    for number in range(2):
        damaged = registered(registry, number)
        registry.promote(damaged.id)
    damage(damaged)
    found = findings(settings)
    assert [part for part, finding in found.items() if not finding.ok] == ["next-item model"]
    assert "Run: tasteline models rollback next-item" in found["next-item model"].detail


def test_keys_are_counted_and_never_shown(settings: Settings) -> None:
    guarded = settings.model_copy(update={"api_keys": (SecretStr("hidden"),), "host": "0.0.0.0"})
    listening = findings(guarded)["listening"]
    assert listening.ok
    assert "1 key" in listening.detail
    assert "hidden" not in str(findings(guarded))


def test_listening_beyond_loopback_without_a_key_is_not_well(settings: Settings) -> None:
    assert not findings(settings.model_copy(update={"host": "0.0.0.0"}))["listening"].ok
