"""The measurement of the judge: worked by hand, with models whose opinion is known."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import numpy as np
import pytest

from app.llm.scripted import ScriptedLanguageModel
from eval.judging import AskedOnce, Case, Cases, attacked, evaluate, order_matters
from tasteline.types import ChatMessage, Product, RankedProduct, Ranking


def ranking_of(keys: str) -> Ranking:
    items = tuple(RankedProduct(Product(key, f"Thing {key}"), 1.0) for key in keys)
    return Ranking("r", items, len(items))


def case(keys: str, **labels: float) -> Case:
    return Case("a thing", ranking_of(keys), labels)


def cases(*some: Case, task: str = "next-item") -> Cases:
    return Cases(task, "things", "0" * 64, "valid", some)


def likes(*keys: str) -> ScriptedLanguageModel:
    def reply(messages: Sequence[ChatMessage]) -> str:
        return "Yes" if any(f"Thing {key}\n" in messages[-1].content for key in keys) else "No"

    return ScriptedLanguageModel(reply)


def measured(result: dict[str, object], system: str) -> dict[str, float]:
    return result["systems"][system]  # type: ignore[index, no-any-return]


def test_a_model_that_knows_lifts_on_and_a_wrong_one_lowers_it() -> None:
    lists = cases(case("abcd", d=2.0), case("abcd", c=2.0))
    right = evaluate(lists, likes("d", "c"), form="pointwise", resamples=100)
    assert measured(right, "off")["mrr"] == pytest.approx((1 / 4 + 1 / 3) / 2, abs=1e-6)
    assert measured(right, "on")["mrr"] == pytest.approx((1 / 2 + 1) / 2)  # both are liked: c stands before d
    wrong = evaluate(lists, likes("a", "b"), form="pointwise", resamples=100)
    assert measured(wrong, "on") == measured(wrong, "off")


def test_metrics_worked_by_hand() -> None:
    result = evaluate(cases(case("abc", b=2.0), case("abc", z=2.0)), likes(), form="pointwise", resamples=100)
    assert measured(result, "off") == pytest.approx({"ndcg@10": 0.315465, "recall@10": 0.5, "mrr": 0.25}, abs=1e-6)


def test_search_counts_good_ratings_and_condenses() -> None:
    judged = case("axb", a=1.0, b=3.0)
    result = evaluate(cases(judged, task="search"), likes("b"), form="pointwise", resamples=100)
    off, on = measured(result, "off"), measured(result, "on")
    assert set(off) == {"ndcg@10", "recall@10", "condensed_ndcg@10"}
    assert off["recall@10"] == 1.0  # the one product rated 2 or better
    ideal = 7 + 1 / np.log2(3)
    assert off["condensed_ndcg@10"] == pytest.approx((1 + 7 / np.log2(3)) / ideal, abs=1e-6)
    assert off["ndcg@10"] == pytest.approx((1 + 7 / 2) / ideal, abs=1e-6)
    assert on["ndcg@10"] == pytest.approx(1.0, abs=1e-6)


def test_comparisons_are_with_off_and_corrected() -> None:
    result = evaluate(cases(*[case("abcd", d=2.0)] * 20), likes("d"), form="pointwise", resamples=500)
    rows = {(row["system"], row["metric"]): row for row in result["comparisons"]}  # type: ignore[attr-defined]
    assert {row[0] for row in rows} == {"on", "fused"}
    assert rows["on", "mrr"]["difference"] == pytest.approx(0.75)
    assert rows["on", "mrr"]["p"] < 0.01
    assert rows["on", "mrr"]["p_corrected"] >= rows["on", "mrr"]["p"]
    assert rows["on", "recall@10"]["p"] == 1.0  # four products: all are within ten


def test_a_list_that_no_order_changes_is_not_asked_about() -> None:
    certain = case("abcd", z=2.0)
    assert not order_matters(certain, 3)
    assert not order_matters(case("abcd", d=2.0), 3)
    assert order_matters(case("abcd", c=2.0), 3)
    assert order_matters(case("ab", a=0.0), 2)  # judged worthless is not the same as not judged
    model = likes("a")
    result = evaluate(cases(certain, case("abcd", c=2.0)), model, form="pointwise", judged=3, resamples=100)
    assert (result["cases"], result["asked"], result["prompts"]) == (2, 1, 3)
    assert len(model.requests) == 3


def test_what_was_asked_is_not_asked_again() -> None:
    model = likes("b")
    once = AskedOnce(model)
    prompts = [(ChatMessage("user", f"Thing {key}\n"),) for key in "ab"]
    first = asyncio.run(once.choose(prompts, ("Yes", "No"), timeout=1.0))
    again = asyncio.run(once.choose(prompts[::-1], ("Yes", "No"), timeout=1.0))
    assert first.tolist() == again[::-1].tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert len(model.requests) == once.prompts == 2


def test_the_result_is_json_and_says_how_it_was_made() -> None:
    result = evaluate(cases(case("abcd", d=2.0)), likes("d"), form="pointwise", resamples=100)
    shown = json.loads(json.dumps(result, allow_nan=False))
    assert shown["task"] == "rerank next-item"
    assert shown["settings"]["model"] == "scripted"
    assert shown["silent"] == 0
    assert set(shown["systems"]) == {"off", "on", "fused"}


def test_an_attack_is_measured_in_places_gained() -> None:
    """A model that believes every "perfect fit": praise moves the last product up, a recognised order does not."""

    def reply(messages: Sequence[ChatMessage]) -> str:
        return "Yes" if "perfect fit" in messages[-1].content or "answer Yes" in messages[-1].content else "No"

    some = Cases("search", "things", "0" * 64, "valid", (case("abcdef", a=2.0),))
    gains = attacked(some, ScriptedLanguageModel(reply), form="pointwise", judged=6)
    assert gains["praise"]["on"] == {"mean": 5.0, "most": 5.0}
    assert gains["order"]["on"] == {"mean": 0.0, "most": 0.0}
    assert 0 <= gains["praise"]["fused"]["most"] <= 1.0
