"""What products are about."""

import numpy as np

from retrieval.catalogue import Catalogue
from retrieval.topic_clusters import LINKED, clusters, names_of
from retrieval.topics import COARSE_PRODUCTS, Topic, by_category, topics_of
from tasteline.types import Product
from tests.unit.retrieval.small_shop import SmallShop, product
from tests.unit.retrieval.turns import PRODUCTS


def catalogue_of(products: list[Product]) -> Catalogue:
    catalogue = Catalogue()
    catalogue.add(products)
    return catalogue


def test_a_product_has_a_narrow_and_a_broad_topic() -> None:
    known = {p.id: p for p in PRODUCTS}
    topics = by_category(known, catalogue_of(PRODUCTS))
    assert topics["tent"] == Topic("Tents", "Outdoor")
    assert (
        by_category({"tent": known["tent"], "stove": known["stove"]}, catalogue_of(PRODUCTS))["tent"].broad == "Tents"
    )


def test_a_level_with_a_category_of_half_the_catalogue_is_too_broad() -> None:
    groceries = [
        product(f"g{n}", f"Thing {n}", "Grocery", f"Aisle {n % 9}", f"Shelf {n}") for n in range(COARSE_PRODUCTS)
    ]
    garden = [product(f"d{n}", f"Spade {n}", "Garden", "Tools", f"Spades {n}") for n in range(50)]
    everything = groceries + garden
    some = {p.id: p for p in [groceries[0], groceries[1], garden[0]]}
    topics = by_category(some, catalogue_of(everything))
    assert topics["g0"] == Topic("Aisle 0 › Shelf 0", "Aisle 0")


def test_products_without_categories_are_grouped_and_named_by_their_own_words() -> None:
    creams = [product(f"c{n}", f"{word} Hand Cream") for n, word in enumerate(["Rose", "Shea", "Almond"])]
    rakes = [product(f"r{n}", f"{word} Garden Rake") for n, word in enumerate(["Steel", "Leaf", "Long"])]
    shop = SmallShop([*creams, *rakes, product("tent", "Family Tent", "Outdoor", "Tents")])
    with shop.live.read() as indexes:
        topics = topics_of(["c0", "c1", "c2", "r0", "r1", "r2", "tent", "gone"], indexes)
    assert {topics[f"c{n}"].name for n in range(3)} == {"Hand Cream"}
    assert {topics[f"r{n}"].name for n in range(3)} == {"Garden Rake"}
    assert topics["tent"].name == "Tents"
    assert "gone" not in topics


def test_those_touched_long_ago_join_the_nearest_group() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(3, dtype=np.float32)
    places = rng.integers(0, 3, LINKED + 50)
    vectors = centres[places] + rng.normal(0, 0.05, (len(places), 3)).astype(np.float32)
    codes = clusters((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))
    assert len(set(zip(places.tolist(), codes.tolist(), strict=True))) == 3
    assert clusters(np.zeros((0, 3), np.float32)).tolist() == []
    assert clusters(centres[:1]).tolist() == [0]


def test_names_are_unique_even_without_words() -> None:
    names = names_of(["12", "12", "34"], np.array([0, 1, 2]), [])
    assert len(set(names)) == 3


def test_names_are_unique_among_any_number_of_groups_with_one_title() -> None:
    names = names_of(["Blue Vase"] * 4, np.arange(4), [])
    assert len(set(names)) == 4
    assert names[2].startswith("Blue Vase")
