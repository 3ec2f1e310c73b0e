"""Every ranking metric against the libraries that others use, on random data, to 1e-9, each under its own convention.

Ties in score, empty lists, queries without judgements and without anything relevant are among the data. The libraries
run in `.venv-rivals`, a process of its own (`rivals_values.py`).
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.metrics import (
    Ties,
    average_popularity,
    average_precision_at_k,
    catalogue_coverage,
    category_diversity,
    condensed,
    condensed_ndcg_at_k,
    f1_at_k,
    hit_rate_at_k,
    judged_at_k,
    judged_labels,
    labels_of,
    mrr_at_k,
    ndcg_at_k,
    novelty,
    ordered_by_score,
    padded,
    partial_auc_at_k,
    precision_at_k,
    r_precision,
    recall_at_k,
    serendipity,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-rivals" / "bin" / "python"
CUTS, LEVELS = (1, 3, 10), (1, 2)
QUERIES, DOCUMENTS = 400, 60
PEOPLE, ITEMS = 400, 50
IDS = sorted(f"d{number}" for number in range(DOCUMENTS))
"""In the order of the ids ("d10" before "d2"), so that item numbers break ties as ids do."""

Values = NDArray[np.float64]
Found = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class Search:
    """Random queries: as a run and qrels for others, as arrays for ours."""

    run: dict[str, dict[str, float]]
    qrels: dict[str, dict[str, int]]

    @classmethod
    def drawn(cls, labels: tuple[int, ...], seed: int) -> Search:
        rng = np.random.default_rng(seed)
        run, qrels = {}, {}
        for query in range(QUERIES):
            shown = rng.permutation(IDS)[: 0 if query % 20 == 0 else rng.integers(1, 25)]
            # eighths are exact in float32, to which pytrec_eval rounds; so few of them that ties abound
            run[f"q{query}"] = {str(each): int(rng.integers(0, 9)) / 8 for each in shown}
            judged = rng.permutation(IDS)[: rng.integers(1, 30)]
            drawn = rng.choice(labels if query % 10 else [0], len(judged))
            qrels[f"q{query}"] = {str(each): int(label) for each, label in zip(judged, drawn, strict=True)}
        return cls(run, qrels)

    def labels(self, ties: Ties) -> tuple[Values, Values]:
        """(labels as ranked, all labels)"""
        number = {each: place for place, each in enumerate(IDS)}
        items = padded([[number[each] for each in shown] for shown in self.run.values()])
        scores = np.full(items.shape, -1.0)
        for row, shown in zip(scores, self.run.values(), strict=True):
            row[: len(shown)] = list(shown.values())
        known = [{number[each]: float(label) for each, label in rated.items()} for rated in self.qrels.values()]
        judged, labels = judged_labels(known)
        return labels_of(ordered_by_score(items, scores, ties=ties), judged, labels), labels


def drawn_people(seed: int) -> dict[str, object]:
    """Rankings without scores, what people bought next (some nothing), and what was bought before."""
    rng = np.random.default_rng(seed)
    lengths = np.where(np.arange(PEOPLE) % 15 == 0, 0, rng.integers(1, 21, PEOPLE))
    liking = np.minimum(rng.zipf(1.5, (2000,)) - 1, ITEMS - 5)  # some are bought often, the last ones never
    return {
        "rankings": {user: rng.permutation(ITEMS)[:length].tolist() for user, length in enumerate(lengths)},
        "bought": {user: rng.permutation(ITEMS)[: rng.integers(0, 15)].tolist() for user in range(PEOPLE)},
        "before": np.unique(np.stack([rng.integers(0, 300, 2000), liking], axis=1), axis=0).tolist(),
        "items": ITEMS,
        "categories": rng.integers(0, 6, ITEMS).tolist(),
    }


SEARCHES = {"graded": Search.drawn((0, 0, 1, 2, 3), seed=1), "binary": Search.drawn((0, 2), seed=2)}
PEOPLE_CASES = drawn_people(seed=3)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Found:
    if not PYTHON.exists():
        pytest.skip("the libraries to compare with are not installed; run make rivals")
    folder = tmp_path_factory.mktemp("rivals")
    cases = {name: {"run": each.run, "qrels": each.qrels} for name, each in SEARCHES.items()}
    (folder / "cases.json").write_text(json.dumps({**cases, "people": PEOPLE_CASES}))
    script = Path(__file__).with_name("rivals_values.py")
    ended = subprocess.run([PYTHON, script, folder], capture_output=True, text=True, timeout=550, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found: Found = json.loads((folder / "values.json").read_text())
    return found


Metric = Callable[[Values, Values], Values]
"""(labels as ranked, all labels) → values"""


def of_trec_eval() -> dict[str, Metric]:
    """pytrec_eval's names, with its relevance level."""
    metrics: dict[str, Metric] = {}
    for level in LEVELS:
        at = {"relevant_from": float(level)}
        metrics |= {
            f"ndcg l{level}": partial(ndcg_at_k, k=None, gain="linear"),
            f"map l{level}": partial(average_precision_at_k, k=None, **at),
            f"recip_rank l{level}": lambda ranked, judged, at=at: mrr_at_k(ranked, None, judged=judged, **at),
            f"Rprec l{level}": partial(r_precision, **at),
            f"set_P l{level}": lambda ranked, judged, at=at: precision_at_k(ranked, None, judged=judged, **at),
        }
        for k in CUTS:
            metrics |= {
                f"ndcg_cut_{k} l{level}": partial(ndcg_at_k, k=k, gain="linear"),
                f"map_cut_{k} l{level}": partial(average_precision_at_k, k=k, **at),
                f"P_{k} l{level}": lambda ranked, judged, k=k, at=at: precision_at_k(ranked, k, judged=judged, **at),
                f"recall_{k} l{level}": partial(recall_at_k, k=k, **at),
                f"success_{k} l{level}": lambda ranked, judged, k=k, at=at: hit_rate_at_k(ranked, k, **at),
            }
    return metrics


