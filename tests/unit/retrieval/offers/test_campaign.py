"""What is known of a recipient: by hand, and nothing of it from the day on which the campaign begins."""

from dataclasses import replace

import polars as pl
import pytest

from retrieval.offers.campaign import (
    LOGARITHMIC,
    NEVER,
    RECIPIENT_FEATURES,
    CouponLog,
    campaigns_of,
    recipients_of,
    redeemed,
)
from tests.unit.retrieval.offers.small_log import small_log

START = 1_000


def by_hand() -> CouponLog:
    """ann bought bread on three days and redeemed once before; bob got the campaign and never bought."""
    line = ["person", "product", "category", "day", "spent", "coupon", "reduced"]
    return CouponLog(
        lines=pl.DataFrame(
            [
                ("ann", 1, "food", START - 200, 1.0, False, True),
                ("ann", 1, "food", START - 40, 2.0, True, False),
                ("ann", 1, "food", START - 10, 3.0, False, False),
                ("ann", 9, "other", START - 10, 4.0, False, False),
                ("ann", 1, "food", START, 50.0, True, False),
            ],
            schema=line,
            orient="row",
        ),
        campaigns=pl.DataFrame(
            [(1, "Type B", START - 60, START - 30), (2, "Type A", START, START + 20)],
            schema=["campaign", "kind", "start", "end"],
            orient="row",
        ),
        recipients=pl.DataFrame([(1, "ann"), (2, "ann"), (2, "bob")], schema=["campaign", "person"], orient="row"),
        coupons=pl.DataFrame([(1, 5, 1), (2, 6, 1), (2, 7, 2)], schema=["campaign", "coupon", "product"], orient="row"),
        redemptions=pl.DataFrame(
            [(1, "ann", 5, START - 40), (2, "ann", 6, START + 3)],
            schema=["campaign", "person", "coupon", "day"],
            orient="row",
        ),
        people=pl.DataFrame({"person": ["bob"], "age": [0.4], "income": [1.0], "kids": [2.0]}),
    )


def plain(name: str, frame: pl.DataFrame, person: str) -> float:
    """The figure before its logarithm."""
    value = float(frame.filter(pl.col("person") == person)[name][0])
    return round(2.718281828459045**value - 1, 6) if name in LOGARITHMIC else value


def test_the_figures_of_a_recipient_are_those_counted_by_hand() -> None:
    log = by_hand()
    frame = recipients_of(log, campaigns_of(log)[1])
    assert frame["person"].to_list() == ["ann", "bob"]
    expected = {
        "visits_month": 1, "visits_quarter": 2, "visits": 3, "spent_quarter": 9, "days_since_visit": 10,
        "reduced_share": 0.25, "coupon_lines": 1, "redemptions": 1, "campaigns_redeemed": 1, "campaigns_received": 1,
        "redeemed_rate": 1.05 / 1.5, "since_redeemed": 40, "group_visits": 2, "group_share": 2 / 3, "group_coupons": 1,
        "days_since_group": 10, "coupons": 2, "recipients": 2, "days": 21, "kind_a": 1, "kind_b": 0, "told": 0,
    }  # fmt: skip
    assert {name: plain(name, frame, "ann") for name in expected} == pytest.approx(expected)
    assert plain("visits", frame, "bob") == 0
    assert plain("days_since_visit", frame, "bob") == pytest.approx(NEVER)
    assert (plain("income", frame, "bob"), plain("told", frame, "bob")) == (1.0, 1.0)


def test_nothing_from_the_first_day_on_goes_in() -> None:
    log = small_log()
    for campaign in campaigns_of(log)[::4]:
        cut = replace(
            log,
            lines=log.lines.filter(pl.col("day") < campaign.start),
            redemptions=log.redemptions.filter(pl.col("day") < campaign.start),
            campaigns=log.campaigns.filter(pl.col("start") <= campaign.start),
        )
        assert recipients_of(cut, campaign).equals(recipients_of(log, campaign))


def test_every_figure_is_there_for_everybody() -> None:
    log = small_log()
    frame = recipients_of(log, campaigns_of(log)[0])
    assert frame.columns == ["campaign", "person", *RECIPIENT_FEATURES]
    assert not frame.select(pl.any_horizontal(pl.all().is_null())).to_series().any()
    assert plain("recipients", frame, "p00") == log.recipients["person"].n_unique()


def test_the_answer_is_of_the_campaign_alone() -> None:
    log = by_hand()
    frame = recipients_of(log, campaigns_of(log)[1])
    assert redeemed(log, campaigns_of(log)[1], frame).to_list() == [True, False]
    pairs = pl.DataFrame({"person": ["ann", "ann"], "coupon": [6, 7]})
    assert redeemed(log, campaigns_of(log)[1], pairs, ("person", "coupon")).to_list() == [True, False]
