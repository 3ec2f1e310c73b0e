from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.importing.formats import FORMATS, recognise
from retrieval.importing.run import Progress
from tasteline.errors import InputError, InvalidInput, NotFound

from .conftest import Shop

PRODUCTS = "id,title\n" + "".join(f"{number},Mug {number}\n" for number in range(25))
EVENTS = "event,user_id,item_id\n" + "".join(f"view,u{number},p\n" for number in range(25))


def test_nothing_is_made_when_nothing_is_rejected(shop: Shop) -> None:
    report = shop.load("p.csv", PRODUCTS)
    assert report.rejects_file is None
    assert not shop.rejects_file.exists()


def test_rejects_are_written_with_all_that_is_needed_to_find_them(shop: Shop) -> None:
    report = shop.load("p.csv", PRODUCTS + ",no id\n")
    assert report.rejects_file == shop.rejects_file
    assert shop.rejects == [
        {"source": str(shop.folder / "p.csv"), "line": 27, "field": "id", "reason": "id is missing", "raw": ",no id"}
    ]


def test_importing_again_adds_nothing(shop: Shop) -> None:
    paths = shop.write("p.csv", PRODUCTS), shop.write("e.csv", EVENTS)
    first, again = shop.take(*paths), shop.take(*paths)
    assert (first.products.accepted, first.events.accepted) == (25, 25)
    assert (again.products.accepted, again.products.repeated) == (0, 25)
    assert (again.events.accepted, again.events.repeated) == (0, 25)


def test_products_come_first_in_batches_and_progress_reaches_the_end(shop: Shop) -> None:
    seen: list[Progress] = []
    shop.take(shop.write("e.csv", EVENTS), shop.write("p.csv", PRODUCTS), batch=10, progress=seen.append)
    assert shop.store.largest == 10
    assert [progress.format for progress in seen] == ["products-csv"] * 4 + ["events-csv"] * 4
    assert seen[-1].fraction == 1.0
    assert [progress.events.accepted for progress in seen[4:]] == [10, 20, 25, 25]


def test_a_price_without_currency_stops_before_anything_is_stored(shop: Shop) -> None:
    good = shop.write("a.csv", PRODUCTS)
    bad = shop.write("b.jsonl", '{"id": 1, "title": "no price"}\n{"id": 2, "title": "t", "price": 100}\n')
    with pytest.raises(InvalidInput, match=r"line 2: .*--currency USD") as caught:
        shop.take(good, bad)
    assert caught.value.field == "currency"
    assert not shop.store.products
    assert shop.take(good, bad, currency="eur").products.accepted == 27
    with pytest.raises(InvalidInput, match="three letters"):
        shop.take(good, currency="euro")


def test_a_later_price_without_currency_is_a_reject(shop: Shop) -> None:
    report = shop.load("p.csv", "id,title,price\n1,a,5 USD\n2,b,5\n")
    assert (report.products.accepted, report.products.rejected) == (1, 1)
    assert shop.rejects[0]["reason"] == "the price has no currency"


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
def test_an_empty_file_counts_nothing_and_says_so(shop: Shop, content: str) -> None:
    report = shop.load("p.csv", content)
    assert (report.products.rows, report.events.rows) == (0, 0)
    assert report.notes == (f"{shop.folder / 'p.csv'} is empty",)


def test_a_header_alone_is_noted(shop: Shop) -> None:
    assert shop.load("p.csv", "id,title\n").notes == (f"{shop.folder / 'p.csv'} has no rows",)


