"""First purchases in a department: what newcomers begin with, and what those alike do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eval import asking
from eval.baselines.first_purchase import FirstPurchase
from eval.baselines.popular import Popular
from eval.data.interactions import Catalogue, Dataset, Interactions
from eval.protocols import departments
from eval.protocols.departments import first_baskets, first_moments, new_department
from eval.protocols.split import Split
from eval.protocols.temporal import Moments
from eval.systems import Learning, NextItemSystem
from retrieval.models.sequences import DAY
from tasteline.errors import InvalidInput

BREADS, FISHES = 10, 10
DAYS = 300
MOMENTS = Moments(valid=int(240 * DAY), test=int(270 * DAY))


def shop(people: int = 1200) -> Dataset:
    """Somebody eats even or odd breads, tries a fish of that parity once, late, and then buys the smallest for ever."""
    rng = np.random.default_rng(5)
    rows = []
    for person in range(people):
        taste = person % 2
        rows += [(person, 2 * int(rng.integers(BREADS // 2)) + taste, int(day * DAY)) for day in range(0, DAYS, 50)]
        tried = 30 + person * (DAYS - 32) // people
        rows.append((person, BREADS + 2 * int(rng.integers(1, FISHES // 2)) + taste, int(tried * DAY) + 7))
        rows += [(person, BREADS, int(day * DAY)) for day in range(tried + 1, min(tried + 4, DAYS))]
    users, items, order = zip(*rows, strict=True)
    number = range(BREADS + FISHES)
    paths = tuple(("bread" if item < BREADS else "fish", str(item)) for item in number)
    catalogue = Catalogue(tuple(map(str, number)), ("",) * len(paths), ("",) * len(paths), paths)
    names = tuple(f"u{person}" for person in range(people))
    return Dataset("toy", "c0ffee", catalogue, names, Interactions.of(users, items, order), timed=True)


@pytest.fixture
def split(monkeypatch: pytest.MonkeyPatch) -> Split:
    monkeypatch.setattr(departments, "LEAST_KINDS", 5)
    return new_department(shop(), MOMENTS)


def mrr(system: NextItemSystem, split: Split, *, known: bool = True) -> float:
    cases = split.valid
    histories = cases.histories if known else cases.histories.last(0)
    items = len(split.catalogue)
    ranked = asking.rank(system, histories, items, items, repeats=False, pools=cases.pools)
    return float((1 / (1 + (ranked == cases.targets.items[:, None]).argmax(axis=1))).mean())


def test_firsts_and_people_alike_beat_what_is_bought_for_ever(split: Split) -> None:
    learning = Learning.of(split, "toy", "toy")
    popular, ours = Popular(), FirstPurchase()
    popular.fit(learning)
    ours.fit(learning)
    assert mrr(ours, split, known=False) > 1.1 * mrr(popular, split), "newcomers never begin with the smallest"
    assert mrr(ours, split) > 1.3 * mrr(ours, split, known=False), "and have a taste"


def test_what_nobody_can_rehearse_is_refused(split: Split) -> None:
    learning = Learning.of(split, "toy", "toy")
    with pytest.raises(InvalidInput, match="no times"):
        FirstPurchase().fit(replace(learning, timed=False))
    with pytest.raises(InvalidInput, match="nobody bought first"):
        FirstPurchase().fit(replace(learning, train=learning.train.where(learning.train.items < BREADS)))


def test_first_baskets_since_a_moment_and_when_each_began() -> None:
    events = Interactions.of(users=[0, 0, 0, 0, 1, 1], items=[0, 2, 3, 2, 0, 2], order=[1, 5, 5, 9, 2, 3])
    of_items = np.array([0, 0, 1, 1], dtype=np.int32)
    cases = first_baskets(events, of_items, since=4)
    assert (cases.users.tolist(), cases.targets.items.tolist()) == ([0], [2, 3])
    assert cases.histories.items.tolist() == [0]
    assert first_moments(events, of_items).tolist() == [1, 5, 5, 5, 2, 3]
