"""The catalogue is large, believable and says the same thing in title, description and attributes."""

import re

import pytest

from eval import demo_shop
from eval.demo_shop import lexicon
from tasteline.types import Product

MEASURES = {
    "capacity": re.compile(r"\b(\d+(?:\.\d+)?) (L|ml|GB)\b"),
    "power": re.compile(r"\b(\d+) (W|V)\b"),
    "brightness": re.compile(r"\b(\d+) (lm)\b"),
}
MATERIALS = frozenset(
    {"leather", "linen", "merino", "cashmere", "canvas", "suede", "hemp", "cork", "oak", "walnut", "bamboo", "glass"}
    | {"terracotta", "rattan", "stoneware", "beech", "down", "wool", "cotton", "silk", "felt", "sheepskin"}
)


def kind_of(product: Product) -> lexicon.Kind:
    return lexicon.kinds()[product.id.rsplit("-", 1)[0]]


def attribute(product: Product, name: str) -> str:
    return product.attributes.get(name, ("",))[0]


def color_in_title(product: Product) -> str | None:
    last = product.title.rsplit(", ", 1)[-1]
    return last if last in lexicon.shop().colors else None


def bare_title(product: Product) -> str:
    """The title without the words that are names: brand, model and color."""
    named = f"{product.brand} {attribute(product, 'model')}"
    rest = product.title.removeprefix(named)
    return rest.removesuffix(color_in_title(product) or "")


def test_it_is_a_whole_shop(products: list[Product]) -> None:
    shelves = {product.categories[:2] for product in products}
    assert len(products) >= 1_800
    assert len({department for department, _ in shelves}) >= 14
    assert len({product.brand for product in products}) > 50
    for department in {department for department, _ in shelves}:
        assert 5 <= sum(shelf[0] == department for shelf in shelves) <= 10


def test_shelf_names_mean_one_kind_each() -> None:
    shelves = [kind.shelf for kind in lexicon.kinds().values()]
    assert len(set(shelves)) == len(shelves)


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_ids_and_titles_are_unique_and_forms_are_all_on_sale(seed: int) -> None:
    products = demo_shop.products(seed)
    assert len({product.id for product in products}) == len(products) >= 1_800
    assert len({product.title for product in products}) == len(products)
    for kind in lexicon.kinds().values():
        assert sum(product.id.rsplit("-", 1)[0] == kind.id for product in products) >= 9, kind.id


def test_another_seed_is_another_shop(products: list[Product]) -> None:
    assert demo_shop.products(8) != products
    assert demo_shop.products(7) == products


def test_titles_and_descriptions_are_finished_text(products: list[Product]) -> None:
    for product in products:
        assert not re.search(r"[{}]|\s\s|\s[,.]|\.\.", product.title + product.description), product
        assert product.title.startswith(f"{product.brand} {attribute(product, 'model')}")
        assert 2 <= len(re.findall(r"[.!?](?:\s|$)", product.description)) <= 6, product.description
        assert 8 <= len(product.description.split()) <= 90, product.description


@pytest.mark.parametrize("name", MEASURES)
def test_measures_in_the_texts_are_those_of_the_attribute(products: list[Product], name: str) -> None:
    checked = 0
    for product in products:
        if name in product.attributes:
            for number, unit in MEASURES[name].findall(f"{product.title}. {product.description}"):
                assert f"{number} {unit}" in attribute(product, name), product
                checked += 1
    assert checked > 30


def test_a_color_in_the_title_is_the_one_that_can_be_filtered_for(products: list[Product]) -> None:
    palette = lexicon.shop().colors
    shown = [product for product in products if color_in_title(product)]
    assert len(shown) > 800
    for product in shown:
        assert attribute(product, "color") == palette[color_in_title(product) or ""], product


def test_a_material_in_the_title_is_the_attribute(products: list[Product]) -> None:
    named = 0
    for product in products:
        for word in re.findall(r"[a-z]+", bare_title(product).lower()):
            if word in MATERIALS:
                assert word in attribute(product, "material"), product
                named += 1
    assert named > 300


