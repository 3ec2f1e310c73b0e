"""Findings in plain words: what to do, and because of which figures.

Each function takes a finding's own figures and gives an `Action`. Nothing else is said, so that every number and name
is one that was computed. A cause is never claimed.
"""

from __future__ import annotations

from collections.abc import Sequence

from retrieval.insights.baskets import Rule
from retrieval.insights.early import WEEKS, Sign
from retrieval.insights.findings import Action, Part, Prefers, RisesAmong, Topic, Wanted
from retrieval.insights.follows import Follow
from retrieval.insights.movements import Movement

LOW_STOCK = 5
"""Units under which a product that many turn to may be gone tomorrow."""


def label(topic: Topic) -> str:
    """Its own name.

    >>> label(("Kitchen", "Kettles"))
    'Kettles'
    """
    return topic[-1]


def joined(names: Sequence[str]) -> str:
    """
    >>> joined(["Eggs", "Flour", "Milk"])
    'Eggs, Flour and Milk'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def percent(share: float) -> str:
    """
    >>> percent(0.034), percent(0.34), percent(0.0004)
    ('3.4 %', '34 %', 'under 0.1 %')
    """
    if 0 < share < 0.001:
        return "under 0.1 %"
    return f"{share:.1%}".replace("%", " %") if abs(share) < 0.1 else f"{share:.0%}".replace("%", " %")


def changed(change: float) -> str:
    """
    >>> changed(0.4), changed(-0.25), changed(2.1)
    ('40 % more than expected', '25 % fewer than expected', '3.1 times as many as expected')
    """
    if change >= 1:
        return f"{1 + change:.1f} times as many as expected"
    return f"{abs(change):.0%}".replace("%", " %") + f" {'more' if change > 0 else 'fewer'} than expected"


def of_movement(
    movement: Movement,
    topic: Topic,
    present: int,
    days: int,
    parts: Sequence[Part],
    wanted: Sequence[Wanted],
    *,
    fewest: int,
    is_told: bool,
    is_over: bool,
) -> Action:
    """`present`: shoppers of the window. `is_told`: in both windows enough shoppers are behind it to say how many.
    `is_over`: what rose has passed its peak.
    """
    expected = round(movement.expected * present)
    number = movement.now.shoppers
    who_came = f"{number:,}" if number >= fewest else f"Fewer than {fewest}"
    than = f"{changed(movement.change)} ({expected:,})" if expected else "where hardly any were expected"
    if not is_told:
        than = f"{'more' if movement.direction == 'rising' else 'fewer'} than before"
    because = f"{who_came} shoppers turned to it in the last {days} days, {than}."
    who = next((f" for “{part.name}”" for part in parts if part.is_most), "")
    if movement.direction == "falling":
        gone = [one for one in wanted if one.stock == 0]
        look = f" {len(gone)} of its {len(wanted)} most wanted products are out of stock." if gone else ""
        return Action("demote", f"Give {label(topic)} less room{who}, or look at its prices and stock.", because + look)
    if is_over:
        return Action("wind_down", f"Wind {label(topic)} down: it rose, and has passed its peak.", because)
    return _rising(topic, because, who, wanted)


def _rising(topic: Topic, because: str, who: str, wanted: Sequence[Wanted]) -> Action:
    short = next((one for one in wanted if one.stock is not None and one.stock < LOW_STOCK), None)
    if short is not None:
        left = "is out of stock" if short.stock == 0 else f"has {short.stock} left"
        text = f"Restock {short.title}: {label(topic)} is rising and it {left}."
        return Action("restock", text, because)
    first = f" Most wanted: {wanted[0].title}." if wanted else ""
    return Action("promote", f"Bring {label(topic)} onto the home page{who}.{first}", because)


def of_sign(sign: Sign, topic: Topic) -> Action:
    faster = ", and it gains speed" if sign.accelerating else ""
    because = (
        f"{sign.shoppers:,} different shoppers in the last {WEEKS // 2} weeks, {sign.growth:.1f} times what the "
        f"{WEEKS // 2} weeks before them let expect; more in {sign.weeks_up} of {WEEKS - 1} weeks{faster}."
    )
    return Action("try", f"Try {label(topic)} in a small place, and watch it.", because)


def of_follow(follow: Follow, before: Topic, after: Topic) -> Action:
    days = max(1, round(follow.days))
    wait = "the next day" if days == 1 else f"about {days} days later"
    because = (
        f"{follow.shoppers:,} shoppers newly turned to {label(after)} after {label(before)}, "
        f"{follow.lift:.1f} times as often as chance has it."
    )
    return Action("follow", f"Show {label(after)} to who turned to {label(before)}, {wait}.", because)


def of_rule(rule: Rule, if_bought: Sequence[Topic], then: Sequence[Topic]) -> Action:
    first, second = joined([label(topic) for topic in if_bought]), joined([label(topic) for topic in then])
    because = (
        f"{percent(rule.confidence)} of the baskets with {first} have {second}, too, {rule.lift:.1f} times the usual "
        f"share: {rule.baskets:,} baskets of {rule.shoppers:,} shoppers."
    )
    return Action("together", f"Put {second} next to {first}, or offer them together.", because)


def of_group(name: str, people: int, prefers: Sequence[Prefers], rising: Sequence[RisesAmong]) -> Action:
    if rising:
        up = rising[0]
        than = "more than before" if up.change is None else changed(up.change)
        because = f"Of these {people:,} shoppers {up.shoppers:,} turned to it, {than}."
        return Action("greet", f"Greet “{name}” with {label(up.topic)}, which rises among them.", because)
    first = prefers[0]
    others = "hardly any" if first.elsewhere is None else percent(first.elsewhere)
    because = f"{percent(first.share)} of these {people:,} shoppers turn to it, {others} of the others do."
    return Action("lead", f"Lead with {label(first.topic)} for “{name}”.", because)
