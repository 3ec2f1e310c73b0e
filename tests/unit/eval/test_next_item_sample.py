"""The sample of people for next-item evaluation: nothing of what is to be guessed may be known to who guesses."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.shop import Shop
from eval.next_item_sample import (
    Case,
    Person,
    Split,
    cases,
    means,
    measure,
    ranked,
    recommended,
    sample,
    steps,
    train_shop,
)
from retrieval.follow import COUNTS_FILE
from retrieval.models.behaviour import BehaviourCounts
from tasteline.errors import InvalidInput, NotFound
from tasteline.settings import Settings
from tasteline.types import Product, RankedProduct, Ranking

PEOPLE = 6
"""Everybody buys a0, a1, a2; then u0 … u4 buy the pair h0 → h1 as valid and test, u5 too."""


def write_set(folder: Path) -> Path:
    folder.mkdir()
    ids = ["a0", "a1", "a2", "a3", "h0", "h1"]
    with (folder / "items.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["item_id", "asin", "title", "short_text", "attributes"])
        writer.writerows(
            [n, key, f"Thing number {key}", "thing", f"Brand|Things|Kind {key[0]}"] for n, key in enumerate(ids)
        )
    with (folder / "interactions.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user_id", "raw_user_id", "item_id", "asin", "position", "gap_seconds", "split"])
        for user in range(PEOPLE):
            bought = ["a0", "a1", "a2", "h0", "h1"]
            splits = ["train"] * 3 + ["valid", "test"]
            lines = [
                [user, f"u{user}", 0, p, place, 0, s] for place, (p, s) in enumerate(zip(bought, splits, strict=True))
            ]
            writer.writerows(reversed(lines))  # the order of the file means nothing
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set") / "things")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("home")
    return Settings(home=home, embedder="hashing", vector_index="numpy", language_model="none", _env_file=None)


@pytest.fixture(scope="module")
def shop(data: Path, settings: Settings) -> Iterator[Shop]:
    with train_shop(data, settings) as shop:
        yield shop


def test_the_shop_has_every_product_and_only_train_rows(shop: Shop) -> None:
    with shop.live.read() as indexes:
        assert indexes.catalogue.size == 6
    events = [event for _, event in shop.store.events()]
    assert len(events) == 3 * PEOPLE
    assert {event.product_id for event in events} == {"a0", "a1", "a2"}


def test_what_all_do_in_the_held_out_rows_is_not_counted(shop: Shop) -> None:
    counts = BehaviourCounts.load(shop.settings.home / COUNTS_FILE)
    assert "a1" in counts.followers("a0")
    assert counts.followers("h0") == {}  # h0 → h1 is what everybody does next
    assert counts.popularity(["h0", "h1"]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("split", "known", "target"), [("valid", "a0 a1 a2", "h0"), ("test", "a0 a1 a2 h0", "h1")])
def test_history_is_all_before_the_target_and_is_not_ranked(
    data: Path, shop: Shop, split: Split, known: str, target: str
) -> None:
    for person in [ranked(case, shop) for case in cases(data, split=split, people=3)]:
        assert [product.id for product in person.history] == known.split()
        assert person.target_id == target
        shown = {item.product.id for item in person.ranking.items}
        assert not shown & set(known.split())
        assert target in shown  # six products: all others are ranked


def test_a_second_sample_is_the_same(data: Path, settings: Settings) -> None:
    first, second = (sample(data, settings, people=4, seed=1, depth=2) for _ in range(2))
    assert [(person.user_id, _ids(person.ranking)) for person in first] == [
        (person.user_id, _ids(person.ranking)) for person in second
    ]
    assert {len(person.ranking.items) for person in first} == {2}


def _ids(ranking: Ranking) -> list[str]:
    return [item.product.id for item in ranking.items]


def test_a_sample_is_the_beginning_of_a_larger_one(data: Path) -> None:
    every = cases(data, people=100, seed=3)
    assert len(every) == PEOPLE
    assert cases(data, people=2, seed=3) == every[:2]
    orders = {tuple(case.user_id for case in cases(data, people=100, seed=seed)) for seed in range(8)}
    assert len(orders) > 1


@pytest.mark.parametrize(("cut", "left"), [(None, 4), (0, 0), (1, 1), (3, 3), (9, 4)])
def test_a_cut_history_is_its_end(data: Path, cut: int | None, left: int) -> None:
    for case in cases(data, history=cut):
        assert case.history == ("a0", "a1", "a2", "h0")[4 - left :]


def test_a_person_without_history_is_a_stranger(shop: Shop) -> None:
    shown = recommended(shop.recommender, Case("nobody", (), "h1"))
    assert {reason.kind for item in shown.items for reason in item.reasons} <= {"popular", "new"}


def test_steps_are_in_order_and_have_ids_of_their_own() -> None:
    events = steps("ann", ["p1", "p2", "p1"])
    assert [event.product_id for event in events] == ["p1", "p2", "p1"]
    assert len({event.id for event in events}) == 3


def test_measures_worked_by_hand() -> None:
    def person(target: str, shown: str) -> Person:
        items = tuple(RankedProduct(Product(key, key), 1.0) for key in shown)
        return Person("ann", (), target, Ranking("r", items, len(items)))

    people = [person("b", "abc"), person("z", "abc"), person("l", "abcdefghijkl")]
    values = measure(people, [each.ranking for each in people])
    assert values["recall@10"].tolist() == [1.0, 0.0, 0.0]
    assert values["ndcg@10"].round(4).tolist() == [0.6309, 0.0, 0.0]
    assert values["mrr"].round(4).tolist() == [0.5, 0.0, round(1 / 12, 4)]
    assert means(values)["recall@10"] == pytest.approx(1 / 3)


def test_what_is_wrong_is_said(data: Path, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"items\.csv does not exist"), train_shop(tmp_path, settings):
        pass
    with pytest.raises(InvalidInput, match="split"):
        cases(data, split="train")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="history"):
        cases(data, history=-1)
    (tmp_path / "interactions.csv").write_text("raw_user_id,asin,position,split\nann,,0,test\n")
    with pytest.raises(InvalidInput, match="line 2"):
        cases(tmp_path)