def of_ir_measures() -> dict[str, Metric]:
    metrics: dict[str, Metric] = {
        "SetP": lambda ranked, judged: precision_at_k(ranked, None),
        "RR": lambda ranked, judged: mrr_at_k(ranked, None),
        "RR(judged_only=True)": lambda ranked, judged: mrr_at_k(condensed(ranked), None),
    }
    gains = "gains={2:3,3:7}"
    for k in CUTS:
        metrics |= {
            f"nDCG@{k}": partial(ndcg_at_k, k=k, gain="linear"),
            f"nDCG({gains})@{k}": partial(ndcg_at_k, k=k),
            f"nDCG(judged_only=True)@{k}": partial(condensed_ndcg_at_k, k=k, gain="linear"),
            f"nDCG({gains},judged_only=True)@{k}": partial(condensed_ndcg_at_k, k=k),
            f"AP(judged_only=True)@{k}": lambda ranked, judged, k=k: average_precision_at_k(
                condensed(ranked), judged, k
            ),
            f"P(judged_only=True)@{k}": lambda ranked, judged, k=k: precision_at_k(condensed(ranked), k),
        }
        for level in LEVELS:
            at, rel = {"relevant_from": float(level)}, "" if level == 1 else f"(rel={level})"
            metrics |= {
                f"AP{rel}@{k}": partial(average_precision_at_k, k=k, **at),
                f"P{rel}@{k}": lambda ranked, judged, k=k, at=at: precision_at_k(ranked, k, **at),
                f"R{rel}@{k}": partial(recall_at_k, k=k, **at),
                f"Success{rel}@{k}": lambda ranked, judged, k=k, at=at: hit_rate_at_k(ranked, k, **at),
            }
    metrics |= {"Rprec": r_precision, "Rprec(rel=2)": partial(r_precision, relevant_from=2.0)}
    return metrics


