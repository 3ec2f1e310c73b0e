"""SASRec on a world in which the next item follows from the last one: learned in a second, kept, repeated, causal."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from eval import asking
from eval.baselines import sasrec
from eval.baselines.sasrec import SasRec
from eval.baselines.sasrec_network import Network
from eval.baselines.sasrec_training import SasRecSettings, Windows, _loss, train
from eval.data.interactions import Catalogue, Dataset, Histories, Interactions
from eval.protocols.leave_one_out import leave_one_out
from eval.protocols.split import Split
from eval.systems import Learning, Scorer
from finetune.sampled_softmax import LogSumExp
from retrieval.models.network import Packed
from tasteline.errors import InvalidInput

ITEMS = 60
FOLLOWER = np.random.default_rng(5).permutation(ITEMS)
SMALL = SasRecSettings(width=32, negatives=32, learning_rate=0.01, batch=64, epochs=15, patience=3, dropout=0.1)
QUICK = replace(SMALL, epochs=1)


def world(people: int = 400, steps: int = 7) -> Split:
    """Everybody begins somewhere (at item 0 half of the time) and goes on from each item to its follower."""
    rng = np.random.default_rng(6)
    walks = [np.where(rng.random(people) < 0.5, 0, rng.integers(ITEMS, size=people))]
    while len(walks) < steps:
        walks.append(FOLLOWER[walks[-1]])
    events = Interactions.of(
        np.repeat(np.arange(people), steps), np.stack(walks, axis=1).ravel(), np.tile(np.arange(steps), people)
    )
    catalogue = Catalogue(tuple(map(str, range(ITEMS))), ("",) * ITEMS, ("",) * ITEMS)
    return leave_one_out(Dataset("walks", "c", catalogue, tuple(map(str, range(people))), events, timed=False))


@pytest.fixture(scope="module")
def split() -> Split:
    return world()


@pytest.fixture(scope="module")
def fitted(split: Split) -> SasRec:
    system = SasRec(SMALL)
    system.fit(Learning.of(split, "walks", "c"))
    return system


def learning(split: Split, cache: Path | None = None, seed: int = 0) -> Learning:
    return Learning.of(split, "walks", "c", cache, seed)


def scores_of(settings: SasRecSettings, learned: Learning) -> np.ndarray:
    system = SasRec(settings)
    system.fit(learned)
    return system.score(Histories.of([[1, 2], [3]]))


def test_learns_what_follows_what_and_beats_popularity(fitted: SasRec, split: Split) -> None:
    ranked = asking.rank(fitted, split.test.histories, ITEMS, 1, repeats=False)[:, 0]
    right = np.mean(ranked == split.test.targets.items)
    assert isinstance(fitted, Scorer)
    assert right > 0.95
    assert np.mean(np.bincount(split.train.items).argmax() == split.test.targets.items) < 0.2


def test_an_empty_history_gets_what_people_begin_with(fitted: SasRec) -> None:
    scores = fitted.score(Histories.of([[]]))
    assert scores.shape == (1, ITEMS)
    assert scores.dtype == np.float32
    assert scores[0].argmax() == 0
    assert fitted.score(Histories.of([])).shape == (0, ITEMS)


def test_a_history_is_scored_alike_in_any_company(fitted: SasRec) -> None:
    histories = Histories.of([[], [4], list(range(59)), [9, 8, 7], [3] * 120])
    together = fitted.score(histories)
    alone = np.concatenate([fitted.score(histories.slice(case, case + 1)) for case in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_only_the_last_events_count(fitted: SasRec) -> None:
    long, other = list(range(50)), [59, 58, 57, *range(50)]
    np.testing.assert_allclose(fitted.score(Histories.of([long])), fitted.score(Histories.of([other])), atol=1e-5)


def test_later_items_do_not_change_earlier_states() -> None:
    network = Network(ITEMS, width=16, blocks=2, heads=2, length=10, dropout=0.5).eval()

    def states(items: list[int]) -> torch.Tensor:
        packed = Packed.of(np.array(items, dtype=np.int64), np.array([0]), np.array([len(items)]))
        return network(packed)[:3]

    with torch.inference_mode():
        assert torch.equal(states([1, 2, 3, 4]), states([1, 2, 3, 5]))
        assert not torch.equal(states([1, 2, 3, 4]), states([7, 2, 3, 4]))


def test_stops_by_valid_and_keeps_the_best_epoch(split: Split) -> None:
    system, heard = SasRec(SMALL, told=lambda epoch: heard.append(epoch.number)), []
    chosen = system.fit(learning(split))
    assert heard == [number for number, _, _ in system.curve]
    assert chosen["valid_ndcg@10"] == max(ndcg for _, _, ndcg in system.curve)
    assert system.curve[int(chosen["epochs"]) - 1][2] == chosen["valid_ndcg@10"]
    assert len(heard) == min(SMALL.epochs, int(chosen["epochs"]) + SMALL.patience)
    ranked = asking.rank(system, split.valid.histories, ITEMS, 10, repeats=False)
    found = ranked == split.valid.targets.items[:, None]
    gains = (found / np.log2(np.arange(2, 12))).sum(axis=1)
    assert gains.mean() == pytest.approx(chosen["valid_ndcg@10"])


def test_the_weights_of_the_best_epoch_are_the_ones_that_stay(split: Split) -> None:
    values, seen = iter([0.1, 0.5, 0.2, 0.3]), []

    def measure(network: Network) -> float:
        seen.append(network.vectors.detach().clone())
        return next(values)

    settings = replace(SMALL, patience=2)
    network, curve = train(split.train, ITEMS, settings, seed=0, measure=measure, told=lambda epoch: None)
    assert [epoch.ndcg for epoch in curve] == [0.1, 0.5, 0.2, 0.3]
    assert torch.equal(network.vectors, seen[1])
    assert not torch.equal(seen[1], seen[3])


def test_without_valid_cases_it_learns_for_a_fixed_time(split: Split) -> None:
    blind = replace(split, valid=split.valid.take(np.array([], dtype=np.int64)))
    system = SasRec(replace(SMALL, blind_epochs=2))
    chosen = system.fit(learning(blind))
    assert chosen["epochs"] == len(system.curve) == 2
    assert chosen["valid_ndcg@10"] is None


def test_what_was_trained_is_kept(split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = SasRec(QUICK)
    chosen = first.fit(learning(split, tmp_path))
    monkeypatch.setattr(sasrec, "train", lambda *_, **__: pytest.fail("trained a second time"))
    again = SasRec(QUICK)
    assert again.fit(learning(split, tmp_path)) == chosen
    np.testing.assert_array_equal(first.score(split.test.histories), again.score(split.test.histories))
    assert again.fit_seconds == first.fit_seconds > 0
    assert again.curve == first.curve


def test_what_was_kept_is_not_taken_for_anything_else(split: Split, tmp_path: Path) -> None:
    SasRec(QUICK).fit(learning(split, tmp_path))
    others = [
        (QUICK, learning(split, tmp_path, seed=1)),
        (replace(QUICK, dropout=0.3), learning(split, tmp_path)),
        (QUICK, replace(learning(split, tmp_path), checksum="d")),
        (QUICK, learning(replace(split, train=split.train.where(np.arange(len(split.train)) > 0)), tmp_path)),
    ]
    for settings, learned in others:
        SasRec(settings).fit(learned)
    assert len(list((tmp_path / "sasrec").iterdir())) == 1 + len(others)


def test_a_seed_repeats_and_leaves_the_callers_chance_alone(split: Split) -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first = scores_of(QUICK, learning(split))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(4)
    np.testing.assert_array_equal(scores_of(QUICK, learning(split)), first)
    assert not np.array_equal(scores_of(QUICK, learning(split, seed=1)), first)


def test_pieces_of_a_long_history_predict_each_item_once() -> None:
    pieces = Windows.of(Histories.of([list(range(7)), [], [8]]), start=9, length=3)
    predicted = [pieces.tokens[a + 1 : b + 1].tolist() for a, b in zip(pieces.first, pieces.last, strict=True)]
    assert sorted(np.concatenate(predicted)) == [0, 1, 2, 3, 4, 5, 6, 8]
    assert max(map(len, predicted)) == 3


@pytest.mark.parametrize("log_q", [False, True])
def test_the_loss_is_the_softmax_over_the_next_item_and_the_sampled_others(log_q: bool) -> None:
    network = Network(8, width=4, blocks=1, heads=1, length=3, dropout=0.0).double()
    sequences = Packed.of(np.array([8, 1, 8, 5]), np.array([0, 2]), np.array([2, 4]))
    following, sampled = torch.tensor([1, 3, 5, 6]), torch.tensor([3, 0, 6])
    states = network(sequences)
    expected = []
    for state, item in zip(states, following, strict=True):
        others = network.vectors[sampled[sampled != item]] @ state
        weight = 8 / 3 if log_q else 1.0
        own = (network.vectors[item] @ state).exp()
        expected.append(-(own / (own + weight * others.exp().sum())).log())
    assert torch.allclose(_loss(network, sequences, following, sampled, log_q=log_q), torch.stack(expected).mean())


def test_the_written_gradient_is_the_numeric_one() -> None:
    torch.manual_seed(0)
    states, vectors = (torch.randn(n, 4, dtype=torch.double, requires_grad=True) for n in (5, 7))
    rows, columns = torch.tensor([0, 3]), torch.tensor([2, 6])
    assert torch.autograd.gradcheck(lambda a, b: LogSumExp.apply(a, b, rows, columns), (states, vectors))


def test_a_single_item_is_refused(split: Split) -> None:
    one = replace(learning(split), catalogue=Catalogue(("a",), ("",), ("",)))
    with pytest.raises(InvalidInput, match="catalogue has 1"):
        SasRec(SMALL).fit(one)
