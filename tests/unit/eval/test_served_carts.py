"""The service asked for carts: it knows what may be counted and no more, and is asked with its rules and without."""

from pathlib import Path

import polars as pl
import pytest

from eval import served_carts
from eval.cart_addons import divided, questions_of
from eval.served_carts import BEFORE, WITH_RULES
from eval.served_carts import served_carts as opened
from retrieval.importing.completejourney import PRODUCTS
from tasteline.settings import Settings
from tests.unit.eval.test_cart_addons import shop


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Products of `shop()`, each of a kind of its own."""
    names = sorted(shop()["product"].unique().to_list())
    columns = ("product_id", "manufacturer_id", "department", "brand", "product_category", "product_type")
    rows = {column: names for column in columns} | {"package_size": [""] * len(names)}
    pl.DataFrame(rows).write_parquet(tmp_path / PRODUCTS)
    monkeypatch.setattr(served_carts, "data_folder", lambda: tmp_path)
    return Settings(home=tmp_path / "home", embedder="hashing", language_model="none", _env_file=None)  # type: ignore[call-arg]


def test_the_same_shop_is_asked_with_its_rules_and_without(settings: Settings) -> None:
    known, asked = divided(shop(), "valid")
    questions = questions_of(asked, 0, 30)
    with opened(settings, "c0ffee") as systems:
        found = {name: fit(known)(questions) for name, fit in systems.items()}
        again = systems[WITH_RULES](known)(questions)
    assert set(found) == {BEFORE, WITH_RULES}
    assert found[WITH_RULES] == again != found[BEFORE]
    for lists in found.values():
        for question, row in zip(questions, lists, strict=True):
            assert not set(question.cart) & set(row)
    hits = sum(question.hidden in row for question, row in zip(questions, found[WITH_RULES], strict=True))
    assert hits > len(questions) // 2
    assert (settings.home / "eval" / f"c0ffee-until-{int(known['day'].to_numpy().max())}").is_dir()
