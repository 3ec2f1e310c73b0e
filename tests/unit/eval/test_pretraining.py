"""Both learning curves of a shop, and where the result says when each came where."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval import pretraining, recommending
from eval.report.tables import markdown_table
from tasteline.settings import Settings
from tests.unit.eval.quick_recipe import QUICK
from tests.unit.eval.small_histories import write_histories


def test_a_shop_learns_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommending, "RECIPE", QUICK)
    first, second = (write_histories(tmp_path / name, seed) for seed, name in enumerate(("toy-soap", "toy-ball")))
    settings = Settings(home=tmp_path / "home", embedder="hashing")
    heard: list[str] = []
    result = pretraining.run_pretraining(
        str(first), str(second), settings, lambda name, epoch: heard.append(name), epochs=3
    )
    curves = result["curves"]
    assert isinstance(curves, dict)
    assert {name: [point[0] for point in curve["points"]] for name, curve in curves.items()} == {
        "from nothing": [1, 2, 3],
        "pre-trained": [1, 2, 3],
    }
    assert curves["from nothing"]["points"] != curves["pre-trained"]["points"], "the second begins elsewhere"
    assert heard.count("pre-trained") == 3
    assert "from nothing" in markdown_table({**result, "commit": "c0ffee"})
    again = pretraining.run_pretraining(str(first), str(second), settings, epochs=3)
    assert again["curves"] == curves, "what was trained is read back"
