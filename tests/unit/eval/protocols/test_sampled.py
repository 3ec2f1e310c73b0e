from __future__ import annotations

import numpy as np
import pytest

from eval.data.interactions import Histories
from eval.protocols.leave_one_out import leave_one_out
from eval.protocols.sampled import line_name, rank_sampled, sampled
from eval.protocols.temporal import by_share, temporal
from eval.systems import ItemScores, Learning
from tasteline.errors import InvalidInput
from tests.unit.eval.protocols.toy_shop import dataset_of, habitual

DATASET = habitual()
SPLIT = leave_one_out(DATASET)


@pytest.mark.parametrize("by", ["uniform", "popularity"])
def test_the_target_among_others_that_are_not_of_the_history(by) -> None:  # type: ignore[no-untyped-def]
    made = sampled(SPLIT, negatives=50, by=by, seed=4)

    assert made.test.shape == (len(SPLIT.test), 51)
    for case, row in enumerate(made.test):
        assert SPLIT.test.targets.items[case] in row
        assert len(set(row.tolist())) == 51
        assert not set(row.tolist()) & set(SPLIT.test.histories.of_case(case).tolist())
    assert np.array_equal(made.test, sampled(SPLIT, negatives=50, by=by, seed=4).test)
    assert not np.array_equal(made.test, sampled(SPLIT, negatives=50, by=by, seed=5).test)
    assert made.split.protocol.name == f"sampled-50-{by}-leave-one-out"
    assert "NOT A FULL RANKING" in made.split.protocol.description


def test_chances_are_equal_or_those_of_train() -> None:
    # 2,000 people who know item 0 and are asked for item 1; items 2-5 are in train 4, 3, 2, 0 times
    filler = [[2, 2], [2, 2], [3, 3], [3, 4], [4]]
    split = leave_one_out(dataset_of([[0, 0, 1]] * 2000 + filler, items=6))
    asked = split.test.targets.items == 1

    for by, expected in (("uniform", [0.25, 0.25, 0.25, 0.25]), ("popularity", [4 / 9, 3 / 9, 2 / 9, 0.0])):
        drawn = sampled(split, negatives=1, by=by).test[asked]  # type: ignore[arg-type]
        others = drawn[drawn != 1]
        shares = np.bincount(others, minlength=6)[2:] / len(others)
        assert np.abs(shares - expected).max() < 0.05


def test_what_cannot_be_sampled() -> None:
    with pytest.raises(InvalidInput, match="can be drawn"):
        sampled(SPLIT, negatives=len(DATASET.catalogue))
    with pytest.raises(InvalidInput, match="one target"):
        sampled(temporal(DATASET, by_share(DATASET)))


def test_only_candidates_are_ranked_and_equal_scores_do_not_favour_the_target() -> None:
    class Constant:
        name = "constant"

        def fit(self, learning: Learning) -> None: ...

        def score(self, histories: Histories) -> ItemScores:
            return np.zeros((len(histories), len(DATASET.catalogue)), dtype=np.float32)

    made = sampled(SPLIT, negatives=20)
    ranked = rank_sampled(Constant(), SPLIT.test, made.test, len(DATASET.catalogue), 25, repeats=False)

    assert np.array_equal(ranked[:, :21], made.test)
    assert (ranked[:, 21:] == -1).all()
    hits = (ranked[:, :10] == SPLIT.test.targets.items[:, None]).any(axis=1).mean()
    assert abs(hits - 10 / 21) < 0.1


def test_every_line_says_so() -> None:
    assert line_name("popular", sampled(SPLIT, negatives=20).split.protocol) == "popular (sampled-20-uniform)"
    assert line_name("popular", SPLIT.protocol) == "popular"
