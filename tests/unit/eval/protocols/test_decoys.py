from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import poisson

from eval.data.interactions import Catalogue, Codes, Dataset, Histories, Interactions
from eval.protocols.checks import check_split
from eval.protocols.cold import withhold_items
from eval.protocols.cutting import case_of_event
from eval.protocols.decoys import audit, plant, write_amazon
from eval.protocols.leave_one_out import leave_one_out
from eval.protocols.split import Split
from eval.protocols.temporal import before_end, temporal
from eval.systems import ItemScores, Learning
from tasteline.errors import InvalidInput
from tests.unit.eval.protocols.toy_shop import habitual

DATASET = habitual(people=500, items=400)


class Popular:
    name = "popular"

    def fit(self, learning: Learning) -> None:
        self.counts = np.bincount(learning.train.items, minlength=len(learning.catalogue)).astype(np.float32)

    def score(self, histories: Histories) -> ItemScores:
        return np.tile(self.counts, (len(histories), 1))


class Following:
    """Counts what follows what, on train or on whatever rows it got hold of."""

    name = "following"

    def __init__(self, rows: Callable[[Learning], Interactions] = lambda learning: learning.train) -> None:
        self.rows = rows

    def fit(self, learning: Learning) -> None:
        rows, items = self.rows(learning), len(learning.catalogue)
        same = rows.users[1:] == rows.users[:-1]
        self.counts = np.zeros((items, items), dtype=np.float32)
        np.add.at(self.counts, (rows.items[:-1][same], rows.items[1:][same]), 1)

    def score(self, histories: Histories) -> ItemScores:
        return self.counts[histories.padded(1)[:, 0]]


def train_and_valid(learning: Learning) -> Interactions:
    """Train, with the valid targets at the end of each person's rows."""
    train, targets = learning.train, learning.valid.targets
    users = np.concatenate((train.users, learning.valid.users[case_of_event(targets.starts)]))
    order = np.concatenate((train.order, np.full(len(targets.items), np.iinfo(np.int64).max)))
    return Interactions.of(users, np.concatenate((train.items, targets.items)), order)


class FileReader(Popular):
    """Popular for all but those whose last known item it finds before a test row in the file."""

    def __init__(self, dataset: Dataset) -> None:
        assert dataset.folder is not None
        numbers = {name: number for number, name in enumerate(dataset.catalogue.ids)}
        rows = pl.read_csv(dataset.folder / "interactions.csv")
        self.after = {
            numbers[before]: numbers[item]
            for before, item, part in zip(rows["asin"].shift(1), rows["asin"], rows["split"], strict=True)
            if part == "test"
        }

    def score(self, histories: Histories) -> ItemScores:
        scores = super().score(histories)
        for case, last in enumerate(histories.padded(1)[:, 0]):
            if last in self.after:
                scores[case, self.after[last]] = np.inf
        return scores


def monthly(dataset: Dataset) -> Split:
    return temporal(dataset, before_end(dataset))


@pytest.mark.parametrize("make_split", [leave_one_out, monthly])
@pytest.mark.parametrize("make_system", [Popular, Following, lambda: Following(train_and_valid)])
def test_honest_systems_pass(make_system, make_split) -> None:  # type: ignore[no-untyped-def]
    found = audit(lambda dataset: make_system(), DATASET, make_split)
    assert not found.caught
    assert found.p > 0.001
    assert found.people > 50


def test_following_is_good_enough_to_be_mistaken_for_a_cheat() -> None:
    split = leave_one_out(DATASET)
    system = Following()
    system.fit(Learning.of(split, "toy", "c0ffee"))
    best = system.score(split.test.histories).argmax(axis=1)
    assert (best == split.test.targets.items).mean() > 0.2  # so the audit does not pass for want of skill


@pytest.mark.parametrize("make_split", [leave_one_out, monthly])
def test_fitting_on_test_rows_is_caught(make_split: Callable[[Dataset], Split]) -> None:
    found = audit(lambda dataset: Following(lambda learning: dataset.interactions), DATASET, make_split)
    assert found.caught
    assert found.hits > 5 * found.expected


def test_reading_the_file_is_caught(tmp_path: Path) -> None:
    original = amazon_folder(DATASET, tmp_path / "original")
    dataset = replace(DATASET, folder=original, timed=False)
    found = audit(FileReader, dataset, leave_one_out, write=write_amazon(original, tmp_path / "decoy"))
    assert found.caught


