"""A conversation carried from turn to turn: what is searched for, what is remembered, what may be said."""

from dataclasses import dataclass, field

import pytest

from app.agent.dialogue import DialogueState
from app.agent.situation import CANDIDATES, Situation, facts_of, first_look, read, search_query, wanted
from retrieval.catalogue import Catalogue
from retrieval.search import SearchQuery
from tasteline.types import Interest, Price, Product, RankedProduct, Ranking, Turn

PRODUCTS = [
    Product(
        f"jacket{i}",
        f"{name} Jacket",
        categories=("Clothing", "Jackets"),
        price=Price(amount, "USD"),
        attributes={"color": (colour,), "weight": ("400 g",)},
    )
    for i, (name, colour, amount) in enumerate(
        [("Ridge", "Blue", 7_900), ("Storm", "Red", 8_900), ("Calder", "Brown", 12_900), ("Dune", "Sand", 6_900)]
    )
]
IDS = tuple(product.id for product in PRODUCTS)


def catalogue(*products: Product) -> Catalogue:
    made = Catalogue()
    made.add(list(products or PRODUCTS))
    return made


@dataclass
class Talk:
    """Says one thing after the other and shows `shown` after each."""

    shown: tuple[str, ...] = IDS
    turns: list[Turn] = field(default_factory=list)
    of: Catalogue = field(default_factory=catalogue)

    def say(self, text: str, ignore: tuple[str, ...] = ()) -> Situation:
        situation = read(text, ignore, self.turns, self.of)
        state = situation.after(self.shown).to_json()
        self.turns += [Turn("user", text), Turn("assistant", "…", self.shown, state)]
        return situation

    def query(self, text: str) -> SearchQuery:
        found = search_query(self.say(text))
        assert found is not None
        return found


def test_a_first_request() -> None:
    assert Talk().query("waterproof jacket") == SearchQuery("waterproof jacket", limit=CANDIDATES, floor=0.6)
    assert search_query(first_look("jacket")) == SearchQuery("jacket", limit=CANDIDATES, floor=0.6)


def test_refinements_add_up_and_a_new_request_forgets_them() -> None:
    talk = Talk()
    talk.say("waterproof jacket")
    talk.say("in blue")
    assert talk.query("not leather").further == ("in blue", "not leather")
    talk.say("cheaper")
    new = talk.query("a kettle")
    assert (new.text, new.further, new.limits, new.ignore) == ("a kettle", (), (), frozenset())


def test_cheaper_is_below_the_middle_of_what_was_shown() -> None:
    talk = Talk()
    talk.say("waterproof jacket")
    [limit] = talk.query("cheaper").limits
    assert (limit.label, limit.filters.price_max, limit.filters.currency) == ("under $89.00", 8_899, "USD")


def test_cheaper_than_the_one_pointed_at() -> None:
    talk = Talk()
    talk.say("waterproof jacket")
    [limit] = talk.query("cheaper than the third one").limits
    assert limit.filters.price_max == 12_899


def test_cheaper_with_more_to_it_keeps_both() -> None:
    talk = Talk()
    talk.say("jacket")
    query = talk.query("something cheaper in red")
    assert query.further == ("something in red",)
    assert query.limits[0].filters.price_max == 8_899


def test_dearer_and_back() -> None:
    talk = Talk()
    talk.say("jacket")
    [dearer] = talk.query("more expensive").limits
    assert (dearer.label, dearer.filters.price_min) == ("over $79.00", 7_901)
    [cheaper] = talk.query("cheaper").limits
    assert cheaper.filters.price_min is None


def test_a_price_said_later_takes_the_place_of_cheaper() -> None:
    talk = Talk()
    talk.say("jacket")
    talk.say("cheaper")
    said = talk.query("ok, under $200")
    assert (said.limits, said.further[-1]) == ((), "ok, under $200")


def test_any_price_lifts_what_cheaper_set_and_a_new_price_holds_again() -> None:
    talk = Talk()
    talk.say("jacket")
    talk.say("cheaper")
    lifted = talk.query("any price")
    assert (lifted.limits, set(lifted.ignore), lifted.further) == ((), {"price"}, ())
    assert talk.query("under $100").ignore == frozenset()


def test_a_chip_taken_away_stays_away() -> None:
    talk = Talk()
    talk.say("jacket in blue")
    situation = talk.say("under $90", ("color:blue",))
    assert situation.state.ignore == ("color:blue",)
    more = search_query(talk.say("more"))
    assert more is not None
    assert more.ignore == {"color:blue"}


def test_more_leaves_out_all_that_was_shown() -> None:
    talk = Talk(shown=IDS[:2])
    talk.say("jacket")
    assert talk.query("more").filters.exclude_ids == set(IDS[:2])
    talk.shown = IDS[2:]
    talk.say("more")
    assert talk.query("show me more").filters.exclude_ids == set(IDS)


def test_more_of_what_was_recommended_and_of_what_is_similar() -> None:
    talk = Talk(shown=IDS[:2])
    first = wanted(talk.say("recommend something"), "anna", None)
    assert first is not None
    assert (first.user_id, first.context, first.filters.exclude_ids) == ("anna", "home", frozenset())
    more = wanted(talk.say("more"), "anna", None)
    assert more is not None
    assert more.filters.exclude_ids == set(IDS[:2])
    alike = wanted(talk.say("something like the second one"), "anna", None)
    assert alike is not None
    assert (alike.context, alike.product_id) == ("similar", IDS[1])
    more_alike = wanted(talk.say("more"), "anna", None)
    assert more_alike is not None
    assert (more_alike.context, more_alike.product_id) == ("similar", IDS[1])
    assert more_alike.filters.exclude_ids == set(IDS[:2])
    assert wanted(talk.say("jacket"), "anna", None) is None
    assert wanted(talk.say("more"), "anna", None) is None


