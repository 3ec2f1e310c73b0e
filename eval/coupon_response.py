"""Coupon response: which recipients of a later campaign redeem a coupon of it, and which of its coupons.

Takes the log of campaigns, gives a Measured for each level. Campaigns are divided by the day on which they begin;
whatever is fitted or chosen on had ended before the test campaigns began. Knows nothing of how a figure is computed
(`retrieval.offers`) or of where a result is kept. Response, not uplift: nobody drew lots for who got a campaign.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from eval.forecast import auc_by_case
from eval.measured import OURS, Measured, SystemResult, Values
from eval.metrics import auc, brier_score, calibration_error, log_loss
from finetune.offer_response import fit_response
from retrieval.offers import campaign as c
from retrieval.offers import taste
from retrieval.offers.campaign import Campaign, CouponLog, campaigns_of, recipients_of, redeemed
from tasteline.errors import InvalidInput

Level = Literal["people", "coupons"]
TEST_DAYS, MIDDLE_DAYS = 92, 84
"""Before the end of the log: the last quarter of the year is test, the three lunar months before it the middle."""
KNOWN_LEAST, SEEN_LEAST = 30, 14
"""Days of purchases before a campaign begins, and days of it within the log: with less there is nothing to go by."""
FREEDOMS = (0.01, 0.001, 0.003, 0.03, 0.1, 1.0)
FEATURES = c.RECIPIENT_FEATURES
EVENTS_ONLY = tuple(
    name for name in (*c.HABITS, *c.FIT) if name not in ("spent_quarter", "reduced_share", "group_coupons")
)
"""What any shop's events tell, without prices paid, coupons or people's answers."""
EVENTS_ONLY_SYSTEM = "events_only"
RULES: Mapping[Level, Mapping[str, str]] = {
    "people": {
        "past_redeemers": "redemptions",
        "redeemed_rate": "redeemed_rate",
        "coupon_use": "coupon_lines",
        "spending": "spent_quarter",
        "frequency": "visits_quarter",
        "category_frequency": "group_visits",
    },
    "coupons": {
        "popular": "group_reach",
        "category_frequency": "group_visits",
        "category_recency": "days_since_group",
        "category_share": "group_share",
        "coupon_use": "coupon_lines",
    },
}
"""Each ranks by one figure; its probability is that of a logistic regression on it alone."""
COUPON_EXTRAS = (
    "coupon_lines",
    "redemptions",
    "redeemed_rate",
    "since_redeemed",
    "spent_quarter",
    "age",
    "income",
    "told",
)
TREES: Mapping[Level, Sequence[float]] = {"people": (50.0, 100.0, 200.0), "coupons": (100.0,)}
TOP_SHARE = 0.1
"""Of a campaign's recipients: how many a merchant would write to."""
K = 10


@dataclass(frozen=True, slots=True)
class Cases:
    """A row for each case, with the features of its level."""

    frame: pl.DataFrame
    """campaign, person, at the level of coupons coupon, and features."""
    responded: NDArray[np.bool_]

    def matrix(self, names: Sequence[str]) -> NDArray[np.float64]:
        return self.frame.select(names).to_numpy().astype(np.float64)

    def with_more(self, other: Cases) -> Cases:
        """These and those of the same level after them."""
        return Cases(pl.concat([self.frame, other.frame]), np.concatenate([self.responded, other.responded]))

    def codes(self, *names: str) -> NDArray[np.int64]:
        """The same number for rows that agree in these columns, from 0."""
        return self.frame.select(pl.struct(names).rank("dense")).to_series().to_numpy().astype(np.int64) - 1


@dataclass(frozen=True, slots=True)
class Parts:
    """Campaigns by the day they begin; those that straddle a boundary are in no part, see `divided`."""

    train: tuple[Campaign, ...]
    middle: tuple[Campaign, ...]
    test: tuple[Campaign, ...]


