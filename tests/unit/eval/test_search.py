"""The search task on a set small enough to work out by hand, and the baselines that stand in its table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from eval.baselines import Bm25, Dense, Fusion
from eval.datasets import JudgedSearch
from eval.search import SearchSystem, evaluate_search
from tasteline.types import Mask, Product, Rows, Scores, Vectors


class Scripted:
    """Ranks what it was told to."""

    def __init__(self, name: str, rankings: Mapping[str, list[str]]) -> None:
        self.name = name
        self.asked: list[str] = []
        self._rankings = rankings

    def rank(self, queries: Sequence[str], k: int) -> list[list[str]]:
        self.asked.extend(queries)
        return [self._rankings.get(query, [])[:k] for query in queries]


class TwoWordEmbedder:
    """One dimension for each of two words."""

    name = "two words"
    dimension = 2

    def encode(self, texts: Sequence[str], kind: str) -> Vectors:
        counts = np.array([[text.count("red"), text.count("mug")] for text in texts], dtype=np.float32)
        norms = np.linalg.norm(counts, axis=1, keepdims=True)
        return np.divide(counts, norms, out=np.zeros_like(counts), where=norms > 0)


class WordCountIndex:
    """Number of query words in the title: a LexicalIndex small enough to trust."""

    def __init__(self) -> None:
        self._titles: list[set[str]] = []

    def __len__(self) -> int:
        return len(self._titles)

    def add(self, products: Sequence[Product]) -> None:
        self._titles.extend(set(product.title.split()) for product in products)

    def search(self, query: str, k: int, allowed: Mask | None = None) -> tuple[Rows, Scores]:
        hits = np.array([len(title & set(query.split())) for title in self._titles], dtype=np.float32)
        rows = np.argsort(-hits, kind="stable")[: min(k, int((hits > 0).sum()))]
        return rows, hits[rows]

    def containing(self, term: str) -> Rows:
        return np.flatnonzero([term in title for title in self._titles])


PRODUCTS = [Product("a", "red mug"), Product("b", "blue mug"), Product("c", "red plate")]
QRELS = {"mug": {"a": 3.0, "b": 2.0, "x": 0.0}, "pan": {"c": 1.0}, "junk": {"a": 0.0}}


def judged(qrels: Mapping[str, Mapping[str, float]] = QRELS) -> JudgedSearch:
    return JudgedSearch("kitchen", Path("products.jsonl"), (Path("judgements.csv"),), tuple(qrels), qrels, "c0ffee")


def test_metrics_by_hand() -> None:
    system = Scripted("bm25", {"mug": ["u", "b", "a"], "pan": []})
    report = evaluate_search(judged(), [system], resamples=50)
    ideal = 7 + 3 / math.log2(3)
    assert report.cases == ("mug", "pan"), "a query without a relevant product does not count"
    values = report.systems["bm25"].values
    assert values["ndcg@10"].tolist() == pytest.approx([(3 / math.log2(3) + 7 / 2) / ideal, 0.0])
    assert values["condensed_ndcg@10"].tolist() == pytest.approx([(3 + 7 / math.log2(3)) / ideal, 0.0])
    assert values["recall@100"].tolist() == pytest.approx([1.0, np.nan], nan_ok=True)
    assert values["judged@10"].tolist() == pytest.approx([2 / 3, np.nan], nan_ok=True)
    assert report.systems["bm25"].means()["recall@100"] == 1.0


def test_the_json_has_the_shape_of_the_contract_and_no_nan() -> None:
    systems = [Scripted("bm25", {"mug": ["b"]}), Scripted("tasteline", {"mug": ["a", "b"], "pan": ["c"]})]
    mapping = evaluate_search(judged(), systems, resamples=50, seed=4).as_mapping()
    assert json.loads(json.dumps(mapping, allow_nan=False)) == mapping
    assert {"task", "dataset", "protocol", "systems", "seconds", "checksum", "seed", "settings"} <= set(mapping)
    assert mapping["task"] == "search"
    assert mapping["seed"] == 4
    assert mapping["systems"]["tasteline"]["ndcg@10"] == 1.0  # type: ignore[index]
    assert mapping["per_case"]["values"]["bm25"]["recall@100"] == [0.5, None]  # type: ignore[index]
    assert set(mapping["latency_ms"]["bm25"]) == {"p50", "p95"}  # type: ignore[index]


def test_ours_is_compared_with_each_baseline_and_corrected() -> None:
    qrels = {f"q{i}": {"a": 1.0 + i % 3} for i in range(12)}
    ours = Scripted("tasteline", {query: ["a"] for query in qrels})
    worse = Scripted("bm25", {query: ["u", "a"] for query in qrels})
    equal = Scripted("dense", {query: ["a"] for query in qrels})
    report = evaluate_search(judged(qrels), [worse, equal, ours], resamples=2000)
    rows = cast(list[dict[str, float]], report.as_mapping()["comparisons"])
    by_pair = {(row["baseline"], row["metric"]): row for row in rows}
    assert len(by_pair) == 6
    clear = by_pair["bm25", "ndcg@10"]
    assert clear["difference"] == pytest.approx(1 - 1 / math.log2(3))
    assert clear["p"] < 0.01
    assert clear["p_corrected"] == pytest.approx(6 * clear["p"], abs=1e-5)
    assert by_pair["dense", "ndcg@10"]["p"] == 1.0


def test_alone_nothing_is_compared_and_without_ours_the_best_is_the_measure() -> None:
    alone = evaluate_search(judged(), [Scripted("bm25", {})], resamples=10).as_mapping()
    assert alone["comparisons"] == []
    two = [Scripted("bm25", {}), Scripted("dense", {"mug": ["a"]})]
    assert evaluate_search(judged(), two, resamples=10).against == "dense"


def test_each_query_is_asked_alone_after_one_warming_call() -> None:
    system = Scripted("bm25", {})
    report = evaluate_search(judged(), [system], resamples=10)
    assert system.asked == ["mug", "mug", "pan"]
    assert report.systems["bm25"].latencies.shape == (2,)


def test_the_same_seed_gives_the_same_report() -> None:
    system = Scripted("bm25", {"mug": ["b", "a"], "pan": ["c"]})
    first, second = (evaluate_search(judged(), [system], resamples=100, seed=2).as_mapping() for _ in range(2))
    assert first["intervals"] == second["intervals"]


def test_a_product_ranked_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        evaluate_search(judged(), [Scripted("bm25", {"mug": ["a", "a"]})], resamples=10)


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to measure"):
        evaluate_search(judged({"junk": {"a": 0.0}}), [])


def test_bm25_ranks_by_its_index() -> None:
    assert Bm25(WordCountIndex(), PRODUCTS).rank(["red mug", "kettle"], k=2) == [["a", "b"], []]
    filled = WordCountIndex()
    filled.add(PRODUCTS)
    with pytest.raises(ValueError, match="already holds"):
        Bm25(filled, PRODUCTS)


def test_dense_ranks_everything_by_cosine_and_ties_by_catalogue() -> None:
    dense = Dense.of(TwoWordEmbedder(), PRODUCTS, lambda product: product.title)
    assert dense.rank(["red", "mug", "red mug"], k=3) == [["c", "a", "b"], ["b", "a", "c"], ["a", "b", "c"]]
    assert dense.rank(["red mug"], k=2) == [["a", "b"]]
    with pytest.raises(ValueError, match="dimension"):
        Dense(TwoWordEmbedder(), ["a"], np.zeros((2, 2), np.float32))


def test_fusion_by_hand() -> None:
    words, meaning = Scripted("bm25", {"mug": ["a", "b"]}), Scripted("dense", {"mug": ["c", "b"]})
    even: SearchSystem = Fusion([words, meaning], [0.5, 0.5])
    assert even.rank(["mug", "pan"], k=3) == [["b", "a", "c"], []]
    assert Fusion([words, meaning], [0.1, 0.9]).rank(["mug"], k=3) == [["b", "c", "a"]]
    assert Fusion([words, meaning], [1.0, 0.0]).rank(["mug"], k=2) == [["a", "b"]]
    first = Scripted("bm25", {"mug": ["a", "b", "c"]})  # a: 1/61 + 1/62, c: 1/63 + 1/61, b: 1/62 + 1/63
    assert Fusion([first, Scripted("dense", {"mug": ["c", "a", "b"]})], [0.5, 0.5]).rank(["mug"], 3) == [
        ["a", "c", "b"]
    ]
    with pytest.raises(ValueError, match="weights"):
        Fusion([words], [0.5, 0.5])
