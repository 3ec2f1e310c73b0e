"""Two models of a kind at once: who gets which, and nobody before both are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrieval.experiment import Experiments
from retrieval.live_model import LiveModel
from retrieval.registry import Registry
from retrieval.split import Split
from tests.unit.retrieval.trained import damage, registered

PEOPLE = [f"u{number}" for number in range(40)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    registry = Registry(tmp_path)
    registry.promote(registered(registry, 0, kind="reranker").id)
    registered(registry, 1, kind="reranker")
    return tmp_path


def split_of(home: Path) -> Split[str]:
    usual, candidate = (
        LiveModel(pointing, "reranker", lambda entry: entry.id) for pointing in (Registry(home), Experiments(home))
    )
    return Split(Experiments(home), usual, candidate)


def test_each_arm_gets_its_model_from_start_to_stop(home: Path) -> None:
    live, other = Registry(home).entries("reranker")
    split = split_of(home)
    split.follow()
    assert split("anna") is None
    Experiments(home).start(other.id, share=0.5)
    split.follow()
    found = [split(person) for person in PEOPLE]
    got = {(trial.arm, model) for trial, model in filter(None, found)}
    assert got == {("A", live.id), ("B", other.id)}
    assert None not in found
    assert split(None) is None
    assert split(None, "visit") is not None
    Experiments(home).stop("reranker")
    split.follow()
    assert split("anna") is None


def test_nobody_is_in_it_while_the_candidate_cannot_be_used(home: Path) -> None:
    other = Registry(home).entries("reranker")[1]
    Experiments(home).start(other.id)
    damage(other)
    split = split_of(home)
    split.follow()
    assert split.usual.current() is not None
    assert all(split(person) is None for person in PEOPLE)


def test_another_live_model_ends_it(home: Path) -> None:
    registry = Registry(home)
    Experiments(home).start(registry.entries("reranker")[1].id)
    split = split_of(home)
    split.follow()
    assert split("anna") is not None
    registry.promote(registered(registry, 2, kind="reranker").id)
    split.follow()
    assert split("anna") is None