class Fitted(Protocol):
    """What a system has learned."""

    def __call__(self, cases: Cases) -> Values:
        """(cases,) probabilities."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A system: how it is fitted with one of its settings."""

    fit: Callable[[Cases, float], Fitted]
    settings: Sequence[float]


def divided(log: CouponLog) -> Parts:
    """Train: ended before the middle begins; middle: began in it and ended before test; test: began in its days.

    Raises InvalidInput where a part is empty.
    """
    last = max(int(log.lines["day"].max()), int(log.redemptions["day"].max()))  # type: ignore[arg-type]
    test = last + 1 - TEST_DAYS
    middle = test - MIDDLE_DAYS
    first = int(log.lines["day"].min()) + KNOWN_LEAST  # type: ignore[arg-type]
    usable = [each for each in campaigns_of(log) if each.start >= first and each.start + SEEN_LEAST <= last]
    parts = Parts(
        tuple(each for each in usable if each.end < middle),
        tuple(each for each in usable if each.start >= middle and each.end < test),
        tuple(each for each in usable if each.start >= test),
    )
    if not (parts.train and parts.middle and parts.test):
        raise InvalidInput("coupon campaigns do not reach over a year: there must be earlier, middle and later ones")
    return parts


def cases_of(log: CouponLog, campaigns: Sequence[Campaign], level: Level) -> Cases:
    """Recipients of these campaigns, or at the level of coupons each with each coupon of the campaign."""
    frames, responded = [], []
    for campaign in campaigns:
        frame = recipients_of(log, campaign) if level == "people" else _pairs(log, campaign)
        keys = ("person",) if level == "people" else ("person", "coupon")
        frames.append(frame)
        responded.append(redeemed(log, campaign, frame, keys).to_numpy())
    return Cases(pl.concat(frames), np.concatenate(responded))


def _pairs(log: CouponLog, campaign: Campaign) -> pl.DataFrame:
    groups = log.coupons.filter(pl.col("campaign") == campaign.id).select("product", group="coupon")
    people = recipients_of(log, campaign).select("campaign", "person", *COUPON_EXTRAS)
    pairs = people.select("person").join(groups.select("group").unique().sort("group"), how="cross")
    found = taste.features(pairs, log.lines, groups, campaign.start)
    return found.join(people, on="person", how="left", maintain_order="left").rename({"group": "coupon"})


def candidates(level: Level) -> dict[str, Candidate]:
    """Ours first. `events_only` knows what every shop's events tell; at the level of coupons it is what serves."""
    every = FEATURES if level == "people" else (*taste.FEATURES, *COUPON_EXTRAS)
    events = EVENTS_ONLY if level == "people" else taste.FEATURES
    return {
        OURS: Candidate(_logistic(every), FREEDOMS),
        EVENTS_ONLY_SYSTEM: Candidate(_logistic(events), FREEDOMS),
        "boosted_trees": Candidate(_boosted(every), TREES[level]),
        **{name: Candidate(_logistic((figure,)), (1.0,)) for name, figure in RULES[level].items()},
    }


def _logistic(names: Sequence[str]) -> Callable[[Cases, float], Fitted]:
    def fit(cases: Cases, freedom: float) -> Fitted:
        model = fit_response(names, cases.matrix(names), cases.responded, freedom)
        return lambda asked: model.probabilities(asked.matrix(names))

    return fit


def _boosted(names: Sequence[str]) -> Callable[[Cases, float], Fitted]:
    """Small trees, because a few hundred redemptions carry no large ones."""

    def fit(cases: Cases, trees: float) -> Fitted:
        from sklearn.ensemble import HistGradientBoostingClassifier

        model = HistGradientBoostingClassifier(
            learning_rate=0.05, max_iter=int(trees), max_leaf_nodes=6, min_samples_leaf=50, l2_regularization=5.0
        ).fit(cases.matrix(names), cases.responded)
        return lambda asked: np.asarray(model.predict_proba(asked.matrix(names))[:, 1], dtype=np.float64)

    return fit


