"""The view put together: what to do depends on whether a rise goes on, and who is behind it is named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from retrieval.insights.findings import Turn
from retrieval.insights.view import lasting_of, usual_days, view_of

from .made_acts import Act, acts


def steady(people: int) -> Iterator[Act]:
    """Half of them turn to topics 0 and 1, half to 2 and 3, every week."""
    for person in range(people):
        for week in range(8):
            yield (person, 2 * (person % 2), 7 * week + 1)
            yield (person, 2 * (person % 2) + 1, 7 * week + 3)


def risen(rows: list[Act]) -> Turn:
    made = acts(rows, 5)
    [turn] = view_of(made, lasting_of(made, 5), 28, 5).turns
    assert (turn.topic[-1], turn.direction) == ("topic 4", "rising")
    return turn


def test_a_rise_that_goes_on_is_brought_forward() -> None:
    turn = risen([*steady(80), *((person, 4, 2 + person % 14) for person in range(0, 80, 2))])
    assert turn.action.kind == "promote"
    assert turn.action.text.startswith("Bring topic 4 onto the home page for “")


def test_a_rise_past_its_peak_is_wound_down() -> None:
    turn = risen([*steady(80), *((person, 4, 15 + person % 5) for person in range(40)), (41, 4, 1)])
    assert turn.action.kind == "wind_down"
    assert "has passed its peak" in turn.action.text


def test_who_is_behind_a_rise() -> None:
    """Only people of one group turn to it: all of the gain is theirs, and the others are not named."""
    turn = risen([*steady(80), *((person, 4, 2 + person % 14) for person in range(0, 80, 2))])
    [part] = turn.behind
    assert (part.now, part.before, part.is_most) == (40, None, True)
    assert "topic 0" in part.name or "topic 1" in part.name


def test_a_hidden_number_is_in_no_other_figure() -> None:
    """One shopper of 80 before: what is told of the rise gives no number under the fewest, however it is multiplied."""
    turn = risen([*steady(80), *((person, 4, 2 + person % 14) for person in range(40)), (41, 4, 40)])
    assert (turn.shoppers, turn.share) == (40, 0.5)
    hidden = (turn.shoppers_before, turn.share_before, turn.attention_before, turn.expected, turn.extra, turn.change)
    assert {*hidden, turn.p, turn.q} == {None}
    assert all((part.extra, part.share) == (None, None) for part in turn.behind)
    assert turn.action.because == "40 shoppers turned to it in the last 28 days, more than before."


def test_what_fell_to_too_few_tells_of_before_alone() -> None:
    made = acts([*steady(80), *((person, 4, 40) for person in range(40)), (41, 4, 1)], 5)
    [turn] = view_of(made, lasting_of(made, 5), 28, 5).turns
    assert (turn.direction, turn.shoppers_before, turn.share_before) == ("falling", 40, 0.5)
    assert {turn.shoppers, turn.share, turn.attention, turn.expected, turn.extra, turn.change, turn.q} == {None}
    assert turn.action.because == "Fewer than 5 shoppers turned to it in the last 28 days, fewer than before."


def test_a_hidden_part_hides_the_shares_of_all() -> None:
    """Although the whole movement is of enough people: from the others' and the whole gain it could be had."""
    before = [(person, 4, 40) for person in range(0, 16, 2)]
    turn = risen([*steady(80), *((person, 4, 2 + person % 14) for person in range(60)), *before])
    assert (turn.shoppers, turn.shoppers_before) == (60, 8)
    assert turn.extra is not None
    assert [part.before for part in turn.behind] == [None, None]
    assert {(part.share, part.extra) for part in turn.behind} == {(None, None)}


def test_what_rises_in_a_group_from_too_few_is_told_without_figures() -> None:
    made = acts([*steady(80), *((person, 4, 2 + person % 14) for person in range(0, 80, 2))], 5)
    rises = [one for group in view_of(made, lasting_of(made, 5), 28, 5).groups for one in group.rising]
    assert [(one.shoppers, one.shoppers_before, one.change, one.q) for one in rises] == [(40, None, None, None)]


def test_points_with_too_few_people_are_left_out() -> None:
    turn = risen([*steady(80), *((person, 4, 2) for person in range(30)), *((person, 4, 9) for person in range(3))])
    assert turn.weekly[-1] == pytest.approx(30 / 80)
    assert turn.weekly[-2] is None, "three people"
    assert len(turn.weekly) == 8, "from the first week in which anybody came"


def test_windows_by_the_size_of_the_shop() -> None:
    assert usual_days(acts([(person, 0, 3) for person in range(1_000)], 1)) == 28
    assert usual_days(acts([(person, 0, 3) for person in range(999)], 1)) == 91
