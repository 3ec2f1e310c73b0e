"""The score of understanding: golden cases worked by hand, and that it can fall."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.llm.asking import Asker
from app.llm.scripted import ScriptedLanguageModel
from app.telemetry import Metrics
from eval.understanding import Request
from eval.understanding.score import RULES, WITH_MODEL, WITH_TUNED, WITH_YES, Shop, evaluate, measures, run, slots_right
from retrieval.registry import Registry
from tasteline.errors import InvalidInput, NotFound
from tasteline.settings import Settings
from tasteline.types import ChatMessage, Price, Product
from tests.unit.retrieval.trained import registered

PRODUCTS = [
    Product(
        f"{kind}-{n}",
        f"{brand} {kind}",
        brand=brand,
        categories=("Home", f"{kind}s"),
        price=Price(4_000 + n, "USD"),
        attributes={"color": (colour,), "finish": ("Enamel",)},
    )
    for kind in ("Kettle", "Lamp")
    for n, (brand, colour) in enumerate(
        [("Marrow", "Red"), ("Copperwick", "Navy red"), ("Wren", "Green"), ("Wren", "Red")]
    )
]
SHOP = Shop(PRODUCTS)


def request(text: str, **gold: object) -> Request:
    nothing: dict[str, object] = {
        "shown": (), "before": (), "intent": "find", "category": None, "price_min": None, "price_max": None,
        "brand": None, "attributes": {}, "exclude": (), "rating_min": None, "in_stock": False, "sort": "relevance",
        "references": (), "soft": (), "style": "plain", "note": "", "split": "dev",
    }  # fmt: skip
    return Request(id=text, text=text, **(nothing | gold))  # type: ignore[arg-type]


def wrong(one: Request) -> set[str]:
    """Slots; `whole` follows from them."""
    right = slots_right(one, SHOP.by_rules(one), SHOP.vocabulary)
    off = {slot for slot, is_right in right.items() if not is_right} - {"whole"}
    assert right["whole"] == (off <= {"category"})
    return off


@pytest.mark.parametrize(
    ("text", "gold", "expected"),
    [
        ("kettle under $50", {"category": "Kettles", "price_max": 50.0}, {"category"}),
        ("kettle up to $50", {"category": "Kettles", "price_max": 50.0}, {"category"}),
        ("kettle under $50", {"category": "Kettles", "price_max": 51.0}, {"category", "price_max", "hard"}),
        ("kettle", {"category": "Kettles", "price_max": 50.0}, {"category", "price_max", "hard"}),
        ("in the kettles category", {"category": "Kettles"}, set()),
        ("in the lamps category", {"category": "Kettles"}, {"category", "category_lenient", "hard"}),
        ("in the lamps category", {}, {"category", "category_lenient", "hard"}),
        ("red kettle by Marrow", {"attributes": {"color": "red"}, "brand": "Marrow"}, set()),
        ("red kettle", {}, {"attributes", "hard"}),
        ("kettle not by Wren", {"exclude": ("wren",)}, set()),
        ("kettle, at least 4 stars, in stock", {"rating_min": 4.0, "in_stock": True}, set()),
        ("kettle, at least 4 stars", {"rating_min": 3.0}, {"rating_min", "hard"}),
        ("cheapest kettle", {"sort": "price_asc"}, set()),
        ("cheapest kettle", {}, {"sort"}),
        ("hello", {"intent": "greeting"}, set()),
        ("hello", {}, {"intent"}),
    ],
)
def test_slots(text: str, gold: dict[str, object], expected: set[str]) -> None:
    assert wrong(request(text, **gold)) == expected


def test_in_a_conversation_only_what_the_message_says_counts() -> None:
    shown = tuple(product.id for product in PRODUCTS[:3])
    refined = request(
        "in red", before=("kettles under $50",), shown=shown, intent="refine", attributes={"color": "red"}
    )
    pointed = request(
        "how big is the second one?", before=("kettles",), shown=shown, intent="details", references=shown[1:2]
    )
    assert wrong(refined) == wrong(pointed) == set()
    assert wrong(request("how big is it", before=("kettles",), shown=shown, intent="details")) == {"references"}


def test_precision_and_recall_of_limits() -> None:
    requests = [
        request("kettle under $50", price_max=50.0, category="Kettles"),  # found; the kind is not due
        request("red kettle"),  # one limit too many
        request("kettle for fifty bucks", price_max=50.0),  # missed
    ]
    values = measures(requests, [SHOP.by_rules(one) for one in requests], SHOP.vocabulary)
    assert values["limit_precision"] == values["limit_recall"] == 0.5
    assert values["wrong_limits"] == values["requests_with_wrong_limit"] == 1
    assert values["hard"] == pytest.approx(1 / 3)
    assert math.isnan(measures([], [], SHOP.vocabulary)["limit_recall"])


def test_with_a_model_that_knows_and_one_that_babbles() -> None:
    requests = [
        request("kettle for fifty bucks", price_max=50.0),
        request("an enamel kettle"),
        request("kettle under $50", price_max=50.0),
    ]

    def knows(messages: Sequence[ChatMessage]) -> str:
        return '{"price_max": 50, "price_min": null}' if "bucks" in messages[-1].content else '{"attributes": null}'

    found = asyncio.run(evaluate(requests, PRODUCTS, Asker(ScriptedLanguageModel(knows), Metrics()), parallel=2))
    assert {name: values["hard"] for name, values in found["systems"].items()} == {  # type: ignore[attr-defined]
        RULES: pytest.approx(2 / 3),
        WITH_YES: pytest.approx(2 / 3),
        WITH_MODEL: 1.0,
    }
    assert found["model"]["asked"] == pytest.approx(2 / 3)  # type: ignore[index]
    babbled = asyncio.run(evaluate(requests, PRODUCTS, Asker(ScriptedLanguageModel(["Sure!"]), Metrics())))
    assert babbled["systems"][WITH_MODEL] == babbled["systems"][WITH_YES]  # type: ignore[index]
    assert babbled["model"]["outcomes"] == {"wrong_format": 2}  # type: ignore[index]


def test_a_tuned_model_stands_beside_the_untuned_one_and_both_against_the_rules() -> None:
    requests = [
        request("kettle for fifty bucks", price_max=50.0),
        request("an enamel kettle", style="template"),
        request("a kettle, my limit is 45 bucks", price_max=45.0),
        request("a kettle, over 45 bucks in price", price_min=45.0, style="template"),
    ]

    def knows(messages: Sequence[ChatMessage]) -> str:
        said = messages[-1].content
        amounts = {"price_max": 50 if "50" in said else 45, "price_min": None}
        return json.dumps({slot: amounts.get(slot) for slot in said.split("Fill in: ")[1].split(", ")})

    asker, tuned = (Asker(ScriptedLanguageModel(reply), Metrics()) for reply in (['{"price_max": null}'], knows))
    found: Any = asyncio.run(evaluate(requests, PRODUCTS, asker, tuned=tuned))
    assert set(found["systems"]) == {RULES, WITH_MODEL, WITH_TUNED, WITH_YES}
    assert found["apart"][WITH_TUNED]["template"]["requests"] == found["apart"][RULES]["written"]["requests"] == 2
    assert found["apart"][WITH_TUNED]["written"]["hard"] == 1.0 > found["apart"][RULES]["written"]["hard"]
    pairs = {(each["system"], each["baseline"]): each["difference"] for each in found["comparisons"]}
    assert pairs[WITH_TUNED, RULES] > 0
    assert pairs[WITH_TUNED, WITH_MODEL] == pytest.approx(
        found["systems"][WITH_TUNED]["whole"] - found["systems"][WITH_MODEL]["whole"]
    )
    assert found["tuned"]["outcomes"].keys() == {"ok"}


def test_a_tuned_model_must_be_one(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, language_model="none")
    with pytest.raises(NotFound):
        run(settings, "dev", tuned="20260101")
    entry = registered(Registry(tmp_path), 0, kind="next-item")
    with pytest.raises(InvalidInput, match="no language model"):
        run(settings, "dev", tuned=entry.id)


def test_a_run_without_a_model_says_what_it_measured() -> None:
    report = run(Settings(language_model="none"), "dev")
    assert (report["task"], report["part"]) == ("assistant", "understanding")
    assert set(report["systems"]) == {RULES, WITH_YES}  # type: ignore[call-overload]
    assert report["model"] is None
    assert {"dataset", "protocol", "settings", "seed", "checksum", "seconds"} <= set(report)
