"""Histories on disk: how a folder is recognised, what each format says, and which line a bad row is on."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from eval.data.hugging_face import read_hugging_face
from eval.data.interactions import TYPES, Dataset
from eval.data.loading import FORMATS, load
from eval.data.recbole import read_recbole
from tasteline.errors import InvalidInput, MissingExtra, NotFound
from tasteline.types import EventType

ITEMS = """item_id,asin,title,short_text,attributes
1,A,"Lipstick, red",lipstick red,Rouge & Co|Make-up|Lips
2,B,,soap,Unknown|Bath|Soap
3,C,Mascara,,Make-up|Eyes
4,D,,,
"""
INTERACTIONS = """user_id,raw_user_id,item_id,asin,position,gap_seconds,split
1,u,1,A,0,0,train
1,u,3,C,2,9,test
1,u,2,B,1,0,valid
2,t,4,D,0,0,train
"""
CLICKS = """event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
2019-10-01 00:00:05 UTC,view,p,9,,,1.5,u,s1
2019-10-01 00:00:00 UTC,cart,p,9,tools.hand_saw,acme,1.5,u,s2
2019-10-01 00:00:09 UTC,purchase,q,9,,,1.5,t,s3
"""


def written(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, newline="")
    return folder


def amazon(folder: Path, items: str = ITEMS, interactions: str = INTERACTIONS) -> Path:
    return written(folder, items__csv=items, interactions__csv=interactions)


def told(dataset: Dataset) -> list[tuple[str, str, int]]:
    rows = dataset.interactions
    return [
        (dataset.user_ids[user], dataset.catalogue.ids[item], order)
        for user, item, order in zip(rows.users.tolist(), rows.items.tolist(), rows.order.tolist(), strict=True)
    ]


def test_a_review_history(tmp_path: Path) -> None:
    dataset = load(amazon(tmp_path / "shop"))
    assert dataset.name == "shop"
    assert not dataset.timed
    assert told(dataset) == [("u", "A", 0), ("u", "B", 1), ("u", "C", 2), ("t", "D", 0)]
    assert dataset.split is not None
    assert dataset.split.tolist() == [0, 1, 2, 0]  # goes with its row when rows are sorted
    assert dataset.catalogue.categories == ("Make-up", "Bath", "Make-up", "")
    assert dataset.catalogue.texts == (
        "Lipstick, red. lipstick red. Rouge & Co, Make-up, Lips",
        "soap. Bath, Soap",
        "Mascara. Make-up, Eyes",
        "",
    )


def test_the_checksum_follows_the_rows(tmp_path: Path) -> None:
    one, same = load(amazon(tmp_path / "a")), load(amazon(tmp_path / "b"))
    other = load(amazon(tmp_path / "c", interactions=INTERACTIONS.replace("t,4,D", "t,1,A")))
    assert one.checksum == same.checksum != other.checksum


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("interactions.csv", "1,u,3,C,2,9,test", "1,u,3,C,two,9,test", "line 3: position is 'two'"),
        ("interactions.csv", "1,u,3,C,2,9,test", "1,u,3,C,2,9,later", "line 3: split is 'later'"),
        ("interactions.csv", "1,u,3,C,2,9,test", "1,,3,C,2,9,test", "line 3: raw_user_id is empty"),
        ("interactions.csv", "1,u,3,C,2,9,test", "1,u,3,C,2,9", "line 3: 6 cells"),
        ("interactions.csv", "1,u,3,C,2,9,test", "1,u,3,C,2,9,test,0", "line 3: 8 cells"),
        ("interactions.csv", "1,u,3,C,2,9,test", "\r\n1,u,9,Z,2,9,test", "line 4: asin 'Z' is not in items.csv"),
        ("interactions.csv", "raw_user_id", "person", "no column raw_user_id"),
        ("items.csv", "2,B,,soap,", "2,A,,soap,", "line 3: asin 'A' is there twice"),
        ("items.csv", "2,B,,soap,", '2,B,"two\nlines",soap', "line 4: 4 cells"),
    ],
)
def test_a_bad_row_of_a_review_history_is_named(tmp_path: Path, file: str, old: str, new: str, reason: str) -> None:
    path = amazon(tmp_path) / file
    path.write_text(path.read_text().replace(old, new), newline="")
    with pytest.raises(InvalidInput, match=f"{file}.*{reason}"):
        load(tmp_path)


def test_bytes_that_are_not_text_are_named(tmp_path: Path) -> None:
    (amazon(tmp_path) / "items.csv").write_bytes(b"item_id,asin,title,short_text,attributes\n1,A,\xff,,\n")
    with pytest.raises(InvalidInput, match=r"items\.csv"):
        load(tmp_path)


def test_no_events_are_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no events"):
        load(amazon(tmp_path, interactions=INTERACTIONS.partition("\n")[0] + "\n"))


def test_a_click_stream(tmp_path: Path) -> None:
    left_out = Counter[str]()
    folder = written(tmp_path / "shop", events__csv=CLICKS + "2019-10-01 00:00:10 UTC,view,q,9,,,1.5,un")
    dataset = load(folder, left_out=left_out)
    assert told(dataset) == [("u", "p", 1569888000), ("u", "p", 1569888005), ("t", "q", 1569888009)]
    assert dataset.timed
    kinds = [TYPES[kind] for kind in dataset.interactions.types]
    assert kinds == [EventType.ADD_TO_CART, EventType.VIEW_ITEM, EventType.PURCHASE]
    assert dataset.catalogue.texts == ("acme, hand saw, tools", "")
    assert dataset.catalogue.categories == ("tools", "")
    assert left_out == {"an unfinished last line": 1}
    assert load(folder / "events.csv").checksum == dataset.checksum


def test_each_visit_can_be_somebody(tmp_path: Path) -> None:
    dataset = load(written(tmp_path, events__csv=CLICKS), format="rees46-visits")
    assert dataset.user_ids == ("s1", "s2", "s3")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("00:00:09 UTC", "00:00:09", "line 4: event_time is '2019-10-01 00:00:09'"),
        ("purchase", "gift", "line 4: event_type is 'gift'"),
        ("1.5,t,s3", "1.5,,s3", "line 4: user_id is empty"),
        ("u,s2", "u", "line 3: 8 cells"),
    ],
)
def test_a_bad_click_is_named(tmp_path: Path, old: str, new: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        load(written(tmp_path, events__csv=CLICKS.replace(old, new)))


INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\nu\tb\t5\t2.75\nu\ta\t3\t2.5\nt\tc\t1\t9\n"
ITEM = "item_id:token\tprice:float\tgenre:token_seq\tmovie_title:token_seq\na\t1\tDrama War\tA Film\nb\t1\t\tB\n"


def test_atomic_files(tmp_path: Path) -> None:
    dataset = load(written(tmp_path, films__inter=INTER, films__item=ITEM))
    assert dataset.name == "films"
    assert dataset.timed
    assert told(dataset) == [("u", "a", 2), ("u", "b", 2), ("t", "c", 9)]  # in order within one second
    assert dataset.catalogue.ids == ("a", "b", "c")  # c has no line in films.item
    assert dataset.catalogue.texts == ("A Film. Drama War", "B", "")
    assert dataset.catalogue.categories == ("Drama", "", "")
    assert dataset.split is None


def test_atomic_files_without_times_are_in_order(tmp_path: Path) -> None:
    dataset = read_recbole(written(tmp_path, x__inter="item_id:token\tuser_id:token\nb\tu\na\tu\n") / "x.inter")
    assert not dataset.timed
    assert told(dataset) == [("u", "b", 0), ("u", "a", 1)]


@pytest.mark.parametrize(
    ("inter", "reason"),
    [
        (INTER.replace("2.75", "soon"), "line 2: timestamp:float is 'soon'"),
        (INTER.replace("2.75", "inf"), "line 2: timestamp:float is 'inf'"),
        (INTER.replace("t\tc", "\tc"), "line 4: user_id:token is empty"),
        (INTER.replace("rating:float", "rating"), "'rating' is not name:type"),
        (INTER.replace("user_id:token", "uid:token"), "no column user_id:token"),
        ("user_id:token\titem_id:token\titem_id_list:token_seq\nu\ta\tb c\n", "history in each row"),
    ],
)
def test_bad_atomic_files_are_named(tmp_path: Path, inter: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        load(written(tmp_path, x__inter=inter))


def test_one_of_several_atomic_files_is_chosen_by_its_path(tmp_path: Path) -> None:
    folder = written(tmp_path, one__inter=INTER, two__inter=INTER)
    with pytest.raises(InvalidInput, match=r"one\.inter, two\.inter"):
        load(folder)
    assert load(folder / "two.inter").name == "two"


def saved(folder: Path, **columns: object) -> Path:
    library = pytest.importorskip("datasets", reason="the package datasets is not installed")
    library.Dataset.from_dict(columns).save_to_disk(str(folder))
    return folder


def test_a_saved_data_set_under_other_names(tmp_path: Path) -> None:
    folder = saved(
        tmp_path,
        user_id=["u", "u", "t"],
        parent_asin=[7, 8, 8],
        timestamp=[1569888005123, 1569888000000, 1569888009000],
        title=["seven", "eight", "again"],
    )
    dataset = load(folder)
    assert told(dataset) == [("u", "8", 1569888000), ("u", "7", 1569888005), ("t", "8", 1569888009)]
    assert dataset.timed
    assert dataset.catalogue.texts == ("seven", "eight")


def test_a_saved_data_set_with_dates_and_positions(tmp_path: Path) -> None:
    day = datetime(2019, 10, 1)
    dataset = load(saved(tmp_path, user=["u", "u"], item=["b", "a"], timestamp=[day, day], position=[1, 0]))
    assert told(dataset) == [("u", "a", 1569888000), ("u", "b", 1569888000)]


def test_the_parts_of_a_saved_data_set_are_its_split(tmp_path: Path) -> None:
    library = pytest.importorskip("datasets", reason="the package datasets is not installed")
    parts = {"test": ["c"], "train": ["a"], "validation": ["b"]}
    library.DatasetDict(
        {name: library.Dataset.from_dict({"user_id": ["u"], "item_id": ids}) for name, ids in parts.items()}
    ).save_to_disk(str(tmp_path))
    dataset = load(tmp_path)
    assert dataset.split is not None
    assert dataset.split.tolist() == [0, 1, 2]
    assert told(dataset) == [("u", "a", 0), ("u", "b", 1), ("u", "c", 2)]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"user_id": ["u"], "thing": ["a"]}, "no column item_id"),
        ({"item_id": ["a"]}, "no column user_id"),
        ({"user_id": ["u", None], "item_id": ["a", "a"]}, "row 1: user_id is empty"),
        ({"user_id": [0.5], "item_id": ["a"]}, "user_id is Float64"),
        ({"user_id": ["u"], "item_id": ["a"], "type": ["gift"]}, "type is 'gift'"),
        ({"user_id": ["u"], "item_id": ["a"], "timestamp": ["soon"]}, "timestamp is String"),
    ],
)
def test_a_bad_saved_data_set_is_named(tmp_path: Path, columns: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        load(saved(tmp_path, **columns))


def test_the_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match="pip install datasets"):
        read_hugging_face(written(tmp_path, state__json="{}"))


def test_a_broken_saved_data_set_is_no_crash(tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="the package datasets is not installed")
    with pytest.raises(InvalidInput, match="saved data set"):
        load(written(tmp_path, state__json="{}"))


def test_grocery_purchases(tmp_path: Path) -> None:
    product = {"product_id": [2, 1], "department": ["DELI", "GROCERY"], "product_category": [None, "TEA"]}
    pl.DataFrame({**product, "product_type": [None, "TEA BAGS"], "package_size": [None, "8 OZ"]}).write_parquet(
        tmp_path / "products.parquet"
    )
    line = {"household_id": [9, 9, 3, 3, 9], "product_id": [2, 1, 5, 1, 2], "quantity": [1, 2, 1, 0, 0]}
    times = [datetime(2017, 1, 2), *[datetime(2017, 1, 1)] * 4]
    pl.DataFrame({**line, "transaction_timestamp": times}).write_parquet(tmp_path / "transactions.parquet")
    left_out = Counter[str]()
    dataset = load(tmp_path, left_out=left_out)
    assert told(dataset) == [("9", "1", 1483228800), ("9", "2", 1483315200)]
    assert dataset.catalogue.ids == ("1", "2")
    assert dataset.catalogue.texts == ("Tea bags, 8 oz, Tea, Grocery", "Deli")
    assert dataset.catalogue.categories == ("Tea", "Deli")
    assert sorted(left_out.values()) == [1, 2]


def test_what_cannot_be_recognised_is_described(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        load(tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match="it is empty") as said:
        load(tmp_path)
    assert all(known.name in str(said.value) for known in FORMATS)
    with pytest.raises(InvalidInput, match=r"it holds events\.csv, notes\.txt"):
        load(written(tmp_path / "a", notes__txt="", events__csv="event,user_id\n"))
    with pytest.raises(InvalidInput, match="judged searches"):
        load(written(tmp_path / "b", products__jsonl="{}", judgements__csv=""))
    with pytest.raises(InvalidInput, match="unknown format 'csv'; known: amazon"):
        load(amazon(tmp_path / "c"), format="csv")
    with pytest.raises(NotFound, match=r"items\.csv does not exist"):
        load(tmp_path / "b", format="amazon")