def of_ir_measures_by_smaller_id() -> dict[str, Metric]:
    """What ir_measures hands to code that puts the smaller id first among ties."""
    metrics: dict[str, Metric] = {}
    for k in CUTS:
        metrics |= {
            f"Judged@{k}": lambda ranked, judged, k=k: judged_at_k(ranked, k),
            f"RR@{k}": lambda ranked, judged, k=k: mrr_at_k(ranked, k),
            f"RR(rel=2)@{k}": lambda ranked, judged, k=k: mrr_at_k(ranked, k, relevant_from=2.0),
        }
    return metrics


def of_ranx() -> dict[str, Metric]:
    metrics: dict[str, Metric] = {"r-precision": r_precision}
    for k in CUTS:
        metrics |= {
            f"ndcg@{k}": partial(ndcg_at_k, k=k, gain="linear"),
            f"ndcg_burges@{k}": partial(ndcg_at_k, k=k),
            f"map@{k}": partial(average_precision_at_k, k=k),
            f"mrr@{k}": lambda ranked, judged, k=k: mrr_at_k(ranked, k),
            f"precision@{k}": lambda ranked, judged, k=k: precision_at_k(ranked, k),
            f"recall@{k}": partial(recall_at_k, k=k),
            f"hit_rate@{k}": lambda ranked, judged, k=k: hit_rate_at_k(ranked, k),
            f"f1@{k}": partial(f1_at_k, k=k),
        }
    return metrics


def of_rectools(k: int) -> dict[str, Metric]:
    return {
        "Precision": lambda ranked, judged: precision_at_k(ranked, k, judged=judged),
        "RPrecision": partial(recall_at_k, k=k, capped=True),
        "Recall": partial(recall_at_k, k=k),
        "HitRate": lambda ranked, judged: hit_rate_at_k(ranked, k, judged=judged),
        "F1Beta": partial(f1_at_k, k=k),
        "F1Beta2": partial(f1_at_k, k=k, beta=2.0),
        "MAP": partial(average_precision_at_k, k=k),
        "MAPbyK": partial(average_precision_at_k, k=k, divisor="k"),
        "NDCG": partial(ndcg_at_k, k=k, ideal="full"),
        "NDCG3": partial(ndcg_at_k, k=k, ideal="full"),
        "NDCGachievable": partial(ndcg_at_k, k=k),
        "MRR": lambda ranked, judged: mrr_at_k(ranked, k, judged=judged),
        "PartialAUC": partial(partial_auc_at_k, k=k),
        "PAP": partial(partial_auc_at_k, k=k, capped=True),
    }


def compare(ours: Values, theirs: Mapping[str, float], cases: list[str], undefined: float | None = 0.0) -> None:
    """Equal to 1e-9 in every case. NaN of ours is `undefined` or missing there; what is missing there is NaN or 0."""
    assert len(theirs) > len(cases) / 2
    assert np.nanmax(ours) > np.nanmin(ours)  # a metric that is the same for everybody would prove nothing
    for case, value in zip(cases, ours.tolist(), strict=True):
        other = theirs.get(case)
        if math.isnan(value):
            assert other is None or math.isnan(other) or other == undefined, (case, other)
        elif other is None:
            assert value == 0, (case, value)
        else:
            assert value == pytest.approx(other, abs=1e-9), case


def compare_all(metrics: Mapping[str, Metric], labels: tuple[Values, Values], theirs: Found, library: str) -> None:
    cases = [f"q{query}" for query in range(QUERIES)]
    for name, metric in metrics.items():
        try:
            compare(metric(*labels), theirs[library][name], cases)
        except AssertionError as error:
            raise AssertionError(f"{library}: {name}") from error


