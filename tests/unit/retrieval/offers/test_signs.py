"""Signs that an offer would be welcome, each by hand, and the neighbours that show none."""

from datetime import UTC, datetime

import polars as pl
import pytest

from retrieval.adapters.store_sql import SqlStore
from retrieval.deed_log import DeedLog
from retrieval.offers.deeds import BOUGHT, CARTED, DAY, LOOKED, SCHEMA, TAKEN_OUT, deeds_in, deeds_of
from retrieval.offers.signs import CART_DAYS, RECENT_DAYS, WITHOUT_PURCHASE, bought, signs
from tests.unit.retrieval.small_shop import event

TODAY = 1_000
TOPICS = pl.DataFrame({"product": ["dome", "tunnel", "gas"], "topic": ["Tents", "Tents", "Stoves"]})


def deeds(*rows: tuple[str, int, int], person: str = "ann") -> pl.DataFrame:
    """(product, kind, days before TODAY), oldest first; the last day that is known is the one before."""
    made = [(person, product, kind, (TODAY - ago) * DAY, TODAY - ago) for product, kind, ago in rows]
    return pl.DataFrame(made, schema=SCHEMA, orient="row")


def found(*rows: tuple[str, int, int]) -> list[tuple[str, str, str, int, int]]:
    table = signs(deeds(*rows), TOPICS, TODAY)
    return list(table.select("sign", "topic", "product", "times", "days").iter_rows())


def test_a_cart_that_was_left() -> None:
    assert found(("dome", CARTED, 3)) == [("cart", "Tents", "dome", 1, 2)]


@pytest.mark.parametrize(
    "rows",
    [
        [("dome", CARTED, 3), ("dome", BOUGHT, 2)],
        [("dome", CARTED, 3), ("dome", TAKEN_OUT, 2)],
        [("dome", CARTED, CART_DAYS + 1)],
        [("unknown", CARTED, 3)],
        [("dome", CARTED, 0)],  # the day itself is not known yet
        [("dome", CARTED, -1)],
    ],
)
def test_no_cart_was_left(rows: list[tuple[str, int, int]]) -> None:
    assert found(*rows) == []


def test_a_growing_interest_without_a_purchase() -> None:
    rows = [("gas", LOOKED, 60), ("gas", LOOKED, 50), ("dome", LOOKED, 9), ("tunnel", LOOKED, 5), ("tunnel", LOOKED, 4)]
    assert found(*rows) == [("rising", "Tents", "tunnel", 3, 3)]


@pytest.mark.parametrize(
    "rows",
    [
        [("dome", LOOKED, 5), ("dome", LOOKED, 4)],  # twice is chance
        [("dome", LOOKED, ago) for ago in (60, 50, 40, 5, 4, 3)],  # as ever
        [("dome", BOUGHT, WITHOUT_PURCHASE), *(("dome", LOOKED, ago) for ago in (5, 4, 3))],
        [("dome", LOOKED, RECENT_DAYS + ago) for ago in (3, 2, 1)],
    ],
)
def test_no_interest_has_grown(rows: list[tuple[str, int, int]]) -> None:
    assert found(*rows) == []


def test_a_repeat_purchase_that_is_overdue() -> None:
    """Every 10 days, the last 20 days ago."""
    rows = [("dome", BOUGHT, 40), ("tunnel", BOUGHT, 30), ("tunnel", BOUGHT, 20)]
    assert found(*rows) == [("lapsed", "Tents", "tunnel", 3, 19)]


@pytest.mark.parametrize(
    "ago",
    [
        (40, 20),  # two make no habit
        (32, 22, 12),  # in time
        (120, 110, 100),  # gone for good
        (9, 8, 7),  # a few days, no rhythm
    ],
)
def test_no_repeat_purchase_is_overdue(ago: tuple[int, ...]) -> None:
    assert found(*(("dome", BOUGHT, each) for each in ago)) == []


def test_a_sign_of_a_month_ago_is_that_of_the_deeds_until_then() -> None:
    rows = deeds(("dome", CARTED, 33), ("dome", BOUGHT, 20))
    assert signs(rows, TOPICS, TODAY).is_empty()
    assert signs(rows, TOPICS, TODAY - 30)["sign"].to_list() == ["cart"]
    assert bought(rows, TOPICS, TODAY - 30, TODAY).rows() == [("ann", "Tents")]
    assert bought(rows, TOPICS, TODAY - 19, TODAY).is_empty()


def test_deeds_without_time_product_or_meaning_are_left_out() -> None:
    store = SqlStore("sqlite://")
    log = DeedLog(store)
    assert deeds_of(log.read()).is_empty()
    at = datetime(1970, 1, 6, tzinfo=UTC)
    done = [event("ann", "dome", time=at), event("ann", None, "search", time=at), event("ann", "gas", "purchase")]
    store.append_events([*done, event("ann", "gas", "view_item_list", time=at)])
    assert deeds_of(log.read()).rows() == [("ann", "dome", LOOKED, 5 * DAY, 5)]


def test_one_persons_events_make_the_same_deeds() -> None:
    at = datetime(1970, 1, 6, tzinfo=UTC)
    assert deeds_in([event("ann", "dome", time=at), event("ann", None, "search", time=at)], "ann").rows() == [
        ("ann", "dome", LOOKED, 5 * DAY, 5)
    ]


def test_what_is_dated_in_the_future_has_not_happened() -> None:
    far = datetime(2999, 1, 1, tzinfo=UTC)
    assert deeds_in([event("ann", "dome", time=far)], "ann").is_empty()