def test_the_description_praises_no_other_material(products: list[Product]) -> None:
    for product in products:
        for material in kind_of(product).materials:
            claims = [line for line in material.says if "{" not in line and line in product.description]
            same_words = {m.name for m in kind_of(product).materials if set(m.says) & set(claims)}
            assert not claims or attribute(product, "material") in same_words, product


def test_prices_are_sane_for_the_kind_and_end_as_prices_do(products: list[Product]) -> None:
    for product in products:
        kind = kind_of(product)
        assert product.price is not None
        assert product.price.currency == "USD"
        materials = [material.price for material in kind.materials] or [1.0]
        cheapest = min(form.usd for form in kind.forms) * min(materials) * 100
        dearest = max(form.usd + 80 for form in kind.forms) * max(materials) * 100
        assert 0.5 * cheapest <= product.price.amount <= 2.2 * dearest, product
        assert product.price.amount % 100 in (0, 50, 90, 95, 99), product


def test_colors_of_one_thing_cost_the_same(products: list[Product]) -> None:
    prices: dict[str, set[int]] = {}
    for product in products:
        if product.price and color_in_title(product):
            prices.setdefault(product.title.rsplit(", ", 1)[0], set()).add(product.price.amount)
    several = sum(len(amounts) > 1 for amounts in prices.values())
    assert several <= 0.05 * len(prices), "only a feature that one color has may change the price"


def test_the_same_model_comes_in_several_colors(products: list[Product]) -> None:
    bases = [product.title.rsplit(", ", 1)[0] for product in products if color_in_title(product)]
    assert len(bases) - len(set(bases)) > 150


def test_ratings_and_stock_look_like_a_shop(products: list[Product]) -> None:
    rated = [product for product in products if product.rating is not None]
    counts = sorted(product.rating_count or 0 for product in rated)
    assert 0.95 < len(rated) / len(products) < 1
    assert all(2.8 <= (product.rating or 0) <= 4.9 for product in rated)
    assert sum((product.rating or 0) >= 4 for product in rated) > 0.75 * len(rated)
    assert counts[-1] > 20 * counts[len(counts) // 2] > 200
    assert 0.02 < sum(product.stock == 0 for product in products) / len(products) < 0.1
    assert all(product.rating_count == 0 for product in products if product.rating is None)


def test_shoes_and_clothes_have_sizes(products: list[Product]) -> None:
    for product in products:
        if product.categories[0] == "Shoes":
            sizes = product.attributes["size"]
            assert len(sizes) >= 4
            assert list(sizes) == sorted(sizes)
            assert all(24 <= int(size) <= 47 for size in sizes)


def test_attribute_names_are_the_agreed_ones(products: list[Product]) -> None:
    assert {name for product in products for name in product.attributes} <= lexicon.ATTRIBUTES | {"model"}
    yes_or_no = {attribute(product, name) for product in products for name in ("waterproof", "wireless")}
    assert yes_or_no <= {"yes", "no", ""}


def test_a_misspelt_attribute_in_the_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="colour"):
        lexicon.Form.model_validate({"name": "Tent", "usd": 10, "says": "A tent.", "colour": "green"})


def test_complements_name_kinds_that_exist() -> None:
    for kind, others in lexicon.shop().complements.items():
        assert {kind, *others} <= set(lexicon.kinds()), kind
        assert kind not in others


def test_vocabulary_refers_only_to_what_it_holds() -> None:
    shop, brands = lexicon.shop(), lexicon.brands()
    for kind in lexicon.kinds().values():
        assert set(kind.brands) <= set(brands), kind.id
        assert set(kind.colors) <= set(shop.colors), kind.id
        for form in kind.forms:
            assert form.sizes is None or form.sizes in shop.sizes, kind.id
            assert set(form.only_materials) <= {material.name for material in kind.materials}, kind.id
        for part in (*kind.materials, *kind.features):
            assert any(
                part.suits(form, brand, model) for form in kind.forms for brand in kind.brands for model in kind.models
            ), (kind.id, part)
