"""The shoppers: names, planned phases, and the few whom the page offers by name."""

from datetime import UTC, datetime, timedelta

from eval import demo_shop
from eval.demo_shop import Phase, Shopper, featured, lexicon
from eval.demo_shop.people import people


def test_there_are_a_few_hundred_with_names_of_their_own(shoppers: list[Shopper]) -> None:
    assert 280 <= len(shoppers) <= 340
    assert len({shopper.id for shopper in shoppers}) == len(shoppers)
    assert len({shopper.name for shopper in shoppers}) == len(shoppers)
    assert all(shopper.taste.endswith(".") and "\n" not in shopper.taste for shopper in shoppers)


def test_the_featured_come_first_and_one_has_just_turned(shoppers: list[Shopper]) -> None:
    stars = featured(shoppers)
    assert 6 <= len(stars) <= 8
    assert shoppers[: len(stars)] == stars
    assert any(phase.start >= -10 for star in stars for phase in star.phases)


def test_each_has_two_to_five_phases_whose_topics_are_categories(shoppers: list[Shopper]) -> None:
    shelves = {kind.shelf for kind in lexicon.kinds().values()}
    for shopper in shoppers:
        assert 2 <= len(shopper.phases) <= 5, shopper
        for phase in shopper.phases:
            assert set(phase.topics) <= shelves
            assert -365 <= phase.start < phase.end <= 0, shopper
            assert phase.weight > 0


def test_interests_name_kinds_that_exist() -> None:
    for interest in people().interest:
        assert set(interest.kinds) <= set(lexicon.kinds()), interest.id
        assert (interest.nature == "season") == bool(interest.months), interest.id


def test_a_seasonal_phase_sleeps_outside_its_months() -> None:
    end = datetime(2025, 6, 15, tzinfo=UTC)
    garden = Phase(-365, 0, ("Seeds & Bulbs",), 1.0, "garden", months=(3, 4, 5))
    assert garden.active(datetime(2025, 4, 1, tzinfo=UTC), end)
    assert not garden.active(datetime(2025, 6, 1, tzinfo=UTC), end)
    assert not garden.active(datetime(2024, 4, 1, tzinfo=UTC), end)


def test_a_phase_holds_its_first_and_last_moment() -> None:
    end = datetime(2025, 6, 15, 12, tzinfo=UTC)
    phase = Phase(-30, -10, ("Tents",), 1.0, "camping")
    assert phase.active(end - timedelta(days=30), end)
    assert phase.active(end - timedelta(days=10), end)
    assert not phase.active(end - timedelta(days=30, seconds=1), end)
    assert not phase.active(end - timedelta(days=9, hours=23), end)


def test_the_seed_decides(shoppers: list[Shopper]) -> None:
    assert demo_shop.shoppers(7) == shoppers
    assert demo_shop.shoppers(8) != shoppers
