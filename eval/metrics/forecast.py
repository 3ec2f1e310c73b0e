"""How good a forecast is: probabilities (or scores) of a yes against what happened.

Takes two arrays (cases,): `outcomes` (0 or 1, or bool) and `forecasts`. Gives one value for each case where a metric
is a mean over cases (log-loss, Brier score), so that it can be bootstrapped and paired, else one float. Knows nothing
of who forecast what.

>>> outcomes, forecasts = np.array([1, 0, 1, 0]), np.array([0.9, 0.2, 0.6, 0.6])
>>> auc(outcomes, forecasts), float(brier_score(outcomes, forecasts).mean().round(4))
(0.875, 0.1425)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Outcomes = NDArray[np.bool_] | NDArray[np.integer] | NDArray[np.floating]
Binning = Literal["width", "mass"]

CLIP = 1e-15
"""A forecast of 0 or 1 that turns out wrong costs 34.5 nats instead of infinitely many."""


@dataclass(frozen=True, slots=True)
class Thresholded:
    """What becomes of forecasts that are read as yes from a threshold on."""

    precision: float
    """Share of the yeses that were right; NaN where none was said."""
    recall: float
    """Share of what happened that was forecast; NaN where nothing happened."""
    f1: float
    """Their harmonic mean, 2 TP / (2 TP + FP + FN); NaN where nothing happened and nothing was forecast."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Points of a reliability curve; bins without a case are left out. On the diagonal, a forecast means what it says.

    All three have shape (bins with cases,).
    """

    forecasts: Values
    """Mean forecast of each bin."""
    outcomes: Values
    """Share of its cases that happened."""
    counts: NDArray[np.int64]
    """Its cases."""


def auc(outcomes: Outcomes, forecasts: Values) -> float:
    """Area under the ROC curve: how often a case that happened is forecast higher than one that did not.

        AUC = (sum of the ranks of what happened - P (P + 1) / 2) / (P N)

    with P cases that happened, N that did not, and ties given the mean of their ranks, so that a tie counts one half
    (Mann and Whitney, 1947; Hanley and McNeil, 1982). Any scores will do. NaN where P or N is 0.

    >>> auc(np.array([0, 1, 1]), np.array([0.5, 0.5, 0.7]))  # one tie, one right
    0.75
    """
    happened = _checked(outcomes, forecasts)
    positives, negatives = int(happened.sum()), int((~happened).sum())
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(forecasts, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    ranks = float(mean_ranks[inverse][happened].sum())
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def log_loss(outcomes: Outcomes, forecasts: Values, *, clip: float = CLIP) -> Values:
    """Negative logarithm (base e) of the probability that was given to what happened, for each case.

        -ln p where it happened, -ln(1 - p) where not,   p clipped to [clip, 1 - clip]

    (cases,) → (cases,), from 0 on; its mean is the metric. Raises ValueError for forecasts outside [0, 1].

    >>> log_loss(np.array([1, 0, 1]), np.array([0.5, 0.0, 0.0])).round(3)
    array([ 0.693,  0.   , 34.539])
    """
    happened = _checked(outcomes, forecasts, probabilities=True)
    clipped = np.clip(np.asarray(forecasts, dtype=np.float64), clip, 1 - clip)
    return -np.log(np.where(happened, clipped, 1 - clipped))


def brier_score(outcomes: Outcomes, forecasts: Values) -> Values:
    """Squared difference of forecast and outcome, for each case (Brier, 1950); its mean is the metric.

    (cases,) → (cases,), in [0, 1]. Raises ValueError for forecasts outside [0, 1].

    >>> brier_score(np.array([1, 0]), np.array([0.5, 0.1])).round(2)
    array([0.25, 0.01])
    """
    happened = _checked(outcomes, forecasts, probabilities=True)
    return (np.asarray(forecasts, dtype=np.float64) - happened) ** 2


def reliability(outcomes: Outcomes, forecasts: Values, *, bins: int = 10, binning: Binning = "width") -> Reliability:
    """Mean forecast and share that happened in each bin of forecasts: the points of a reliability curve.

    Bins are equally wide over [0, 1] ("width") or hold about equally many cases ("mass": edges at the quantiles of
    the forecasts, so that equal forecasts share a bin). A forecast on an edge belongs to the lower bin.
    Raises ValueError for forecasts outside [0, 1] and for less than one bin.

    >>> curve = reliability(np.array([0, 1, 1]), np.array([0.1, 0.2, 0.9]), bins=2)
    >>> curve.forecasts.round(2), curve.outcomes.round(2), curve.counts
    (array([0.15, 0.9 ]), array([0.5, 1. ]), array([2, 1]))
    """
    happened = _checked(outcomes, forecasts, probabilities=True)
    if bins < 1:
        raise ValueError(f"{bins} bins; give 1 or more")
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    edges = np.quantile(forecasts, inner) if binning == "mass" and len(forecasts) else inner
    places = np.searchsorted(edges, forecasts)
    counts = np.bincount(places, minlength=bins)
    filled = counts > 0
    means = [np.bincount(places, each, minlength=bins)[filled] / counts[filled] for each in (forecasts, happened)]
    return Reliability(means[0], means[1], counts[filled])


def calibration_error(outcomes: Outcomes, forecasts: Values, *, bins: int = 10, binning: Binning = "width") -> float:
    """Expected calibration error: how far, on average over cases, a bin's forecast lies from what happened in it.

        ECE = sum over bins of |cases| / |all cases| * |mean outcome - mean forecast|

    (Naeini, Cooper and Hauskrecht, AAAI 2015; equal mass: Nguyen and O'Connor, EMNLP 2015.) In [0, 1], 0 is best;
    NaN without cases. Bins and errors as `reliability`. It says nothing of how sharp forecasts are: the base rate as
    the only forecast has 0.

    >>> round(calibration_error(np.array([0, 1, 1]), np.array([0.1, 0.2, 0.9]), bins=2), 4)  # (2 * .35 + .1) / 3
    0.2667
    """
    curve = reliability(outcomes, forecasts, bins=bins, binning=binning)
    if not len(curve.counts):
        return float("nan")
    return float(np.average(np.abs(curve.outcomes - curve.forecasts), weights=curve.counts))


def at_threshold(outcomes: Outcomes, forecasts: Values, threshold: float = 0.5) -> Thresholded:
    """Precision, recall and F1 of saying yes wherever the forecast is `threshold` or more. Any scores will do.

    >>> at_threshold(np.array([1, 1, 0]), np.array([0.9, 0.1, 0.5]))
    Thresholded(precision=0.5, recall=0.5, f1=0.5)
    """
    happened = _checked(outcomes, forecasts)
    yes = forecasts >= threshold
    right, said, were = int((yes & happened).sum()), int(yes.sum()), int(happened.sum())
    return Thresholded(_share(right, said), _share(right, were), _share(2 * right, said + were))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _checked(outcomes: Outcomes, forecasts: Values, *, probabilities: bool = False) -> NDArray[np.bool_]:
    if outcomes.ndim != 1 or outcomes.shape != forecasts.shape:
        raise ValueError(f"{outcomes.shape} outcomes and {forecasts.shape} forecasts; give two arrays (cases,)")
    happened = outcomes.astype(np.bool_)
    if not (happened == outcomes).all():
        raise ValueError("outcomes are 0 or 1; a forecast is about yes or no")
    if np.isnan(forecasts).any():
        raise ValueError("a forecast is NaN; leave such cases out and say how many there were")
    if probabilities and len(forecasts) and not 0 <= forecasts.min() <= forecasts.max() <= 1:
        raise ValueError(f"forecasts go from {forecasts.min()} to {forecasts.max()}; probabilities lie in [0, 1]")
    return happened
