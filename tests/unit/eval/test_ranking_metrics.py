"""Golden values worked by hand, and what must hold for every input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics import (
    average_precision_at_k,
    condensed,
    condensed_ndcg_at_k,
    f1_at_k,
    hit_rate_at_k,
    judged_at_k,
    judged_labels,
    labels_of,
    mrr_at_k,
    ndcg_at_k,
    ordered_by_score,
    padded,
    partial_auc_at_k,
    precision_at_k,
    r_precision,
    recall_at_k,
)

NAN = np.nan
END = -np.inf
METRICS_WITH_JUDGEMENTS = [ndcg_at_k, condensed_ndcg_at_k, recall_at_k]


def rows(*lists: list[float]) -> np.ndarray:
    return np.array(lists, dtype=np.float64)


@st.composite
def judged_rankings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """One query: judgements with at least one positive, and a ranking of some of them among unjudged products."""
    judged = draw(st.lists(st.integers(0, 3), min_size=1, max_size=8).filter(any))
    pool = [float(label) for label in judged] + [NAN] * draw(st.integers(0, 4))
    order = draw(st.permutations(range(len(pool))))
    shown = draw(st.integers(1, len(pool)))
    return rows([pool[place] for place in order[:shown]]), rows([float(label) for label in judged])


def test_ndcg_exponential_by_hand() -> None:
    # DCG@3 = 7/log2(2) + 0 + 1/log2(4) = 7.5; ideal order 3, 2, 1: 7 + 3/log2(3) + 1/2 = 9.392789
    value = ndcg_at_k(rows([3, 0, 1, 2]), rows([0, 1, 2, 3]), k=3)
    assert value[0] == pytest.approx(7.5 / (7 + 3 / math.log2(3) + 0.5), abs=1e-12)


def test_ndcg_linear_by_hand() -> None:
    # DCG@2 = 1 + 2/log2(3); ideal 2 + 1/log2(3)
    value = ndcg_at_k(rows([1, 2]), rows([1, 2]), k=2, gain="linear")
    assert value[0] == pytest.approx((1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3)), abs=1e-12)


def test_the_ideal_counts_judgements_that_were_not_ranked() -> None:
    assert ndcg_at_k(rows([1, 0]), rows([1, 3, 0]), k=1)[0] == pytest.approx(1 / 7)


def test_unjudged_gains_nothing_in_ndcg_and_is_skipped_when_condensed() -> None:
    ranked, judged = rows([NAN, 2, NAN, 1]), rows([2, 1])
    plain = (3 / math.log2(3) + 1 / math.log2(5)) / (3 + 1 / math.log2(3))
    assert ndcg_at_k(ranked, judged, k=4)[0] == pytest.approx(plain)
    assert condensed_ndcg_at_k(ranked, judged, k=4)[0] == pytest.approx(1.0)


def test_condensed_reaches_below_k() -> None:
    ranked, judged = rows([NAN, NAN, 0, 3]), rows([3, 0])
    assert ndcg_at_k(ranked, judged, k=2)[0] == 0.0
    assert condensed_ndcg_at_k(ranked, judged, k=2)[0] == pytest.approx(1 / math.log2(3))


def test_recall_by_hand_with_threshold_and_cap() -> None:
    ranked, judged = rows([2, NAN, 1, 3]), rows([2, 3, 1, 2, 2])
    assert recall_at_k(ranked, judged, k=4, relevant_from=2)[0] == pytest.approx(2 / 4)
    assert recall_at_k(ranked, judged, k=3, relevant_from=1)[0] == pytest.approx(2 / 5)
    assert recall_at_k(ranked, judged, k=2, relevant_from=2, capped=True)[0] == pytest.approx(1 / 2)


def test_judged_share_ignores_places_past_the_end() -> None:
    assert judged_at_k(rows([0, NAN, 1, END]), k=4)[0] == pytest.approx(2 / 3)
    assert judged_at_k(rows([0, NAN, NAN, 1]), k=3)[0] == pytest.approx(1 / 3)


def test_mrr_by_hand() -> None:
    ranked = rows([NAN, 1, 2, 3], [3, 0, 0, 0], [0, 0, NAN, 2], [0, 0, 0, 0])
    assert mrr_at_k(ranked, k=4, relevant_from=2).tolist() == pytest.approx([1 / 3, 1, 1 / 4, 0])
    assert mrr_at_k(ranked, k=3, relevant_from=2).tolist() == pytest.approx([1 / 3, 1, 0, 0])


def test_a_full_ideal_holds_k_of_the_best_label() -> None:
    # one target at rank 2 of 3: DCG = 1/log2(3); ideal of three targets: 1 + 1/log2(3) + 1/2
    full = 1 + 1 / math.log2(3) + 0.5
    assert ndcg_at_k(rows([0, 1, 0]), rows([1]), k=3, ideal="full")[0] == pytest.approx(1 / math.log2(3) / full)
    # label 3 at rank 1 of 2, best label 3: 7 / (7 + 7/log2(3))
    assert ndcg_at_k(rows([3, 0]), rows([3, 1]), k=2, ideal="full")[0] == pytest.approx(1 / (1 + 1 / math.log2(3)))
    with pytest.raises(ValueError, match="give k"):
        ndcg_at_k(rows([1]), rows([1]), k=None, ideal="full")


def test_precision_by_hand_over_k_and_over_what_was_shown() -> None:
    ranked = rows([1, NAN, 2, END, END])  # two relevant of three shown
    assert precision_at_k(ranked, k=4)[0] == pytest.approx(2 / 4)
    assert precision_at_k(ranked, k=4, short=True)[0] == pytest.approx(2 / 3)
    assert precision_at_k(ranked, k=2, short=True)[0] == pytest.approx(1 / 2)
    assert precision_at_k(ranked, k=None)[0] == pytest.approx(2 / 3)
    assert precision_at_k(ranked, k=4, relevant_from=2)[0] == pytest.approx(1 / 4)


def test_hit_rate_by_hand() -> None:
    ranked = rows([0, NAN, 1], [2, 0, 0], [0, 0, 0])
    assert hit_rate_at_k(ranked, k=3).tolist() == [1, 1, 0]
    assert hit_rate_at_k(ranked, k=2).tolist() == [0, 1, 0]
    assert hit_rate_at_k(ranked, k=3, relevant_from=2).tolist() == [0, 1, 0]


def test_f1_by_hand() -> None:
    # 2 of the first 4 are relevant, 5 are relevant in all: P = 1/2, R = 2/5
    ranked, judged = rows([1, NAN, 1, 0, 1]), rows([1, 1, 1, 1, 1, 0])
    assert f1_at_k(ranked, judged, k=4)[0] == pytest.approx(2 * 0.5 * 0.4 / (0.5 + 0.4))
    assert f1_at_k(ranked, judged, k=4, beta=2)[0] == pytest.approx(5 * 0.5 * 0.4 / (4 * 0.5 + 0.4))


def test_average_precision_by_hand_with_every_divisor() -> None:
    # relevant at ranks 2 and 3 (and 5, beyond k = 4), 6 relevant in all: precisions 1/2 and 2/3
    ranked, judged = rows([0, 1, 1, NAN, 1]), rows([1, 1, 1, 1, 1, 1, 0])
    total = 1 / 2 + 2 / 3
    assert average_precision_at_k(ranked, judged, k=4)[0] == pytest.approx(total / 6)
    assert average_precision_at_k(ranked, judged, k=4, divisor="reachable")[0] == pytest.approx(total / 4)
    assert average_precision_at_k(ranked, judged, k=4, divisor="k")[0] == pytest.approx(total / 4)
    assert average_precision_at_k(ranked, judged, k=None)[0] == pytest.approx((total + 3 / 5) / 6)
    few = rows([1, 1, 0])  # two relevant: reachable is 2, k stays 4
    assert average_precision_at_k(ranked[:, :4], few, k=4, divisor="reachable")[0] == pytest.approx(total / 2)
    assert average_precision_at_k(ranked[:, :4], few, k=4, divisor="k")[0] == pytest.approx(total / 4)
    with pytest.raises(ValueError, match="give k"):
        average_precision_at_k(ranked, judged, k=None, divisor="k")


def test_r_precision_by_hand() -> None:
    # three relevant in all; two of them within the first three ranks
    assert r_precision(rows([1, 0, 1, 1]), rows([1, 1, 1, 0]))[0] == pytest.approx(2 / 3)
    assert r_precision(rows([1]), rows([1, 1, 1]))[0] == pytest.approx(1 / 3)


def test_partial_auc_by_hand() -> None:
    # + - + - - +, k = 2: the relevant products beat 2, 1 and 0 of the first two others; 4 are relevant, one is missing
    ranked, judged = rows([1, 0, 1, NAN, 0, 1]), rows([1, 1, 1, 1])
    assert partial_auc_at_k(ranked, judged, k=2)[0] == pytest.approx((2 + 1 + 0) / (2 * 4))
    assert partial_auc_at_k(ranked, judged, k=2, capped=True)[0] == pytest.approx((2 + 1) / (2 * 2))
    # with k = 1 only the first relevant product counts when capped, though a second one beats the other, too
    assert partial_auc_at_k(rows([1, 1, 0]), rows([1, 1]), k=1, capped=True)[0] == 1.0
    # a short list: what it does not reach comes after it
    assert partial_auc_at_k(rows([0, 1, END]), rows([1]), k=3)[0] == pytest.approx(2 / 3)


def test_mrr_of_a_whole_ranking_and_of_queries_without_anything_relevant() -> None:
    ranked, judged = rows([0] * 11 + [1], [0] * 12), rows([1], [0])
    assert mrr_at_k(ranked, k=None, judged=judged) == pytest.approx([1 / 12, NAN], nan_ok=True)
    assert mrr_at_k(ranked, k=10).tolist() == [0, 0]


def test_condensing_keeps_the_order_of_what_was_judged() -> None:
    expected = rows([0, 3, 1, END], [END, END, END, END])
    np.testing.assert_array_equal(condensed(rows([0, 3, NAN, 1], [NAN, NAN, END, END])), expected)
    np.testing.assert_array_equal(condensed(rows([NAN, 0, 3, 1]), k=2), rows([0, 3]))


def test_ties_are_broken_as_asked() -> None:
    items, scores = np.array([[4, 9, 2, -1, 7]]), np.array([[1.0, 0.5, 1.0, 9.0, 1.0]])
    assert ordered_by_score(items, scores).tolist() == [[2, 4, 7, 9, -1]]
    assert ordered_by_score(items, scores, ties="larger").tolist() == [[7, 4, 2, 9, -1]]
    assert ordered_by_score(items, scores, ties="given").tolist() == [[4, 2, 7, 9, -1]]
    with pytest.raises(ValueError, match="NaN"):
        ordered_by_score(items, scores * NAN)
    with pytest.raises(ValueError, match="scores"):
        ordered_by_score(items, scores[:, :2])


@pytest.mark.parametrize("metric", METRICS_WITH_JUDGEMENTS)
def test_nothing_relevant_is_undefined_and_an_empty_ranking_is_zero(metric) -> None:  # type: ignore[no-untyped-def]
    assert np.isnan(metric(rows([0, NAN]), rows([0, 0]), k=2)[0])
    assert np.isnan(metric(rows([NAN]), rows([END]), k=2)[0])
    assert metric(rows([END, END]), rows([3, 0]), k=2)[0] == 0.0
    assert metric(np.empty((1, 0)), rows([3, 0]), k=2)[0] == 0.0


def test_empty_rankings_of_the_others() -> None:
    assert np.isnan(judged_at_k(np.empty((1, 0)), k=3)[0])
    assert mrr_at_k(np.empty((1, 0)), k=3)[0] == 0.0


def test_negative_labels_gain_nothing() -> None:
    assert ndcg_at_k(rows([-2, 1]), rows([-2, 1]), k=2)[0] == pytest.approx(1 / math.log2(3))


def test_wrong_shapes_and_cutoffs_are_refused() -> None:
    with pytest.raises(ValueError, match="cut-off"):
        ndcg_at_k(rows([1]), rows([1]), k=0)
    with pytest.raises(ValueError, match="queries, ranks"):
        mrr_at_k(np.array([1.0, 2.0]), k=1)
    with pytest.raises(ValueError, match="judgements"):
        recall_at_k(rows([1], [1]), rows([1]), k=1)


@pytest.mark.parametrize("metric", METRICS_WITH_JUDGEMENTS)
@given(judged_rankings(), st.integers(1, 12))
def test_bounds(metric, query: tuple[np.ndarray, np.ndarray], k: int) -> None:  # type: ignore[no-untyped-def]
    assert 0.0 <= metric(*query, k=k)[0] <= 1.0 + 1e-12


@given(judged_rankings(), st.integers(1, 12), st.randoms(use_true_random=False))
def test_what_stands_below_k_does_not_matter(query: tuple[np.ndarray, np.ndarray], k: int, chance) -> None:  # type: ignore[no-untyped-def]
    ranked, judged = query
    tail = list(ranked[0, k:])
    chance.shuffle(tail)
    shuffled = np.concatenate([ranked[:, :k], rows(tail)], axis=1)
    for metric in (ndcg_at_k, recall_at_k):
        assert metric(ranked, judged, k=k) == pytest.approx(metric(shuffled, judged, k=k), nan_ok=True)
    assert judged_at_k(ranked, k) == pytest.approx(judged_at_k(shuffled, k))
    assert mrr_at_k(ranked, k) == pytest.approx(mrr_at_k(shuffled, k))


@given(judged_rankings(), st.integers(1, 12))
def test_the_ideal_order_reaches_one(query: tuple[np.ndarray, np.ndarray], k: int) -> None:
    judged = query[1]
    ideal = -np.sort(-judged, axis=1)
    assert ndcg_at_k(ideal, judged, k)[0] == pytest.approx(1.0)
    assert condensed_ndcg_at_k(ideal, judged, k)[0] == pytest.approx(1.0)
    assert ndcg_at_k(ideal, judged, k, gain="linear")[0] == pytest.approx(1.0)


@given(judged_rankings(), st.integers(1, 12))
def test_condensing_never_lowers_ndcg_and_changes_nothing_without_unjudged(
    query: tuple[np.ndarray, np.ndarray], k: int
) -> None:
    ranked, judged = query
    assert condensed_ndcg_at_k(ranked, judged, k)[0] >= ndcg_at_k(ranked, judged, k)[0] - 1e-12
    complete = ranked[:, ~np.isnan(ranked[0])]
    assert condensed_ndcg_at_k(complete, judged, k) == pytest.approx(ndcg_at_k(complete, judged, k))


@given(judged_rankings())
def test_a_query_is_worth_the_same_alone_and_in_a_batch(query: tuple[np.ndarray, np.ndarray]) -> None:
    ranked, judged = query
    batch_ranked, batch_judged = np.repeat(ranked, 3, axis=0), np.repeat(judged, 3, axis=0)
    batch_ranked[1] = END
    for metric in METRICS_WITH_JUDGEMENTS:
        batch = metric(batch_ranked, batch_judged, k=3)
        assert batch[0] == pytest.approx(metric(ranked, judged, k=3)[0])
        assert batch[1] == 0.0


def test_labels_are_looked_up_per_query() -> None:
    items, labels = judged_labels([{7: 3.0, 5: 0.0}, {5: 2.0}, {}])
    ranked = padded([[5, 9, 7], [5, 7], [7]], width=4)
    expected = rows([0, NAN, 3, END], [2, NAN, END, END], [NAN, END, END, END])
    np.testing.assert_array_equal(labels_of(ranked, items, labels), expected)


def test_without_any_judgement_all_is_unjudged() -> None:
    items, labels = judged_labels([{}, {}])
    np.testing.assert_array_equal(labels_of(padded([[3], []]), items, labels), rows([NAN], [END]))


def test_an_item_ranked_twice_is_refused() -> None:
    items, labels = judged_labels([{1: 1.0}])
    with pytest.raises(ValueError, match="twice"):
        labels_of(padded([[1, 2, 1]]), items, labels)


@given(st.lists(st.dictionaries(st.integers(0, 9), st.integers(0, 3), max_size=6), min_size=1, max_size=4), st.data())
def test_labels_agree_with_a_dictionary(judgements: list[dict[int, int]], data: st.DataObject) -> None:
    rankings = [data.draw(st.lists(st.integers(0, 12), unique=True, max_size=6)) for _ in judgements]
    items, labels = judged_labels([{item: float(each) for item, each in rated.items()} for rated in judgements])
    found = labels_of(padded(rankings), items, labels)
    for rated, ranking, row in zip(judgements, rankings, found, strict=True):
        wanted = [float(rated.get(item, NAN)) for item in ranking] + [END] * (len(row) - len(ranking))
        np.testing.assert_array_equal(row, wanted)