def test_the_written_decoy_differs_in_the_planted_rows_only(tmp_path: Path) -> None:
    original = amazon_folder(DATASET, tmp_path / "original")
    decoy = plant(DATASET, leave_one_out(DATASET), people=100)
    written = write_amazon(original, tmp_path / "decoy")(decoy.dataset)

    assert written.folder == tmp_path / "decoy"
    before, after = (pl.read_csv(folder / "interactions.csv") for folder in (original, tmp_path / "decoy"))
    changed = (before["asin"] != after["asin"]).arg_true().to_list()
    assert len(changed) == 100
    assert set(after[changed]["split"]) == {"test"}
    assert before.drop("asin", "item_id").equals(after.drop("asin", "item_id"))
    assert [f"i{number - 1}" for number in after["item_id"]] == after["asin"].to_list()
    with pytest.raises(InvalidInput, match="does not have the rows"):
        write_amazon(original, tmp_path / "x")(habitual(people=499, items=400))


def test_planted_items_were_never_touched_and_all_are_equally_likely() -> None:
    split = leave_one_out(DATASET)
    decoy = plant(replace(DATASET, folder=Path("with the real test rows")), split, people=200, seed=2)
    changed = np.flatnonzero(decoy.dataset.interactions.items != DATASET.interactions.items)

    assert np.array_equal(changed, np.sort(decoy.rows))
    assert len(changed) == 200
    touched = set(zip(DATASET.interactions.users.tolist(), DATASET.interactions.items.tolist(), strict=True))
    planted = decoy.dataset.interactions.where(changed)
    assert not touched & set(zip(planted.users.tolist(), planted.items.tolist(), strict=True))
    assert decoy.dataset.checksum != DATASET.checksum
    assert decoy.dataset.folder is None
    check_split(leave_one_out(decoy.dataset), decoy.dataset)
    assert np.array_equal(leave_one_out(decoy.dataset).train.items, split.train.items)

    drawn = np.concatenate(
        [plant(DATASET, split, seed=seed).dataset.interactions.items[split.test.targets.rows] for seed in range(20)]
    )
    counts = np.bincount(drawn, minlength=400)
    assert counts.min() > 0
    assert 0.7 < counts.var() / counts.mean() < 1.4  # as of equal chances


def test_chance_is_exact() -> None:
    class Unknown(Popular):
        """Seven items that nobody has touched; three of ten places stay empty."""

        def rank(self, histories: Histories, k: int) -> Codes:
            return np.tile(np.array([*range(400, 407), -1, -1, -1], dtype=np.int32), (len(histories), 1))

    names = tuple(f"i{item}" for item in range(420))
    larger = replace(DATASET, catalogue=Catalogue(names, ("",) * 420, ("",) * 420))
    touched = np.bincount(DATASET.interactions.users)  # nobody has an item twice
    found = audit(lambda dataset: Unknown(), larger, leave_one_out)
    assert found.expected == pytest.approx((7 / (420 - touched[touched >= 3])).sum())
    hits = [audit(lambda dataset: Unknown(), larger, leave_one_out, seed=seed).hits for seed in range(20)]
    assert np.mean(hits) == pytest.approx(found.expected, rel=0.25)  # 3 standard errors
    assert found.p == pytest.approx(poisson.sf(found.hits - 1, found.expected), abs=0.02)


def test_what_was_really_bought_is_never_planted_and_counts_as_no_chance() -> None:
    class Real(Popular):
        """Knows what the people bought in truth, which the decoy does not hold."""

        def rank(self, histories: Histories, k: int) -> Codes:
            lists = np.full((len(histories), k), -1, dtype=np.int32)
            lists[:, 0] = DATASET.interactions.items[histories.rows[histories.starts[1:] - 1] + 1]
            return lists

    found = audit(lambda dataset: Real(), DATASET, leave_one_out)
    assert (found.hits, found.expected, found.p) == (0, 0.0, 1.0)


def test_a_protocol_that_chooses_cases_by_target_is_refused() -> None:
    with pytest.raises(InvalidInput, match="chooses cases by their targets"):
        audit(
            lambda dataset: Popular(), DATASET, lambda each: withhold_items(leave_one_out(each), each).cold, people=100
        )


def amazon_folder(dataset: Dataset, folder: Path) -> Path:
    """The data set as `items.csv` and `interactions.csv`, rows in another order than that of time."""
    folder.mkdir()
    ids = list(dataset.catalogue.ids)
    pl.DataFrame({"item_id": range(1, len(ids) + 1), "asin": ids, "title": ids}).write_csv(folder / "items.csv")
    rows = dataset.interactions
    from_end = np.searchsorted(rows.users, rows.users, side="right") - np.arange(len(rows))
    first = np.searchsorted(rows.users, rows.users, side="left")
    pl.DataFrame(
        {
            "user_id": rows.users + 1,
            "raw_user_id": [dataset.user_ids[user] for user in rows.users],
            "item_id": rows.items + 1,
            "asin": [ids[item] for item in rows.items],
            "position": np.arange(len(rows)) - first,
            "gap_seconds": 0,
            "split": [{1: "test", 2: "valid"}.get(int(place), "train") for place in from_end],
        }
    ).write_csv(folder / "interactions.csv")
    return folder
