"""`tasteline train` as a script would use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval import recommending
from tests.unit.eval.quick_recipe import QUICK
from tests.unit.eval.test_next_item_training import write_shop
from tests.unit.tasteline.shell import Shell


def test_it_trains_registers_and_says_what_is_live(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recommending, "RECIPE", QUICK)
    data = str(write_shop(tmp_path / "shop"))
    told = shell("train", "next-item", "--data", data, "--systems", "popular", "--no-promote", "--json")
    assert told.code == 0
    assert set(told.json) == {"id", "live", "folder", "table"}
    assert told.json["live"] is False
    assert Path(str(told.json["folder"])).is_dir()
    assert set(told.json["table"]) == {"popular", "learned"}  # type: ignore[call-overload]
    assert "tasteline: transformer: epoch 2," in told.err
    assert "nDCG@10 on valid" in told.err
    again = shell("train", "next-item", "--systems", "popular")  # what was trained is read back, and now it goes live
    assert again.code == 0
    assert "| learned |" in again.out
    assert "is live." in again.out
    models = shell("models", "list", "--json").json["models"]
    assert sorted(model["state"] for model in models) == ["candidate", "live"]  # type: ignore[attr-defined]


def test_mistakes(shell: Shell, tmp_path: Path) -> None:
    told = shell("train", "next-item", "--json")
    assert (told.code, told.out) == (2, "")
    last = told.err.splitlines()[-1]
    assert last.startswith("tasteline: the shop in ")
    assert "has no products; put them in with `tasteline import`" in last
    assert "TASTELINE_HOME" in last
    data = str(write_shop(tmp_path / "shop"))
    unknown = shell("train", "next-item", "--data", data, "--systems", "oracle")
    assert unknown.code == 2
    assert "no system is called oracle" in unknown.err.splitlines()[-1]
    assert "nowhere" in shell("train", "next-item", "--data", str(tmp_path / "nowhere")).err


def test_help(shell: Shell) -> None:
    told = shell("train", "next-item", "--help")
    assert told.code == 0
    assert "--no-promote" in told.out


def test_a_forecast_says_what_it_needs(shell: Shell, tmp_path: Path) -> None:
    told = shell("train", "forecast", "--json")
    assert (told.code, told.out) == (2, "")
    assert "purchases with a user id and a time, over 150 days or more" in told.err.splitlines()[-1]
    assert "--no-promote" in shell("train", "forecast", "--help").out
    unknown = shell("eval", "interests", "--levels", "weather")
    assert unknown.code == 2
    assert "no level is called weather; there are category, product, anything" in unknown.err.splitlines()[-1]
