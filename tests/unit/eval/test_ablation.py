"""What each part of the ranker brings: every variant is another ranker, and all are compared with the whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eval import learned
from eval.ablation import FIT, NETWORKS, RANKING, WHOLE, inputs_of, parts_of, run_ablation
from eval.recommending import Asked
from eval.results import markdown_table
from finetune.next_item import Recipe
from retrieval.models.following import Following
from retrieval.models.network import Shape
from retrieval.models.ranker import Fusion
from retrieval.models.sequences import Sequences
from tasteline.errors import InvalidInput
from tasteline.settings import Settings
from tests.unit.eval.quick_recipe import NETWORK, QUICK
from tests.unit.eval.small_histories import write_histories

GRU = replace(NETWORK, shape=replace(NETWORK.shape, encoder="gru"))
BOTH = replace(QUICK, networks={"transformer": NETWORK, "gru": GRU})


def quiet(name: str) -> None:
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_histories(tmp_path_factory.mktemp("data") / "glim")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"), embedder="hashing", language_model="none")


@pytest.fixture(scope="module")
def results(folder: Path, settings: Settings) -> dict[str, dict[str, Any]]:
    asked = Asked(str(folder), part="valid", systems=("without counts", "without the transformer", "as lstm"))
    return run_ablation(asked, settings, quiet, recipe=BOTH)


def test_each_variant_stands_beside_the_whole_with_what_its_part_brought(results: dict[str, dict[str, Any]]) -> None:
    ranker = results[""]
    assert list(ranker["systems"]) == [WHOLE, "without the transformer", "without counts"]
    assert list(results[NETWORKS]["systems"]) == ["transformer", "as lstm"]
    for name in ("without counts", "without the transformer"):
        brought = ranker["systems"][WHOLE]["ndcg@10"] - ranker["systems"][name]["ndcg@10"]
        assert ranker["systems"][name]["ndcg@10 brought"] == pytest.approx(brought, abs=2e-6)
        low, high = ranker["intervals"][name]["ndcg@10 brought"]
        assert low <= brought <= high
    assert {row["against"] for row in ranker["comparisons"]} == {WHOLE}
    assert {row["against"] for row in results[NETWORKS]["comparisons"]} == {"transformer"}
    assert ranker["test_looks"] is None
    assert "| without counts |" in markdown_table(ranker)


def test_each_variant_says_what_it_costs(results: dict[str, dict[str, Any]]) -> None:
    for table in results.values():
        for name, values in table["systems"].items():
            assert values[FIT] == round(table["fit_seconds"][name])
            assert values[RANKING] >= 0


def test_nothing_is_trained_twice(
    results: dict[str, dict[str, Any]], folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learned, "train_network", lambda *_, **__: pytest.fail("trained a second time"))
    silenced = Asked(str(folder), part="valid", systems=("without counts", "without popularity"))
    again = run_ablation(silenced, settings, quiet, recipe=BOTH)
    assert set(again) == {""}
    for name in (WHOLE, "without counts"):
        assert again[""]["systems"][name]["ndcg@10"] == results[""]["systems"][name]["ndcg@10"]


def test_what_is_no_variant_is_refused(folder: Path, settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="without counts"):
        run_ablation(Asked(str(folder), part="valid", systems=("without magic",)), settings, quiet, recipe=BOTH)


def test_no_two_variants_are_the_same() -> None:
    for variants in (parts_of(Recipe()), inputs_of(Recipe().networks["transformer"])):
        assert len({str(each) for each in variants.values()}) == len(variants)
    assert [name for name in parts_of(QUICK) if name.startswith("without the t")] == []  # the only network stays


def test_without_counts_nothing_follows_anything() -> None:
    settings = parts_of(Recipe())["without counts"].following
    histories = Sequences.of([[0, 1, 2], [1, 2]])
    following = Following.fit(histories, np.ones((3, 2), dtype=np.float32) / np.float32(2**0.5), settings)
    assert following.smoothed.nnz == following.counted.nnz == following.forward.nnz == following.backward.nnz == 0
    assert following.popularity.tolist() == [1, 2, 2]


def test_a_silent_feature_moves_no_score() -> None:
    torch.manual_seed(0)
    features = torch.randn(50, 3)
    fusion = Fusion(3)
    fusion.standardise(features, torch.tensor([False, True, False]))
    fusion.eval()
    moved = features + torch.tensor([0.0, 5.0, 0.0])
    assert torch.equal(fusion(moved), fusion(features))
    assert not torch.equal(fusion(features + torch.tensor([0.0, 0.0, 1.0])), fusion(features))


def test_every_encoder_can_be_measured() -> None:
    assert {each.shape.encoder for each in inputs_of(Recipe().networks["gru"]).values()} == {
        "transformer",
        "gru",
        "lstm",
    }
    assert Shape().encoder in inputs_of(NETWORK)
