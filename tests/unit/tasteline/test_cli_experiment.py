"""`tasteline experiment` as a script would use it."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval.adapters.store_sql import SqlStore
from retrieval.experiment import Experiments
from retrieval.registry import Registry
from tasteline.trials import Arm, Trial
from tasteline.types import Event, EventType, Ranking
from tests.unit.retrieval.trained import card, registered
from tests.unit.tasteline.shell import Shell, failed

A, B = card(0).id, card(1).id


@pytest.fixture
def two(shell: Shell) -> Shell:
    """Two next-item models and two language models, the first of each live, an encoder, and a forecast."""
    registry = Registry(shell.home)
    for number, kind in enumerate(("next-item", "next-item", "encoder", "llm", "llm", "forecast")):
        registered(registry, number, kind=kind)
    registry.promote(A)
    registry.promote(card(3).id)
    return shell


def test_none_yet(two: Shell) -> None:
    assert "no experiment of next-item yet" in failed(two("experiment", "status", "next-item"), 2)
    assert "runs" in failed(two("experiment", "stop", "next-item"), 2)


def test_start_status_stop(two: Shell) -> None:
    told = two("experiment", "start", "next-item", B, "--share", "0.25", "--metric", "cart").out
    assert f"A {A} (live), B {B} for 25% of people" in told
    assert "runs already" in failed(two("experiment", "start", "next-item", B), 2)
    status = two("experiment", "status", "next-item").out
    assert "runs: A" in status
    assert "nobody yet" in status
    assert "cart decides: go on." in status
    assert two("experiment", "status", "next-item", "--json").json["verdict"] == "go on"
    assert two("experiment", "stop", "next-item", "--json").json["b"] == B
    assert "has ended: A" in two("experiment", "status", "next-item").out


def test_only_two_models_of_the_kind_that_is_wired(two: Shell) -> None:
    assert "encoder model" in failed(two("experiment", "start", "next-item", card(2).id), 2)
    forecast = failed(two("experiment", "start", "forecast", card(5).id), 2)
    assert "made with next-item, reranker, llm models" in forecast
    assert "is the live" in failed(two("experiment", "start", "next-item", A), 2)


def test_an_encoder_is_compared_offline(two: Shell) -> None:
    told = failed(two("experiment", "start", "encoder", card(2).id), 2)
    assert f"eval search --data FOLDER --encoder {card(2).id}" in told
    assert (Path(__file__).parents[3] / re.search(r"docs/adr/[\w-]+\.md", told).group()).is_file()  # type: ignore[union-attr]


def test_language_models_need_an_engine_that_runs_trained_ones(two: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = failed(two("experiment", "start", "llm", card(4).id), 2)
    assert "“none” runs no trained model; set TASTELINE_LANGUAGE_MODEL to openvino" in refused
    monkeypatch.setenv("TASTELINE_LANGUAGE_MODEL", "openai")
    assert f"A {card(3).id} (live), B {card(4).id}" in two("experiment", "start", "llm", card(4).id).out
    assert two("experiment", "status", "llm", "--json").json["verdict"] == "go on"
    assert two("experiment", "stop", "llm", "--json").json["b"] == card(4).id


def test_a_clear_difference_is_told(two: Shell) -> None:
    two("experiment", "start", "next-item", B)
    (started,) = Experiments(two.home).all("next-item")
    with closing(SqlStore(f"sqlite:///{two.home / 'tasteline.db'}")) as store:
        arms: list[tuple[Arm, int]] = [("A", 40), ("B", 200)]
        for arm, clicking in arms:
            shown = [Ranking(f"{arm}{n}", (), 0, trial=Trial(started.id, arm, f"{arm}{n}")) for n in range(400)]
            store.save_rankings([(ranking, None) for ranking in shown])
            click = Event("", EventType.VIEW_ITEM, product_id="p1")
            store.append_events([replace(click, id=r.id, ranking_id=r.id) for r in shown[:clicking]])
    status = two("experiment", "status", "next-item").out
    assert "click decides: B is better." in status
    row = next(line for line in status.splitlines() if line.split()[:1] == ["click"])
    assert "0.1000 (400 people, 400 rankings)" in row
    assert "+0.4000" in row