def test_cheaper_after_a_recommendation_recommends_what_is_cheaper() -> None:
    talk = Talk(shown=IDS[:2])
    talk.say("surprise me")
    situation = talk.say("cheaper")
    cheaper = wanted(situation, "anna", None)
    assert cheaper is not None
    assert (cheaper.filters.price_max, search_query(situation)) == (8_899, None)
    more = wanted(talk.say("more"), "anna", None)
    assert more is not None
    assert (more.filters.price_max, more.filters.exclude_ids) == (8_899, frozenset(IDS[:2]))
    anew = wanted(talk.say("surprise me"), "anna", None)
    assert anew is not None
    assert anew.filters.price_max is None


def test_cheaper_than_one_that_was_recommended_searches_its_kind() -> None:
    talk = Talk(shown=IDS[:2])
    talk.say("surprise me")
    query = talk.query("cheaper than the first one")
    assert (query.text, query.limits[0].filters.price_max) == ("Jackets", 7_899)


def test_cheaper_holds_again_after_any_price() -> None:
    talk = Talk()
    talk.say("jacket")
    talk.say("any price")
    query = talk.query("cheaper")
    assert (set(query.ignore), query.limits[0].filters.price_max) == (set(), 8_899)


def test_what_goes_with_it_asks_for_complements() -> None:
    talk = Talk()
    talk.say("jacket")
    found = wanted(talk.say("what goes with the second one?"), None, "s")
    assert found is not None
    assert (found.context, found.cart, found.session_id) == ("cart", (IDS[1],), "s")


def test_it_is_what_was_last_spoken_of() -> None:
    talk = Talk()
    talk.say("jacket")
    assert talk.say("is it warm").move.references == (IDS[0],)
    talk.say("tell me about the third one")
    assert talk.say("how much is it?").move.references == (IDS[2],)
    talk.say("thanks")
    assert talk.say("is it warm").move.references == (IDS[2],)


def test_a_product_that_is_gone_is_not_pointed_at() -> None:
    talk = Talk()
    talk.say("jacket")
    talk.of = catalogue(*PRODUCTS[:1])
    situation = talk.say("something like the third one")
    assert situation.move.references == ()
    assert wanted(situation, None, None) is None
    assert facts(situation, None).kind == "clarify"


def facts(situation: Situation, ranking: Ranking | None, *degraded: str):  # type: ignore[no-untyped-def]
    interests = [Interest("Jackets", 1.0, 1.0, "steady")]
    return facts_of(situation, ranking, interests, degraded, catalogue(), "the shop")


RANKING = Ranking("r", tuple(RankedProduct(product, 1.0) for product in PRODUCTS), total=9)


@pytest.mark.parametrize(
    ("said", "ranking", "kind"),
    [
        (["jacket"], RANKING, "found"),
        (["jacket", "in blue"], RANKING, "refined"),
        (["jacket", "more"], RANKING, "more"),
        (["surprise me"], RANKING, "recommended"),
        (["surprise me", "more"], RANKING, "recommended"),
        (["surprise me", "cheaper"], RANKING, "recommended"),
        (["jacket", "similar to the first"], RANKING, "similar"),
        (["jacket", "what goes with it"], RANKING, "complement"),
        (["jacket", "compare 1 and 2"], None, "compared"),
        (["jacket", "is it warm"], None, "details"),
        (["jacket", "the fifth one"], None, "clarify"),
        (["jacket"], Ranking("r", (), 0), "nothing_found"),
        (["hi"], None, "greeting"),
        (["write me a poem"], None, "off_topic"),
    ],
)
def test_the_kind_of_answer(said: list[str], ranking: Ranking | None, kind: str) -> None:
    talk = Talk()
    situation = [talk.say(text) for text in said][-1]
    assert facts(situation, ranking).kind == kind


def test_a_skipped_search_is_told() -> None:
    assert facts(first_look("jacket"), None, "retrieve").kind == "degraded"


def test_facts_of_a_list() -> None:
    found = facts(first_look("jacket"), RANKING)
    assert (found.total, len(found.products), found.interests) == (9, 4, ())
    assert [(facet.name, facet.values) for facet in found.facets] == [("color", ("Blue", "Red", "Brown", "Sand"))]


def test_facts_of_one_name_what_was_asked() -> None:
    talk = Talk()
    talk.say("jacket")
    found = facts(talk.say("what is the weight of the second one"), None)
    assert ([item.product.id for item in found.products], found.asked) == ([IDS[1]], ("weight",))


def test_what_the_title_says_is_not_unknown() -> None:
    talk = Talk(of=catalogue(Product("jacket0", "Waterproof Jacket")))
    talk.say("jacket")
    situation = talk.say("is it waterproof?")
    assert facts_of(situation, None, [], (), talk.of, "the shop").asked == ()


def test_the_anchor_of_what_is_similar_is_named() -> None:
    talk = Talk()
    talk.say("jacket")
    anchor = facts(talk.say("similar to the second one"), RANKING).anchor
    assert anchor is not None
    assert anchor.id == IDS[1]


def test_an_answer_without_products_keeps_what_can_be_pointed_at() -> None:
    talk = Talk()
    talk.say("jacket")
    state = talk.say("thanks").after(())
    assert (state.shown, state.focus) == (IDS, IDS[0])


def test_an_unreadable_memory_is_an_empty_one() -> None:
    situation = read("cheaper", (), [Turn("assistant", "…", IDS, "{broken")], catalogue())
    assert situation.state == DialogueState(fragments=("cheaper",))
