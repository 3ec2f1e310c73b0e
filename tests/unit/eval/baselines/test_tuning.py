"""Settings are chosen on valid, in full rankings, and kept for as long as nothing that they depend on changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.baselines import tuning
from eval.baselines.tuning import Build, Chosen, Grid, Score, mean_ndcg, tuned
from eval.data.interactions import Histories
from eval.protocols.split import Cases, Targets
from eval.systems import ItemScores, Learning
from tests.unit.eval.baselines.scorer_contract import ITEMS, toy_learning

GRID: Grid = {"a": (0, 1, 2), "b": (0, 1, 2)}


class Oracle:
    """Ranks the targets of valid the better the nearer a and b are to 2 and 1."""

    def __init__(self, learning: Learning) -> None:
        self.built: list[Chosen] = []
        self._targets = learning.valid.targets.items
        self._rows = {tuple(learning.valid.histories.of_case(case)): case for case in range(len(learning.valid))}

    def __call__(self, settings: Chosen) -> Score:
        self.built.append(settings)
        distance = abs(int(settings["a"]) - 2) + abs(int(settings["b"]) - 1)

        def score(histories: Histories) -> ItemScores:
            scores = np.tile(-np.arange(ITEMS, dtype=np.float32), (len(histories), 1))
            for case in range(len(histories)):
                scores[case, self._targets[self._rows[tuple(histories.of_case(case))]]] = 0.5 - distance
            return scores

        return score


@pytest.fixture
def learning(tmp_path: Path) -> Learning:
    plain = toy_learning(tmp_path)
    _, first = np.unique(
        [str(plain.valid.histories.of_case(case)) for case in range(len(plain.valid))], return_index=True
    )
    return replace(plain, valid=plain.valid.take(np.sort(first)))


def test_the_best_setting_is_found_and_everything_tried_is_told(learning: Learning) -> None:
    build = Oracle(learning)
    score, found = tuned("oracle", 1, GRID, learning, build)
    assert found.chosen == {"a": 2, "b": 1}
    assert [each.settings for each in found.tried] == build.built
    assert len(build.built) == 3 + 2 + 2  # all of a, what is new of b, and of a again
    best = max(found.tried, key=lambda each: each.ndcg)
    assert best.settings == found.chosen
    assert mean_ndcg(score, learning.valid, ITEMS, repeats=False) == pytest.approx(best.ndcg, abs=1e-6)


def test_a_choice_is_kept_until_something_changes_that_it_depends_on(learning: Learning) -> None:
    _, first = tuned("oracle", 1, GRID, learning, Oracle(learning))
    again = Oracle(learning)
    _, second = tuned("oracle", 1, GRID, learning, again)
    assert second == first
    assert again.built == [first.chosen]
    fewer = replace(learning, valid=learning.valid.take(np.arange(40)))
    shorter = replace(learning, train=learning.train.where(np.arange(len(learning.train)) > 9))
    other_sums = replace(learning, checksum="other")
    other_seed = replace(learning, seed=1)
    changes: list[tuple[int, Grid, Learning]] = [(2, GRID, learning), (1, {**GRID, "b": (1, 0)}, learning)]
    targets = replace(learning.valid.targets, rows=learning.valid.targets.rows + 1)
    other_targets = replace(learning, valid=replace(learning.valid, targets=targets))
    changes += [(1, GRID, each) for each in (fewer, shorter, other_sums, other_seed, other_targets)]
    for version, grid, changed in changes:
        anew = Oracle(changed)
        tuned("oracle", version, grid, changed, anew)
        assert len(anew.built) > 1


def test_without_a_choice_or_anything_to_choose_by_the_first_values_are_taken(learning: Learning) -> None:
    single: Grid = {"a": (0,), "b": (2,)}
    build = Oracle(learning)
    _, found = tuned("oracle", 1, single, learning, build)
    assert (found.chosen, found.tried, len(build.built)) == ({"a": 0, "b": 2}, (), 1)
    empty = replace(learning, valid=learning.valid.take(np.zeros(0, dtype=np.int64)))
    _, found = tuned("oracle", 1, GRID, empty, Oracle(empty))
    assert (found.chosen, found.tried) == ({"a": 0, "b": 0}, ())
    with pytest.raises(ValueError, match="without values"):
        tuned("oracle", 1, {"a": ()}, learning, Oracle(learning))


def test_equal_values_keep_what_was_there(learning: Learning) -> None:
    build: Build = lambda settings: lambda histories: np.zeros((len(histories), ITEMS), dtype=np.float32)  # noqa: E731
    assert tuned("flat", 1, GRID, learning, build)[1].chosen == {"a": 0, "b": 0}


def test_seen_items_are_left_out_unless_they_may_repeat() -> None:
    cases = Cases(
        np.array([0]), Histories.of([[0, 1]]), Targets(np.array([0, 1]), np.array([2], np.int32), np.array([0]))
    )
    in_order: Score = lambda histories: np.array([[3.0, 2.0, 1.0]], dtype=np.float32)  # noqa: E731
    assert mean_ndcg(in_order, cases, 3, repeats=False) == 1.0
    assert mean_ndcg(in_order, cases, 3, repeats=True) == pytest.approx(1 / 2)


@pytest.mark.parametrize("repeats", [False, True])
def test_trials_follow_the_protocol_on_repeats(learning: Learning, repeats: bool) -> None:
    """What the person has comes first and the target next: perfect only where the seen is left out."""
    oracle = Oracle(learning)({"a": 2, "b": 1})

    def build(settings: Chosen) -> Score:
        def score(histories: Histories) -> ItemScores:
            scores = oracle(histories)
            for case in range(len(histories)):
                scores[case, histories.of_case(case)] = 9.0
            return scores

        return score

    _, found = tuned("seen", 1, {"a": (0, 1)}, replace(learning, repeats=repeats), build)
    assert (found.tried[0].ndcg == 1.0) is not repeats


def test_many_cases_are_sampled_by_seed(learning: Learning, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "CASES", 30)
    asked: list[tuple[int, ...]] = []

    def build(settings: Chosen) -> Score:
        def score(histories: Histories) -> ItemScores:
            asked.append(tuple(histories.rows.tolist()))
            return np.zeros((len(histories), ITEMS), dtype=np.float32)

        return score

    for seed in (0, 0, 1):
        tuned("flat", 1, {"a": (0, 1)}, replace(learning, seed=seed, cache=None), build)
    assert asked[0] == asked[1] == asked[2] != asked[-1]
