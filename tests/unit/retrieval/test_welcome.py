"""Which question is asked: golden gains by hand, what never happens, and what answers do to what is believed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from retrieval.facets import Guide, divisions, welcome_of
from retrieval.models.behaviour import BehaviourCounts
from retrieval.recommend import RecommendationQuery
from retrieval.welcome import (
    ANYTHING,
    ASSUMED_STEPS,
    LEAST_GAIN,
    MOST_OPTIONS,
    MOST_QUESTIONS,
    Facet,
    Question,
    Steps,
    Welcome,
    likeness,
)
from tasteline.errors import NotFound
from tasteline.types import Choice, Filters, Product
from tests.unit.retrieval.small_shop import SmallShop, event, product


def facet(name: str, codes: list[int], like: np.ndarray | None = None, family: str = "") -> Facet:  # type: ignore[type-arg]
    groups = max(codes) + 1
    names = tuple(f"{name}{group}" for group in range(groups))
    table = np.eye(groups + 1) if like is None else like
    return Facet(name, family or name, f"Which {name}?", names, names, np.array(codes), table)


def entropy(belief: np.ndarray) -> float:  # type: ignore[type-arg]
    some = belief[belief > 0]
    return float(-(some * np.log2(some)).sum())


def one(welcome: Welcome, name: str, *answers: Choice) -> Question:
    return next(question for question in welcome.candidates(answers) if question.id == name)


def test_gains_by_hand_where_taste_never_changes() -> None:
    welcome = Welcome(
        np.array([1.0, 1.0, 2.0, 4.0]),
        [facet("half", [0, 0, 0, 1]), facet("each", [0, 1, 2, 3]), facet("some", [0, 1, -1, -1])],
    )
    # Shares are 1/8, 1/8, 1/4, 1/2.
    assert one(welcome, "half").gain == pytest.approx(1.0)
    assert one(welcome, "each").gain == pytest.approx(1.75)  # 2 × 1/8 × 3 bits + 1/4 × 2 + 1/2 × 1
    assert one(welcome, "some").gain == pytest.approx(0.75)  # 2 × 1/8 × 3 bits: the others say "anything"
    best = welcome.question([])
    assert best is not None
    assert best.id == "each"


def test_a_gain_by_hand_where_taste_changes() -> None:
    like = np.array([[0.75, 0.25, 0.0], [0.25, 0.75, 0.0], [0.0, 0.0, 1.0]])
    welcome = Welcome(np.ones(2), [facet("kind", [0, 1], like)])
    # 2 × ½ × (¾ log2(¾ / ½) + ¼ log2(¼ / ½)) = ¾ × 0.58496 - ¼
    assert one(welcome, "kind").gain == pytest.approx(0.75 * np.log2(1.5) - 0.25)
    assert welcome.belief([Choice("kind", "kind0")]).tolist() == [0.75, 0.25]


def test_what_divides_evenly_is_not_asked_where_taste_jumps() -> None:
    """Halves that say nothing of the next choice lose against a third that does."""
    fickle = np.full((3, 3), 0.5)
    fickle[2], fickle[:, 2] = 0.0, (0.0, 0.0, 1.0)
    welcome = Welcome(np.ones(6), [facet("fickle", [0, 0, 0, 1, 1, 1], fickle), facet("steady", [0, 0, 1, 1, 1, 1])])
    assert one(welcome, "fickle").gain == pytest.approx(0.0)
    question = welcome.question([])
    assert question is not None
    assert question.id == "steady"


def test_likeness_is_counted_from_steps_and_assumed_without() -> None:
    codes, weights = np.array([0, 0, 1]), np.array([1.0, 1.0, 2.0])
    assumed = likeness(codes, 2, weights, Steps.none(), steady=0.5)
    assert assumed[:2, :2] == pytest.approx(np.array([[0.75, 0.25], [0.25, 0.75]]), abs=1e-6)
    steps = Steps(np.array([0, 2]), np.array([2, 0]), np.array([1e9, 1e9]))  # always from one group to the other
    counted = likeness(codes, 2, weights, steps, steady=0.5)
    assert counted[:2, :2] == pytest.approx(np.array([[0.0, 1.0], [1.0, 0.0]]), abs=1e-6)
    few = Steps(np.array([0]), np.array([0]), np.array([ASSUMED_STEPS]))  # [0, 0] is .75 × 50 + 100 of 150
    assert likeness(codes, 2, weights, few, steady=0.5)[0, 0] == pytest.approx((37.5 + 100) / 150, abs=1e-6)


def test_answers_are_a_history_of_their_products() -> None:
    """Of product 0 people turn to 2: who chooses 0's group is shown 2, though it is in another."""
    steps = Steps(np.array([0]), np.array([2]), np.array([5.0]))
    welcome = Welcome(np.ones(4), [facet("kind", [0, 0, 1, 1])], steps)
    assert welcome.belief([Choice("kind", "kind0")]).tolist() == [0.25, 0.25, 0.5, 0.0]
    assert welcome.belief([Choice("kind", ANYTHING)]).tolist() == [0.25] * 4


