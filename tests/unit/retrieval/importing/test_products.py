from __future__ import annotations

import gzip
import json

import pytest

from tasteline.errors import InvalidInput
from tasteline.types import Price

from .conftest import Shop

HEAD = "id,title,price,currency\n"


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_jsonl_by_our_own_names(shop: Shop) -> None:
    row = {
        "id": "k1",
        "title": "Gooseneck kettle",
        "description": "For pour-over.\nHolds 1 l.",
        "brand": "Brewwell",
        "categories": ["Kitchen", "Coffee", "Kettles"],
        "price": 4999,
        "currency": "EUR",
        "rating": 4.5,
        "rating_count": 12,
        "stock": 3,
        "attributes": {"colour": ["black", "steel"], "litres": 1.0, "cordless": True, "size": "S|M"},
        "url": "https://shop.example/k1",
        "image_url": "/images/k1.jpg",
    }
    report = shop.load("p.jsonl", lines(row))
    product = shop.product
    assert (report.products.accepted, report.formats) == (1, ("products-jsonl",))
    assert (product.id, product.title, product.brand) == ("k1", "Gooseneck kettle", "Brewwell")
    assert product.description == "For pour-over.\nHolds 1 l."
    assert product.categories == ("Kitchen", "Coffee", "Kettles")
    assert (product.price, product.rating, product.rating_count, product.stock) == (Price(4999, "EUR"), 4.5, 12, 3)
    assert product.attributes == {
        "colour": ("black", "steel"),
        "litres": ("1",),
        "cordless": ("yes",),
        "size": ("S", "M"),
    }
    assert (product.url, product.image_url) == ("https://shop.example/k1", "/images/k1.jpg")


def test_jsonl_by_other_names(shop: Shop) -> None:
    row = {
        "sku": 120337225,
        "name": "X-9 cable",
        "short_description": "Cable",
        "supplier": "Wirely",
        "category": "Audio_and_Video > Cables",
        "price": {"amount": 995, "currency": "GBP"},
        "average_rating": 4,
        "quantity": "7",
        "attr_t_product_colour": "Black,Silver",
        "attr_n_cable_length": 4.0,
        "attr_b_shielded": False,
        "attr_t_temperature": "0 - 35, dry",
        "ean": ["0001", "0002"],
        "nested": {"dropped": 1},
    }
    shop.load("p.jsonl", lines(row))
    product = shop.product
    assert (product.id, product.title, product.description, product.brand) == (
        "120337225",
        "X-9 cable",
        "Cable",
        "Wirely",
    )
    assert product.categories == ("Audio and Video", "Cables")
    assert (product.price, product.rating, product.stock) == (Price(995, "GBP"), 4.0, 7)
    assert product.attributes == {
        "product colour": ("Black", "Silver"),
        "cable length": ("4",),
        "shielded": ("no",),
        "temperature": ("0 - 35, dry",),
        "ean": ("0001", "0002"),
    }


def test_the_better_name_wins_and_a_second_title_is_kept_only_if_it_says_more(shop: Shop) -> None:
    row = {"name": "TX-1", "sku": "s1", "title": "Drill", "id": "d1", "long_description": "long", "summary": "short"}
    shop.load("p.jsonl", lines(row, row | {"id": "d2", "title": "Drill TX-1"}))
    first, second = shop.store.products.values()
    assert (first.id, first.title, first.description) == ("d1", "Drill", "long")
    assert first.attributes == {"name": ("TX-1",), "sku": ("s1",)}
    assert second.attributes == {"sku": ("s1",)}


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("A > B > C", ("A", "B", "C")),
        ("A|B", ("A", "B")),
        ("A/B", ("A", "B")),
        ("A/V > B", ("A/V", "B")),
        (["A", "B"], ("A", "B")),
        ([["A", "B"], ["C"]], ("A", "B")),
        ("A > A > B", ("A", "B")),
        ("2271", ()),
        ("", ()),
    ],
)
def test_a_category_path_in_its_spellings(shop: Shop, written: object, path: tuple[str, ...]) -> None:
    shop.load("p.jsonl", lines({"id": "1", "title": "t", "category": written}))
    assert shop.product.categories == path


