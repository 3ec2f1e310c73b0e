"""The sides of `bench insights` find the same on a small shop, and one that does not is an error."""

from __future__ import annotations

import numpy as np
import pytest

from eval.bench import insights
from eval.bench.insights import _counted, _fp_growth, _same_counts, _same_rules, _with_pandas
from eval.shop_events import ShopEvents
from retrieval.deed_log import DeedLog
from retrieval.insights.acts import acts_of
from retrieval.insights.baskets import baskets_of, rule_table
from tasteline.types import EventType, Product

DAY = 86_400_000_000


@pytest.fixture
def shop() -> ShopEvents:
    import polars as pl

    rng = np.random.default_rng(0)
    rows = [
        (
            number,
            f"u{number % 90}",
            f"p{topic}",
            str(EventType.PURCHASE),
            int(19_000 * DAY + rng.integers(0, 90) * DAY),
            None,
            f"b{number}",
        )
        for number, topics in enumerate((rng.choice(12, 3, replace=False) for _ in range(900)), 1)
        for topic in topics
    ]
    names = ("sequence", "user", "product", "type", "time", "position", "session")
    table = pl.DataFrame(rows, schema=names, orient="row").with_columns(sequence=pl.int_range(1, pl.len() + 1))
    return ShopEvents(
        table, [Product(f"p{topic}", f"P {topic}", categories=("Shop", f"T {topic}")) for topic in range(12)]
    )


def test_all_sides_find_the_same(shop: ShopEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insights, "shop_events", lambda: shop)
    report = insights.run(repeats=1, million=2_000)
    assert set(report["ratios"]) == {"insights_rules", "insights_counts"}
    assert report["raw"]["baskets"] == 900
    assert report["raw"]["events"] == 2_000
    assert set(report["raw"]["view_parts_seconds"]) >= {"read", "rules", "follows", "segments"}


def test_a_side_that_finds_something_else_is_an_error(shop: ShopEvents) -> None:
    acts = acts_of(DeedLog(shop).read(), shop.products)
    baskets, _ = baskets_of(acts)
    with pytest.raises(RuntimeError, match="rules"):
        _same_rules(rule_table(baskets, 0.005, 1.0), _fp_growth(baskets[:800]))
    counted = _counted(acts)
    _same_counts(counted, _with_pandas(acts.table.to_pandas(), 12))
    counted["both"] = counted["both"] + 1
    with pytest.raises(RuntimeError, match="both"):
        _same_counts(counted, _with_pandas(acts.table.to_pandas(), 12))