def test_a_folder_gives_what_can_be_read_and_names_the_rest(shop: Shop) -> None:
    shop.write("data/README.md", "# Notes\n")
    shop.write("data/shop/products.csv", PRODUCTS)
    shop.write("data/shop/judgements.csv", "query,product_id,rating\nmug,1,3\n")
    shop.write("data/shop/deep/products.csv", PRODUCTS)
    shop.write("data/events.csv", EVENTS)
    shop.write("data/.hidden.csv", PRODUCTS)
    shop.write("data/pairs.csv", "beauty_user_id,sports_user_id\n1,2\n")
    report = shop.take(shop.folder / "data")
    assert (report.products.accepted, report.events.accepted) == (25, 25)
    skipped = {entry.source.removeprefix(f"{shop.folder}/data/"): entry.reason for entry in report.skipped}
    assert skipped.keys() == {"README.md", "shop/judgements.csv", "shop/deep", "pairs.csv"}
    assert "judgements" in skipped["shop/judgements.csv"]
    assert "user ids" in skipped["pairs.csv"]


def test_a_file_that_is_no_feed_says_what_it_seems_to_be(shop: Shop) -> None:
    with pytest.raises(InvalidInput, match="pairs of user ids of two data sets"):
        shop.load("pairs.csv", "beauty_user_id,sports_user_id\n1,2\n")
    with pytest.raises(InvalidInput, match="it begins: colour, weight"):
        shop.load("x.csv", "colour,weight\nred,2\n")
    with pytest.raises(InvalidInput, match="JSON array"):
        shop.load("x.json", '[{"id": 1}]')
    with pytest.raises(InvalidInput, match="UTF-16"):
        shop.load("x.csv", PRODUCTS.encode("utf-16"))
    with pytest.raises(InvalidInput, match="UTF-16"):
        shop.load("x.csv", PRODUCTS.encode("utf-16-le"))
    with pytest.raises(InvalidInput, match="nothing that can be imported"):
        shop.take(shop.write("empty/LICENSE", "some licence\n").parent)
    with pytest.raises(NotFound, match="does not exist"):
        shop.take(shop.folder / "missing.csv")


def test_a_given_format_is_not_guessed(shop: Shop) -> None:
    path = shop.write("x.csv", "type,sku,name,user\nview,1,Mug,u\n")
    assert recognise(path).format is not None
    assert shop.take(path, format="products-csv").products.accepted == 1
    with pytest.raises(InvalidInput, match="known: products-jsonl"):
        shop.take(path, format="xml")


@pytest.mark.parametrize(
    ("name", "content", "format_name"),
    [
        ("a", "event,user_id,item_id,title\n", "events-csv"),
        ("b", "type,id,title,user\n", "products-csv"),
        ("c", '{"id": 1, "title": "Cracker", "event": "Christmas"}\n', "products-jsonl"),
        ("d", '{"type": "view", "session_id": 1, "item_id": 2, "title": "Cracker"}\n', "events-jsonl"),
        ("e", 'broken\n{"sku": 1, "name": "Cracker"}\n', None),
        ("f", '{broken\n{"sku": 1, "name": "Cracker"}\n', "products-jsonl"),
        ("deep", '{"type": ' + "[" * 900 + "]" * 900 + ', "sku": 1, "name": "Cracker"}\n', "products-jsonl"),
        ("g", "id\ttitle\tprice\n", "products-csv"),
        ("h", "g:id\tg:title\tg:gtin\tg:image link\n", "google-tsv"),
    ],
)
def test_a_format_is_told_by_what_the_first_line_says(
    shop: Shop, name: str, content: str, format_name: str | None
) -> None:
    path = shop.write(name, content)
    if format_name is None:
        with pytest.raises(InvalidInput, match="neither"):
            recognise(path)
    else:
        found = recognise(path).format
        assert found is not None
        assert found.name == format_name


def test_formats_have_their_own_names() -> None:
    assert len({known.name for known in FORMATS}) == len(FORMATS)


