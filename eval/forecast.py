"""The interests task: what will a household buy in the next 30 days, by category and by product, and anything at all?

Takes a timed Dataset and candidates, gives a Measured. One moment divides everybody; a system is fitted on what was
bought before it and gives each thing a score, or a probability, for each household. Knows nothing of how a system
works (`eval.baselines.habits` has the baselines) or of where a result is kept.

>>> class MostBought:
...     name, probabilities = "most_bought", False
...     def fit(self, known, window):
...         self.counts = np.bincount(known.things, minlength=len(known.names)).astype(np.float32)
...     def scores(self, users):
...         return np.tile(self.counts, (len(users), 1))
>>> isinstance(MostBought(), ForecastSystem)
True
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from eval.data.interactions import PURCHASE, Codes, Dataset, Flags, Order
from eval.measured import Measured, SystemResult, Values, binned
from eval.metrics import (
    auc,
    brier_score,
    calibration_error,
    f1_at_k,
    labels_of,
    log_loss,
    ndcg_at_k,
    recall_at_k,
    top_k,
)
from eval.protocols.temporal import before_end
from retrieval.models.sequences import ranges
from tasteline.errors import InvalidInput

Level = Literal["category", "product", "anything"]
"""What is forecast: which categories, which products, or whether a household comes at all (its churn)."""
Settings = Mapping[str, float]
Scores = NDArray[np.float32]
Keys = NDArray[np.intp]

DAY = 86_400
K = 10
CELLS_AT_ONCE = 1_000_000
"""Scores made at a time: 4 MB, which stay in the processor's cache until they are counted."""
CELLS_TO_CHOOSE = 40_000_000
"""Scores made on valid to judge one setting; where there are more, households are drawn (some 580 by product)."""
BASKETS = [("1–9", 1), ("10–24", 10), ("25–49", 25), ("50–99", 50), ("100+", 100)]
KEY_BITS = 20
"""Scores are told apart to 1 part in 2,048 when they are counted, and in the order everywhere else exactly."""


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` up to, but without, `stop`: seconds since 1970."""

    start: int
    stop: int

    @property
    def days(self) -> float:
        return (self.stop - self.start) / DAY


@dataclass(frozen=True, slots=True)
class Purchases:
    """Who bought what when: a row for each thing of a basket, however often it names it; by user, time and thing."""

    users: Codes
    things: Codes
    times: Order
    """Seconds since 1970; what one person bought in one second is a basket."""
    names: tuple[str, ...]
    """Of the things, in order of their numbers."""
    user_ids: tuple[str, ...]

    def between(self, start: int | None, stop: int) -> Purchases:
        """The rows from `start` (the first where None) up to, but without, `stop`."""
        chosen = self.times < stop
        if start is not None:
            chosen &= self.times >= start
        return Purchases(self.users[chosen], self.things[chosen], self.times[chosen], self.names, self.user_ids)

    def baskets(self) -> Codes:
        """Number of the basket of each row, ascending from 0."""
        return _baskets(self.users, self.times)[0]

    def basket_counts(self) -> Order:
        """Baskets of each of `user_ids`."""
        return np.bincount(self.users[_baskets(self.users, self.times)[1]], minlength=len(self.user_ids))


@runtime_checkable
class ForecastSystem(Protocol):
    """Forecasts what is bought in a window from what was bought before it. The harness never shows it the window."""

    @property
    def name(self) -> str: ...
    @property
    def probabilities(self) -> bool:
        """Whether scores are probabilities in [0, 1]; others are calibrated on valid before they are read as such."""
        ...

    def fit(self, known: Purchases, window: Window) -> None:
        """Learn from `known`, all of which is before `window.start`; called for the valid and for the test window.

        A model that needs examples cuts windows out of `known` itself: what it sees of later ones is nothing.
        """
        ...

    def scores(self, users: Codes) -> Scores:
        """(users, things): larger is likelier, finite; equal scores are ranked by number."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A system and the settings among which valid decides."""

    name: str
    build: Callable[[Settings], ForecastSystem]
    grid: Mapping[str, Sequence[float]]
    """Setting → its values; the first of each is where the search begins. Empty: nothing to choose."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom to ask about a window, and what they bought in it: `things[starts[i]:starts[i + 1]]` by person i."""

    window: Window
    users: Codes
    starts: Order
    things: Codes
    """Of one person ascending, none twice."""

    def __len__(self) -> int:
        return len(self.users)

    def take(self, places: Order) -> Asked:
        """The people at these places."""
        first, last = self.starts[places], self.starts[places + 1]
        starts = np.concatenate(([0], np.cumsum(last - first))).astype(np.int64)
        return Asked(self.window, self.users[places], starts, self.things[ranges(first, last)])

    def padded(self) -> NDArray[np.int64]:
        """What each bought, filled up with -1; shape (people, most)."""
        lengths = np.diff(self.starts)
        inside = np.arange(lengths.max(initial=1)) < lengths[:, None]
        result = np.full(inside.shape, -1, dtype=np.int64)
        result[inside] = self.things
        return result


def purchases(dataset: Dataset, level: Level) -> Purchases:
    """The purchases of a timed set by `level`; things that nobody ever buys are left out, items without a category too.

    Raises InvalidInput where the data set has no real times, or nothing to forecast.
    """
    if not dataset.timed:
        raise InvalidInput(f"{dataset.name} has no times that can be compared between people; it forecasts nothing")
    labels = {"category": dataset.catalogue.categories, "product": dataset.catalogue.ids, "anything": None}[level]
    events = dataset.interactions
    if labels is None:
        names, of_item = np.array(["anything"]), np.zeros(len(dataset.catalogue), dtype=np.int64)
    else:
        names, of_item = np.unique(np.array(labels), return_inverse=True)
    bought = np.zeros(len(names), dtype=np.bool_)
    bought[of_item[events.items[events.types == PURCHASE]]] = True
    bought &= names != ""
    if not bought.any():
        raise InvalidInput(f"{dataset.name} has no purchase of a thing with a name, by {level}; choose another level")
    kept = events.where((events.types == PURCHASE) & bought[of_item[events.items]])
    things = (np.cumsum(bought) - 1)[of_item[kept.items]]
    users, things, times = _once_a_basket(kept.users, things, kept.order)
    return Purchases(users, things, times, tuple(names[bought].tolist()), dataset.user_ids)


def _once_a_basket(users: Codes, things: NDArray[np.integer], times: Order) -> tuple[Codes, Codes, Order]:
    """Rows by user and time, in each basket its things in ascending order, none twice."""
    baskets, first = _baskets(users, times)
    width = int(things.max()) + 1
    pairs = np.sort(baskets.astype(np.int64) * width + things)  # one whole number for each row sorts ten times faster
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]
    rows = np.flatnonzero(first)[pairs // width]
    return users[rows], (pairs % width).astype(np.int32), times[rows]


def _baskets(users: Codes, times: Order) -> tuple[Codes, Flags]:
    """Number of each row's basket, ascending from 0, and whether the row is its first."""
    first = np.ones(len(users), dtype=np.bool_)
    first[1:] = (users[1:] != users[:-1]) | (times[1:] != times[:-1])
    return (np.cumsum(first) - 1).astype(np.int32), first


def windows(dataset: Dataset, days: int = 30) -> tuple[Window, Window]:
    """(valid, test): the last `days` of the data are test, the `days` before them valid.

    Raises InvalidInput for data that are not longer than both together, or without real times.
    """
    moments = before_end(dataset, valid_seconds=days * DAY, test_seconds=days * DAY)
    order = dataset.interactions.order
    if int(order.min()) >= moments.valid:
        raise InvalidInput(f"{dataset.name} spans less than {2 * days} days: nothing is left to learn from")
    return Window(moments.valid, moments.test), Window(moments.test, int(order.max()) + 1)


def asked(bought: Purchases, window: Window, *, newcomers: bool = False, absent: bool = False) -> Asked:
    """People with a purchase before the window and one in it; with `newcomers` those without the first as well.

    With `absent` people who bought nothing in the window are asked about too: that is the question of churn.
    """
    inside = bought.between(window.start, window.stop)
    before = np.unique(bought.users[bought.times < window.start])
    users = before if absent else np.unique(inside.users)
    if not (newcomers or absent):
        users = np.intersect1d(users, before)
    width = len(bought.names)
    pairs = np.unique(inside.users.astype(np.int64) * width + inside.things)
    pairs = pairs[np.isin(pairs // width, users)]
    starts = np.searchsorted(pairs, np.append(users, len(bought.user_ids)).astype(np.int64) * width)
    return Asked(window, users, starts.astype(np.int64), (pairs % width).astype(np.int32))


def measure(
    dataset: Dataset,
    level: Level,
    candidates: Sequence[Candidate],
    *,
    days: int = 30,
    newcomers: bool = False,
    seed: int = 0,
    told: Callable[[str], None] = lambda name: None,
) -> Measured:
    """Choose settings, thresholds and calibration on valid, fit again on all before the test window, measure there.

    `told` hears the name of each system before it is fitted. Raises InvalidInput where the data set does not fit.
    """
    started = time.perf_counter()
    bought, (valid_window, test_window) = purchases(dataset, level), windows(dataset, days)
    absent = level == "anything"
    valid = asked(bought, valid_window, newcomers=newcomers, absent=absent)
    test = asked(bought, test_window, newcomers=newcomers, absent=absent)
    if not len(valid) or not len(test):
        raise InvalidInput(f"{dataset.name}: {len(valid)} households to choose by, {len(test)} to measure by {level}")
    results = {}
    for candidate in candidates:
        told(candidate.name)
        results[candidate.name] = _run(candidate, bought, valid, test, absent=absent, seed=seed)
    known = bought.between(None, test_window.start)
    baskets = known.basket_counts()[test.users]
    return Measured(
        task="interests",
        dataset=dataset.name,
        checksum=dataset.checksum,
        protocol=protocol(level, valid_window, test_window, newcomers=newcomers),
        cases=tuple(dataset.user_ids[user] for user in test.users),
        systems=results,
        slices=[] if absent else [binned("baskets", baskets, BASKETS)],  # the AUC of a slice is no mean over cases
        headline=("auc", "log_loss") if absent else (f"recall@{K}", f"ndcg@{K}", "f1", "auc", "log_loss"),
        settings={"level": level, "days": days, "k": K, "things": len(bought.names), "train_rows": len(known.users)},
        seed=seed,
        seconds=time.perf_counter() - started,
        resamples=2_000,
    )


def protocol(level: Level, valid: Window, test: Window, *, newcomers: bool = False) -> str:
    """How the numbers came about, in words for the result."""
    moment, earlier = (datetime.fromtimestamp(each.start, UTC).strftime("%Y-%m-%d %H:%M") for each in (test, valid))
    fitted = (
        f"temporal: fitted on all before {moment}, measured on the {test.days:.0f} days after it; settings, threshold "
        f"and calibration chosen on the {valid.days:.0f} days from {earlier}, with what was bought before those"
    )
    if level == "anything":
        return f"{fitted}; every household that ever bought before is asked whether it buys anything"
    who = "in the window" if newcomers else "before the moment and in the window"
    return (
        f"{fitted}; households with a purchase {who}; every {level} that the data set sells is a candidate; "
        f"recall@{K} = hits / min({K}, number bought); auc, log-loss and Brier are means over households of all their "
        f"{level} forecasts, f1 reads as yes what passes one threshold for all; calibration_error@{K} is that of the "
        f"first {K}"
    )


def mean_recall(system: ForecastSystem, questions: Asked, things: int) -> float:
    """Mean over people of hits in the first K / min(K, number bought)."""
    batches = _batches(system, questions, things)
    return float(np.concatenate([_recall(batch, top_k(scores, K)[0]) for batch, scores in batches]).mean())


def _recall(batch: Asked, ranked: Codes) -> Values:
    return recall_at_k(*_labels(batch, ranked), K, capped=True)


# --- choosing on valid ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the scores of a system are to be read, learned on valid."""

    probability: Values
    """Of each key."""
    threshold: int
    """From this key on a forecast is a yes."""


def _run(
    candidate: Candidate, bought: Purchases, valid: Asked, test: Asked, *, absent: bool, seed: int
) -> SystemResult:
    started = time.perf_counter()
    system, settings, value = _choose(candidate, bought, valid, absent=absent, seed=seed)
    reading = _read(system, valid, len(bought.names))
    system.fit(bought.between(None, test.window.start), test.window)
    fitted = time.perf_counter() - started
    values, whole = _measure(system, reading, test, len(bought.names), absent=absent)
    found = {f"valid {'auc' if absent else f'recall@{K}'}": round(value, 6)}
    return SystemResult(values, whole, fit_seconds=fitted, chosen={**settings, **found})


def _choose(
    candidate: Candidate, bought: Purchases, valid: Asked, *, absent: bool, seed: int
) -> tuple[ForecastSystem, Settings, float]:
    """The best setting by recall on valid (by AUC where there is no ranking), fitted; one setting at a time, twice."""
    known, things = bought.between(None, valid.window.start), len(bought.names)
    drawn = _drawn(valid, things, seed)
    tried: dict[tuple[float, ...], float] = {}
    best: ForecastSystem | None = None
    settings = {name: values[0] for name, values in candidate.grid.items()}

    def value(trial: Settings) -> float:
        nonlocal best
        key = tuple(trial.values())
        if key not in tried:
            system = candidate.build(trial)
            system.fit(known, valid.window)
            reached = _pooled_auc(system, drawn, things) if absent else mean_recall(system, drawn, things)
            if best is None or reached > max(tried.values()):
                best = system
            tried[key] = reached
        return tried[key]

    value(settings)
    for _ in range(2):
        for name, values in candidate.grid.items():
            settings = max((settings, *({**settings, name: each} for each in values)), key=value)
    if best is None:
        raise ValueError(f"{candidate.name} was never fitted")
    return best, settings, value(settings)


def _drawn(questions: Asked, things: int, seed: int) -> Asked:
    most = max(1, CELLS_TO_CHOOSE // things)
    if len(questions) <= most:
        return questions
    return questions.take(np.sort(np.random.default_rng(seed).choice(len(questions), most, replace=False)))


def _read(system: ForecastSystem, valid: Asked, things: int) -> _Reading:
    happened, total = _no_counts(), _no_counts()
    for batch, scores in _batches(system, valid, things):
        _count(keys_of(scores), batch, happened, total)
    probability = np.clip(_scores_of_keys(), 0.0, 1.0) if system.probabilities else _calibrated(happened, total)
    right, said = np.cumsum(happened[::-1])[::-1], np.cumsum(total[::-1])[::-1]
    return _Reading(probability, int(np.argmax(2 * right / (said + max(1, happened.sum())))))


def _calibrated(happened: Order, total: Order) -> Values:
    """Probability of each key: the share that happened, made to rise with the score (isotonic regression).

    Each step counts one forecast more that happened as often as all did: no step says never or always. A key between
    two steps belongs to the lower one.
    """
    seen = np.flatnonzero(total)
    fitted = isotonic_regression(happened[seen] / total[seen], weights=total[seen])
    starts = fitted.blocks[:-1]
    step_happened, step_total = (np.add.reduceat(each[seen], starts) for each in (happened, total))
    steps = (step_happened + happened.sum() / total.sum()) / (step_total + 1)
    step_of_key = np.searchsorted(seen[starts], np.arange(len(total)), side="right") - 1
    return np.asarray(steps[np.maximum(step_of_key, 0)], dtype=np.float64)


# --- measuring -----------------------------------------------------------------------------------------------------


def _measure(
    system: ForecastSystem, reading: _Reading, test: Asked, things: int, *, absent: bool
) -> tuple[dict[str, Values], dict[str, float]]:
    """(metric → value of each person, metric → value of all forecasts together)"""
    happened, total = _no_counts(), _no_counts()
    values: dict[str, list[Values]] = {}
    shown: list[tuple[Flags, Values]] = []
    losses = {name: _by_outcome(metric, reading) for name, metric in (("log_loss", log_loss), ("brier", brier_score))}
    for batch, scores in _batches(system, test, things):
        keys = keys_of(scores)
        _count(keys, batch, happened, total)
        measured: dict[str, Values] = {}
        if absent:
            shown.append((np.diff(batch.starts) > 0, scores[:, 0].astype(np.float64)))
        else:
            ranked = top_k(scores, K)[0]
            labels, judged = _labels(batch, ranked)
            measured |= _ranking_metrics(labels, judged)
            measured |= {"f1": _f1(keys, batch, reading.threshold), "auc": _row_auc(scores, batch)}
            shown.append(_shown(labels, reading.probability[np.take_along_axis(keys, ranked, axis=1)]))
        measured |= {name: _mean_loss(keys, batch, *tables) for name, tables in losses.items()}
        for name, each in measured.items():
            values.setdefault(name, []).append(each)
    whole = {"calibration_error": _calibration_error(reading.probability, happened, total)}
    outcomes, forecasts = (np.concatenate(each) for each in zip(*shown, strict=True))
    by_person = {name: np.concatenate(each) for name, each in values.items()}
    if absent:
        return {"auc": auc_by_case(outcomes, forecasts), **by_person}, whole
    whole |= {
        f"calibration_error@{K}": calibration_error(outcomes, forecasts),
        "auc_pooled": _auc_of_counts(happened, total),
    }
    return by_person, whole


def auc_by_case(outcomes: Flags, forecasts: Values) -> Values:
    """One value for each case, whose mean is the AUC and whose scatter is that of the AUC.

        AUC + (n / P) (share of the negatives below - AUC)     for one of the P that happened
        AUC + (n / N) (share of the positives above - AUC)     for one of the N that did not

    Equal forecasts count one half. The variance of the mean is that of DeLong, DeLong and Clarke-Pearson (1988), so
    that two systems can be bootstrapped and paired like any mean over cases; the mean over some of the cases is not
    their AUC. (cases,) → (cases,); NaN where P or N is 0.

    >>> auc_by_case(np.array([True, False, True, False]), np.array([0.9, 0.2, 0.6, 0.6])).tolist()
    [1.125, 1.125, 0.625, 0.625]
    """
    positives, negatives = np.sort(forecasts[outcomes]), np.sort(forecasts[~outcomes])
    if not len(positives) or not len(negatives):
        return np.full(len(outcomes), np.nan)
    others = np.where(outcomes, len(negatives), len(positives))
    below = (_mean_place(negatives, forecasts) / len(negatives))[outcomes]
    result = np.empty(len(outcomes))
    result[outcomes], result[~outcomes] = below, 1 - (_mean_place(positives, forecasts) / len(positives))[~outcomes]
    area = below.mean()
    return np.asarray(area + len(outcomes) / (len(outcomes) - others) * (result - area), dtype=np.float64)


def _mean_place(ordered: Values, values: Values) -> Values:
    """How many of `ordered` are smaller, and half of those that are equal."""
    left, right = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (left + right) / 2


def _by_outcome(metric: Callable[[NDArray[np.integer], Values], Values], reading: _Reading) -> tuple[Values, Values]:
    """The loss of each key where nothing was bought, and where it was."""
    keys = len(reading.probability)
    if_not, if_so = (metric(np.full(keys, outcome), reading.probability) for outcome in (0, 1))
    return if_not, if_so


def _shown(labels: Values, probabilities: Values) -> tuple[Flags, Values]:
    """Outcome and forecast of everything within the first K."""
    there = labels != -np.inf
    return labels[there] == 1, probabilities[there]


def _batches(system: ForecastSystem, questions: Asked, things: int) -> Iterator[tuple[Asked, Scores]]:
    step = max(1, CELLS_AT_ONCE // things)
    for start in range(0, len(questions), step):
        batch = questions.take(np.arange(start, min(start + step, len(questions))))
        scores = np.asarray(system.scores(batch.users), dtype=np.float32)
        if scores.shape != (len(batch), things):
            raise ValueError(f"{system.name} gave scores of shape {scores.shape}, not {(len(batch), things)}")
        if not np.isfinite(scores).all():
            raise ValueError(f"{system.name} gave a score that is not finite; every thing needs a forecast")
        yield batch, scores


def _labels(batch: Asked, ranked: Codes) -> tuple[Values, Values]:
    """(labels of the ranked, of all that was bought): 1 is bought, see `eval.metrics.labels`."""
    bought = batch.padded()
    judged = np.where(bought >= 0, 1.0, -np.inf)
    return labels_of(ranked, bought, judged), judged


def _ranking_metrics(labels: Values, judged: Values) -> dict[str, Values]:
    return {
        f"recall@{K}": recall_at_k(labels, judged, K, capped=True),
        f"ndcg@{K}": ndcg_at_k(labels, judged, K),
        f"f1@{K}": f1_at_k(labels, judged, K),
    }


def _places(batch: Asked) -> tuple[NDArray[np.int64], Codes]:
    """Row and column of each thing that was bought."""
    return np.repeat(np.arange(len(batch)), np.diff(batch.starts)), batch.things


def _row_auc(scores: Scores, batch: Asked) -> Values:
    """`eval.metrics.auc` of each row; NaN where all or nothing was bought.

    A row is sorted once and the few that were bought are looked up: forty times faster than ranking all of them.
    """
    result = np.full(len(batch), np.nan)
    for row, (start, stop) in enumerate(zip(batch.starts[:-1], batch.starts[1:], strict=True)):
        ordered, of_bought = np.sort(scores[row]), scores[row, batch.things[start:stop]]
        positives, negatives = stop - start, len(ordered) - (stop - start)
        if positives and negatives:
            below, up_to = (np.searchsorted(ordered, of_bought, side=side) for side in ("left", "right"))
            ranks = (below + up_to + 1).sum() / 2
            result[row] = (ranks - positives * (positives + 1) / 2) / (positives * negatives)
    return result


def _f1(keys: Keys, batch: Asked, threshold: int) -> Values:
    rows, columns = _places(batch)
    right = np.bincount(rows, weights=keys[rows, columns] >= threshold, minlength=len(batch))
    doubled = (keys >= threshold).sum(axis=1) + np.diff(batch.starts)
    return np.asarray(2 * right / np.maximum(doubled, 1), dtype=np.float64)


def _mean_loss(keys: Keys, batch: Asked, if_not: Values, if_so: Values) -> Values:
    rows, columns = _places(batch)
    of_bought = keys[rows, columns]
    more = np.bincount(rows, weights=(if_so - if_not)[of_bought], minlength=len(batch))
    return np.asarray((if_not[keys].sum(axis=1) + more) / keys.shape[1], dtype=np.float64)


def _pooled_auc(system: ForecastSystem, questions: Asked, things: int) -> float:
    outcomes, forecasts = [], []
    for batch, scores in _batches(system, questions, things):
        happened = np.zeros(scores.shape, dtype=np.bool_)
        happened[_places(batch)] = True
        outcomes.append(happened.ravel())
        forecasts.append(scores.ravel().astype(np.float64))
    return auc(np.concatenate(outcomes), np.concatenate(forecasts))


# --- counting forecasts by their score: 140 million of them need no memory -----------------------------------------


def keys_of(scores: Scores) -> Keys:
    """A whole number from 0 to 2**KEY_BITS - 1 for each score, in the same order: the upper bits of the float.

    >>> keys_of(np.array([-1.0, 0.0, -0.0, 1.0], dtype=np.float32)).tolist()
    [264191, 524288, 524288, 784384]
    """
    bits = (scores + np.float32(0)).view(np.uint32)  # -0 becomes +0: they are equal
    if bits.size and bits.max() >> 31:  # numbers below 0 are stored by size and sign: largest last
        np.bitwise_xor(bits, _LOWER, out=bits, where=bits >= _SIGN)
    return ((bits ^ _SIGN) >> (32 - KEY_BITS)).astype(np.intp)


_SIGN, _LOWER = np.uint32(1 << 31), np.uint32((1 << 31) - 1)


def _scores_of_keys() -> Values:
    """The middle of the scores that share a key; those of no number are 0."""
    bits = (np.arange(1 << KEY_BITS, dtype=np.uint32) << (32 - KEY_BITS)) | np.uint32(1 << (31 - KEY_BITS))
    floats = np.where(bits >= _SIGN, bits ^ _SIGN, ~bits).view(np.float32)
    return np.nan_to_num(floats).astype(np.float64)


def _no_counts() -> Order:
    return np.zeros(1 << KEY_BITS, dtype=np.int64)


def _count(keys: Keys, batch: Asked, happened: Order, total: Order) -> None:
    total += np.bincount(keys.ravel(), minlength=len(total))
    happened += np.bincount(keys[_places(batch)], minlength=len(happened))


def _auc_of_counts(happened: Order, total: Order) -> float:
    """`eval.metrics.auc` of forecasts that were counted by key."""
    positives, negatives = happened.sum(), (total - happened).sum()
    if not positives or not negatives:
        return float("nan")
    mean_ranks = np.cumsum(total) - (total - 1) / 2
    return float(((mean_ranks * happened).sum() - positives * (positives + 1) / 2) / (float(positives) * negatives))


def _calibration_error(probability: Values, happened: Order, total: Order, bins: int = 10) -> float:
    """`eval.metrics.calibration_error` of forecasts that were counted by key."""
    places = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], probability)
    gaps = np.bincount(places, weights=happened - probability * total, minlength=bins)
    return float(np.abs(gaps).sum() / total.sum())
