"""The trainer of the ranker: the loss is a softmax, the rehearsal hides what it must, what is trained learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from finetune.next_item import (
    Corpus,
    FusionSettings,
    NetworkSettings,
    Recipe,
    Windows,
    item_vectors,
    rehearse,
    train_network,
    train_ranker,
    valid_ndcg,
)
from finetune.sampled_softmax import sampled_softmax
from finetune.training import Schedule
from retrieval.models.item_features import ItemFeatures
from retrieval.models.network import Shape
from retrieval.models.ranker import feature_names
from retrieval.models.sequences import Sequences
from tasteline.errors import InvalidInput

ITEMS = 40
QUICK = Schedule(epochs=12, measure_from=2, learning_rate=5e-3, blind_epochs=6, average=0.9)
SMALL = NetworkSettings(Shape("transformer", width=16, dropout=0.1), negatives=20, batch=32)
FUSED = FusionSettings(epochs=4, new_items=0.05)


def walkers(people: int = 250, seed: int = 0) -> Corpus:
    """Everybody walks through the items in steps of one or two."""
    rng = np.random.default_rng(seed)
    walks = [
        (rng.integers(ITEMS) + np.cumsum(rng.integers(1, 3, size=rng.integers(4, 9)))) % ITEMS for _ in range(people)
    ]
    texts = np.eye(ITEMS, dtype=np.float32)
    features = ItemFeatures(texts, np.stack([np.arange(ITEMS) % 4 + 1, *[np.zeros(ITEMS, int)] * 3], axis=1))
    histories = Sequences.of([walk[:-1].tolist() for walk in walks])
    return Corpus(histories, features, (5, 1, 1, 1), histories, np.array([walk[-1] for walk in walks]))


def test_the_loss_is_a_softmax_over_the_target_and_the_sample_without_it() -> None:
    torch.manual_seed(0)
    states, table = torch.randn(3, 4, requires_grad=True), torch.randn(10, 4, requires_grad=True)
    following, sampled = torch.tensor([2, 5, 9]), torch.tensor([1, 2, 3])
    loss = sampled_softmax(states, following, sampled, lambda items: table[items], 10)
    expected = []
    for place, target in enumerate(following.tolist()):
        others = [item for item in sampled.tolist() if item != target]
        logits = states[place] @ table[[target, *others]].T
        expected.append(-torch.log_softmax(logits, dim=0)[0])
    torch.testing.assert_close(loss, torch.stack(expected).mean())
    ours = torch.autograd.grad(loss, (states, table), retain_graph=True)
    theirs = torch.autograd.grad(torch.stack(expected).mean(), (states, table))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_the_log_q_correction_weighs_the_sample() -> None:
    states, table = torch.ones(1, 2), torch.zeros(4, 2)
    sampled, following = torch.tensor([0, 1]), torch.tensor([3])
    plain = sampled_softmax(states, following, sampled, lambda items: table[items], 4)
    weighed = sampled_softmax(states, following, sampled, lambda items: table[items], 4, torch.full((2,), np.log(5.0)))
    assert float(plain) == pytest.approx(np.log(3))
    assert float(weighed) == pytest.approx(np.log(1 + 2 * 5))


def test_every_step_is_predicted_once_from_what_is_before_it() -> None:
    histories = Sequences.of([[7, 8, 9, 10, 11], [], [5]])
    windows = Windows.of(histories, start=99, length=2)
    predicted = []
    for batch in windows.batches(2, np.random.default_rng(0)):
        assert batch.sequences.shape[1] <= 2
        predicted += batch.following.tolist()
    assert sorted(predicted) == [5, 7, 8, 9, 10, 11]


def test_a_rehearsal_knows_neither_the_last_step_nor_what_is_new() -> None:
    corpus = walkers()
    settings = replace(FUSED, new_items=0.2, short=0.5)
    rehearsal = rehearse(corpus, settings, seed=0)
    new = set(range(ITEMS)) - set(rehearsal.corpus.histories.items)
    assert len(new) == ITEMS * 0.2
    assert new & set(rehearsal.targets)  # some of the new are asked for
    assert not new & set(rehearsal.histories.items)
    last = {tuple(corpus.histories.take(np.array([each])).items[-1:]) for each in range(len(corpus.histories))}
    assert {(int(target),) for target in rehearsal.targets} <= {(int(each[0]),) for each in last}
    assert len(rehearsal.corpus.histories.items) < len(corpus.histories.items) - len(corpus.histories)
    assert not len(rehearsal.corpus.valid)  # nothing is stopped by what is to be learned
    assert (rehearsal.histories.lengths <= 2).mean() > 0.4
    owners = rehearsal.histories.owners
    assert not (rehearsal.histories.items == rehearsal.targets[owners]).any()


def test_what_nobody_has_ever_touched_is_no_candidate_of_a_rehearsal() -> None:
    corpus = walkers()
    kept = corpus.histories.items != 3
    owners = corpus.histories.owners[kept]
    starts = np.searchsorted(owners, np.arange(len(corpus.histories) + 1))
    histories = corpus.histories
    without = Sequences(starts, histories.items[kept], histories.kinds[kept], histories.moments[kept])
    allowed = rehearse(replace(corpus, histories=without), FUSED, seed=0).allowed
    assert allowed is not None
    assert np.flatnonzero(~allowed).tolist() == [3]
    assert rehearse(corpus, replace(FUSED, untouched=True), seed=0).allowed is None


def test_a_network_learns_and_the_same_seed_gives_the_same() -> None:
    corpus = walkers()
    made, curve = train_network(corpus, SMALL, QUICK, seed=1)
    assert valid_ndcg(made, corpus) == pytest.approx(max(each.value for each in curve if each.value == each.value))
    assert valid_ndcg(made, corpus) > 0.5  # by chance .11
    again, _ = train_network(corpus, SMALL, QUICK, seed=1)
    for one, other in zip(made.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_network_that_is_lost_in_nan_finds_nothing() -> None:
    corpus = walkers(people=20)
    made, _ = train_network(corpus, SMALL, replace(QUICK, blind_epochs=1), seed=0, blind=True)
    with torch.no_grad():
        made.tower.project.weight.fill_(torch.nan)
    assert valid_ndcg(made, corpus) == 0


def test_a_kind_of_step_that_was_never_seen_changes_little() -> None:
    corpus = walkers()
    made, _ = train_network(corpus, SMALL, QUICK, seed=0)
    bought = Sequences.of([[1, 2, 3]])
    viewed = replace(bought, kinds=np.zeros(3, dtype=np.int8))
    with torch.inference_mode():
        torch.testing.assert_close(made.people(viewed), made.people(bought))  # only purchases were seen


def test_an_untouched_item_is_what_its_description_says() -> None:
    corpus = walkers()
    untouched = replace(
        corpus, histories=corpus.histories.numbered(np.where(np.arange(ITEMS) == 3, -1, np.arange(ITEMS)))
    )
    assert 3 not in untouched.touched
    made, _ = train_network(untouched, SMALL, replace(QUICK, blind_epochs=1), seed=0, blind=True)
    described = made.tower.described().detach().numpy()
    vectors = item_vectors(made, untouched.touched)
    np.testing.assert_array_equal(vectors[3], described[3])
    assert not np.allclose(vectors[4], described[4])


def test_the_whole_ranker_finds_what_comes_next() -> None:
    corpus = walkers()
    trained = train_ranker(corpus, Recipe({"small": SMALL}, QUICK, fusion=FUSED), seed=0)
    items, _ = trained.ranker.rank(corpus.valid, 3, repeats=False)
    assert (items == corpus.valid_targets[:, None]).any(axis=1).mean() > 0.8  # one of the next two
    assert set(trained.curves) == {"small"}


def test_a_feature_that_is_told_to_be_silent_is() -> None:
    settings = replace(FUSED, epochs=1, silent=("cosine", "popularity"))
    trained = train_ranker(walkers(people=60), Recipe({"small": SMALL}, QUICK, fusion=settings), seed=0)
    heard = [name for name, scale in zip(feature_names(1), trained.fusion.scale, strict=True) if scale < torch.inf]
    assert {"smoothed", "counted", "network_0"} < set(heard)
    assert not [name for name in heard if name.startswith(settings.silent)]


@pytest.mark.parametrize("histories", [[], [[1]], [[], [2]]])
def test_where_nothing_follows_anything_it_says_so(histories: list[list[int]]) -> None:
    corpus = replace(walkers(), histories=Sequences.of(histories))
    with pytest.raises(InvalidInput, match="import more events"):
        train_ranker(corpus, Recipe({"small": SMALL}, QUICK), seed=0)


def test_only_what_may_be_asked_for_competes_on_valid() -> None:
    corpus = walkers()
    network, _ = train_network(corpus, SMALL, replace(QUICK, blind_epochs=1), seed=0, blind=True)
    among_all = valid_ndcg(network, corpus)
    asked = np.zeros(ITEMS, dtype=np.bool_)
    asked[corpus.valid_targets] = True
    assert valid_ndcg(network, replace(corpus, asked=asked)) == among_all, "all items are somebody's target"
    few = np.isin(np.arange(ITEMS), [1, 2])
    cases = np.flatnonzero(few[corpus.valid_targets])
    corpus = replace(corpus, valid=corpus.valid.take(cases), valid_targets=corpus.valid_targets[cases])
    assert valid_ndcg(network, replace(corpus, asked=few, repeats=True)) > 0.6, "first or second of two"
    assert replace(corpus, asked=few).fingerprint() != corpus.fingerprint()
