"""The next-item and cold-start tasks from a folder to a result, the service itself among the systems."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval import recommending
from eval.cold_start import KINDS, cold_start
from eval.data.loading import load
from eval.protocols.leave_one_out import leave_one_out
from eval.recommending import Asked, run_cold_start, run_next_item
from eval.results import markdown_table
from tasteline.errors import InvalidInput
from tasteline.settings import Settings
from tests.unit.eval.quick_recipe import QUICK
from tests.unit.eval.small_histories import write_histories

SYSTEMS = ("popular", "cooccurrence", "content", "following", "transformer", "learned", "tasteline")


@pytest.fixture(scope="module", autouse=True)
def quickly_trained() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recommending, "RECIPE", QUICK)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_histories(tmp_path_factory.mktemp("data") / "glim")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"), embedder="hashing", language_model="none")


def quiet(name: str) -> None:
    pass


@pytest.fixture(scope="module")
def result(folder: Path, settings: Settings) -> dict[str, Any]:
    return run_next_item(Asked(str(folder), systems=SYSTEMS), settings, quiet)


def test_the_result_has_the_shape_of_the_contract(result: dict[str, Any]) -> None:
    assert result["task"] == "next-item"
    assert result["dataset"] == "glim"
    assert result["protocol"].startswith("leave-one-out: ")
    assert set(result["systems"]) == set(SYSTEMS)
    assert {"ndcg@10", "recall@10"} <= set(result["systems"]["tasteline"])
    assert result["leak"]["known"] is False
    assert set(result["latency_ms"]["tasteline"]) == {"p50", "p95"}
    assert result["settings"]["items"] == 40
    assert "| **tasteline** |" in markdown_table(result)


def test_who_knows_what_follows_beats_who_knows_what_is_popular(result: dict[str, Any]) -> None:
    ndcg = {name: values["ndcg@10"] for name, values in result["systems"].items()}
    assert ndcg["cooccurrence"] > 2 * ndcg["popular"]
    for learned in ("following", "transformer", "learned", "tasteline"):
        assert ndcg[learned] > 2 * ndcg["popular"], learned
    compared = {(row["baseline"], row["metric"]): row for row in result["comparisons"]}
    assert compared["popular", "ndcg@10"]["p_corrected"] < 0.05


def test_the_service_ranks_by_the_ranker_that_was_measured(result: dict[str, Any]) -> None:
    assert result["systems"]["tasteline"]["recall@10"] == pytest.approx(
        result["systems"]["learned"]["recall@10"], abs=0.02
    )


def test_slices_hold_every_case_once(result: dict[str, Any]) -> None:
    for values in result["slices"].values():
        assert sum(part["cases"] for part in values.values()) == result["per_case"]["count"] == 120


def test_only_what_was_asked_for_and_nothing_unknown(folder: Path, settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="magic"):
        run_next_item(Asked(str(folder), systems=("magic",)), settings, quiet)
    with pytest.raises(InvalidInput, match="no times"):
        run_next_item(Asked(str(folder), "temporal", systems=("popular",)), settings, quiet)


def test_by_default_what_does_not_fit_is_left_out_and_named(folder: Path, settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="recent"):
        run_next_item(Asked(str(folder), systems=("popular_recent",)), settings, quiet)


def test_a_sampled_ranking_says_so_on_every_line(folder: Path, settings: Settings) -> None:
    full, drawn = (
        run_next_item(Asked(str(folder), systems=("popular", "cooccurrence")), settings, quiet, sampled=sampled)
        for sampled in (0, 15)
    )
    assert set(drawn["systems"]) == {"popular (sampled-15-uniform)", "cooccurrence (sampled-15-uniform)"}  # type: ignore[call-overload]
    assert str(drawn["protocol"]).startswith("sampled-15-uniform-leave-one-out")
    against_few = drawn["systems"]["popular (sampled-15-uniform)"]["recall@10"]  # type: ignore[index]
    assert against_few > full["systems"]["popular"]["recall@10"] + 0.2  # type: ignore[index]


def test_nothing_of_a_stranger_or_a_new_item_is_in_train(folder: Path) -> None:
    dataset = load(folder)
    cold = cold_start(leave_one_out(dataset), dataset)
    kinds, test = cold.kinds["test"], cold.split.test
    strangers = test.users[kinds.codes < KINDS.index("new items")]
    assert len(strangers)
    assert not np.isin(cold.split.train.users, strangers).any()
    new = kinds.codes == KINDS.index("new items")
    targets = test.targets.items[test.targets.starts[:-1]]
    assert not np.isin(cold.split.train.items, targets[new]).any()
    assert np.isin(targets[~new], cold.split.train.items).all()
    lengths = test.histories.lengths
    assert set(lengths[kinds.codes == 0]) == {0}
    assert set(lengths[kinds.codes == 1]) == {1}
    assert set(lengths[kinds.codes == 2]) <= {2, 3, 4}


def test_cold_start_by_kind_and_by_sentence(folder: Path, settings: Settings) -> None:
    asked = Asked(str(folder), systems=("popular", "cooccurrence", "tasteline"))
    results: dict[str, Any] = run_cold_start(asked, settings, quiet)
    assert set(results[""]["slices"]["kind"]) == set(KINDS)
    assert set(results["sentence"]["systems"]) == {"popular", "bm25", "dense", "tasteline"}
    by_words = results["sentence"]["systems"]["bm25"]["recall@10"]
    assert by_words > 0
    welcome = results["welcome"]
    assert {"no questions", "1 by gain", "2 by gain", "tasteline", "1 by random", "3 by fixed"} <= set(
        welcome["systems"]
    )
    assert welcome["chosen"]["no questions"] == {"questions": 0.0, "anything": 0.0}
    assert 0 <= welcome["chosen"]["tasteline"]["questions"] <= 3
    assert "never of the target" in welcome["protocol"]
