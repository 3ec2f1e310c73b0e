"""How somebody stands to a group of products: counted by hand, and nothing from the day itself on."""

from math import log1p

import polars as pl
import pytest

from retrieval.offers.taste import FEATURES, NEVER, SHARES, features

DAY = 1_000
LINES = pl.DataFrame(
    [
        ("ann", "bread", DAY - 100), ("ann", "rolls", DAY - 20), ("ann", "tea", DAY - 20), ("ann", "bread", DAY - 5),
        ("bob", "tea", DAY - 1), ("ann", "bread", DAY), ("bob", "bread", DAY + 9),
    ],
    schema=["person", "product", "day"],
    orient="row",
)  # fmt: skip
GROUPS = pl.DataFrame({"group": ["bakery", "bakery", "drinks"], "product": ["bread", "rolls", "tea"]})
PAIRS = pl.DataFrame({"person": ["bob", "ann", "new"], "group": ["bakery", "bakery", "drinks"]})


def test_the_figures_are_those_counted_by_hand() -> None:
    found = features(PAIRS, LINES, GROUPS, DAY)
    assert found.columns == ["person", "group", *FEATURES]
    assert found["person"].to_list() == ["bob", "ann", "new"]
    ann = {
        "visits_month": 2, "visits_quarter": 2, "visits": 3, "days_since_visit": 5, "products": 3,
        "group_visits_month": 2, "group_visits_quarter": 2, "group_visits": 3, "days_since_group": 5,
        "group_products": 2, "group_share": 3 / 4, "group_reach": 1 / 2,
    }  # fmt: skip
    row = found.row(1, named=True)
    assert {name: row[name] for name in FEATURES} == pytest.approx(
        {name: value if name in SHARES else log1p(value) for name, value in ann.items()}
    )


def test_who_never_bought_it_has_not_bought_it_for_ever() -> None:
    bob, _, new = features(PAIRS, LINES, GROUPS, DAY).to_dicts()
    assert bob["days_since_group"] == pytest.approx(log1p(NEVER))
    assert bob["group_visits"] == 0
    assert bob["days_since_visit"] == pytest.approx(log1p(1))
    assert new["visits"] == 0
    assert new["days_since_visit"] == pytest.approx(log1p(NEVER))


def test_the_day_and_what_follows_stay_unknown() -> None:
    before = LINES.filter(pl.col("day") < DAY)
    assert features(PAIRS, before, GROUPS, DAY).equals(features(PAIRS, LINES, GROUPS, DAY))
