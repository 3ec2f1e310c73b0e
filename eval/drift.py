"""`tasteline eval drift`: how soon is a turn noticed, and how often is one seen that was none?

Takes the demo shop's people, whose plans say when their interests change; asks after each of their visits what is said
by then, and gives one result: share of the changes that were found, delay in events and days, false alarms for each
year of a person. Settings are chosen on the people of `CHOSEN_ON`, at no more than `BUDGET` false alarms a year, and
measured on those of `SEEDS`, whom nobody looked at while the method was made. Beside ours a rule that anybody would
write first: a topic's recent share against its lasting one.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise, product
from typing import Protocol

import numpy as np

from eval import demo_shop
from eval.demo_shop import Shopper, lexicon
from eval.demo_shop.people import interests
from eval.measured import Measured, SystemResult
from retrieval.catalogue import Catalogue
from retrieval.change_points import Sureness
from retrieval.interests import DAY
from retrieval.steps import Steps, steps_of
from retrieval.topics import Topic, by_category
from retrieval.turning import drifts_in, timeline_of
from tasteline.types import Event, Product

END = datetime(2026, 1, 1, tzinfo=UTC)
CHOSEN_ON = (7, 8)
"""Seeds of the people: 7 are those whom `tasteline demo` shows."""
SEEDS = (1931, 2718)
"""Looked at once with the method as it is. Whoever changes it after seeing them takes others."""
SHIFT = 0.25
"""Total variation between what a plan asks for at two visits, from which on it counts as a change."""
REGIME = 3
"""Visits before and after a change without which nobody could find it."""
NEAR = 2
"""Visits by which a drift may lie beside the change that it tells of."""
BUDGET = 0.25
"""False alarms that a person may hear in a year."""
OURS, RULE = "tasteline", "share threshold"

Shelves = Mapping[str, float]
Shares = Mapping[str, tuple[float, float]]
"""Broad topic → (short-term, long-term) share of attention."""


@dataclass(frozen=True, slots=True)
class Change:
    """A plan that turned between two visits."""

    visit: int
    """The first one after it."""
    findable: bool
    gained: frozenset[str]
    """Broad topics of what the plan asks for more than before."""
    lost: frozenset[str] = frozenset()
    """The same of less."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """What is known after a visit."""

    steps: Steps
    topics: Mapping[str, Topic]


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    prefixes: tuple[Prefix, ...]
    """One after each visit."""
    changes: tuple[Change, ...]

    @property
    def years(self) -> float:
        times = self.prefixes[-1].steps.times
        return float(times[-1] - times[0]) / DAY / 365.25


@dataclass(frozen=True, slots=True)
class Said:
    """A drift as it was first told."""

    at: int
    """Number of the visit after which it was told."""
    visit: int
    """The first one after the change, as told."""
    topics: frozenset[str]


class Sayer(Protocol):
    def __call__(self, person: Person) -> list[Said]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What one system said to one person, against the plan; NaN where there was nothing to find."""

    found: float
    delay_visits: float
    delay_events: float
    delay_days: float
    right_topic: float
    false_alarms: int


def run(told: Callable[[str], None] = lambda text: None) -> dict[str, object]:
    """The result in the shape of `tasteline eval`."""
    started = time.perf_counter()
    chosen_on, measured_on = ([person for seed in seeds for person in people(seed)] for seeds in (CHOSEN_ON, SEEDS))
    everyone = [*chosen_on, *measured_on]
    told(f"{len(everyone)} people, {sum(len(p.changes) for p in everyone)} changes")
    shares = {person.name: [_shares_after(prefix) for prefix in person.prefixes] for person in everyone}
    systems = {}
    for name, candidates in ((OURS, _ours()), (RULE, _rules(shares))):
        settings, sayer, reached = _chosen(candidates, chosen_on)
        told(f"{name}: {settings}, found {reached:.3f} where it was chosen")
        systems[name] = _result(sayer, measured_on, {**settings, "found_where_chosen": round(reached, 4)})
    findable = sum(change.findable for person in measured_on for change in person.changes)
    return Measured(
        task="interests",
        dataset="demo shop",
        checksum="",
        protocol=(
            f"after each visit of made-up people what is said by then; a change is a plan that shifts by {SHIFT} or "
            f"more with {REGIME} visits on each side; found within {NEAR} visits of it; settings chosen on people of "
            f"other seeds at {BUDGET} false alarms a year at most"
        ),
        cases=tuple(person.name for person in measured_on),
        systems=systems,
        settings={
            "seeds": list(SEEDS),
            "chosen_on": list(CHOSEN_ON),
            "end": END.isoformat(),
            "budget": BUDGET,
            "changes": findable,
        },
        seconds=time.perf_counter() - started,
        more={"part": "drift", "person_years": round(sum(person.years for person in measured_on), 1)},
    ).as_mapping()


