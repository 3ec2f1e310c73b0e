"""First purchases in a department that is new to somebody."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eval import asking
from eval.baselines.newcomers import beginnings
from eval.baselines.popular import Popular
from eval.data.interactions import Catalogue, Dataset, Interactions
from eval.protocols import departments
from eval.protocols.checks import check_split
from eval.protocols.departments import by_kind, department_of, new_department
from eval.protocols.split import Split
from eval.protocols.temporal import Moments
from eval.systems import Learning
from tasteline.errors import InvalidInput
from tests.unit.eval.protocols.toy_shop import dataset_of

MOMENTS = Moments(valid=100, test=200)
BREAD, FISH, FUEL, UNNAMED = range(4)
"""Items 0–9, 10–19, 20, 21; two products to a kind in the first two."""


def shop(events: list[tuple[int, int, int]]) -> Dataset:
    """(person, item, second) each. Train knows all kinds of bread and fish through person 0."""
    paths = tuple(
        ("bread", f"loaf {item // 2}") if item < 10 else ("fish", f"fin {item // 2}") if item < 20 else path
        for item, path in zip(range(22), [("",)] * 20 + [("fuel", "fuel"), ()], strict=True)
    )
    all_of_it = [(0, item, item) for item in range(21)]
    users, items, order = zip(*(all_of_it + events), strict=True)
    ids = tuple(map(str, range(22)))
    return Dataset(
        "toy", "c0ffee", Catalogue(ids, ("",) * 22, ("",) * 22, paths), tuple(f"u{n}" for n in range(max(users) + 1)),
        Interactions.of(users, items, order), timed=True,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def small_departments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departments, "LEAST_KINDS", 5)


def cases(split: Split, part: str) -> list[tuple[int, list[int], list[int]]]:
    asked = getattr(split, part)
    return [
        (
            int(asked.users[n]),
            asked.histories.of_case(n).tolist(),
            asked.targets.items[asked.targets.starts[n] : asked.targets.starts[n + 1]].tolist(),
        )
        for n in range(len(asked))
    ]


def test_only_the_first_basket_of_a_new_department_is_asked_for() -> None:
    dataset = shop(
        [
            (1, 0, 50), (1, 3, 120), (1, 12, 130), (1, 13, 130), (1, 12, 130), (1, 4, 130), (1, 14, 150),  # fish is new
            (2, 11, 90), (2, 12, 110), (2, 5, 210), (2, 6, 220),  # fish is not, bread is, in the test window
        ]
    )  # fmt: skip
    split = new_department(dataset, MOMENTS)
    check_split(split, dataset)
    assert cases(split, "valid") == [(1, [0, 3], [12, 13])], "nothing of the same second, no second basket"
    assert cases(split, "test") == [(2, [11, 12], [5])]
    assert department_of(dataset, split.valid) == ["fish"]
    assert split.train.order.max() < 100
    assert split.leak.train_after_target == 0


def test_who_has_no_past_and_what_is_too_small_is_not_asked_about() -> None:
    dataset = shop([(1, 0, 150), (2, 0, 50), (2, 20, 150), (2, 21, 160), (3, 0, 50), (3, 10, 250)])
    split = new_department(dataset, MOMENTS)
    assert cases(split, "valid") == [], "no history; fuel has one kind; item 21 has no department"
    assert cases(split, "test") == [(3, [0], [10])]


def test_two_new_departments_in_one_basket_are_two_cases_of_one_person() -> None:
    dataset = shop([(1, 20, 50), (1, 1, 150), (1, 11, 150), (2, 0, 10), (2, 10, 220)])
    split = new_department(dataset, MOMENTS)
    assert cases(split, "valid") == [(1, [20], [1]), (1, [20], [11])]


def test_only_items_of_the_department_are_ranked() -> None:
    dataset = shop([(1, 0, 50), (1, 12, 130), (2, 11, 90), (2, 5, 210)])
    split = new_department(dataset, MOMENTS)
    popular = Popular()
    popular.fit(Learning.of(split, "toy", "toy"))
    for asked, wanted in ((split.valid, range(10, 20)), (split.test, range(10))):
        (ranked,) = asking.rank(popular, asked.histories, 22, 22, repeats=False, pools=asked.pools)
        assert sorted(ranked[ranked >= 0].tolist()) == list(wanted)


def test_what_people_begin_with_in_each_department() -> None:
    events = [(1, 0, 50), (1, 11, 51), (1, 10, 52), (2, 11, 60), (2, 3, 61), (3, 0, 50), (3, 11, 120), (3, 12, 220)]
    made = Learning.of(new_department(shop([*events, (1, 20, 53), (4, 20, 1), (4, 10, 210)]), MOMENTS), "toy", "toy")
    begun = beginnings(made, 0.5, shared=False)
    assert begun[11] == 2 + 0.5, "first fish of 1 and 2, second of person 0; what came after the moment does not count"
    assert begun[10] == 1 + 0.5
    assert begun[3] == 1 + 0.5**3


def test_products_of_a_kind_are_one() -> None:
    kinds = by_kind(shop([(1, 0, 50), (1, 1, 60)]))
    assert len(kinds.catalogue) == 12
    bought = kinds.interactions.histories(np.array([1])).items
    assert [kinds.catalogue.ids[item] for item in bought] == ["bread > loaf 0"] * 2
    assert kinds.catalogue.texts[bought[0]] == "loaf 0, bread"


def test_what_cannot_be_asked() -> None:
    with pytest.raises(InvalidInput, match="no times"):
        new_department(dataset_of([[0, 1]]), MOMENTS)
    timed = shop([(1, 0, 50), (1, 12, 230)])
    with pytest.raises(InvalidInput, match="names no departments"):
        new_department(replace(timed, catalogue=replace(timed.catalogue, paths=())), MOMENTS)
    with pytest.raises(InvalidInput, match="not before"):
        new_department(timed, Moments(200, 100))
    with pytest.raises(InvalidInput, match="0 test cases"):
        new_department(timed, Moments(100, 240))
