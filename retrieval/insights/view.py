"""The shop-wide view put together: everything that was found among the acts, named, with its evidence and an action.

`lasting_of` computes what does not depend on the windows (segments, early signs, what follows what, baskets), `view_of`
the rest for windows of some days. Some seconds at a million events, so never in a shopper's request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from retrieval.insights import wording
from retrieval.insights.acts import Acts
from retrieval.insights.baskets import Rule, rules
from retrieval.insights.early import WEEKS, Sign, early_signs
from retrieval.insights.findings import (
    EarlySign,
    Group,
    Next,
    Part,
    Prefers,
    RisesAmong,
    Together,
    Turn,
    View,
    Wanted,
    Weekly,
)
from retrieval.insights.follows import Follow, follows
from retrieval.insights.movements import (
    ALARMS,
    WEEK,
    Counts,
    Movement,
    Tested,
    Windows,
    adjusted,
    asked,
    by_step,
    growth_of,
    movements,
    told,
    windows,
)
from retrieval.insights.segments import Segment, Segmentation, segment

POINTS = 13
"""Of a sparkline: of 7 days each for a window of 28, of 21 days for one of 91."""
MOST = 50
"""Lines of a list that are kept: nobody reads more, and their people are counted one by one."""
PASSED = 0.75
"""Of the best week's shoppers: with fewer in the last week a rise is over."""
SHORT, LONG = 28, 91
"""Days of a window: with few shoppers, only a quarter tells a rise from chance."""
MANY = 1_000
"""Shoppers in SHORT days who tell a topic of one in twenty from one in fourteen."""
WANTED = 3
"""Products named with a topic."""


@dataclass(frozen=True, slots=True)
class Lasting:
    """What was found whatever the windows are."""

    segmentation: Segmentation
    signs: Sequence[Sign]
    followed: Sequence[Follow]
    ruled: Sequence[Rule]


def lasting_of(acts: Acts, fewest: int) -> Lasting:
    return Lasting(
        segmentation=segment(acts, fewest),
        signs=early_signs(acts, fewest)[:MOST],
        followed=follows(acts, fewest)[:MOST],
        ruled=rules(acts, fewest, MOST),
    )


def view_of(acts: Acts, lasting: Lasting, days: int | None, fewest: int) -> View:
    """`days`: of each window, a multiple of 7; None: see `usual_days`. `fewest` people are behind whatever is shown."""
    days = days or usual_days(acts)
    moved = windows(acts, days)
    counts, found = Counts.of(moved), movements(moved, fewest)
    scribe = _Scribe.of(acts, lasting.segmentation, moved, found, fewest)
    rising = {movement.topic for movement in found}
    return View(
        as_of=None if acts.last is None else datetime.fromtimestamp(acts.last / 1e6, UTC),
        days=days,
        people=acts.people,
        events=acts.events,
        shoppers=counts.present,
        shoppers_before=counts.earlier,
        looked_around=_growth(counts),
        fewest=fewest,
        alarms=ALARMS,
        step_days=step_days(days),
        turns=[scribe.turn(movement) for movement in found],
        early=[scribe.sign(sign) for sign in lasting.signs if sign.topic not in rising],
        follows=[scribe.follow(each) for each in lasting.followed],
        together=[scribe.rule(each) for each in lasting.ruled],
        groups=scribe.groups(),
        profiled=int((lasting.segmentation.of_person >= 0).sum()),
        silhouette=lasting.segmentation.silhouette,
        notes=_notes(acts, days, counts, fewest),
    )


def _growth(counts: Counts) -> float:
    if not (counts.present and counts.earlier):
        return 1.0
    return growth_of(counts.now / counts.present, counts.before / counts.earlier, counts.before)


def _notes(acts: Acts, days: int, counts: Counts, fewest: int) -> list[str]:
    notes = []
    if acts.last is None:
        notes.append("No event has a time: what rises, falls or follows cannot be told.")
    elif min(counts.present, counts.earlier) < fewest:
        since = datetime.fromtimestamp(acts.last / 1e6, UTC) - timedelta(days=2 * days)
        notes.append(f"Too few shoppers since {since:%d %B %Y} to tell what rises and falls: choose longer windows.")
    if not acts.table["bought"].any():
        notes.append("Nothing was bought yet: there are no baskets to find rules in.")
    return notes


