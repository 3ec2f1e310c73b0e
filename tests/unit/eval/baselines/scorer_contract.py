"""What the harness may expect of any Scorer. A baseline gets these tests from three lines:

class TestMine(ScorerContract):
    def make(self) -> Scorer:
        return Mine()
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from eval import asking
from eval.data.interactions import Catalogue, Codes, Histories
from eval.protocols.leave_one_out import leave_one_out
from eval.systems import Learning, Scorer
from tests.unit.eval.protocols.toy_shop import habitual

ITEMS = 60
NEVER_BOUGHT = 7
KINDS = ("lamp", "kettle", "tent", "scarf")


def toy_learning(cache: Path | None = None) -> Learning:
    """Walks through 60 items with names, one of which nobody in train has bought."""
    dataset = habitual(people=300, items=ITEMS, seed=3)
    names = tuple(f"{KINDS[item * len(KINDS) // ITEMS]} number {'abcdefgh'[item % 8] * 3}" for item in range(ITEMS))
    kinds = tuple(name.split()[0] for name in names)
    dataset = replace(dataset, catalogue=Catalogue(dataset.catalogue.ids, names, kinds))
    learning = Learning.of(leave_one_out(dataset), "toy", "toy", cache)
    return replace(learning, train=learning.train.where(learning.train.items != NEVER_BOUGHT))


HISTORIES = Histories.of([[3, 4, 5], [], [NEVER_BOUGHT], [5, 4, 3], [9, 9, 9, 10], list(range(20, 50))])


class ScorerContract:
    silent: ClassVar[tuple[int, ...]] = (1, 2)
    """Places of HISTORIES for which the system falls back on the popular list: the empty and the unknown one."""

    def make(self) -> Scorer:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def learning(cls) -> Learning:
        return toy_learning()

    @pytest.fixture(scope="class")
    @classmethod
    def system(cls, learning: Learning) -> Scorer:
        system = cls().make()
        system.fit(learning)
        return system

    def test_is_a_scorer_with_plain_settings(self, learning: Learning) -> None:
        system = self.make()
        assert isinstance(system, Scorer)
        assert system.name
        assert all(isinstance(value, (int, float, str, bool)) for value in (system.fit(learning) or {}).values())

    def test_every_item_has_a_score_for_every_history(self, system: Scorer) -> None:
        scores = system.score(HISTORIES)
        assert scores.shape == (len(HISTORIES), ITEMS)
        assert scores.dtype == np.float32
        assert not np.isnan(scores).any()
        assert not np.isposinf(scores).any()
        assert system.score(Histories.of([])).shape == (0, ITEMS)

    def test_a_score_does_not_depend_on_who_else_is_asked_about(self, system: Scorer) -> None:
        together = system.score(HISTORIES)
        alone = [system.score(HISTORIES.slice(case, case + 1)) for case in range(len(HISTORIES))]
        np.testing.assert_allclose(np.concatenate(alone), together, rtol=1e-4, atol=1e-6)
        backwards = np.arange(len(HISTORIES))[::-1]
        np.testing.assert_allclose(system.score(HISTORIES.take(backwards))[::-1], together, rtol=1e-4, atol=1e-6)

    def test_the_same_seed_gives_the_same_scores_and_answers_are_not_shared(self, system: Scorer) -> None:
        scores = system.score(HISTORIES)
        before = scores.copy()
        scores[:] = -np.inf  # as the harness does with what was seen
        np.testing.assert_array_equal(system.score(HISTORIES), before)
        again = self.make()
        again.fit(toy_learning())
        np.testing.assert_array_equal(again.score(HISTORIES), before)

    def test_who_is_unknown_gets_what_is_popular(self, system: Scorer, learning: Learning) -> None:
        counts = np.bincount(learning.train.items, minlength=ITEMS)
        for scores in system.score(HISTORIES)[list(self.silent)]:
            best = np.argsort(-scores, kind="stable")[:5]
            assert counts[best].min() >= np.sort(counts)[-5]

    def test_train_is_learned_from(self, system: Scorer, learning: Learning) -> None:
        cases = learning.valid
        ranked = asking.rank(system, cases.histories, ITEMS, 10, repeats=False)
        found = (ranked == cases.targets.items[:, None]).any(axis=1)
        assert found.mean() > self.chance(ranked, cases.targets.items)

    def chance(self, ranked: Codes, targets: Codes) -> float:
        """Half as much again as the same lists find of other people's targets."""
        return 1.5 * float((ranked == np.roll(targets, 1)[:, None]).any(axis=1).mean())