def test_csv_with_any_delimiter_and_quoted_lines(shop: Shop) -> None:
    shop.load("p.csv", 'SKU;Name;Price;Currency;Colour\n1;"Mug; ""blue""\nlarge";19,50;EUR;blue\n')
    product = shop.product
    assert (product.id, product.title, product.price) == ("1", 'Mug; "blue" large', Price(1950, "EUR"))
    assert product.attributes == {"colour": ("blue",)}


def test_an_integer_in_a_table_is_in_major_units_unless_the_column_says_otherwise(shop: Shop) -> None:
    shop.load("a.csv", "id,title,price\n1,Mug,1995\n", currency="USD")
    shop.load("b.csv", "id,title,price_minor\n2,Mug,1995\n", currency="USD")
    shop.load("c.csv", "id,title,price\n3,Mug,1995\n", currency="JPY")
    assert [product.price for product in shop.store.products.values()] == [
        Price(199500, "USD"),
        Price(1995, "USD"),
        Price(1995, "JPY"),
    ]


GOOGLE = (
    "id\ttitle\tdescription\tlink\timage link\tavailability\tprice\tsale_price\tbrand\tproduct_type\t"
    "google_product_category\tcolor\tsize\tage group\tcondition\n"
)


def test_google_merchant_feed(shop: Shop) -> None:
    row = (
        'g1\t17" Screen\tA "good" one\thttps://s.example/g1\thttps://s.example/g1.jpg\tin stock\t'
        "199.99 USD\t149.99 USD\tViewly\tOffice > Screens\t305\tBlack/Red\tL\tadult\tnew\n"
    )
    report = shop.load("feed.txt", GOOGLE + row + row.replace("g1\t17", "g2\t17").replace("in stock", "out_of_stock"))
    product, other = shop.store.products.values()
    assert report.formats == ("google-tsv",)
    assert (product.title, product.description) == ('17" Screen', 'A "good" one')
    assert (product.price, product.stock, other.stock) == (Price(14999, "USD"), None, 0)
    assert product.categories == ("Office", "Screens")
    assert product.attributes["color"] == ("Black", "Red")
    assert product.attributes["age group"] == ("adult",)
    assert product.image_url == "https://s.example/g1.jpg"


def test_a_tab_table_without_quoting_keeps_a_quote_at_the_start_of_a_cell(shop: Shop) -> None:
    shop.load(
        "feed.tsv", 'id\ttitle\tlink\tgtin\n1\t"Best" mug\thttps://s.example/1\t007\n2\tCup\thttps://s.example/2\t8\n'
    )
    assert [product.title for product in shop.store.products.values()] == ['"Best" mug', "Cup"]


def test_a_sale_price_within_dates_does_not_count(shop: Shop) -> None:
    shop.load(
        "p.jsonl",
        lines(
            {"id": "1", "title": "t", "price": "9 USD", "sale_price": "5 USD", "sale_price_effective_date": "2020/2021"}
        ),
    )
    assert shop.product.price == Price(900, "USD")


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"title": "t"}, "id"),
        ({"id": "1"}, "title"),
        ({"id": "1", "title": "\u200b"}, "title"),
        ({"id": "1", "title": ["t", 1]}, "title"),
        ({"id": "1", "title": "t" * 1001}, "title"),
        ({"id": "1", "title": "t", "description": "d" * 100_001}, "description"),
        ({"id": "1", "title": "t", "price": -1}, "price"),
        ({"id": "1", "title": "t", "price": "NaN"}, "price"),
        ({"id": "1", "title": "t", "currency": "US", "price": 1}, "currency"),
        ({"id": "1", "title": "t", "rating": 5.5}, "rating"),
        ({"id": "1", "title": "t", "stock": "some"}, "stock"),
        ({"id": "1", "title": "t", "availability": "perhaps"}, "availability"),
        ({"id": "1", "title": "t", "link": "javascript:alert(1)"}, "url"),
        ({"id": "1", "title": "t", "colour": "x" * 10_001}, "attributes"),
        ({"id": "1", "title": "t", "c" * 121: "x"}, "row"),
        ({"id": "1", "title": "t", "category": "x" * 121}, "category"),
        ({"id": {}, "title": "t"}, "id"),
    ],
)
def test_a_bad_row_is_a_reject_with_its_field_and_the_rest_goes_on(
    shop: Shop, row: dict[str, object], field: str
) -> None:
    good = {"id": "good", "title": "Good"}
    report = shop.load("p.jsonl", lines(good, row, {"id": "2", "title": "Also good"}), currency="USD")
    assert (report.products.accepted, report.products.rejected) == (2, 1)
    (reject,) = shop.rejects
    assert (reject["line"], reject["field"]) == (2, field)
    assert reject["reason"]
    assert len(reject["raw"]) <= 500


