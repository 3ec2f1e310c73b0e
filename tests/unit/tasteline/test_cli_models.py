"""`tasteline models` as a script would use it."""

import pytest

from retrieval.learned_from import LearnedFrom
from retrieval.registry import Registry
from tests.unit.retrieval.trained import card, damage, registered, writing
from tests.unit.tasteline.shell import Shell, failed

A, B = card(0).id, card(1).id


@pytest.fixture
def registry(shell: Shell) -> Registry:
    return Registry(shell.home)


@pytest.fixture
def trained(shell: Shell, registry: Registry) -> Shell:
    """Two next-item models and an encoder, none of them live."""
    for number in range(2):
        registered(registry, number)
    registered(registry, 2, kind="encoder", metrics={}, notes="[bold]")
    return shell


def test_none_yet(shell: Shell) -> None:
    assert shell("models", "list").out == "No model was trained yet.\n"
    assert shell("models", "list", "--json").json == {"models": [], "damaged": []}
    assert not shell.home.exists()


def test_list(trained: Shell) -> None:
    trained("models", "promote", A)
    told = trained("models", "list")
    assert told.code == 0
    first, second, third = told.out.splitlines()[1:]
    assert " ".join(first.split()) == f"{A} next-item live 2026-03-01 12:00 tents-and-kettles ndcg@10 0.0500 82"
    assert second.split()[:3] == [B, "next-item", "candidate"]
    assert third.split()[:3] == [card(2).id, "encoder", "candidate"]
    assert "not measured" in third
    assert len(trained("models", "list", "--kind", "encoder").out.splitlines()) == 2
    models = trained("models", "list", "--kind", "next-item", "--json").json["models"]
    assert [(model["id"], model["state"]) for model in models] == [(A, "live"), (B, "candidate")]  # type: ignore[attr-defined]


def test_show(trained: Shell) -> None:
    told = trained("models", "show", B[:15])
    assert told.code == 0
    assert told.out.startswith(f"# next-item {B}\n")
    assert "| **sasrec** | 0.05 | 0.09 |" in told.out
    assert "| state | candidate |" in told.out
    shown = trained("models", "show", B, "--json").json
    assert (shown["state"], shown["seconds"], shown["kind"]) == ("candidate", 81.5, "next-item")
    assert shown["metrics"] == card(1).metrics
    assert "[bold]" in trained("models", "show", card(2).id).out


def test_show_says_that_people_of_a_model_were_erased_and_not_who(shell: Shell, registry: Registry) -> None:
    registered(registry, 0)
    entry = registry.register(card(1), writing(), ["anna", "bo", "chris"])
    LearnedFrom(shell.home).forget("bo")
    assert "Nobody wrote down" in shell("models", "show", A).out
    assert shell("models", "show", entry.id).out.endswith("learned from 2 are known, 1 were erased since.\n")
    assert shell("models", "show", entry.id, "--json").json["people"] == {"known": 2, "erased": 1}


def test_promote_and_roll_back(trained: Shell) -> None:
    assert trained("models", "promote", A[:15]).out == f"next-item {A} is live; none was before.\n"
    assert trained("models", "promote", B, "--json").json == {
        "kind": "next-item",
        "live": B,
        "before": A,
        "changed": True,
    }
    again = trained("models", "promote", B)
    assert (again.code, again.out) == (0, f"next-item {B} is live already.\n")
    assert trained("models", "promote", B, "--json").json["changed"] is False
    assert trained("models", "rollback", "next-item").out == f"next-item {A} is live; before it was {B}.\n"
    assert trained("models", "rollback", "next-item").out == f"no next-item model is live; before it was {A}.\n"
    assert "none is live" in failed(trained("models", "rollback", "next-item"), 2)


def test_retire(trained: Shell) -> None:
    for model in (A, B):
        trained("models", "promote", model)
    assert trained("models", "retire", B[:15]).out == f"next-item {B} is retired; {A} is live.\n"
    assert trained("models", "retire", B).out == f"next-item {B} is retired; {A} is live.\n"
    assert "withdrawn for good" in failed(trained("models", "promote", B, "--force"), 2)
    told = trained("models", "retire", A, "--json").json
    assert told == {"kind": "next-item", "retired": A, "live": None, "before": A}
    assert trained("models", "retire", card(2).id).out == f"encoder {card(2).id} is retired; none is live.\n"


def test_mistakes(trained: Shell) -> None:
    for verb in ("show", "promote", "retire"):
        assert "tasteline models list" in failed(trained("models", verb, "1999", "--json"), 2)
        assert f"{A}, {B}" in failed(trained("models", verb, "2026"), 2)
    assert "oracle" in failed(trained("models", "rollback", "oracle"), 2)
    assert "oracle" in failed(trained("models", "list", "--kind", "oracle"), 2)
    assert trained("models", "promote").code == 2


def test_damage(trained: Shell, registry: Registry) -> None:
    damage(registry.entry(A))
    assert "Run: tasteline train next-item" in failed(trained("models", "promote", A), 3)
    (registry.entry(B).folder / "card.json").write_text("{")
    assert B in failed(trained("models", "show", B), 3)
    told = trained("models", "list")
    assert (told.code, len(told.out.splitlines())) == (0, 3)
    assert B in told.err
    [problem] = trained("models", "list", "--json").json["damaged"]  # type: ignore[misc]
    assert B in problem


@pytest.mark.parametrize("verb", ["list", "show", "promote", "rollback", "retire"])
def test_help(shell: Shell, verb: str) -> None:
    told = shell("models", verb, "--help")
    assert told.code == 0
    assert "--json" in told.out
