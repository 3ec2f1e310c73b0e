"""Comparing two results: paired only where that is right, noise called noise, everything that differs listed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.compare import Comparison, compare, compare_systems
from eval.data.packed import pack
from eval.metrics import holm, paired_randomisation_test
from tasteline.errors import InvalidInput, NotFound

N = 60
CHANCE = np.random.default_rng(3)
BASE = CHANCE.random(N)
SHIFTED = np.clip(BASE + 0.2 + CHANCE.normal(0, 0.05, N), 0, 2)
JITTERED = BASE + CHANCE.normal(0, 0.2, N)
NAMES = [f"query {place}" for place in range(N)]


def result(**values: NDArray[np.float64]) -> dict[str, object]:
    """One metric of some systems over the named cases."""
    return {
        "task": "search",
        "dataset": "kitchen",
        "checksum": "c0ffee",
        "protocol": "by hand",
        "systems": {name: {"ndcg@10": float(np.nanmean(each))} for name, each in values.items()},
        "intervals": {name: {"ndcg@10": [float(each.min()), float(each.max())]} for name, each in values.items()},
        "per_case": {
            "count": N,
            "names": NAMES,
            "values": {name: {"ndcg@10": each.tolist()} for name, each in values.items()},
        },
        "settings": {"k": 10},
        "commit": "a" * 40,
    }


def verdicts(found: Comparison) -> dict[str, str]:
    return {row.system: row.verdict for row in found.rows}


def test_what_moved_is_told_from_noise_and_from_what_is_the_same() -> None:
    before = result(up=BASE, down=SHIFTED, noisy=BASE, same=BASE)
    found = compare(before, result(up=SHIFTED, down=BASE, noisy=JITTERED, same=BASE))
    assert found.paired
    assert verdicts(found) == {"up": "better", "down": "worse", "noisy": "noise", "same": "same"}
    up = found.rows[0]
    assert up.difference == pytest.approx((SHIFTED - BASE).mean())
    assert up.interval is not None
    assert up.interval[0] < 0.2 < up.interval[1]


def test_every_test_counts_in_the_correction_but_those_that_cannot_reject() -> None:
    before = result(up=BASE, noisy=BASE, same=BASE)
    found = compare(before, result(up=SHIFTED, noisy=JITTERED, same=BASE))
    p_values = [paired_randomisation_test(after, BASE) for after in (SHIFTED, JITTERED)]
    assert [row.p for row in found.rows] == pytest.approx([*p_values, 1.0])
    assert [row.p_corrected for row in found.rows] == pytest.approx([*holm(p_values), 1.0])


def test_less_is_better_for_a_loss_and_neither_for_novelty() -> None:
    def renamed(values: NDArray[np.float64], metric: str) -> dict[str, object]:
        return json.loads(json.dumps(result(ours=values)).replace("ndcg@10", metric))  # type: ignore[no-any-return]

    words = [
        compare(renamed(BASE, metric), renamed(SHIFTED, metric)).rows[0].verdict
        for metric in ("log_loss", "novelty@10")
    ]
    assert words == ["worse", "higher"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"checksum": "dead"}, "different data"),
        ({"checksum": None}, "no checksum"),
        ({"protocol": "temporal"}, "different protocols"),
        ({"task": "rerank"}, "different tasks"),
        ({"per_case": {"count": N, "names": [*NAMES[1:], "another"], "values": {}}}, "different cases"),
        ({"per_case": {"count": N, "ids": "abc", "values": {}}}, "different cases"),
        ({"per_case": None}, "no value for each case"),
    ],
)
def test_what_cannot_be_paired_is_refused_aloud(change: dict[str, object], reason: str) -> None:
    found = compare(result(ours=BASE), {**result(ours=SHIFTED), **change})
    assert not found.paired
    assert any(reason in each for each in found.reasons)
    assert {row.p for row in found.rows} == {None}
    assert verdicts(found) == {"ours": "overlapping"}
    assert "NOT PAIRED" in found.markdown()
    assert reason in found.markdown()


def test_intervals_that_do_not_meet_are_apart_where_nothing_can_be_paired() -> None:
    found = compare(result(ours=BASE), {**result(ours=BASE + 5), "checksum": "dead"})
    assert verdicts(found) == {"ours": "apart"}


def test_cases_in_another_order_are_matched_by_name() -> None:
    order = CHANCE.permutation(N)
    shuffled = result(ours=SHIFTED[order])
    shuffled["per_case"] = {**shuffled["per_case"], "names": [NAMES[place] for place in order]}  # type: ignore[dict-item]
    found, straight = (compare(result(ours=BASE), other).rows[0] for other in (shuffled, result(ours=SHIFTED)))
    assert (found.difference, found.interval, found.p) == (straight.difference, straight.interval, straight.p)


def test_packed_values_and_checksums_of_cases_are_read() -> None:
    def packed(values: NDArray[np.float64]) -> dict[str, object]:
        cases = {"count": N, "ids": "abc", "values": {"ours": {"ndcg@10": pack(values)}}}
        return {**result(ours=values), "per_case": cases}

    assert compare(packed(BASE), packed(SHIFTED)).rows == compare(result(ours=BASE), result(ours=SHIFTED)).rows


def test_undefined_pairs_are_left_out() -> None:
    holed = SHIFTED.copy()
    holed[:10] = np.nan
    assert compare(result(ours=BASE), result(ours=holed)).rows[0].difference == pytest.approx(
        (SHIFTED - BASE)[10:].mean()
    )


def test_values_that_do_not_fit_their_cases_are_refused() -> None:
    with pytest.raises(InvalidInput, match="59 values"):
        compare(result(ours=BASE[:-1]), result(ours=BASE))


def test_a_metric_of_the_whole_is_not_tested() -> None:
    before, after = result(ours=BASE), result(ours=SHIFTED)
    before["systems"], after["systems"] = {"ours": {"coverage@10": 0.5}}, {"ours": {"coverage@10": 0.75}}
    row = compare(before, after).rows[0]
    assert (row.verdict, row.difference, row.p) == ("untested", 0.25, None)


def test_what_else_differs_is_listed_and_lonely_systems_are_named() -> None:
    after = {**result(ours=BASE, new=BASE), "settings": {"k": 20}, "versions": {"numpy": "3"}, "dirty": True}
    found = compare(result(ours=BASE), after, names=("old", "new"))
    differences = {each.what: (each.before, each.after) for each in found.conditions}
    assert differences == {
        "commit": ("a" * 12, "a" * 12 + " with changes"),
        "settings.k": ("10", "20"),
        "versions.numpy": ("–", "3"),
    }
    assert found.only == ("new (new)",)
    assert "| settings.k | 10 | 20 |" in found.markdown()


def test_two_systems_of_one_file_are_compared() -> None:
    found = compare_systems(result(popular=BASE, tasteline=SHIFTED), "popular", "tasteline")
    assert found.paired
    assert verdicts(found) == {"tasteline − popular": "better"}
    with pytest.raises(NotFound, match="popular, tasteline"):
        compare_systems(result(popular=BASE, tasteline=SHIFTED), "popular", "nobody")


def test_an_older_search_result_can_be_compared() -> None:
    older = json.loads((Path(__file__).parents[3] / "eval/results/search-chorus-electronics.json").read_text())
    assert set(verdicts(compare(older, older)).values()) == {"same"}
    found = compare_systems(older, "bm25", "tasteline")
    stored = {each["metric"]: each["difference"] for each in older["comparisons"] if each["baseline"] == "bm25"}
    assert {row.metric: row.difference for row in found.rows if row.metric in stored} == pytest.approx(stored, abs=1e-5)


def test_the_mapping_is_json() -> None:
    written = json.loads(json.dumps(compare(result(ours=BASE), result(ours=SHIFTED)).as_mapping()))
    assert (written["task"], written["summary"], written["paired"]) == ("compare", {"better": 1}, True)
    assert written["rows"][0]["verdict"] == "better"


def test_a_benchmark_is_not_compared() -> None:
    with pytest.raises(InvalidInput, match="systems"):
        compare({"bench": "search", "ratios": {}}, result(ours=BASE))