def chosen(candidate: Candidate, train: Cases, middle: Cases) -> tuple[float, float]:
    """(setting, log-loss): the best on the middle, the first of equals."""

    def loss(setting: float) -> float:
        return float(log_loss(middle.responded, candidate.fit(train, setting)(middle)).mean())

    losses = {setting: loss(setting) for setting in candidate.settings}
    best = min(losses, key=losses.__getitem__)
    return best, losses[best]


def measure(
    log: CouponLog,
    checksum: str,
    level: Level,
    *,
    seed: int = 0,
    told: Callable[[str], None] = lambda name: None,
    systems: Mapping[str, Candidate] | None = None,
    reference: str = OURS,
) -> Measured:
    """Choose on the middle, fit again on all that had ended before test, measure on test.

    `systems`: default `candidates(level)`; `reference`: which of them the others are compared with.
    """
    started = time.perf_counter()
    parts = divided(log)
    train, middle, test = (cases_of(log, part, level) for part in (parts.train, parts.middle, parts.test))
    known = train.with_more(middle)
    results = {}
    for name, candidate in (candidates(level) if systems is None else systems).items():
        told(name)
        begun = time.perf_counter()
        setting, loss = chosen(candidate, train, middle)
        forecasts = candidate.fit(known, setting)(test)
        values, whole = _people(test, forecasts) if level == "people" else _coupons(test, forecasts)
        told_of = {"setting": setting, "middle log_loss": round(loss, 6)} if len(candidate.settings) > 1 else {}
        results[name] = SystemResult(values, whole, fit_seconds=time.perf_counter() - begun, chosen=told_of)
    names, groups = _named(test, level)
    return Measured(
        task="offers",
        dataset="completejourney",
        checksum=checksum,
        protocol=_protocol(parts, level),
        cases=names,
        systems=results,
        headline=_HEADLINE[level],
        settings={
            "level": level,
            "train_cases": len(known.responded),
            "train_redeemed": int(known.responded.sum()),
            "test_cases": len(test.responded),
            "test_redeemed": int(test.responded.sum()),
            "campaigns": {part: [each.id for each in getattr(parts, part)] for part in ("train", "middle", "test")},
        },
        seed=seed,
        seconds=time.perf_counter() - started,
        resamples=2_000,
        reference=reference,
        groups=groups,
    )


_HEADLINE: Mapping[Level, tuple[str, ...]] = {
    "people": ("auc", "auc_within", "recall@10%", "log_loss"),
    "coupons": (f"recall@{K}", f"ndcg@{K}", "auc_own"),
}