@pytest.mark.parametrize("kind", SEARCHES)
def test_pytrec_eval(theirs: Found, kind: str) -> None:
    metrics = of_trec_eval()
    assert metrics.keys() == theirs[f"pytrec_eval {kind}"].keys()
    compare_all(metrics, SEARCHES[kind].labels("larger"), theirs, f"pytrec_eval {kind}")


@pytest.mark.parametrize("kind", SEARCHES)
def test_ir_measures(theirs: Found, kind: str) -> None:
    larger, smaller = of_ir_measures(), of_ir_measures_by_smaller_id()
    assert larger.keys() | smaller.keys() == theirs[f"ir_measures {kind}"].keys()
    compare_all(larger, SEARCHES[kind].labels("larger"), theirs, f"ir_measures {kind}")
    compare_all(smaller, SEARCHES[kind].labels("smaller"), theirs, f"ir_measures {kind}")


@pytest.mark.parametrize("kind", SEARCHES)
def test_ranx(theirs: Found, kind: str) -> None:
    search = SEARCHES[kind]
    as_given = Search({query: dict.fromkeys(shown, 0.0) for query, shown in search.run.items()}, search.qrels)
    metrics = of_ranx()
    assert metrics.keys() == theirs[f"ranx {kind}"].keys()
    compare_all(metrics, as_given.labels("given"), theirs, f"ranx {kind}")


@pytest.mark.parametrize("kind", SEARCHES)
def test_ties_are_many_enough_to_matter(kind: str) -> None:
    (larger, judged), (smaller, _) = SEARCHES[kind].labels("larger"), SEARCHES[kind].labels("smaller")
    differences = ndcg_at_k(larger, judged, 10) - ndcg_at_k(smaller, judged, 10)
    assert (np.abs(differences) > 0.001).mean() > 0.3


@pytest.mark.parametrize("k", CUTS)
def test_rectools(theirs: Found, k: int) -> None:
    rankings = padded(list(PEOPLE_CASES["rankings"].values()))  # type: ignore[attr-defined]
    bought = padded(list(PEOPLE_CASES["bought"].values()))  # type: ignore[attr-defined]
    labels = np.where(bought >= 0, 1.0, -np.inf)
    ranked = labels_of(rankings, bought, labels)
    users = [str(user) for user in range(PEOPLE)]
    for name, metric in of_rectools(k).items():
        compare(metric(ranked, labels), theirs["rectools"][f"{name}@{k}"], users)


@pytest.mark.parametrize("k", CUTS)
def test_rectools_beyond_accuracy(theirs: Found, k: int) -> None:
    rankings = padded(list(PEOPLE_CASES["rankings"].values()))[:, :k]  # type: ignore[attr-defined]
    bought = padded(list(PEOPLE_CASES["bought"].values()))  # type: ignore[attr-defined]
    ranked = labels_of(rankings, bought, np.where(bought >= 0, 1.0, -np.inf))
    before = np.array(PEOPLE_CASES["before"])
    counts = np.bincount(before[:, 1], minlength=ITEMS)
    ours = {
        "MeanInvUserFreq": novelty(rankings, counts, len(np.unique(before[:, 0]))),
        "AvgRecPopularity": average_popularity(rankings, counts),
        "AvgRecPopularityNormalised": average_popularity(rankings, counts / counts.sum()),
        "Serendipity": serendipity(rankings, ranked, counts),
    }
    if k > 1:  # of one item there is no pair: 0 in RecTools, NaN here
        ours["IntraListDiversity"] = category_diversity(rankings, np.array(PEOPLE_CASES["categories"]))
    users = [str(user) for user in range(PEOPLE)]
    for name, values in ours.items():
        compare(values, theirs["rectools"][f"{name}@{k}"], users)
    coverage = theirs["rectools"][f"CatalogCoverage@{k}"]["all"]
    assert catalogue_coverage(rankings, ITEMS) == pytest.approx(coverage, abs=1e-9)