def levels() -> Welcome:
    paths = ["A > x", "A > y", "A > x", "B > x", "B > z", "B > z", "B > z", "B > x"]
    tops, whole = sorted({path[0] for path in paths}), sorted(set(paths))
    top = Facet(
        "top", "category", "?", tuple(tops), tuple(tops), np.array([tops.index(p[0]) for p in paths]), np.eye(3)
    )
    codes = np.array([whole.index(path) for path in paths])
    deep = Facet("deep", "category", "?", tuple(whole), tuple(p[-1] for p in whole), codes, np.eye(5))
    return Welcome(np.ones(8), [top, deep])


def test_a_narrower_level_asks_within_the_answer_and_speaks_for_both() -> None:
    welcome = levels()
    within = one(welcome, "deep", Choice("top", "A"))
    assert [option.id for option in within.options] == ["A > x", "A > y", ANYTHING]
    assert within.text == "Anything in particular in A?"
    assert within.gain == pytest.approx(np.log2(3) - 2 / 3)  # entropy of ⅔, ⅓
    belief = welcome.belief([Choice("top", "A"), Choice("deep", "A > x")])
    assert belief.tolist() == [0.5, 0, 0.5, 0, 0, 0, 0, 0]
    assert [o.label for o in one(welcome, "deep").options] == ["z", "A › x", "B › x", "y", "Anything"]


def test_what_is_settled_is_not_asked() -> None:
    welcome = levels()
    assert welcome.candidates([Choice("deep", "A > x")]) == []
    assert welcome.candidates([Choice("top", ANYTHING)]) == []
    only_a = np.array([True, True, True, *[False] * 5])
    assert [question.id for question in welcome.candidates([], only_a)] == ["deep"]
    assert welcome.question([], np.zeros(8, dtype=np.bool_)) is None


def test_a_question_that_tells_little_is_not_asked() -> None:
    lopsided = Welcome(np.array([999.0, 1.0]), [facet("kind", [0, 1])])
    assert 0 < one(lopsided, "kind").gain < LEAST_GAIN
    assert lopsided.question([]) is None


def test_unknown_answers_are_refused_and_the_later_of_two_holds() -> None:
    welcome = levels()
    for wrong in (Choice("color", "red"), Choice("top", "C"), Choice("deep", "x")):
        assert not welcome.knows(wrong)
        with pytest.raises(NotFound):
            welcome.heard([wrong])
    assert welcome.heard([Choice("top", "A"), Choice("top", "B")]) == [Choice("top", "B")]


@st.composite
def welcomes(draw: st.DrawFn) -> Welcome:
    number = draw(st.integers(2, 30))
    weights = np.array(draw(st.lists(st.floats(0.0, 50.0), min_size=number, max_size=number)))
    facets = []
    for name in "abcd"[: draw(st.integers(1, 4))]:
        codes = np.array(draw(st.lists(st.integers(-1, 7), min_size=number, max_size=number)))
        names = tuple(f"{name}{group}" for group in range(8))
        facets.append(
            Facet(name, name, "?", names, names, codes, likeness(codes, 8, weights, Steps.none(), steady=0.5))
        )
    return Welcome(weights, facets)


@settings(max_examples=60, deadline=None)
@given(welcomes(), st.randoms(use_true_random=False))
def test_never_more_than_three_and_never_one_option(welcome: Welcome, chance: object) -> None:
    answers: list[Choice] = []
    while (question := welcome.question(answers)) is not None:
        assert question.id not in {answer.question for answer in answers}
        assert 2 <= len(question.options) - 1 <= MOST_OPTIONS
        assert question.options[-1].id == ANYTHING
        assert len({option.id for option in question.options}) == len(question.options)
        assert question.gain >= LEAST_GAIN
        best = max(each.gain for each in welcome.candidates(answers))
        assert question.gain == best
        answers.append(Choice(question.id, chance.choice(question.options).id))  # type: ignore[attr-defined]
        assert len(answers) <= MOST_QUESTIONS
    belief = welcome.belief(answers)
    assert belief.sum() == pytest.approx(1.0) or not belief.any()


@settings(max_examples=60, deadline=None)
@given(welcomes())
def test_answers_narrow_on_average_and_gains_are_never_negative(welcome: Welcome) -> None:
    """Information never hurts on average: where options hold everything, what is left is less than what was."""
    before = welcome.belief([])
    assume(before.any())
    for question in welcome.candidates([]):
        assert question.gain >= -1e-9
        codes, like = welcome.facet(question.id).codes, welcome.facet(question.id).like
        chances = like[:, codes] @ before
        after = [
            entropy(like[group, codes] * before / chance) * chance for group, chance in enumerate(chances) if chance
        ]
        assert sum(after) <= entropy(before) + 1e-9


