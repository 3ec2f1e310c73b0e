"""One shop for all tests of this folder: it takes two seconds to make."""

from datetime import UTC, datetime

import pytest

from eval import demo_shop
from eval.demo_shop import Shopper
from tasteline.types import Event, Product


@pytest.fixture(scope="session")
def end() -> datetime:
    return datetime(2025, 6, 15, 18, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def products() -> list[Product]:
    return demo_shop.products()


@pytest.fixture(scope="session")
def shoppers() -> list[Shopper]:
    return demo_shop.shoppers()


@pytest.fixture(scope="session")
def events(products: list[Product], shoppers: list[Shopper], end: datetime) -> list[Event]:
    return list(demo_shop.events(products, shoppers, end))
