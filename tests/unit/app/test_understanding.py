"""What a model may add to the rules' reading: only what the shopper said, never less than the rules found."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.dialogue import DialogueState
from app.agent.evidence import Evidence
from app.agent.situation import Situation, read, search_query
from app.agent.understanding import Trace, Understanding, evident, leaves_open, merged
from app.llm.asking import Asker
from app.llm.scripted import ScriptedLanguageModel
from app.telemetry import Metrics
from prompts.understanding import RequestReading
from retrieval.catalogue import Catalogue
from retrieval.search import SearchQuery, understood
from retrieval.understanding import Vocabulary, understand
from tasteline.types import Price, Product, Turn, Understood
from tests.unit.retrieval.small_shop import SmallShop

FINISHES = ("enamel", "matte", "glazed", "enamel")
"""Of no facet: the rules leave such words in the query."""
PRODUCTS = [
    Product(
        f"{kind.lower()}-{colour}-{n}",
        f"{brand} {colour.title()} {kind}",
        brand=brand,
        categories=("Home", f"{kind}s"),
        price=Price(4_000 + n, "USD"),
        rating=4.0,
        attributes={"color": (colour,), "material": (material,), "model": (f"Sunday {n}",), "finish": (FINISHES[n],)},
    )
    for kind in ("Kettle", "Bike Lock")
    for n, (brand, colour, material) in enumerate(
        [
            ("Marrow", "red", "steel"),
            ("Copperwick", "blue", "bamboo"),
            ("Marrow", "green", "tin"),
            ("Wren", "red", "tin"),
        ]
    )
]
CATALOGUE = Catalogue()
CATALOGUE.add(PRODUCTS)
SHOP = Vocabulary.from_products(PRODUCTS)
SHOWN = tuple(product.id for product in PRODUCTS[:3])


def situation(text: str, before: tuple[str, ...] = (), shown: tuple[str, ...] = ()) -> Situation:
    if not before:
        return read(text, (), [], CATALOGUE)
    state = DialogueState(fragments=before, shown=shown, seen=shown, focus=shown[0] if shown else None)
    return read(text, (), [Turn("user", before[0]), Turn("assistant", "…", shown, state.to_json())], CATALOGUE)


def meaning(made: Situation) -> Understood:
    query = search_query(made)
    assert query is not None
    return understood(query, lambda text, ignore: understand(text, SHOP, ignore))


def labels(made: Situation) -> list[str]:
    return [constraint.label for constraint in meaning(made).constraints]


def taken(text: str, **form: object) -> tuple[Situation, Trace]:
    return merged(situation(text), RequestReading.model_validate(form), understand(text, SHOP), SHOP)


def completed(made: Situation, reply: str, **script: float) -> tuple[Situation, Trace, ScriptedLanguageModel]:
    model = ScriptedLanguageModel([reply], **script)  # type: ignore[arg-type]
    found, trace = asyncio.run(Understanding(Asker(model, Metrics()), lambda: SHOP).completed(made, timeout=0.3))
    return found, trace, model


# --- when it is asked -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "red kettle under $50",
        "a kettle",
        "kettle not steel",
        "kettles rated at least 4 stars",
        "in stock",
        "red kettle",
    ],
)
def test_what_the_rules_have_read_is_not_asked(text: str) -> None:
    made = situation(text)
    found, trace, model = completed(made, "{}")
    assert (found, trace, model.requests) == (made, (), [])


@pytest.mark.parametrize(
    ("text", "slot", "choices"),
    [
        ("a kettle for fifty bucks", "price_max", (50.0,)),
        ("kettles, sixty to ninety dollars", "price_min", (60.0, 90.0)),
        ("I am done with enamel, any other kettle?", "exclude", ("enamel",)),
        ("kettle, minimum rating four", "rating_min", (4.0,)),
    ],
)
def test_what_the_words_may_mean_is_asked(text: str, slot: str, choices: tuple[object, ...]) -> None:
    assert leaves_open(text, understand(text, SHOP), SHOP)[slot].choices == choices  # type: ignore[index]


def test_small_talk_and_pointing_are_the_rules_own() -> None:
    for text in ("hello", "how big is the second one?", "thanks"):
        assert completed(situation(text, ("kettles",), SHOWN), "{}")[2].requests == []


def test_without_an_engine_the_words_decide() -> None:
    made = situation("a kettle for fifty bucks")
    found = asyncio.run(Understanding(Asker(None, Metrics()), lambda: SHOP).completed(made, 1.0))
    assert found == evident(made, SHOP)


# --- what is taken ----------------------------------------------------------------------------------------------------


def test_a_price_in_words_becomes_a_limit_and_leaves_the_query() -> None:
    made, trace, _ = completed(situation("kettle for fifty bucks"), '{"price_max": 50, "price_min": null}')
    [limit] = meaning(made).constraints
    assert (limit.filters.price_max, limit.filters.currency) == (5_000, "USD")
    assert meaning(made).query == "kettle"
    assert trace[-1] == "took price_max"


def test_both_ends_of_a_range_are_one_limit_whichever_way_round() -> None:
    made, _ = taken("kettle, sixty to ninety dollars", price_max=60, price_min=90)
    [limit] = meaning(made).constraints
    assert (limit.filters.price_min, limit.filters.price_max) == (6_000, 9_000)


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("kettle, no more than fifty dollars", "max"),
        ("kettle, I can't go over fifty dollars", "max"),
        ("kettle, at least fifty dollars", "min"),
        ("kettle, not under fifty dollars", "min"),
        ("from Wren, and under fifty dollars", "max"),
    ],
)
def test_a_bound_is_not_turned_around(text: str, side: str) -> None:
    made, _ = taken(text, price_max=50, price_min=50)
    limits = [c.filters for c in meaning(made).constraints if c.key == "price"]
    assert [(f.price_min is not None, f.price_max is not None) for f in limits] == [(side == "min", side == "max")]


def test_what_is_denied_is_excluded_and_not_searched_for() -> None:
    made, _ = taken("I'm done with enamel, any other kettle?", exclude=["enamel"])
    assert labels(made) == ["not enamel"]
    assert "enamel" not in meaning(made).query


def test_a_value_of_the_shop_becomes_a_limit_and_stays_to_rank_by() -> None:
    made, _ = taken("an enamel kettle", attributes=["enamel"])
    assert labels(made) == ["finish enamel"]
    assert "enamel" in meaning(made).query


def test_what_was_taken_is_remembered_and_can_be_taken_back() -> None:
    made, _ = taken("kettle for fifty bucks", price_max=50)
    state = made.after(SHOWN)
    talk = [Turn("user", "kettle for fifty bucks"), Turn("assistant", "…", SHOWN, state.to_json())]
    assert labels(read("in red", (), talk, CATALOGUE)) == ["up to $50", "red"]
    assert labels(read("any price", (), talk, CATALOGUE)) == []


def test_a_price_in_words_takes_the_place_of_an_earlier_cheaper() -> None:
    first = read("kettle", (), [], CATALOGUE).after(SHOWN)
    talk = [Turn("user", "kettle"), Turn("assistant", "…", SHOWN, first.to_json())]
    cheaper = read("cheaper", (), talk, CATALOGUE).after(SHOWN)
    talk += [Turn("user", "cheaper"), Turn("assistant", "…", SHOWN, cheaper.to_json())]
    made, _, _ = completed(
        read("but not over thirty dollars", (), talk, CATALOGUE), '{"price_max": 30, "price_min": 30}'
    )
    assert labels(made) == ["up to $30"]


# --- what is not ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("a kettle", {"price_max": 50}),
        ("a kettle for two people", {"price_max": 2}),
        ("a kettle for fifty bucks", {"price_max": 60}),
        ("a steel kettle", {"exclude": ["steel"]}),
        ("I don't mind the kettle", {"exclude": ["mind"]}),
        ("a kettle", {"attributes": ["bamboo"]}),
        ("my sunday kettle", {"attributes": ["sunday"]}),
        ("a kettle", {"brand": "Wren"}),
        ("a kettle", {"brand": "Nobody & Sons"}),
        ("I saw five stars above the lake", {"rating_min": 5}),
        ("a kettle", {"in_stock": True}),
        ("a kettle", {"sort": "price_asc"}),
        ("a kettle", {"category": "Bike Locks"}),
        ("a kettle", {"query": "free gift cards", "wishes": ["everything at $0"]}),
    ],
)
def test_a_limit_without_evidence_limits_nothing(text: str, form: dict[str, object]) -> None:
    made, _ = taken(text, **form)
    assert meaning(made).constraints == understand(text, SHOP).constraints
    assert meaning(made).sort == "relevance"


def test_what_only_the_shop_knows_is_softened() -> None:
    made, trace = taken("a kettle", attributes=["bamboo"], brand="Nobody & Sons")
    query = search_query(made)
    assert query is not None
    assert query.soft == ("bamboo",)
    assert "softened attributes" in trace
    assert "left brand: no words of this shop" in trace


def test_a_denied_word_is_no_wish() -> None:
    made, _ = taken("kettle, sick of enamel", query="enamel kettle", attributes=["enamel"])
    assert made.soft == ()


def test_what_the_rules_took_for_wanted_is_not_excluded_as_well() -> None:
    made, _ = taken("I'm done with steel, any other kettle?", exclude=["steel"])
    assert meaning(made).constraints == understand("I'm done with steel, any other kettle?", SHOP).constraints


def test_the_rules_win_over_the_model() -> None:
    text = "kettle under $80 by Marrow, a friend paid fifty dollars"
    made, _ = taken(text, price_max=50, brand="Wren", sort="rating")
    assert labels(made) == ["under $80", "by Marrow"]


@given(
    st.sampled_from(
        [
            "red kettle under $50 that is not steel, at least 4 stars, in stock",
            "kettle by Marrow, sixty dollars, in stock. Minimum rating four.",
            "not steel, sick of enamel and no more than fifty bucks: best rated red kettle",
            "I am done with tin. In stock, by Wren, from twenty to thirty dollars, cheapest first",
        ]
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "price_max": st.sampled_from([50, 60, 30, 1]),
            "price_min": st.sampled_from([20, 60, 4]),
            "rating_min": st.sampled_from([1, 4, 5]),
            "in_stock": st.booleans(),
            "exclude": st.lists(st.sampled_from(["tin", "steel", "red", "kettle", "stock", "enamel"]), max_size=3),
            "attributes": st.lists(st.sampled_from(["tin", "red", "bamboo"]), max_size=3),
            "brand": st.sampled_from(["Wren", "Marrow"]),
            "category": st.sampled_from(["Kettles", "Bike Locks"]),
            "sort": st.sampled_from(["price_asc", "rating"]),
            "query": st.text(max_size=40),
        },
    ),
)
def test_no_answer_removes_what_the_rules_found(text: str, form: dict[str, object]) -> None:
    before, after = understand(text, SHOP), meaning(taken(text, **form)[0])
    assert set(before.constraints) <= set(after.constraints)
    assert before.sort in (after.sort, "relevance")
    assert not after.constraints or all(constraint.label for constraint in after.constraints)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("Sure, here you are!", "wrong_format"),
        ('{"price_max": 50', "wrong_format"),
        ('{"discount": 90}', "wrong_format"),
    ],
)
def test_a_malformed_answer_leaves_what_the_words_bear_out(reply: str, outcome: str) -> None:
    made = situation("kettle for fifty bucks")
    found, trace, _ = completed(made, reply)
    assert found == evident(made, SHOP)[0] != made
    assert f"model: {outcome}" in trace


def test_a_late_or_broken_engine_leaves_what_the_words_bear_out() -> None:
    made = situation("kettle for fifty bucks")
    borne_out = evident(made, SHOP)[0]
    assert completed(made, '{"price_max": 50}', delay=1.0)[:2][0] == borne_out
    found, trace, _ = completed(made, '{"price_max": 50}', fail_after=0)
    assert found == borne_out
    assert "model: failed" in trace


def test_who_does_not_ask_takes_what_the_words_bear_out() -> None:
    model = ScriptedLanguageModel(['{"price_max": 1}'])
    made = situation("kettle for fifty bucks")
    listening = Understanding(Asker(model, Metrics()), lambda: SHOP, asks=False)
    found, _ = asyncio.run(listening.completed(made, timeout=0.3))
    assert [constraint.label for constraint in meaning(found).constraints] == ["up to $50"]
    assert model.requests == []


# --- conversation -----------------------------------------------------------------------------------------------------


def test_a_doubtful_find_may_be_another_move_about_what_was_shown() -> None:
    made, trace, model = completed(
        situation("which cup suits the Copperwick?", ("kettles",), SHOWN), '{"intent": "complement", "references": [2]}'
    )
    assert (made.move.intent, made.move.references) == ("complement", (SHOWN[1],))
    assert "took intent complement" in trace
    assert "2. Copperwick Blue Kettle" in model.requests[0][-1].content
    assert made.state.fragments == ("kettles",)


@pytest.mark.parametrize(
    "reply", [{"intent": "details", "references": [3]}, {"intent": "compare", "references": [2]}, {"intent": "details"}]
)
def test_a_move_about_products_must_say_which(reply: dict[str, object]) -> None:
    made, _, _ = completed(situation("which cup suits the Copperwick?", ("kettles",), SHOWN), json.dumps(reply))
    assert made.move.intent == "find"


def test_a_new_search_is_not_lost_to_small_talk() -> None:
    made, _, _ = completed(situation("bike locks", ("kettles",), SHOWN), '{"intent": "thanks"}')
    assert made.move.intent == "find"
    assert made.state.fragments == ("bike locks",)


def test_a_refinement_keeps_what_was_asked_before() -> None:
    made, _, _ = completed(situation("a bit lighter would suit me", ("kettles",), SHOWN), '{"intent": "refine"}')
    assert made.move.intent == "refine"
    assert made.state.fragments == ("kettles", "a bit lighter would suit me")


# --- evidence ---------------------------------------------------------------------------------------------------------


def test_everything_evident_is_what_a_model_that_always_agrees_would_take() -> None:
    made, _ = evident(situation("kettle for fifty bucks, sick of enamel"), SHOP)
    assert sorted(labels(made)) == ["not enamel", "up to $50"]
    untouched = situation("hello")
    assert evident(untouched, SHOP) == (untouched, ())


def test_a_misspelt_number_is_no_amount() -> None:
    assert Evidence("at most one hunderd twenty", SHOP).amounts() == []


def test_numbers_are_put_into_figures_in_place() -> None:
    assert Evidence("Up to one hundred and twenty, please", SHOP).in_figures() == "Up to 120, please"


@given(st.text(max_size=120))
def test_any_text_can_be_asked(text: str) -> None:
    evidence = Evidence(text, SHOP)
    evidence.amounts(), evidence.star_counts(), evidence.deniable(), evidence.values(), evidence.brands()
    assert evidence.in_figures() == text or evidence.numbers
    assert evidence.places(["Red Kettle", "Tin Mug"]) == sorted(set(evidence.places(["Red Kettle", "Tin Mug"])))
    evident(situation(text), SHOP)


def test_soft_words_rank_and_are_required_of_nothing() -> None:
    shop = SmallShop(PRODUCTS)
    [plain] = shop.searcher.search([SearchQuery("kettle", limit=8)])
    [soft] = shop.searcher.search([SearchQuery("kettle", soft=("bamboo", "blue"), limit=8)])
    assert soft.total == plain.total == 4
    assert soft.understood == plain.understood
    assert soft.items[0].product.attributes["material"] == ("bamboo",)
    [only] = shop.searcher.search([SearchQuery("under $50", soft=("bamboo blue",), limit=1)])
    assert only.items[0].product.attributes["material"] == ("bamboo",)
