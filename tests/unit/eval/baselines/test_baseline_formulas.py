"""Each baseline computes what its docstring says: values worked out by hand or by the formula written plainly."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares

from eval.baselines import ease
from eval.baselines.als import Als
from eval.baselines.content import Content
from eval.baselines.cooccurrence import Cooccurrence
from eval.baselines.ease import Ease
from eval.baselines.item_knn import ItemKnn
from eval.baselines.popular import DAY, Popular, PopularRecent
from eval.baselines.tuning import Chosen
from eval.data.interactions import Catalogue, Histories, Interactions
from eval.protocols.split import Cases, Targets
from eval.systems import ItemScores, Learning, Scorer
from retrieval.adapters.embedder_hashing import HashingEmbedder
from tasteline.errors import InvalidInput
from tasteline.types import Vectors

NOBODY = Cases(np.zeros(0, np.int32), Histories.of([]), Targets(np.zeros(1, np.int64), *2 * [np.zeros(0, np.int64)]))
FIXED: Chosen = {"recency": 0.5, "backward": 0.25, "decay": 0.5, "source_power": 0.0, "target_power": 0.0, "window": 2}


def learning_of(sequences: list[list[int]], items: int, texts: tuple[str, ...] = (), repeats: bool = False) -> Learning:
    train = Interactions.of(
        [user for user, each in enumerate(sequences) for _ in each],
        [item for each in sequences for item in each],
        [place for each in sequences for place in range(len(each))],
    )
    catalogue = Catalogue(tuple(map(str, range(items))), texts or ("",) * items, ("",) * items)
    return Learning(catalogue, train, NOBODY, repeats, timed=False, dataset="toy", checksum="toy")


def scores_of(system: Scorer, learning: Learning, *histories: list[int]) -> ItemScores:
    system.fit(learning)
    return system.score(Histories.of(histories))


def cooccurrence(**changed: float) -> Cooccurrence:
    return Cooccurrence({setting: (value,) for setting, value in {**FIXED, **changed}.items()})


WALK = learning_of([[0, 1, 2, 3]], items=5)


def test_co_occurrence_counts_direction_distance_and_place() -> None:
    # From 1: to 2 in one step 1, to 3 in two .5, back to 0 in one .25. 0 to 1 to 2: 1, .5; 0 to 3 is out of the window.
    after_one, after_zero_then_one = scores_of(cooccurrence(), WALK, [1], [0, 1])
    assert after_one[[0, 2, 3]].tolist() == [0.25, 1.0, 0.5]
    assert after_zero_then_one[[0, 1, 2, 3]].tolist() == [0.25, 0.5, 1.25, 0.5]


def test_co_occurrence_divides_by_how_much_leads_out_and_in() -> None:
    # Out of 1: .25 + 1 + .5. Into 0: .25 from 1 and .125 from 2.
    (by_source,) = scores_of(cooccurrence(source_power=1.0), WALK, [1])
    assert by_source[2] == pytest.approx(1 / 1.75)
    (by_target,) = scores_of(cooccurrence(target_power=0.5), WALK, [1])
    assert by_target[0] == pytest.approx(0.25 / 0.375**0.5)


def test_a_view_and_a_purchase_of_one_item_are_one_step() -> None:
    stuttering = learning_of([[0, 1, 1, 1, 2, 3]], items=5)
    expected = scores_of(cooccurrence(), WALK, [0, 1])[0, :4]
    assert scores_of(cooccurrence(), stuttering, [0, 0, 1, 1])[0, :4].tolist() == expected.tolist()


def test_what_nothing_leads_to_follows_by_popularity() -> None:
    learning = learning_of([[0, 1], [2, 3], [3]], items=5)
    (scores,) = scores_of(cooccurrence(), learning, [0])
    assert np.argsort(-scores, kind="stable").tolist() == [1, 3, 0, 2, 4]


def test_item_knn_is_a_shrunken_cosine_of_the_nearest() -> None:
    learning = learning_of([[0, 1, 2], [1, 0], [0, 3], [0, 3, 3]], items=5)
    knn = ItemKnn({"shrinkage": (2.0,), "neighbours": (2,)})
    (scores,) = scores_of(knn, learning, [0])
    # 0 has four people, 1 and 3 two each, both shared with it; 2 has one: the third neighbour is cut off.
    assert scores[[1, 3]].tolist() == pytest.approx([2 / (8**0.5 + 2)] * 2)
    assert scores[2] < 0
    assert scores[0] < 0
    (again,) = scores_of(knn, replace(learning, repeats=True), [0])
    assert again[0] == pytest.approx(4 / (4 + 2))


def test_ease_is_its_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "_BLOCK", 3)  # several blocks in a small matrix
    rng = np.random.default_rng(0)
    sequences = [rng.permutation(8)[: rng.integers(1, 6)].tolist() for _ in range(40)]
    people = np.zeros((40, 8))
    for user, sequence in enumerate(sequences):
        people[user, sequence] = 1
    inverse = np.linalg.inv(people.T @ people + 3 * np.eye(8))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    scores = scores_of(Ease({"regularisation": (3.0,)}), learning_of(sequences, 8), *sequences)
    np.testing.assert_allclose(scores, people @ weights, rtol=1e-4, atol=1e-5)


def test_ease_says_when_a_catalogue_is_too_large() -> None:
    with pytest.raises(InvalidInput, match="20,001 items"):
        Ease().fit(learning_of([[0, 1]], items=20_001))


def test_als_solves_the_factors_of_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[AlternatingLeastSquares] = []

    class Kept(AlternatingLeastSquares):
        def fit(self, *given: object, **named: object) -> None:
            super().fit(*given, **named)
            fitted.append(self)

    monkeypatch.setattr("implicit.cpu.als.AlternatingLeastSquares", Kept)
    rng = np.random.default_rng(1)
    learning = learning_of([(rng.permutation(6)[:4] + 6 * (user % 2)).tolist() for user in range(60)], 12)
    als = Als({"factors": (3,), "alpha": (5.0,), "regularisation": (0.7,), "iterations": (4,)})
    (scores,) = scores_of(als, learning, [2, 8])
    assert fitted[0].iterations == 4
    factors = fitted[0].item_factors.astype(np.float64)
    own = factors[[2, 8]]
    person = np.linalg.solve(factors.T @ factors + 0.7 * np.eye(3) + 4 * own.T @ own, 5 * own.sum(axis=0))
    np.testing.assert_allclose(scores, factors @ person, rtol=1e-3, atol=1e-5)


def test_popular_counts_rows_and_recent_forgets_them() -> None:
    learning = learning_of([[0, 0, 0, 1, 1, 2]], items=4)
    assert scores_of(Popular(), learning, []).tolist() == [pytest.approx([1, 2 / 3, 1 / 3, 0])]
    train = replace(learning.train, order=np.array([0, 0, 0, 10, 10, 12]) * int(DAY))
    recent = PopularRecent({"half_life_days": (2.0,)})
    (scores,) = scores_of(recent, replace(learning, train=train, timed=True), [])
    assert scores.tolist() == pytest.approx([3 / 64, 1, 1, 0])  # 3 * .5**6, 2 * .5, 1 over the largest


def test_nothing_is_recent_without_times() -> None:
    with pytest.raises(InvalidInput, match="no times"):
        PopularRecent().fit(WALK)


class CountingEmbedder(HashingEmbedder):
    texts = 0

    def encode(self, texts: object, kind: object) -> Vectors:
        self.texts += len(texts)  # type: ignore[arg-type]
        return super().encode(texts, kind)  # type: ignore[arg-type]


def test_content_finds_an_item_that_nobody_has_touched_and_embeds_once(tmp_path: Path) -> None:
    texts = ("red silk scarf", "copper kettle", "blue silk scarf", "", "iron kettle")
    learning = replace(learning_of([[0, 1]], 5, texts), cache=tmp_path)
    embedder = CountingEmbedder()
    content = Content(embedder, {"recency": (0.0,)})
    last_scarf, last_kettle = scores_of(content, learning, [1, 0], [0, 1])
    assert np.argsort(-last_scarf)[:2].tolist() == [0, 2]
    assert np.argsort(-last_kettle)[:2].tolist() == [1, 4]
    assert last_scarf[3] == 0
    assert scores_of(Content(embedder, {"recency": (0.0,)}), learning, [1, 0]).tolist() == [last_scarf.tolist()]
    assert embedder.texts == 5
    changed = replace(learning, catalogue=replace(learning.catalogue, texts=(*texts[:4], "green silk scarf")))
    assert np.argsort(-scores_of(Content(embedder, {"recency": (0.0,)}), changed, [0])[0])[:3].tolist() != [0, 2, 1]
    assert embedder.texts == 10
