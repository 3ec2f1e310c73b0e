"""Probabilities that may be believed, and an order that stays."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from eval.metrics import calibration_error
from retrieval.models.calibration import Calibration


def test_scores_that_say_too_much_are_set_right() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(-1, 2, 40_000)
    happened = rng.random(len(scores)) < expit(scores / 3 - 1)
    fitted = Calibration.of(scores[:20_000], happened[:20_000].astype(float))
    found = fitted.probabilities(scores[20_000:])
    assert (
        calibration_error(happened[20_000:], found)
        < 0.015
        < calibration_error(happened[20_000:], expit(scores[20_000:]))
    )
    assert (np.diff(fitted.probabilities(np.linspace(-20, 20, 500))) > 0).all()


def test_weights_count_as_so_many() -> None:
    scores, happened = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0, 1.0])
    weighted = Calibration.of(scores, happened, np.array([30.0, 10.0, 10.0, 30.0])).probabilities(np.array([0.0, 1.0]))
    np.testing.assert_allclose(weighted, [10.5 / 41, 30.5 / 41])


def test_moved_to_a_share() -> None:
    scores = np.linspace(-3, 3, 50)
    moved = Calibration(np.array([-1.0, 1.0]), np.array([-2.0, 0.0])).moved_to(scores, 0.7)
    np.testing.assert_allclose(moved.probabilities(scores).mean(), 0.7, atol=1e-6)
