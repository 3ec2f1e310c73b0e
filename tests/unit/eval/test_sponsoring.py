"""What paid places cost: the fixed ones are where they should be, and the measurement counts what is paid."""

from pathlib import Path

from eval import demo_shop
from eval.sponsoring import FIXED, K, fixed, measure, placings, sponsors
from tasteline.settings import Settings
from tasteline.types import Product, RankedProduct

ITEMS = [RankedProduct(Product(name, name), 1.0 - place / 20) for place, name in enumerate("abcdefghij")]


def test_fixed_places_are_fixed_whatever_the_score() -> None:
    shown = fixed(ITEMS, frozenset("hj"))
    assert [shown[place].product.id for place in FIXED] == ["h", "j"]
    assert "".join(item.product.id for item in shown if not item.sponsored) == "abcdefgi"
    assert fixed(ITEMS, frozenset()) == ITEMS


def test_bounds_are_between_nothing_and_fixed() -> None:
    shown = {name: placing(ITEMS) for name, placing in placings(frozenset("hj")).items()}
    first = {name: next((n for n, item in enumerate(items) if item.sponsored), K) for name, items in shown.items()}
    assert first["fixed_slots"] == 1 < first["bound_0.2"] < first["bound_0.1"] < first["bound_0.05"]


def test_the_measurement_says_what_it_cost(tmp_path: Path) -> None:
    products = demo_shop.products()[::8]
    settings = Settings(home=tmp_path, embedder="hashing", language_model="none", _env_file=None)  # type: ignore[call-arg]
    systems: dict[str, dict[str, float]] = measure(products, settings, seed=0).as_mapping()["systems"]  # type: ignore[assignment]
    assert systems["unsponsored"]["paid@10"] == 0
    assert 0 < systems["bound_0.05"]["paid@10"] <= systems["bound_0.2"]["paid@10"] <= 2
    assert systems["fixed_slots"]["ndcg@10"] < systems["bound_0.05"]["ndcg@10"] <= systems["unsponsored"]["ndcg@10"]
    assert len(sponsors(products, 0)) == round(0.05 * len(products))
