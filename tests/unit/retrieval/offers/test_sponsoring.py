"""Paid places: by hand, and that the bound holds whatever the scores, the slots and the sponsored products are."""

from hypothesis import given
from hypothesis import strategies as st

from retrieval.offers.sponsoring import LABEL, Sponsored, placed, shown
from tasteline.types import Product, RankedProduct, Ranking, Reason, Understood


def ranked(*scores: float, close: str = "") -> list[RankedProduct]:
    """Products a, b, c, … with these scores in this order."""
    return [
        RankedProduct(Product(name, name), score, (Reason("match", "fits"),), close=name in close)
        for name, score in zip("abcdefghijklmnopqrst", scores, strict=False)
    ]


def order(items: list[RankedProduct]) -> str:
    return "".join(item.product.id for item in items)


def paid(ids: str, slots: int = 1, max_loss: float = 0.1) -> Sponsored:
    return Sponsored(frozenset(ids), slots, max_loss)


ITEMS = ranked(1.0, 0.95, 0.9, 0.86, 0.5)


def test_it_goes_as_high_as_the_bound_lets_it() -> None:
    moved = placed(ITEMS, paid("d"), 10)  # .86 >= .9 * .95 = .855, and a is the best match
    assert order(moved) == "adbce"
    assert moved[1].sponsored
    assert [reason.text for reason in moved[1].reasons] == [LABEL, "fits"]
    assert order(placed(ITEMS, paid("d", max_loss=0.05), 10)) == "abdce"  # .86 >= .95 * .9 = .855, < .95 * .95
    assert order(placed(ITEMS, paid("d", max_loss=0.0), 10)) == "abcde"


def test_the_best_match_is_never_displaced() -> None:
    assert order(placed(ranked(1.0, 1.0), paid("b", max_loss=0.5), 10)) == "ab"


def test_what_stands_there_anyway_takes_no_slot_and_no_label() -> None:
    moved = placed(ITEMS, paid("bd", max_loss=0.05), 10)  # d may pass c, not b
    assert order(moved) == "abdce"
    assert [item.product.id for item in moved if item.sponsored] == ["d"]


def test_no_more_than_the_slots() -> None:
    items = ranked(1.0, 0.99, 0.98, 0.97, 0.96)
    assert order(placed(items, paid("cde", slots=2), 10)) == "acdbe"
    assert order(placed(items, paid("cde", slots=3), 10)) == "acdeb"


def test_what_cannot_reach_the_page_is_left_where_it_is() -> None:
    assert order(placed(ITEMS, paid("e"), 2)) == "abcde"
    assert not any(item.sponsored for item in placed(ITEMS, paid("e"), 2))


def test_what_only_comes_near_passes_nothing_that_carries_every_word() -> None:
    assert order(placed(ranked(1.0, 0.95, 0.95, close="c"), paid("c"), 10)) == "abc"
    assert order(placed(ranked(1.0, 0.95, 0.95, close="bc"), paid("c"), 10)) == "acb"


def test_an_order_that_the_shopper_chose_has_no_paid_places() -> None:
    by_price = Ranking("r", tuple(ITEMS), 5, Understood("x", "x", (), "price_asc"))
    assert shown(by_price, paid("d"), 4).items == tuple(ITEMS[:4])
    by_relevance = Ranking("r", tuple(ITEMS), 5, Understood("x", "x"))
    assert order(list(shown(by_relevance, paid("d"), 2).items)) == "ad"
    assert shown(by_relevance, None, 2).items == tuple(ITEMS[:2])


SCORES = st.lists(st.floats(-0.2, 1.0), max_size=20)


@given(
    SCORES, st.sets(st.sampled_from("abcdefghijklmnopqrst")), st.integers(1, 5), st.floats(0, 0.5), st.integers(1, 20)
)
def test_the_bound_always_holds(scores: list[float], ids: set[str], slots: int, max_loss: float, limit: int) -> None:
    """Not only for rankings in order of score: variety may have put a better one further down."""
    items = ranked(*scores)
    moved = placed(items, Sponsored(frozenset(ids), slots, max_loss), limit)
    before = {item.product.id: place for place, item in enumerate(items)}
    labelled = [item for item in moved if item.sponsored]
    assert sorted(order(moved)) == sorted(order(items))
    assert order(moved[:1]) == order(items[:1])
    assert len(labelled) <= slots
    assert {item.product.id for item in labelled} <= ids
    others = [before[item.product.id] for item in moved if not item.sponsored]
    assert others == sorted(others)  # the rest stays in its order
    for place, item in enumerate(moved):
        for below in moved[place + 1 :]:
            if before[below.product.id] < before[item.product.id]:  # it was passed
                assert item.sponsored
                assert item.score >= below.score or item.score >= (1 - max_loss) * below.score
                assert place < limit


@given(SCORES, st.sets(st.sampled_from("abcdefghijklmnopqrst")))
def test_a_larger_loss_never_puts_the_first_of_them_lower(scores: list[float], ids: set[str]) -> None:
    items = ranked(*sorted(scores, reverse=True))
    places = []
    for max_loss in (0.0, 0.1, 0.3, 0.5):
        moved = placed(items, Sponsored(frozenset(ids), 1, max_loss), 20)
        places.append(next((place for place, item in enumerate(moved) if item.sponsored), len(moved)))
    assert places == sorted(places, reverse=True)
