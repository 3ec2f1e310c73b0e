"""From a forecast's raw score to a probability that may be believed.

Takes points that were learned on people whom the forecast had not seen; gives a probability for each score, larger for
a larger one, so that no order changes. Knows no forecast.

>>> coin = Calibration(np.array([-1.0, 1.0]), np.array([-2.0, 0.0]))
>>> coin.probabilities(np.array([1.0, 0.0, 2.0])).round(3).tolist()  # beyond the last point the slope is 1
[0.5, 0.269, 0.731]
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from retrieval.models.bought import Days

BINS = 100
"""Scores are brought together in so many parts of equal weight before the steps are fitted."""


@dataclass(frozen=True, slots=True)
class Calibration:
    scores: Days
    """Ascending, none twice."""
    logits: Days
    """Ascending, none twice: of the probability at each of `scores`."""

    @classmethod
    def of(cls, scores: Days, happened: Days, weights: Days | None = None) -> Calibration:
        """Isotonic regression (Barlow et al., 1972), drawn through the middles of its steps instead of in steps.

        Where nothing or everything happened nothing can be learned: every score is then given the overall share.
        """
        weight = np.ones(len(scores)) if weights is None else weights
        order = np.argsort(scores, kind="stable")
        cuts = np.searchsorted(np.cumsum(weight[order]), weight.sum() * np.arange(1, BINS) / BINS)
        starts = np.unique(np.concatenate(([0], cuts)))
        ordered = scores[order]
        starts = np.unique(np.searchsorted(ordered, ordered[starts[starts < len(order)]]))  # equal scores stay together
        total, hits, middle = (
            np.add.reduceat(each[order], starts) for each in (weight, weight * happened, weight * scores)
        )
        blocks = isotonic_regression(hits / total, weights=total).blocks[:-1]
        total, hits, middle = (np.add.reduceat(each, blocks) for each in (total, hits, middle))
        share = (hits + hits.sum() / total.sum()) / (total + 1)  # no step says never or always
        return cls(*_rising(middle / total, logit(np.clip(share, 1e-7, 1 - 1e-7))))

    def moved_to(self, scores: Days, share: float) -> Calibration:
        """The same with all logits raised alike, so that the mean probability of `scores` is `share`."""
        low, high = -10.0, 10.0
        for _ in range(50):
            middle = (low + high) / 2
            moved = replace(self, logits=self.logits + middle)
            low, high = (middle, high) if moved.probabilities(scores).mean() < share else (low, middle)
        return moved

    def probabilities(self, scores: Days) -> Days:
        """(n,) → (n,)"""
        inside = np.interp(scores, self.scores, self.logits)
        beyond = np.maximum(scores - self.scores[-1], 0.0) + np.minimum(scores - self.scores[0], 0.0)
        return np.asarray(expit(inside + beyond), dtype=np.float64)


def _rising(scores: Days, logits: Days) -> tuple[Days, Days]:
    """Only points that are above all before them."""
    kept = np.ones(len(scores), dtype=np.bool_)
    for values in (scores, logits):
        kept[1:] &= values[1:] > np.maximum.accumulate(values)[:-1]
    return scores[kept], logits[kept]
