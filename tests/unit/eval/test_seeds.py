"""Several seeds as one result: means by hand, and what may not be thrown together."""

from __future__ import annotations

import pytest

from eval.data.packed import pack
from eval.seeds import over_seeds
from tasteline.errors import InvalidInput


def result(seed: int, values: list[float], **changes: object) -> dict[str, object]:
    return {
        "task": "next-item",
        "dataset": "toy",
        "checksum": "c0ffee",
        "seed": seed,
        "systems": {"learned": {"ndcg@10": sum(values) / len(values)}},
        "per_case": {"count": len(values), "ids": "abc", "values": {"learned": {"ndcg@10": pack(values)}}},
        **changes,
    }


def test_means_intervals_and_spread_over_seeds() -> None:
    found = over_seeds(
        [result(0, [0.0, 1.0, 1.0, 0.0]), result(1, [1.0, 1.0, 1.0, 0.0]), result(2, [0.5, 1.0, 1.0, 0.0])]
    )
    assert found["systems"] == {"learned": {"ndcg@10": 0.625}}
    assert found["spread"] == {"learned": {"ndcg@10": [0.5, 0.75]}}
    assert found["seeds"] == [0, 1, 2]
    low, high = found["intervals"]["learned"]["ndcg@10"]  # type: ignore[index]
    assert 0 <= low < 0.625 < high <= 1


def test_only_what_all_have_is_in_it() -> None:
    two = result(1, [1.0])
    two["per_case"] = {"count": 1, "ids": "abc", "values": {"other": {"ndcg@10": pack([1.0])}}}
    with pytest.raises(InvalidInput, match="no system and metric"):
        over_seeds([result(0, [1.0]), two])


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([], "two and more"),
        ([result(0, [1.0])], "each may stand once"),
        ([result(1, [1.0], checksum="other")], "differ in checksum"),
        ([result(1, [1.0], commit="other")], "differ in commit"),
        ([result(1, [1.0], per_case={"count": 1, "ids": "x", "values": {}})], "not about the same cases"),
    ],
)
def test_what_differs_otherwise_is_refused(others: list[dict[str, object]], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        over_seeds([result(0, [1.0]), *others])
