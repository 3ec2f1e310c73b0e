"""Orders of tuned models: each alone, fused by places, and nothing moved where nothing is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from eval import tuned_orders
from eval.data.interactions import Catalogue, Dataset, Histories, Interactions
from eval.tuned_orders import WEIGHTS, TunedModels, orders_of
from tasteline.settings import Settings
from tasteline.types import Product

TITLES = ("Tent", "Kettle", "Lamp", "Rope")


def by_length(need: str, products: Sequence[Product]) -> Sequence[float]:
    """Long titles fit, whatever is needed."""
    assert need == "someone who bought: Tent"
    return [float(len(product.title)) for product in products]


@pytest.fixture
def dataset() -> Dataset:
    ids = tuple("abcd")
    catalogue = Catalogue(ids, TITLES, ("",) * 4)
    return Dataset("small", "0", catalogue, ("ann", "bob"), Interactions.of([], [], []), timed=False)


def test_each_model_alone_and_fused(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuned_orders, "_models", lambda models, settings: [("long", by_length)])
    products = [Product(key, title) for key, title in zip("abcd", TITLES, strict=True)]
    histories = Histories.of([[0], []])
    candidates = np.array([[3, 2, 1], [2, 3, -1]], dtype=np.int32)
    heard: list[str] = []
    orders = dict(orders_of(TunedModels("x"), histories, candidates, dataset, products, Settings(), heard.append))
    assert heard == ["long"]
    assert list(orders) == ["long", *(f"long at {weight:g}" for weight in WEIGHTS)]
    assert orders["long"].tolist() == [[1, 3, 2], [2, 3, -1]]  # of bob nothing is known
    assert orders["long at 0.1"].tolist() == [[3, 2, 1], [2, 3, -1]]


def test_nothing_asked_for_is_nothing() -> None:
    assert not TunedModels().any
    assert TunedModels(untuned=True).any
