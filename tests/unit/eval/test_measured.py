"""The shape of every result: means, slices, comparisons and what is kept of each case."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from eval.data.packed import unpack
from eval.measured import LEAST_CASES, NAMED_CASES, Measured, Slice, SystemResult, binned, names_checksum


def measured(cases: int, **systems: list[float]) -> Measured:
    results = {name: SystemResult({"ndcg@10": np.array(values)}) for name, values in systems.items()}
    halves = Slice("half", ("first", "rest", "none"), (np.arange(cases) >= LEAST_CASES - 1).astype(np.int64))
    names = tuple(f"p{case}" for case in range(cases))
    return Measured("toy", "set", "c0ffee", "by hand", names, results, [halves], resamples=200)


def test_few_cases_are_named_and_many_packed() -> None:
    few: Any = measured(3, a=[0.1, 0.2, 0.3]).as_mapping()["per_case"]
    assert few["names"] == ["p0", "p1", "p2"]
    assert few["values"]["a"]["ndcg@10"] == [0.1, 0.2, 0.3]
    values = np.random.default_rng(0).random(NAMED_CASES + 1).tolist()
    many: Any = measured(NAMED_CASES + 1, a=values).as_mapping()["per_case"]
    assert many["ids"] == names_checksum([f"p{case}" for case in range(NAMED_CASES + 1)])
    assert unpack(many["values"]["a"]["ndcg@10"]).tolist() == values


def test_a_slice_of_a_handful_says_how_many_and_no_number() -> None:
    many: Any = measured(NAMED_CASES + 1, a=[1.0] * (NAMED_CASES + 1)).as_mapping()["slices"]["half"]
    assert many["first"] == {"cases": LEAST_CASES - 1, "systems": {}, "intervals": {}}
    assert many["rest"]["systems"] == {"a": {"ndcg@10": 1.0}}
    assert "none" not in many


def test_what_is_undefined_is_left_out_of_means_and_pairs_and_is_null() -> None:
    nan = float("nan")
    report: Any = measured(4, tasteline=[1.0, nan, 1.0, 1.0], other=[0.0, 0.0, nan, 1.0], never=[nan] * 4).as_mapping()
    assert report["systems"] == {
        "tasteline": {"ndcg@10": 1.0},
        "other": {"ndcg@10": 0.333333},
        "never": {"ndcg@10": None},
    }
    compared = {row["baseline"]: row for row in report["comparisons"]}
    assert compared["other"]["difference"] == 0.5, "over the two cases that both have"
    assert compared["never"]["p"] is None
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_bins_are_open_above_and_leave_out_what_is_unknown() -> None:
    made = binned("age", np.array([0.0, 4.9, 5.0, 1e9, np.nan]), [("young", 0), ("old", 5)])
    assert made.codes.tolist() == [0, 0, 1, 1, -1]
