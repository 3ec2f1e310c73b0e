"""What must hold for every ranking metric that has a name: a new entry of `FAMILIES` gets these tests by itself."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics import Measure, MetricsDisagree, Rule, judged_labels, labels_of, measured, measures, padded, reference
from eval.metrics import ranking as array_metrics
from eval.metrics.named import FAMILIES

NEEDS_A_CUT = {"f1", "partial_auc"}
CUTS = ("@1", "@3", "@10", "")
NAMES = [name + cut for name in FAMILIES for cut in CUTS if cut or name not in NEEDS_A_CUT]
STRICT = Rule(relevant_from=2.0, gain="linear")

Query = tuple[list[int], dict[int, float]]
RANKINGS = st.lists(st.integers(0, 12), unique=True, max_size=9)
JUDGEMENTS = st.dictionaries(st.integers(0, 12), st.integers(-1, 3).map(float), max_size=6)
QUERIES = st.tuples(RANKINGS, JUDGEMENTS)


every = pytest.mark.parametrize("family", FAMILIES)


def of(family: str) -> list[Measure]:
    """The metric at every cut-off, under two readings of the labels."""
    names = [name for name in NAMES if name.partition("@")[0] == family]
    return [*measures(*names), *measures(*names, rule=STRICT)]


def values(measure: Measure, *queries: Query) -> list[float]:
    items, labels = judged_labels([judgements for _, judgements in queries])
    ranked = padded([ranking for ranking, _ in queries])
    return measure.arrays(labels_of(ranked, items, labels), labels).tolist()


@every
@settings(max_examples=30)
@given(st.lists(QUERIES, min_size=1, max_size=4))
def test_arrays_give_what_the_textbook_gives(family: str, queries: list[Query]) -> None:
    for measure in of(family):
        assert values(measure, *queries) == pytest.approx(
            [measure.textbook(ranking, judgements) for ranking, judgements in queries], abs=1e-12, nan_ok=True
        ), measure.name


@every
@settings(max_examples=30)
@given(QUERIES)
def test_no_ranking_is_below_0_or_above_the_best_of_its_length(family: str, query: Query) -> None:
    ranking, judgements = query
    ideal = sorted(judgements, key=lambda item: -judgements[item])[: len(ranking)]
    for measure in of(family):
        value, best = values(measure, query, (ideal, judgements))
        assert math.isnan(value) or (0 <= value <= 1 + 1e-12), measure.name
        assert math.isnan(value) or math.isnan(best) or value <= best + 1e-12, measure.name


@every
@settings(max_examples=30)
@given(QUERIES, st.data())
def test_a_better_product_that_moves_up_by_one_never_lowers(family: str, query: Query, data: st.DataObject) -> None:
    ranking, judgements = query
    worth = [max(judgements.get(item, 0.0), 0.0) for item in ranking]
    places = [place for place in range(1, len(ranking)) if worth[place - 1] < worth[place]]
    if not places:
        return
    place = data.draw(st.sampled_from(places))  # neighbours: past more, condensing could put it before a better one
    swapped = list(ranking)
    swapped[place - 1 : place + 1] = ranking[place], ranking[place - 1]
    for measure in of(family):
        before, after = values(measure, query, (swapped, judgements))
        assert math.isnan(before) == math.isnan(after), measure.name
        assert math.isnan(before) or after >= before - 1e-12, measure.name


@every
def test_nothing_relevant_is_undefined_and_an_empty_ranking_worth_0(family: str) -> None:
    if family == "judged":  # it does not ask what is relevant
        assert np.isnan(values(of(family)[0], ([], {1: 3.0}))).all()
        return
    undefined: list[Query] = [([1, 2], {}), ([1, 2], {1: 0.0, 3: 0.0}), ([], {})]
    for measure in of(family):
        assert np.isnan(values(measure, *undefined)).all(), measure.name
        assert values(measure, ([], {1: 3.0})) == [0.0], measure.name


def test_names_that_do_not_exist_are_refused() -> None:
    for name in ("presicion@10", "ndcg@", "ndcg@0", "ndcg@ten", "ndcg@-1", "@10", ""):
        with pytest.raises(ValueError, match="is no metric"):
            measures(name)
    with pytest.raises(ValueError, match="needs a cut-off"):
        values(measures("f1")[0], ([1], {1: 1.0}))


# ---- the check in every run

RNG = np.random.default_rng(0)
RANKED = np.argsort(RNG.random((3000, 40)), axis=1)[:, :20]
BOUGHT = RNG.integers(0, 40, (3000, 1))
CASES = (RANKED, BOUGHT, np.ones((3000, 1)))


def test_measured_gives_what_the_functions_give() -> None:
    found = measured(measures("ndcg@10", "map"), *CASES)
    labels = labels_of(*CASES)
    np.testing.assert_allclose(found["ndcg@10"], array_metrics.ndcg_at_k(labels, CASES[2], 10))
    np.testing.assert_allclose(found["map"], array_metrics.average_precision_at_k(labels, CASES[2], None))


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_that_is_off_by_a_millionth_stops_the_run(name: str) -> None:
    right = measures(name)[0]
    broken = replace(right, arrays=lambda ranked, judged: right.arrays(ranked, judged) * (1 + 1e-6))
    with pytest.raises(MetricsDisagree, match=name):
        measured([broken], *CASES)


def test_a_metric_that_is_wrong_for_hits_alone_is_seen_though_hits_are_rare() -> None:
    ranked, bought = RANKED.copy(), np.full((3000, 1), 99)
    bought[::60] = ranked[::60, 2:3]  # 50 hits in 3,000 cases, all at rank 3
    right = measures("mrr@10")[0]
    one_early = replace(right, arrays=lambda ranked, judged: right.arrays(ranked[:, 1:], judged))
    with pytest.raises(MetricsDisagree, match=r"0\.5 over arrays and 0\.333"):
        measured([one_early], ranked, bought, np.ones((3000, 1)))


def test_a_broken_look_up_of_labels_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(metrics, ranked, items, labels):  # type: ignore[no-untyped-def]
        return metrics(np.roll(labels_of(ranked, items, labels), 1, axis=0), labels)

    monkeypatch.setattr("eval.metrics.named.over_chunks", shifted)
    with pytest.raises(MetricsDisagree):
        measured(measures("recall@10"), *CASES)


def test_nan_on_one_side_is_a_difference() -> None:
    never = Measure("mrr", lambda ranked, judged: np.full(len(ranked), np.nan), partial(reference.mrr, k=None))
    with pytest.raises(MetricsDisagree, match="nan over arrays"):
        measured([never], *CASES)
