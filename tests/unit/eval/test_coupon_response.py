"""The measurement of coupon responses: its division in time, its metrics by hand, and a shop whose truth is known."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from eval.coupon_response import (
    KNOWN_LEAST,
    SEEN_LEAST,
    Cases,
    _coupons,
    _found,
    _within,
    candidates,
    cases_of,
    divided,
    measure,
)
from eval.metrics import auc
from tasteline.errors import InvalidInput
from tests.unit.retrieval.offers.small_log import small_log

LOG = small_log()
YES = np.array([True, False, False, True])


def test_whatever_is_learned_from_had_ended_before_test_began() -> None:
    parts = divided(LOG)
    first = min(each.start for each in parts.test)
    assert all(each.end < min(later.start for later in parts.middle) for each in parts.train)
    assert all(each.end < first for each in parts.middle)
    days = LOG.lines["day"]
    assert all(each.start >= days.min() + KNOWN_LEAST for each in parts.train)  # type: ignore[operator]
    assert all(each.start + SEEN_LEAST <= days.max() for each in parts.test)  # type: ignore[operator]


def test_campaigns_of_one_season_are_refused() -> None:
    short = replace(LOG, campaigns=LOG.campaigns.filter(pl.col("campaign") < 3))
    with pytest.raises(InvalidInput, match="reach over a year"):
        divided(short)


def test_a_redeemer_is_compared_with_the_others_of_the_campaign() -> None:
    forecasts, campaigns = np.array([0.5, 0.5, 0.9, 0.1]), np.array([0, 0, 0, 1])
    assert _within(YES, forecasts, campaigns)[0] == 0.25  # level with one, below the other
    assert np.isnan(_within(YES, forecasts, campaigns)[1:3]).all()


def test_equals_share_the_places_that_are_left() -> None:
    responded = np.array([True] + [False] * 19)
    forecasts = np.array([0.5, 0.9, 0.5, 0.5, 0.5] + [0.1] * 15)  # 2 places: one is taken, four are equal for the other
    assert _found(responded, forecasts, np.zeros(20))[0] == 0.25


def test_coupons_are_ranked_within_the_recipient_alone() -> None:
    frame = pl.DataFrame({"campaign": [1] * 4, "person": ["ann", "ann", "bob", "bob"]})
    values, whole = _coupons(Cases(frame, np.array([True, False, False, False])), np.array([0.1, 0.2, 0.9, 0.8]))
    assert len(values["recall@10"]) == 1  # bob redeemed nothing
    assert values["ndcg@10"][0] == pytest.approx(1 / np.log2(3))
    assert values["auc_own"][0] == 0.0
    assert whole["auc"] == 0.0


@pytest.mark.parametrize("level", ["people", "coupons"])
def test_a_shop_whose_people_like_coupons_or_not_is_seen_through(level: str) -> None:
    report = measure(LOG, "c0ffee", level).as_mapping()  # type: ignore[arg-type]
    systems = report["systems"]
    assert set(systems) == set(candidates(level))  # type: ignore[arg-type, call-overload]
    ours = systems["tasteline"]  # type: ignore[index]
    if level == "people":
        assert ours["auc"] > 0.75  # half never redeem; who of the others does is chance
        assert ours["auc"] > systems["frequency"]["auc"] + 0.1  # type: ignore[index]
    else:
        assert ours["recall@10"] == 1.0  # two coupons
        assert ours["auc_own"] > 0.99
        assert ours["calibration_error"] < 0.1
    assert "not uplift" in str(report["protocol"])
    assert "counts to the end of the log, 14 days or more" in str(report["protocol"])


def test_answers_drawn_by_lot_cannot_be_forecast() -> None:
    """A leak would show here: nothing but a look at such answers helps."""
    people = LOG.recipients["person"].unique().sort().to_numpy()
    reached = []
    for seed in range(8):
        drawn = pl.Series(np.random.default_rng(seed).choice(people, len(LOG.redemptions)))
        log = replace(LOG, redemptions=LOG.redemptions.with_columns(person=drawn))
        train, test = (cases_of(log, part, "people") for part in (divided(log).train, divided(log).test))
        reached.append(auc(test.responded, candidates("people")["tasteline"].fit(train, 0.01)(test)))
    assert 0.4 < np.mean(reached) < 0.6