@dataclass(frozen=True, slots=True)
class _Scribe:
    """Names what was found by number, and looks up the evidence beside it."""

    acts: Acts
    segmentation: Segmentation
    windows: Windows
    counts: Counts
    by_segment: Sequence[tuple[Counts, Tested]]
    peaks: NDArray[np.int64]
    """Shoppers of each topic in each step of the window, oldest first, with one step before it."""
    everybody: NDArray[np.int64]
    """All shoppers of each of these steps."""
    lines: Sequence[Weekly]
    early: Sequence[Weekly]
    """The same by week, over the weeks in which early signs are looked for."""
    wanted: dict[int, list[Wanted]]
    names: Sequence[str]
    fewest: int

    @classmethod
    def of(
        cls, acts: Acts, segmentation: Segmentation, moved: Windows, found: Sequence[Movement], fewest: int
    ) -> _Scribe:
        counts = Counts.of(moved)
        growth, steps = _growth(counts), by_step(acts, POINTS, step_days(moved.days))
        # Weeks tell a peak where enough people come in one, else the longer steps of the lines.
        wide = WEEK if usual_days(acts) == SHORT else step_days(moved.days)
        peaks = by_step(acts, max(2, moved.days // wide) + 1, wide)
        parts = [Counts.of(moved.of(segmentation.people_of(each.number))) for each in segmentation.segments]
        return cls(
            acts=acts,
            segmentation=segmentation,
            windows=moved,
            counts=counts,
            by_segment=[(each, asked(each, fewest, growth)) for each in parts],
            peaks=peaks[0],
            everybody=peaks[1],
            lines=_lines(*steps, fewest),
            early=_lines(*by_step(acts, WEEKS, WEEK), fewest),
            wanted=_wanted(acts, moved.days, fewest),
            names=[_name(acts, each) for each in segmentation.segments],
            fewest=fewest,
        )

    def shown(self, shoppers: float) -> int | None:
        return int(shoppers) if shoppers >= self.fewest else None

    def is_told(self, movement: Movement) -> bool:
        """In figures; else in words alone: with one window hidden, most figures would tell how many were in it."""
        return min(movement.now.shoppers, movement.before.shoppers) >= self.fewest

    def turn(self, movement: Movement) -> Turn:
        topic, now, before = self.acts.topics[movement.topic], movement.now, movement.before
        is_told, has_now, has_before = (
            self.is_told(movement),
            now.shoppers >= self.fewest,
            before.shoppers >= self.fewest,
        )
        parts, wanted = self._parts(movement), self.wanted.get(movement.topic, [])
        return Turn(
            topic=topic,
            direction=movement.direction,
            shoppers=self.shown(now.shoppers),
            shoppers_before=self.shown(before.shoppers),
            share=now.share if has_now else None,
            share_before=before.share if has_before else None,
            expected=movement.expected if is_told else None,
            extra=movement.extra if is_told else None,
            change=movement.change if is_told else None,
            attention=now.attention if has_now else None,
            attention_before=before.attention if has_before else None,
            p=movement.p if is_told else None,
            q=movement.q if is_told else None,
            weekly=self.lines[movement.topic],
            behind=parts,
            wanted=wanted,
            action=wording.of_movement(
                movement,
                topic,
                self.counts.present,
                self.windows.days,
                parts,
                wanted,
                fewest=self.fewest,
                is_told=is_told,
                is_over=self._is_over(movement.topic),
            ),
        )

    def _is_over(self, topic: int) -> bool:
        """Did the last step bring clearly fewer shoppers than the best one of the window before it?"""
        # As if as many shoppers had come in each step as in the last one.
        *earlier, last = self.peaks[topic] * self.everybody[-1] / np.maximum(self.everybody, 1)
        best = max(earlier)
        return bool(last < PASSED * best and best - last > 3 * np.sqrt(best + last))

    def _parts(self, movement: Movement) -> list[Part]:
        """Segments that moved the same way, by shoppers gained or lost."""
        sign = 1 if movement.direction == "rising" else -1
        topic = movement.topic
        extra = [sign * float(test.extra[topic]) for _, test in self.by_segment]
        total = sum(each for each in extra if each > 0)
        behind = [
            (number, self.shown(counts.now[topic]), self.shown(counts.before[topic]))
            for number, (counts, _) in enumerate(self.by_segment)
            if extra[number] > 0 and max(counts.now[topic], counts.before[topic]) >= self.fewest
        ]
        is_told = self.is_told(movement) and all(None not in (now, before) for _, now, before in behind)
        return [
            Part(
                segment=number,
                name=self.names[number],
                now=now,
                before=before,
                extra=sign * extra[number] if is_told else None,
                share=extra[number] / total if is_told else None,
                is_most=extra[number] >= total / 2,
            )
            for number, now, before in sorted(behind, key=lambda part: -extra[part[0]])
        ]

    def sign(self, sign: Sign) -> EarlySign:
        topic = self.acts.topics[sign.topic]
        return EarlySign(
            topic=topic,
            shoppers=sign.shoppers,
            growth=sign.growth,
            weeks_up=sign.weeks_up,
            accelerating=sign.accelerating,
            p=sign.p,
            q=sign.q,
            weekly=self.early[sign.topic],
            wanted=self.wanted.get(sign.topic, []),
            action=wording.of_sign(sign, topic),
        )

    def follow(self, each: Follow) -> Next:
        before, after = self.acts.topics[each.before], self.acts.topics[each.after]
        return Next(
            before=before,
            after=after,
            shoppers=each.shoppers,
            steps=each.steps,
            confidence=each.confidence,
            lift=each.lift,
            reverse_lift=each.reverse_lift,
            days=each.days,
            p=each.p,
            q=each.q,
            action=wording.of_follow(each, before, after),
        )

    def rule(self, rule: Rule) -> Together:
        if_bought, then = ([self.acts.topics[topic] for topic in side] for side in (rule.if_bought, rule.then))
        return Together(
            if_bought=if_bought,
            then=then,
            baskets=rule.baskets,
            shoppers=rule.shoppers,
            support=rule.support,
            confidence=rule.confidence,
            lift=rule.lift,
            action=wording.of_rule(rule, if_bought, then),
        )

    def groups(self) -> list[Group]:
        """False alarms are held over all topics of all segments together."""
        if not self.by_segment:
            return []
        q = adjusted(np.concatenate([test.p for _, test in self.by_segment])).reshape(len(self.by_segment), -1)
        return [self._group(each, q[each.number]) for each in self.segmentation.segments if each.stands_out]

    def _group(self, each: Segment, q: NDArray[np.float64]) -> Group:
        counts, test = self.by_segment[each.number]
        told_ = told(counts, test, q, self.fewest)
        up = [one for one in told_ if one.direction == "rising" and one.now.shoppers >= self.fewest]
        rising = [
            RisesAmong(
                topic=self.acts.topics[one.topic],
                shoppers=one.now.shoppers,
                shoppers_before=self.shown(one.before.shoppers),
                change=one.change if self.is_told(one) else None,
                q=one.q if self.is_told(one) else None,
            )
            for one in up
        ]
        lasting = [line for one, line in zip(up, rising, strict=True) if not self._is_over(one.topic)]
        prefers = [Prefers(self.acts.topics[one.topic], one.share, one.elsewhere) for one in each.stands_out]
        name = self.names[each.number]
        return Group(
            number=each.number,
            name=name,
            people=each.people,
            share=each.share,
            prefers=prefers,
            rising=rising,
            action=wording.of_group(name, each.people, prefers, lasting),
        )


def _name(acts: Acts, each: Segment) -> str:
    """By the two topics that stand out most."""
    if not each.stands_out:
        return f"Group {each.number + 1}"
    return " + ".join(wording.label(acts.topics[one.topic]) for one in each.stands_out[:2])


def step_days(days: int) -> int:
    """Of a sparkline's points: about a quarter of the window, in whole weeks.

    >>> [step_days(days) for days in (7, 28, 91, 182)]
    [7, 7, 21, 42]
    """
    return max(1, days // 28) * WEEK


def _lines(counted: NDArray[np.int64], everybody: NDArray[np.int64], fewest: int) -> list[Weekly]:
    """From the first step in which anybody came."""
    first = int(np.argmax(everybody > 0))
    return [
        [
            round(number / shoppers, 5) if number >= fewest else None
            for number, shoppers in zip(row[first:], everybody[first:].tolist(), strict=True)
        ]
        for row in counted.tolist()
    ]


def _wanted(acts: Acts, days: int, fewest: int) -> dict[int, list[Wanted]]:
    """Of each topic the products that most shoppers turned to in the window."""
    rows = (
        acts.timed.lazy()
        .filter(pl.col("age") < days)
        .group_by("topic", "product")
        .agg(shoppers=pl.col("person").n_unique())
        .filter(pl.col("shoppers") >= fewest)
        .sort(["topic", "shoppers", "product"], descending=[False, True, False])
        .group_by("topic", maintain_order=True)
        .head(WANTED)
        .collect()
    )
    found: dict[int, list[Wanted]] = {}
    for topic, number, shoppers in rows.select("topic", "product", "shoppers").iter_rows():
        product = acts.products[number]
        found.setdefault(topic, []).append(Wanted(product.id, product.title, shoppers, product.stock, product.price))
    return found


def usual_days(acts: Acts) -> int:
    """Four weeks; a quarter where few come in four weeks. By the size of the shop alone, never by what it would show:
    of several windows the one that shows most would show chance.
    """
    shoppers = acts.timed.filter(pl.col("age") < SHORT)["person"].n_unique()
    return SHORT if shoppers >= MANY else LONG