def _named(test: Cases, level: Level) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names of the cases and the household of each, whose cases are redrawn together."""
    frame = test.frame if level == "people" else _askers(test)
    names = tuple(f"{campaign}/{person}" for campaign, person in frame.select("campaign", "person").iter_rows())
    return names, Cases(frame, np.zeros(0, dtype=np.bool_)).codes("person")


def _askers(test: Cases) -> pl.DataFrame:
    """Recipients who redeemed something, by campaign and person."""
    return test.frame.filter(pl.Series(test.responded)).select("campaign", "person").unique().sort("campaign", "person")


def _people(test: Cases, forecasts: Values) -> tuple[dict[str, Values], dict[str, float]]:
    campaigns = test.codes("campaign")
    newly = test.frame["redemptions"].to_numpy() == 0
    values = {
        "auc": auc_by_case(test.responded, forecasts),
        "auc_within": _within(test.responded, forecasts, campaigns),
        "recall@10%": _found(test.responded, forecasts, campaigns),
        "log_loss": log_loss(test.responded, forecasts),
        "brier": brier_score(test.responded, forecasts),
    }
    whole = {
        "calibration_error": calibration_error(test.responded, forecasts),
        "auc_first_time": auc(test.responded[newly], forecasts[newly]),
    }
    return values, whole


def _within(responded: NDArray[np.bool_], forecasts: Values, campaigns: NDArray[np.int64]) -> Values:
    """Of each who redeemed, the share of those of the same campaign who did not and are forecast lower; ties half."""
    result = np.full(len(responded), np.nan)
    for each in np.unique(campaigns):
        others = np.sort(forecasts[(campaigns == each) & ~responded])
        asked = (campaigns == each) & responded
        places = [np.searchsorted(others, forecasts[asked], side=side) for side in ("left", "right")]
        result[asked] = (places[0] + places[1]) / 2 / max(1, len(others))
    return result


def _found(responded: NDArray[np.bool_], forecasts: Values, campaigns: NDArray[np.int64]) -> Values:
    """Of each who redeemed, how likely they are among the first tenth of their campaign, equals being drawn."""
    result = np.full(len(responded), np.nan)
    for each in np.unique(campaigns):
        inside = campaigns == each
        ordered, places = np.sort(forecasts[inside]), int(np.ceil(TOP_SHARE * inside.sum()))
        asked = inside & responded
        above = len(ordered) - np.searchsorted(ordered, forecasts[asked], side="right")
        equal = len(ordered) - above - np.searchsorted(ordered, forecasts[asked], side="left")
        result[asked] = np.clip((places - above) / equal, 0.0, 1.0)
    return result


def _coupons(test: Cases, forecasts: Values) -> tuple[dict[str, Values], dict[str, float]]:
    """Of each recipient who redeemed: how their coupons stand among the campaign's. Equals in the order of numbers."""
    recipients = test.codes("campaign", "person")
    order = np.lexsort((-forecasts, recipients))
    starts = np.flatnonzero(np.diff(recipients[order], prepend=-1))
    rows = [part for part in np.split(order, starts[1:]) if test.responded[part].any()]
    values = np.array([_of_recipient(test.responded[part], forecasts[part]) for part in rows])
    whole = {
        "auc": auc(test.responded, forecasts),
        "log_loss": float(log_loss(test.responded, forecasts).mean()),
        "calibration_error": calibration_error(test.responded, forecasts),
    }
    return {name: values[:, place] for place, name in enumerate((f"recall@{K}", f"ndcg@{K}", "auc_own"))}, whole


def _of_recipient(responded: NDArray[np.bool_], forecasts: Values) -> tuple[float, float, float]:
    """recall, nDCG at K and AUC of one ranking, best first."""
    discounts = 1 / np.log2(np.arange(2, len(responded) + 2))
    best = min(K, int(responded.sum()))
    gained = float(discounts[:K][responded[:K]].sum() / discounts[:best].sum())
    return float(responded[:K].sum() / best), gained, auc(responded, forecasts)


def _protocol(parts: Parts, level: Level) -> str:
    first = _day(min(each.start for each in parts.test))
    asked = {
        "people": "every recipient is asked whether they redeem any coupon of the campaign; auc_within compares a "
        "redeemer with the others of the same campaign, recall@10% is the share of redeemers in the first tenth of its "
        "recipients, auc_first_time is of those who had never redeemed before",
        "coupons": f"every recipient who redeemed is asked which coupons of the campaign; recall@{K} = hits / min({K}, "
        "redeemed); auc, log_loss and calibration_error are over all pairs of recipient and coupon",
    }[level]
    return (
        f"temporal: the {len(parts.test)} campaigns that begin from {first} on; fitted on those that ended before, "
        f"settings chosen on the {len(parts.middle)} latest of them; features from before a campaign's first day; "
        f"what was redeemed counts to the end of the log, {SEEN_LEAST} days or more: of the campaigns that go on after "
        f"it a part of the answers is not seen; {asked}; response, not uplift: campaigns were not randomised"
    )


def _day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()
