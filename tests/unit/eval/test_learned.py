"""The learned systems in the harness: what they learn from, what is kept of it, and the rules of a list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval import asking, learned
from eval.data.interactions import TYPES, Histories, Interactions
from eval.learned import Keeping, Learned, LearnedCounts, LearnedNetwork, Materials, steps_of
from eval.protocols.leave_one_out import leave_one_out
from eval.systems import Learning, Ranker
from finetune.next_item import Recipe
from finetune.training import Epoch
from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.models.following import FollowingSettings
from retrieval.models.ranker_files import read_ranker
from retrieval.models.sequences import KINDS
from tasteline.types import EventType, Product
from tests.unit.eval.baselines.scorer_contract import HISTORIES, ITEMS, NEVER_BOUGHT, toy_learning
from tests.unit.eval.protocols.toy_shop import dataset_of
from tests.unit.eval.quick_recipe import NETWORK, QUICK, SCHEDULE
from tests.unit.retrieval.small_shop import product

DIMENSION = 32
BRIEF = replace(QUICK, schedule=replace(SCHEDULE, epochs=2, measure_from=1), fusion=replace(QUICK.fusion, epochs=1))


def materials(products: Mapping[str, Product] = {}) -> Materials:
    return Materials(HashingEmbedder(DIMENSION), lambda: products)


def kind(name: str) -> int:
    return TYPES.index(EventType(name))


def typed(*, timed: bool) -> Learning:
    """Three people over four items: views, a cart taken back, purchases."""
    names = ["view_item", "add_to_cart", "remove_from_cart", "purchase", "view_item", "purchase"] * 3
    events = Interactions.of(
        np.repeat([0, 1, 2], 6), [0, 1, 2, 1, 2, 3] * 3, [10, 20, 30, 40, 50, 60] * 3, [kind(name) for name in names]
    )
    dataset = replace(dataset_of([[0]], items=4), interactions=events, user_ids=("a", "b", "c"), timed=timed)
    return Learning.of(leave_one_out(dataset), "typed", "c0ffee")


def test_what_says_nothing_of_the_next_step_is_no_step() -> None:
    _, corpus = materials().corpus(typed(timed=True))
    assert corpus.histories.lengths.tolist() == [3, 3, 3]
    assert corpus.histories.items[:3].tolist() == [0, 1, 1]  # without what was taken out of the cart
    assert corpus.histories.kinds[:3].tolist() == [
        KINDS[EventType.VIEW_ITEM], KINDS[EventType.ADD_TO_CART], KINDS[EventType.PURCHASE]
    ]  # fmt: skip
    assert corpus.histories.moments[:3].tolist() == [10, 20, 40]
    assert not corpus.repeats


def test_without_a_clock_nothing_is_said_of_time() -> None:
    _, corpus = materials().corpus(typed(timed=False))
    assert np.isnan(corpus.histories.moments).all()
    assert np.isnan(corpus.valid.moments).all()


def test_only_train_is_fitted_on_and_valid_says_when_to_stop() -> None:
    learning = toy_learning()
    _, corpus = materials().corpus(learning)
    assert len(corpus.histories.items) == len(learning.train)
    np.testing.assert_array_equal(np.sort(corpus.histories.items), np.sort(learning.train.items))
    np.testing.assert_array_equal(corpus.valid_targets, learning.valid.targets.items)
    np.testing.assert_array_equal(corpus.valid.items, learning.valid.histories.items)


def test_items_are_described_as_the_shop_knows_them() -> None:
    known = {f"i{n}": product(f"i{n}", "Lamp", "Home", "Lamps", price=100 * n, brand="Acme") for n in range(3)}
    vocabulary, corpus = materials(known).corpus(typed(timed=True))
    assert vocabulary.brands == {"Acme": 1}
    assert corpus.features.codes[:, 0].tolist() == [1, 1, 1, 0]
    assert not corpus.features.texts[3].any()  # the set has no words for it, the shop does not know it


def test_an_empty_history_and_one_of_nothing_are_alike() -> None:
    nothing = replace(Histories.of([[1], []]), types=np.array([kind("remove_from_cart")], dtype=np.int8))
    assert steps_of(nothing, timed=False).lengths.tolist() == [0, 0]


@pytest.fixture(scope="module")
def learning(tmp_path_factory: pytest.TempPathFactory) -> Learning:
    return toy_learning(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def fitted(learning: Learning) -> Learned:
    system = Learned(QUICK, materials())
    system.fit(learning)
    return system


def test_a_list_keeps_the_rules_of_a_ranker(fitted: Learned) -> None:
    assert isinstance(fitted, Ranker)
    ranked = asking.rank(fitted, HISTORIES, ITEMS, 10, repeats=False)  # refuses what was seen, and what is unknown
    assert ranked.shape == (len(HISTORIES), 10)
    assert ranked.dtype == np.int32
    for line in ranked:
        shown = line[line >= 0]
        assert len(set(shown)) == len(shown) > 0
        assert (line[len(shown) :] == -1).all()
    assert fitted.rank(Histories.of([]), 10).shape == (0, 10)


def test_more_than_there_is_ends_in_empty_places(fitted: Learned) -> None:
    everything = Histories.of([list(range(ITEMS)), list(range(1, ITEMS))])
    ranked = asking.rank(fitted, everything, ITEMS, 1_000, repeats=False)
    assert (ranked[0] == -1).all()
    assert ranked[1].tolist() == [0, *[-1] * 999]


def test_what_was_done_but_is_no_step_is_not_shown_either(fitted: Learned) -> None:
    first = int(fitted.rank(Histories.of([[3, 4, 5]]), 1)[0, 0])
    seen = Histories.of([[3, 4, 5, first]])
    taken_back = replace(seen, types=np.array([*seen.types[:3], kind("remove_from_cart")], dtype=np.int8))
    ranked = asking.rank(fitted, taken_back, ITEMS, 10, repeats=False)
    assert first not in ranked
    assert (ranked >= 0).all(), "the list is as long as it can be"


def test_an_answer_does_not_depend_on_who_else_is_asked_about(fitted: Learned) -> None:
    together = fitted.rank(HISTORIES, 5)
    alone = [fitted.rank(HISTORIES.slice(case, case + 1), 5) for case in range(len(HISTORIES))]
    np.testing.assert_array_equal(np.concatenate(alone), together)


def test_train_is_learned_from_and_the_untouched_can_be_shown(fitted: Learned, learning: Learning) -> None:
    cases = learning.valid
    ranked = asking.rank(fitted, cases.histories, ITEMS, 10, repeats=False)
    found = (ranked == cases.targets.items[:, None]).any(axis=1).mean()
    assert found > 2 * (ranked == np.roll(cases.targets.items, 1)[:, None]).any(axis=1).mean()
    assert fitted.stored is not None
    assert NEVER_BOUGHT not in np.unique(learning.train.items)
    assert np.abs(fitted.stored.vectors["transformer"][NEVER_BOUGHT]).sum() > 0


def test_a_second_fit_reads_back_and_ranks_the_same(
    fitted: Learned, learning: Learning, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learned, "train_ranker", lambda *_, **__: pytest.fail("trained a second time"))
    again = Learned(QUICK, materials())
    again.fit(learning)
    np.testing.assert_array_equal(again.rank(HISTORIES, 20), fitted.rank(HISTORIES, 20))
    assert again.fit_seconds == fitted.fit_seconds > 0


class Trained(Exception):
    pass


def trains(recipe: Recipe, learned_from: Learning, monkeypatch: pytest.MonkeyPatch) -> bool:
    def tell(*_: object, **__: object) -> None:
        raise Trained

    with monkeypatch.context() as patch:
        patch.setattr(learned, "train_ranker", tell)
        try:
            Learned(recipe, materials()).fit(learned_from)
        except Trained:
            return True
    return False


def test_what_was_kept_is_not_taken_for_anything_else(
    fitted: Learned, learning: Learning, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not trains(QUICK, learning, monkeypatch)
    assert trains(QUICK, replace(learning, seed=1), monkeypatch)
    assert trains(replace(QUICK, from_each=50), learning, monkeypatch)
    fewer = learning.train.where(np.arange(len(learning.train)) > 0)
    assert trains(QUICK, replace(learning, train=fewer, checksum="other"), monkeypatch)
    assert trains(QUICK, replace(learning, repeats=True, checksum="again"), monkeypatch)


def test_two_runs_may_keep_the_same_ranker(fitted: Learned, tmp_path: Path) -> None:
    assert fitted.stored is not None
    for seconds in (1.0, 2.0):
        learned._keep(fitted.stored, tmp_path / "kept" / "same", seconds)
    assert [each.name for each in (tmp_path / "kept").iterdir()] == ["same"]
    assert read_ranker(tmp_path / "kept" / "same").item_ids == fitted.stored.item_ids


def test_a_network_that_was_kept_is_not_trained_again_by_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = materials()
    learning = toy_learning(tmp_path)
    network = LearnedNetwork("transformer", NETWORK, shared, BRIEF.schedule)
    network.fit(learning)
    heard: list[str] = []
    shared.heard = lambda part, epoch: heard.append(part)
    Learned(BRIEF, shared).fit(learning)
    assert set(heard) == {"rehearsal transformer"}


class PowerCut(Exception):
    pass


def test_a_training_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    schedule = replace(SCHEDULE, epochs=4, checkpoint_seconds=0.0)
    _, corpus = materials().corpus(toy_learning())
    numbers: list[int] = []

    def told(epoch: Epoch) -> None:
        numbers.append(epoch.number)
        if len(numbers) == 3:
            raise PowerCut

    whole, _ = Keeping(None)(corpus, NETWORK, schedule, seed=0)
    with pytest.raises(PowerCut):
        Keeping(tmp_path)(corpus, NETWORK, schedule, seed=0, told=told)
    resumed, curve = Keeping(tmp_path)(corpus, NETWORK, schedule, seed=0, told=told)
    assert numbers == [1, 2, 3, 3, 4]  # what had not been kept when the power went is learned again
    assert [each.number for each in curve] == [1, 2, 3, 4]
    for one, other in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert (one == other).all()
    assert not list((tmp_path / "networks").glob("*.checkpoint"))


def test_counts_need_no_training() -> None:
    counts = LearnedCounts(FollowingSettings(), materials())
    counts.fit(toy_learning())
    assert int(counts.score(Histories.of([[10]]))[0].argmax()) == 11