def test_flawed_lines_are_rejects_with_their_numbers(shop: Shop) -> None:
    content = (
        b'\xef\xbb\xbf{"id": "1", "title": "ok"}\n'
        b"\n"
        b'{"id": "2", "title": "\xff"}\n'
        b'{"id": "3", "title": "a\x00b"}\n'
        b"[1]\n"
        b'{"id": "4", "title": NaN}\n'
        b'{"id": "5", "title": "' + b"x" * (1 << 20) + b'"}\n'
        b'{"id": "6", "title": "ok'
    )
    report = shop.load("p.jsonl", content)
    assert (report.products.accepted, report.products.rejected) == (1, 6)
    assert [reject["line"] for reject in shop.rejects] == [3, 4, 5, 6, 7, 8]
    reasons = [reject["reason"] for reject in shop.rejects]
    assert "NUL" in reasons[1]
    assert "longer than" in reasons[4]


def test_lines_of_a_table_are_counted_through_quoted_breaks(shop: Shop) -> None:
    content = (
        HEAD + '1,"two\nlines",5,USD\n'  # lines 2 and 3
        "2,too few\n"  # 4
        "3,a,5,USD,too many\n"  # 5
        "4,b,5,USD,\n"  # a blank surplus cell is fine
        + HEAD  # 7
        + "5,c,-5,USD\n"  # 8
    )
    report = shop.load("p.csv", content)
    assert (report.products.accepted, report.products.rejected) == (2, 4)
    assert [(reject["line"], reject["field"]) for reject in shop.rejects] == [
        (4, "row"),
        (5, "row"),
        (7, "row"),
        (8, "price"),
    ]


def test_a_stray_quote_costs_one_row(shop: Shop) -> None:
    rows = "".join(f"{number},Mug {number},5,USD\n" for number in range(2, 1200))
    report = shop.load("p.csv", HEAD + '1,"stray,5,USD\n' + rows)
    assert (report.products.accepted, report.products.rejected) == (1198, 1)
    assert (shop.rejects[0]["line"], shop.rejects[0]["raw"]) == (2, '1,"stray,5,USD')


def test_bytes_that_are_not_utf8_spoil_only_their_row(shop: Shop) -> None:
    report = shop.load("p.csv", HEAD.encode() + b"1,caf\xe9,5,USD\n2,caf\xc3\xa9,5,USD\n")
    assert (report.products.accepted, report.products.rejected) == (1, 1)
    assert shop.product.title == "café"
    assert "UTF-8" in shop.rejects[0]["reason"]


def test_an_id_that_comes_again_is_repeated_when_equal_and_rejected_when_not(shop: Shop) -> None:
    row = {"id": "1", "title": "Mug"}
    rows = lines(row, row, {"id": "1", "title": "Cup"})
    report = shop.load("p.jsonl", rows)
    assert (report.products.accepted, report.products.repeated, report.products.rejected) == (1, 1, 1)
    assert shop.product.title == "Mug"
    again = shop.load("p.jsonl", rows)
    assert (again.products.accepted, again.products.repeated, again.products.rejected) == (0, 2, 1)


def test_a_title_twice_in_the_header_is_refused_an_attribute_twice_is_joined(shop: Shop) -> None:
    with pytest.raises(InvalidInput, match="'title' twice"):
        shop.load("p.csv", "id,title,Title\n1,a,b\n")
    shop.load("p.csv", "id,title,colour,colour\n1,a,red,blue\n")
    assert shop.product.attributes == {"colour": ("red", "blue")}


def test_gzip_is_read_whatever_its_name_and_a_cut_one_keeps_what_it_has(shop: Shop) -> None:
    packed = gzip.compress(lines(*({"id": str(n), "title": f"Mug {n * 7919}"} for n in range(2000))).encode())
    assert shop.load("p.jsonl", packed).products.accepted == 2000
    report = shop.load("cut.jsonl.gz", packed[: len(packed) // 2])
    assert report.products.repeated > 100
    assert report.products.rejected in (1, 2)
    assert "damaged" in shop.rejects[-1]["reason"]
