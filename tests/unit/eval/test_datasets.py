"""A search evaluation set: what is read, what is refused, what the checksum follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.datasets import checksum_of, load_judged_search
from tasteline.errors import InvalidInput, NotFound

REAL = Path(__file__).parents[4] / "shared" / "data" / "chorus-electronics"


def evaluation_set(folder: Path, judgements: str = "query,product_id,rating\nmug,1,3\nmug,2,0\npan,2,1\n") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "products.jsonl").write_text('{"id": "1", "title": "Mug"}\n')
    (folder / "judgements.dev.csv").write_text(judgements)
    return folder


def test_queries_and_ratings_are_read_in_order(tmp_path: Path) -> None:
    dataset = load_judged_search(evaluation_set(tmp_path / "kitchen"))
    assert dataset.name == "kitchen"
    assert dataset.products == tmp_path / "kitchen" / "products.jsonl"
    assert dataset.queries == ("mug", "pan")
    assert dataset.qrels == {"mug": {"1": 3.0, "2": 0.0}, "pan": {"2": 1.0}}
    assert dataset.judged_queries(rating=2) == ("mug",)


def test_several_files_are_put_together_and_can_be_chosen(tmp_path: Path) -> None:
    folder = evaluation_set(tmp_path)
    (folder / "judgements.test.csv").write_text("query,product_id,rating\nmug,1,3\nbowl,9,2\n")
    assert load_judged_search(folder).queries == ("mug", "pan", "bowl")
    assert load_judged_search(folder, ["judgements.test.csv"]).queries == ("mug", "bowl")


def test_the_checksum_follows_content_and_not_place(tmp_path: Path) -> None:
    one, same = evaluation_set(tmp_path / "a"), evaluation_set(tmp_path / "b")
    changed = evaluation_set(tmp_path / "c", "query,product_id,rating\nmug,1,2\n")
    assert load_judged_search(one).checksum == load_judged_search(same).checksum
    assert load_judged_search(one).checksum != load_judged_search(changed).checksum
    files = sorted(one.iterdir())
    assert checksum_of(files) == checksum_of(files[::-1])


@pytest.mark.parametrize(
    ("judgements", "reason"),
    [
        ("query,product_id,rating\nmug,1,3\nmug,1,2\n", "line 3.*another rating"),
        ("query,product_id,rating\nmug,1,good\n", "line 2.*rating"),
        ("query,product_id,rating\nmug,1,nan\n", "line 2.*rating"),
        ("query,product_id,rating\nmug,,3\n", "line 2.*product_id"),
        ("query,product_id,rating\nmug,1\n", "line 2.*rating"),
        ("query,id,rating\nmug,1,3\n", "columns"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, judgements: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        load_judged_search(evaluation_set(tmp_path, judgements))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="judgements"):
        load_judged_search(tmp_path)
    folder = evaluation_set(tmp_path / "set")
    (folder / "products.jsonl").unlink()
    with pytest.raises(NotFound, match=r"products\.jsonl"):
        load_judged_search(folder)


def test_the_real_electronics_judgements() -> None:
    if not REAL.is_dir():
        pytest.skip(f"the real data is not at {REAL}")
    dataset = load_judged_search(REAL, ["judgements.dev.csv"])
    assert len(dataset.queries) == 42
    assert len(dataset.judged_queries(rating=1)) == 34
    assert sum(len(rated) for rated in dataset.qrels.values()) == 1301