def people(seed: int) -> list[Person]:
    """Everybody with enough visits to turn between, from the shop of this seed."""
    products, shoppers = demo_shop.products(), demo_shop.shoppers(seed)
    catalogue = Catalogue()
    catalogue.add(products)
    known = {each.id: each for each in products}
    histories: dict[str, list[Event]] = defaultdict(list)
    for event in demo_shop.events(products, shoppers, END, seed):
        if event.user_id:
            histories[event.user_id].append(event)
    found = [_person(shopper, histories[shopper.id], known, catalogue, seed) for shopper in shoppers]
    return [person for person in found if person is not None]


def _person(
    shopper: Shopper, history: Sequence[Event], known: Mapping[str, Product], catalogue: Catalogue, seed: int
) -> Person | None:
    prefixes = tuple(_prefixes(history, known, catalogue))
    if len(prefixes) < 2:
        return None
    return Person(f"{seed}/{shopper.id}", prefixes, tuple(_changes(shopper, prefixes[-1].steps)))


def _prefixes(history: Sequence[Event], known: Mapping[str, Product], catalogue: Catalogue) -> Iterator[Prefix]:
    ends = [place for place, (one, other) in enumerate(pairwise(history), 1) if one.session_id != other.session_id]
    visits = 0
    for end in [*ends, len(history)]:
        steps = steps_of(history[:end])
        if not len(steps) or int(steps.visits[-1]) + 1 == visits:
            continue  # only searched, touched nothing
        visits = int(steps.visits[-1]) + 1
        yield Prefix(steps, by_category({pid: known[pid] for pid in steps.product_ids}, catalogue))


def _changes(shopper: Shopper, steps: Steps) -> Iterator[Change]:
    first = np.flatnonzero(np.diff(steps.visits, prepend=-1))
    wanted = [_wanted(shopper, datetime.fromtimestamp(float(steps.times[step]), UTC)) for step in first]
    turns = [visit for visit in range(1, len(wanted)) if _apart(wanted[visit - 1], wanted[visit]) >= SHIFT]
    for before, visit, after in zip([0, *turns], turns, [*turns[1:], len(wanted)], strict=False):
        gained, lost = _more(wanted[visit - 1], wanted[visit]), _more(wanted[visit], wanted[visit - 1])
        yield Change(visit, visit - before >= REGIME and after - visit >= REGIME, gained, lost)


def _more(one: Shelves, other: Shelves) -> frozenset[str]:
    """Shelves, and their departments, of what `other` asks for more than `one`."""
    more = {shelf for shelf, share in other.items() if share > one.get(shelf, 0.0) + 0.02}
    return frozenset(name for shelf in more for name in (shelf, _department(shelf)))


def _wanted(shopper: Shopper, moment: datetime) -> Shelves:
    """Shelf → share of the attention that the plan gives it at that moment; empty where no phase is awake."""
    total: Counter[str] = Counter()
    for phase in shopper.phases:
        if phase.active(moment, END):
            kinds = interests()[phase.interest].kinds
            for kind, weight in kinds.items():
                total[lexicon.kinds()[kind].shelf] += phase.weight * weight / sum(kinds.values())  # type: ignore[assignment]
    return {shelf: weight / total.total() for shelf, weight in total.items()}


def _department(shelf: str) -> str:
    return next(kind.department for kind in lexicon.kinds().values() if kind.shelf == shelf)


def _apart(one: Shelves, other: Shelves) -> float:
    if not one or not other:
        return 0.0
    return 0.5 * sum(abs(one.get(shelf, 0.0) - other.get(shelf, 0.0)) for shelf in sorted({*one, *other}))


# --- what is said -----------------------------------------------------------------------------------------------------


def _ours() -> Iterator[tuple[dict[str, float], Sayer]]:
    for log_odds in (-3.0, -2.5, -2.0, -1.5):
        sureness = Sureness(log_odds=log_odds)
        yield {"log_odds": log_odds}, lambda p, s=sureness: _said(p, s)


def _said(person: Person, sureness: Sureness) -> list[Said]:
    """Each drift once, as it was when it was first told."""
    said: list[Said] = []
    for at, prefix in enumerate(person.prefixes):
        for drift in drifts_in(prefix.steps, prefix.topics, sureness):
            visit = int(prefix.steps.visits[drift.step - 1])
            if all(abs(visit - before.visit) > NEAR for before in said):
                said.append(Said(at, visit, frozenset(drift.after)))
    return said


