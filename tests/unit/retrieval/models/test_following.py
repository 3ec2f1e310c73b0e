"""What follows what: golden counts by hand, what likes lend, and what is kept on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrieval.models import following as module
from retrieval.models.following import Following, FollowingSettings, alike, at, largest
from retrieval.models.sequences import DAY, Sequences
from tasteline.types import Vectors

PLAIN = replace(
    FollowingSettings(), source_power=0.0, target_power=0.0, borrowed=0.0, plain_likeness=0.0, backward=0.5, decay=0.5
)


def unlike(items: int) -> Vectors:
    """Texts that have nothing in common."""
    return np.eye(items, dtype=np.float32)


def test_pairs_decay_with_steps_and_count_half_backward() -> None:
    following = Following.fit(Sequences.of([[0, 1, 2]]), unlike(3), PLAIN)
    np.testing.assert_allclose(following.counted.toarray(), [[0, 1, 0.5], [0.5, 0, 1], [0.25, 0.5, 0]])
    np.testing.assert_allclose(following.forward.toarray(), [[0, 2 / 3, 1 / 3], [0, 0, 1], [0, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(following.backward.toarray()[2], [1 / 3, 2 / 3, 0], rtol=1e-6)
    assert following.popularity.tolist() == [1, 1, 1]


def test_pairs_weeks_apart_count_less_where_the_clock_is_known() -> None:
    three = Sequences.of([[0, 1, 2]])
    spread = Sequences(three.starts, three.items, three.kinds, np.array([0.0, 0.0, 21 * DAY]))
    counted = Following.fit(spread, unlike(3), replace(PLAIN, week_power=1.0)).counted.toarray()
    assert counted[0, 1] == pytest.approx(1.0)
    assert counted[1, 2] == pytest.approx(1 / 4)  # three weeks: 1 / (1 + 3)


def test_nothing_passes_from_one_person_to_the_next() -> None:
    counted = Following.fit(Sequences.of([[0, 1], [2, 0]]), unlike(3), PLAIN).counted
    assert counted[1, 2] == 0


def test_an_untouched_item_stands_among_what_follows_through_its_likes() -> None:
    texts = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0]], dtype=np.float32)  # 2, which nobody has, reads like 1
    settings = replace(FollowingSettings(), plain_likeness=0.0)
    following = Following.fit(Sequences.of([[0, 1]] * 5), texts, settings)
    assert following.counted[0, 2] == 0
    assert 0 < following.smoothed[0, 2] < following.smoothed[0, 1]
    assert following.smoothed[2, 0] > 0  # and lends what follows its like


def test_likes_are_shares_of_the_nearest_and_never_oneself() -> None:
    texts = np.array([[1, 0], [1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    shares = alike(texts, replace(FollowingSettings(), alike=2, alike_power=1.0)).toarray()
    np.testing.assert_allclose(shares[0], [0, 1 / 1.8, 0.8 / 1.8, 0], rtol=1e-5)
    assert (np.diag(shares) == 0).all()
    assert not alike(np.zeros((3, 4), dtype=np.float32), FollowingSettings()).toarray().any()


def test_likes_are_those_of_a_comparison_of_all_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEARCHED", 7)
    texts = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    settings = replace(FollowingSettings(), alike=5, alike_floor=0.1)
    cosines = texts @ texts.T
    np.fill_diagonal(cosines, -1)
    nearest = cosines >= np.sort(cosines, axis=1)[:, [-settings.alike]]
    powers = np.where(nearest & (cosines > settings.alike_floor), cosines, 0) ** settings.alike_power
    expected = powers / np.maximum(powers.sum(axis=1, keepdims=True), 1e-30)
    np.testing.assert_allclose(alike(texts, settings).toarray(), expected, rtol=1e-4, atol=1e-7)
    twins = alike(np.ones((9, 1), dtype=np.float32), settings).toarray()
    assert ((twins > 0).sum(axis=1) == settings.alike).all()


def test_a_history_weighs_its_last_step_most() -> None:
    people = Following.fit(Sequences.of([[0, 1]]), unlike(3), PLAIN).people(Sequences.of([[0, 1, 1], []]))
    np.testing.assert_allclose(people.toarray(), [[0.7, 1, 0], [0, 0, 0]], rtol=1e-6)


def test_values_are_looked_up_and_empty_places_are_0() -> None:
    matrix = largest(Following.fit(Sequences.of([[0, 1, 2]]), unlike(3), PLAIN).counted, 1)
    assert matrix.nnz == 3  # the largest of each line
    found = at(matrix, np.array([0, -1, 1]), np.array([[1, -1], [2, 2], [2, 0]]))
    assert found.tolist() == [[1, 0], [0, 0], [1, 0]]


def test_what_follows_histories_is_their_product_with_the_counts_one_at_a_time_and_together() -> None:
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(30, 4)).astype(np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    following = Following.fit(Sequences.of(rng.integers(0, 30, (20, 6)).tolist()), texts)
    asked = Sequences.of([[3, 1, 1, 3, 9], [], [29], rng.integers(0, 30, 60).tolist()])
    every = np.broadcast_to(np.arange(30), (len(asked), 30))
    for place, matrix in enumerate((following.smoothed, following.counted)):
        wanted = (following.people(asked) @ matrix).toarray()
        together = following.after(asked)[place].at(every)
        np.testing.assert_allclose(together, wanted, rtol=1e-5, atol=1e-7)
        for line in range(len(asked)):
            alone = following.after(asked.take(np.array([line])))[place]
            np.testing.assert_allclose(alone.at(every[:1])[0], wanted[line], rtol=1e-5, atol=1e-7)


def test_it_reads_back_what_it_wrote(tmp_path: Path) -> None:
    before = Following.fit(Sequences.of([[0, 1, 2], [2, 1]]), unlike(3))
    before.save(tmp_path / "following.npz")
    after = Following.load(tmp_path / "following.npz", before.settings)
    np.testing.assert_array_equal(after.popularity, before.popularity)
    for name in ("forward", "backward", "counted", "smoothed"):
        np.testing.assert_array_equal(getattr(after, name).toarray(), getattr(before, name).toarray())


@pytest.mark.parametrize("sequences", [Sequences.of([]), Sequences.of([[1]]), Sequences.of([[], [0, 0]])])
def test_where_nothing_follows_anything_all_is_empty(sequences: Sequences) -> None:
    following = Following.fit(sequences, unlike(2))
    assert following.counted.nnz == 0
    assert following.smoothed.nnz == 0