SHELF: list[Product] = [
    product(
        f"{kind}-{place}",
        f"{kind} {place}",
        department,
        kind,
        price=500 * place * (4 if department == "Outdoor" else 1),
        brand=("Calder", "Northgale", "Ember")[place % 3],
        attributes={"Color": (("Red", "Blue")[place % 2],), "size": ("S", "M"), "sku": (f"{kind}{place}",)},
    )
    for department, kind in (("Outdoor", "Tents"), ("Outdoor", "Stoves"), ("Kitchen", "Kettles"), ("Home", "Lamps"))
    for place in range(1, 7)
]


def test_what_a_shop_can_ask() -> None:
    weights = np.ones(len(SHELF))
    found = {each.id: each for each in divisions(SHELF, weights)}
    assert list(found) == [
        "category-1",
        "category-2",
        "category-3",
        "brand",
        "price",
        "attribute:Color",
        "attribute:sku",  # one product each: it tells little of the next one and is never asked
    ]
    assert found["category-2"].names[0] == "Outdoor > Tents"
    prices = found["price"]
    assert list(prices.labels.values()) == ["Under $15", "$15 to $25", "$25 to $50", "$50 and over"]
    for each, name in zip(SHELF, prices.names, strict=True):
        low, high = (name or "").split("-")
        assert each.price is not None
        assert int(low) <= each.price.amount < int(high or 10**9)
    limits = [int(name.split("-")[0]) for name in prices.labels]
    assert all(low < high for low, high in pairwise(limits))


def test_price_bands_are_offered_from_cheap_to_dear() -> None:
    prices = [1_000, 3_000, 9_000, 9_500, 9_900]
    dear = {place: product(f"p{place}", "Thing", price=price) for place, price in enumerate(prices)}
    question = one(welcome_of(dear, BehaviourCounts()), "price")
    lows = [int(option.id.split("-")[0]) for option in question.options[:-1]]
    assert len(lows) > 1
    assert lows == sorted(lows)


def test_a_new_shop_asks_for_the_department_before_color_and_price() -> None:
    question = welcome_of(dict(enumerate(SHELF)), BehaviourCounts()).question([])
    assert question is not None
    assert question.id.startswith("category")


def test_without_prices_brands_or_categories_nothing_is_asked() -> None:
    bare = {row: product(f"p{row}", f"Thing {row}") for row in range(5)}
    assert welcome_of(bare, BehaviourCounts()).question([]) is None
    assert welcome_of({}, BehaviourCounts()).question([]) is None


def test_a_newcomer_is_asked_and_answers_lead_the_welcome() -> None:
    shop = SmallShop(SHELF, [event("u", "Lamps-1")])
    question = shop.newcomers.question(())
    assert question is not None
    assert question.id == "category-2"  # four kinds tell more than three departments
    answers = (Choice(question.id, "Kitchen > Kettles"),)
    ranking = shop.recommender.recommend(RecommendationQuery(context="welcome", answers=answers, limit=24))
    assert {item.product.categories[-1] for item in ranking.items[:6]} == {"Kettles"}
    assert ranking.items[0].reasons[0].text == "You chose Kettles"
    assert len(ranking.items) == ranking.total == len(SHELF)  # an answer narrows nothing
    last = {item.product.id: item.reasons[0] for item in ranking.items}
    assert last["Lamps-1"].text == "Popular in Lamps"
    assert last["Tents-1"].text == "Something different"


def test_filters_bound_what_is_asked_about() -> None:
    shop = SmallShop(SHELF)
    question = shop.newcomers.question((), Filters(categories=("Outdoor",)))
    assert question is not None
    assert {option.id for option in question.options} & {"Kitchen", "Home", "Kitchen > Kettles"} == set()


def test_anything_to_all_is_the_popular_welcome() -> None:
    shop = SmallShop(SHELF, [event("u", "Lamps-1", "purchase")])
    plain = shop.recommender.recommend(RecommendationQuery(context="welcome"))
    told = shop.recommender.recommend(RecommendationQuery(context="welcome", answers=(Choice("brand", ANYTHING),)))
    assert [item.product.id for item in told.items] == [item.product.id for item in plain.items]


def test_the_guide_follows_catalogue_and_counts() -> None:
    shop = SmallShop(SHELF[:2])
    guide = Guide(shop.live, lambda: shop.counts)
    with shop.live.read() as indexes:
        assert guide(indexes) is None
    guide.follow()
    with shop.live.read() as indexes:
        first = guide(indexes)
        assert first is not None
        guide.follow()
        assert guide(indexes) is first  # nothing has changed
    shop.put(*SHELF[2:])
    guide._not_before = 0.0
    guide.follow()
    with shop.live.read() as indexes:
        second = guide(indexes)
        assert second is not None
        assert len(second) == len(SHELF)


def test_a_product_that_came_since_does_no_harm() -> None:
    shop = SmallShop(SHELF)
    guide = shop.guide
    shop.put(product("new", "New Kettle", "Kitchen", "Kettles"))
    shop.guide = guide
    ranking = shop.recommender.recommend(
        RecommendationQuery(context="welcome", answers=(Choice("category-1", "Kitchen"),), limit=50)
    )
    assert "new" in {item.product.id for item in ranking.items}  # by the other sources