def _rules(shares: Mapping[str, Sequence[Shares]]) -> Iterator[tuple[dict[str, float], Sayer]]:
    for share, ratio, visits in product((0.3, 0.4, 0.5, 0.6), (2.0, 3.0, 4.0), (1, 2, 3, 4)):
        settings = {"share": share, "ratio": ratio, "visits": float(visits)}
        yield settings, lambda p, s=share, r=ratio, v=visits: by_rule(shares[p.name], s, r, v)


def by_rule(shares: Sequence[Shares], share: float, ratio: float, visits: int) -> list[Said]:
    """A topic whose recent share passes `share` and `ratio` times its lasting one, after so many visits in a row.

    Again only once it has calmed. `shares`: those after each visit.
    """
    said: list[Said] = []
    begun: dict[str, int] = {}
    passing: Counter[str] = Counter()
    for at, present in enumerate(shares):
        for topic, (short, long) in present.items():
            if short <= long:
                begun.pop(topic, None)
                del passing[topic]
                continue
            begun.setdefault(topic, at)
            passes = short >= share and short >= ratio * long
            passing[topic] = passing[topic] + passes if passes or passing[topic] >= visits else 0
            if passes and passing[topic] == visits:
                said.append(Said(at, begun[topic], frozenset({topic})))
    return said


def _shares_after(prefix: Prefix) -> Shares:
    broad = {pid: Topic(topic.broad, topic.broad) for pid, topic in prefix.topics.items()}
    lines = timeline_of(prefix.steps, broad).topics
    return {line.topic: (line.short_term[-1], line.long_term[-1]) for line in lines}


# --- what it was worth ------------------------------------------------------------------------------------------------


def _chosen(
    candidates: Iterator[tuple[dict[str, float], Sayer]], everyone: Sequence[Person]
) -> tuple[dict[str, float], Sayer, float]:
    """The setting that finds most within the budget of false alarms; the quietest one where none keeps it."""
    best: tuple[tuple[bool, float], dict[str, float], Sayer, float] | None = None
    years = sum(person.years for person in everyone)
    for settings, sayer in candidates:
        results = [judged(person, sayer(person)) for person in everyone]
        false = sum(result.false_alarms for result in results) / years
        found = float(np.nanmean([result.found for result in results]))
        rank = (False, -false) if false > BUDGET else (True, found)
        if best is None or rank > best[0]:
            best = rank, settings, sayer, found
    if best is None:
        raise ValueError("no settings to choose from")
    return best[1], best[2], best[3]


def judged(person: Person, said: Sequence[Said]) -> Found:
    """A change is found by the first that was said near it; whatever is near no change at all is a false alarm."""
    steps = person.prefixes[-1].steps
    first = np.flatnonzero(np.diff(steps.visits, prepend=-1))
    last = np.append(first[1:], len(steps)) - 1
    matched = [(change, each) for change in person.changes if change.findable and (each := _first(change, said))]
    findable = sum(change.findable for change in person.changes)
    false = [each for each in said if all(abs(each.visit - change.visit) > NEAR for change in person.changes)]
    late = [
        (each.at - c.visit, last[each.at] - first[c.visit] + 1, _days(steps, first[c.visit], last[each.at]))
        for c, each in matched
    ]
    visits, events, days = np.mean(late, axis=0) if late else (np.nan, np.nan, np.nan)
    right = [bool(change.gained & each.topics) for change, each in matched]
    return Found(
        len(matched) / findable if findable else np.nan,
        float(visits),
        float(events),
        float(days),
        float(np.mean(right)) if right else np.nan,
        len(false),
    )


def _first(change: Change, said: Sequence[Said]) -> Said | None:
    near = [each for each in said if abs(each.visit - change.visit) <= NEAR and each.at >= change.visit]
    return min(near, key=lambda each: each.at, default=None)


def _days(steps: Steps, begin: int, end: int) -> float:
    return float(steps.times[end] - steps.times[begin]) / DAY


def _result(sayer: Sayer, everyone: Sequence[Person], settings: Mapping[str, object]) -> SystemResult:
    results = [judged(person, sayer(person)) for person in everyone]
    mean_years = sum(person.years for person in everyone) / len(everyone)
    named = ("found", "delay_visits", "delay_events", "delay_days", "right_topic")
    values = {name: np.array([getattr(result, name) for result in results], dtype=np.float64) for name in named}
    # Over the mean length of a history, so that the mean over people is alarms over years.
    values["false_alarms_per_year"] = np.array([result.false_alarms / mean_years for result in results])
    return SystemResult(values, chosen=settings)
