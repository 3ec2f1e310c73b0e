"""What is learned of responses is what was put in; nothing to tell apart is said."""

import numpy as np
import pytest

from finetune.offer_response import fit_response
from tasteline.errors import InvalidInput


def test_the_weights_point_where_the_responses_are() -> None:
    chance = np.random.default_rng(0)
    features = chance.normal(3.0, [1.0, 5.0, 2.0], (2_000, 3))
    logits = 1.5 * (features[:, 0] - 3) - 0.2 * (features[:, 1] - 3) - 1
    responded = chance.random(2_000) < 1 / (1 + np.exp(-logits))
    model = fit_response(("up", "down", "noise"), features, responded, 1.0)
    assert model.weights == pytest.approx((1.5, -1.0, 0.0), abs=0.2)
    assert model.probabilities(features).mean() == pytest.approx(responded.mean(), abs=1e-3)


def test_less_freedom_holds_weights_nearer_to_nothing() -> None:
    features = np.arange(40.0)[:, None]
    responded = features[:, 0] > 20
    tight, loose = (fit_response(("x",), features, responded, freedom) for freedom in (0.01, 1.0))
    assert 0 < tight.weights[0] < loose.weights[0]


@pytest.mark.parametrize("answer", [False, True])
def test_all_alike_is_nothing_to_learn_from(answer: bool) -> None:
    with pytest.raises(InvalidInput, match="nothing to tell apart"):
        fit_response(("x",), np.ones((3, 1)), np.full(3, answer), 1.0)