HEADERS = {
    "products.csv": b"id,title,price,currency,rating,stock,category,link,colour\n",
    "events.csv": b"event,user_id,item_id,time,quantity,query\n",
    "google.tsv": b"id\ttitle\tlink\tgtin\tprice\tavailability\tcolor\n",
    "items.csv": b"item_id,asin,title,short_text,attributes\n",
    "interactions.csv": b"user_id,raw_user_id,item_id,asin,position,gap_seconds,split\n",
    "rees46.csv": b"event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n",
    "products.jsonl": b'{"id":"0","title":"first"}\n',
    "events.jsonl": b'{"event":"view_item","user_id":"u","item_id":"p"}\n',
}
PIECES = st.sampled_from(
    [
        b",",
        b"\t",
        b'"',
        b"\n",
        b"\r\n",
        b"\r",
        b"\x00",
        b"\xff",
        b"1",
        b"-5",
        b"NaN",
        b"view",
        b"2024-01-01",
        b"$5",
        b"{}",
        b"[[",
    ]
)
NAMES = [
    "id",
    "title",
    "price",
    "currency",
    "rating",
    "stock",
    "category",
    "attributes",
    "url",
    "availability",
    "other",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["amount", "currency", "name"]), inner),
    max_leaves=5,
)
EVENT_NAMES = [
    "event",
    "user_id",
    "item_id",
    "time",
    "quantity",
    "query",
    "items",
    "params",
    "event_params",
    "id",
    "position",
]
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", sorted(HEADERS))
@QUICK
@given(body=st.lists(PIECES | st.binary(max_size=8), max_size=40).map(b"".join))
def test_arbitrary_bytes_after_a_header_never_raise(new_shop: Callable[[], Shop], name: str, body: bytes) -> None:
    shop = new_shop()
    report = shop.load(name, HEADERS[name] + body, currency="USD")
    rejected = report.products.rejected + report.events.rejected
    assert (len(shop.rejects) if report.rejects_file else 0) == rejected
    assert len(shop.store.events) == report.events.accepted
    again = shop.load(name, HEADERS[name] + body, currency="USD")
    assert (again.products.accepted, again.events.accepted) == (0, 0)
    assert again.events.rows == report.events.rows


@QUICK
@given(content=st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: b"\x1f\x8b\x08\x00" + tail))
def test_arbitrary_files_are_read_or_refused(new_shop: Callable[[], Shop], content: bytes) -> None:
    shop = new_shop()
    with suppress(InputError):
        report = shop.load("x", content)
        assert report.products.accepted == len(shop.store.products)


@QUICK
@given(rows=st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES), max_size=8))
def test_every_json_product_is_counted_once(new_shop: Callable[[], Shop], rows: list[dict[str, object]]) -> None:
    report = new_shop().load(
        "p.jsonl", "".join(json.dumps(row) + "\n" for row in rows), currency="USD", format="products-jsonl"
    )
    assert report.products.rows == len(rows)


@QUICK
@given(rows=st.lists(st.dictionaries(st.sampled_from(EVENT_NAMES[:6]), VALUES), max_size=8))
def test_every_flat_json_event_is_counted_once(new_shop: Callable[[], Shop], rows: list[dict[str, object]]) -> None:
    report = new_shop().load("e.jsonl", "".join(json.dumps(row) + "\n" for row in rows), format="events-jsonl")
    assert report.events.rows == len(rows)


@QUICK
@given(rows=st.lists(st.dictionaries(st.sampled_from(EVENT_NAMES), VALUES), max_size=8))
def test_nested_json_events_never_raise(new_shop: Callable[[], Shop], rows: list[dict[str, object]]) -> None:
    report = new_shop().load("e.jsonl", "".join(json.dumps(row) + "\n" for row in rows), format="events-jsonl")
    assert report.events.rows >= len(rows)


@QUICK
@given(cells=st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=6, max_size=6), max_size=8))
def test_every_row_of_a_well_formed_table_is_counted_once(new_shop: Callable[[], Shop], cells: list[list[str]]) -> None:
    quoted = "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in cells)
    report = new_shop().load("e.csv", HEADERS["events.csv"] + quoted.encode())
    assert report.events.rows == len(cells)
