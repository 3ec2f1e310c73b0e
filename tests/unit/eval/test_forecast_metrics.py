"""Golden values worked by hand, agreement with scikit-learn, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

from eval.metrics import at_threshold, auc, brier_score, calibration_error, log_loss, reliability

OUTCOMES = np.array([1, 0, 1, 0, 0])
FORECASTS = np.array([0.8, 0.6, 0.6, 0.2, 0.1])


def drawn(seed: int, cases: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts with many ties, 0 and 1 among them, that are somewhat right."""
    rng = np.random.default_rng(seed)
    forecasts = np.round(rng.random(cases), 2)
    return (rng.random(cases) < forecasts**2).astype(np.int64), forecasts


def test_auc_by_hand() -> None:
    # pairs (happened, not): .8 beats .6 .2 .1; .6 ties with .6 (half), beats .2 and .1: 5.5 of 6
    assert auc(OUTCOMES, FORECASTS) == pytest.approx(5.5 / 6)


def test_log_loss_by_hand() -> None:
    expected = [-math.log(0.8), -math.log(0.4), -math.log(0.6), -math.log(0.8), -math.log(0.9)]
    assert log_loss(OUTCOMES, FORECASTS) == pytest.approx(expected)
    assert log_loss(np.array([1, 0]), np.array([0.0, 1.0]), clip=0.01) == pytest.approx([-math.log(0.01)] * 2)


def test_brier_score_by_hand() -> None:
    assert brier_score(OUTCOMES, FORECASTS) == pytest.approx([0.04, 0.36, 0.16, 0.04, 0.01])


def test_calibration_error_by_hand() -> None:
    # halves: .2 and .1 → mean .15, none happened; .8, .6, .6 → mean 2/3, 2 of 3 happened: (2 * .15 + 3 * 0) / 5
    assert calibration_error(OUTCOMES, FORECASTS, bins=2) == pytest.approx(0.06)
    curve = reliability(OUTCOMES, FORECASTS, bins=2)
    assert curve.forecasts == pytest.approx([0.15, 2 / 3])
    assert curve.outcomes == pytest.approx([0, 2 / 3])
    assert curve.counts.tolist() == [2, 3]


def test_bins_of_equal_mass_keep_equal_forecasts_together() -> None:
    # median .6 is the edge and belongs below: .1 .2 .6 .6 (1 of 4 happened, mean .375) and .8 (1 of 1)
    curve = reliability(OUTCOMES, FORECASTS, bins=2, binning="mass")
    assert curve.counts.tolist() == [4, 1]
    assert calibration_error(OUTCOMES, FORECASTS, bins=2, binning="mass") == pytest.approx(
        (4 * (0.375 - 0.25) + 1 * 0.2) / 5
    )


def test_a_perfect_and_a_useless_forecast() -> None:
    assert auc(OUTCOMES, OUTCOMES.astype(float)) == 1.0
    assert calibration_error(OUTCOMES, OUTCOMES.astype(float)) == 0.0
    base_rate = np.full(5, 0.4)
    assert auc(OUTCOMES, base_rate) == 0.5
    assert calibration_error(OUTCOMES, base_rate) == pytest.approx(0.0)


def test_threshold_by_hand() -> None:
    # yes to .8 .6 .6: 2 right of 3 said, of 2 that happened
    found = at_threshold(OUTCOMES, FORECASTS, 0.6)
    assert (found.precision, found.recall, found.f1) == pytest.approx((2 / 3, 1.0, 0.8))


def test_what_is_undefined_is_nan() -> None:
    nothing, forecasts = np.zeros(3, dtype=np.int64), np.array([0.1, 0.2, 0.3])
    assert math.isnan(auc(nothing, forecasts))
    assert math.isnan(auc(nothing + 1, forecasts))
    assert math.isnan(calibration_error(nothing[:0], forecasts[:0]))
    assert math.isnan(calibration_error(nothing[:0], forecasts[:0], binning="mass"))
    found = at_threshold(nothing, forecasts)
    assert [math.isnan(each) for each in (found.precision, found.recall, found.f1)] == [True, True, True]
    assert at_threshold(nothing + 1, forecasts).f1 == 0.0


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        auc(np.array([0, 2]), np.array([0.1, 0.2]))
    with pytest.raises(ValueError, match="two arrays"):
        auc(np.array([0, 1]), np.array([0.1]))
    with pytest.raises(ValueError, match="NaN"):
        brier_score(np.array([0, 1]), np.array([0.1, np.nan]))
    with pytest.raises(ValueError, match="probabilities"):
        log_loss(np.array([0, 1]), np.array([0.1, 1.2]))
    with pytest.raises(ValueError, match="bins"):
        reliability(OUTCOMES, FORECASTS, bins=0)


@pytest.mark.parametrize("seed", range(5))
def test_scikit_learn_agrees(seed: int) -> None:
    outcomes, forecasts = drawn(seed)
    assert auc(outcomes, forecasts) == pytest.approx(sklearn_metrics.roc_auc_score(outcomes, forecasts), abs=1e-12)
    assert brier_score(outcomes, forecasts).mean() == pytest.approx(
        sklearn_metrics.brier_score_loss(outcomes, forecasts), abs=1e-12
    )
    inside = np.clip(forecasts, 0.01, 0.99)  # scikit-learn clips at another epsilon
    assert log_loss(outcomes, inside).mean() == pytest.approx(sklearn_metrics.log_loss(outcomes, inside), abs=1e-12)
    yes = forecasts >= 0.55
    found = at_threshold(outcomes, forecasts, 0.55)
    assert found.precision == pytest.approx(sklearn_metrics.precision_score(outcomes, yes))
    assert found.recall == pytest.approx(sklearn_metrics.recall_score(outcomes, yes))
    assert found.f1 == pytest.approx(sklearn_metrics.f1_score(outcomes, yes))
    for binning, strategy in (("width", "uniform"), ("mass", "quantile")):
        shares, means = calibration_curve(outcomes, forecasts, n_bins=7, strategy=strategy)
        curve = reliability(outcomes, forecasts, bins=7, binning=binning)  # type: ignore[arg-type]
        np.testing.assert_allclose(curve.outcomes, shares, atol=1e-12)
        np.testing.assert_allclose(curve.forecasts, means, atol=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=12))
def test_auc_counts_pairs(cases: list[tuple[bool, int]]) -> None:
    outcomes, scores = np.array([happened for happened, _ in cases]), np.array([float(score) for _, score in cases])
    pairs = [(a > b) + (a == b) / 2 for yes, a in cases if yes for no, b in cases if not no]
    assert auc(outcomes, scores) == pytest.approx(sum(pairs) / len(pairs) if pairs else math.nan, nan_ok=True)
    assert auc(outcomes, 3 * scores - 7) == pytest.approx(auc(outcomes, scores), nan_ok=True)  # only the order counts


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.sampled_from(["width", "mass"]))
def test_every_case_lies_in_one_bin(seed: int, bins: int, binning) -> None:  # type: ignore[no-untyped-def]
    outcomes, forecasts = drawn(seed, cases=40)
    curve = reliability(outcomes, forecasts, bins=bins, binning=binning)
    assert curve.counts.sum() == 40
    assert len(curve.counts) <= bins
    assert (np.diff(curve.forecasts) > 0).all()
    assert 0 <= calibration_error(outcomes, forecasts, bins=bins, binning=binning) <= 1
