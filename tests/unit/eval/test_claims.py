"""The checker of claims: sentences whose truth was decided by hand, and true replies into which one lie is put."""

import random
import re
from collections import Counter
from collections.abc import Callable

import pytest

from eval import demo_shop
from eval.claims import Claims, Told, claims_of
from eval.claims.shelf import Shelf
from prompts.facts import ReplyFacts
from prompts.reply import render_reply
from tasteline.types import AttributeFilter, Constraint, Filters, Price, Product, RankedProduct, Reason

SHOP = {
    product.id: product
    for product in (
        Product(
            "press",
            "Willowby Cascade Glass French Press",
            "A press of 1.0 L in borosilicate glass. The steel filter keeps grounds out.",
            "Willowby",
            ("Coffee & Tea", "French Presses"),
            Price(3900, "USD"),
            4.4,
            771,
            30,
            {"material": ("glass",), "capacity": ("1.0 L",), "model": ("Cascade",)},
        ),
        Product(
            "grinder",
            "Copperton Millstone Hand Coffee Grinder, Chalk White",
            "Steel burrs and a folding handle.",
            "Copperton",
            ("Coffee & Tea", "Coffee Grinders"),
            Price(7600, "USD"),
            4.7,
            71,
            3,
            {"color": ("white",), "material": ("stainless steel",), "weight": ("470 g",), "waterproof": ("no",)},
        ),
        Product(
            "jacket",
            "Fernley Gale Women's Rain Jacket, Navy",
            "Sealed seams keep the rain out.",
            "Fernley",
            ("Clothing", "Rain Jackets"),
            Price(15500, "USD"),
            4.4,
            288,
            0,
            {"color": ("blue",), "gender": ("women",), "size": ("S", "M", "L"), "waterproof": ("yes",)},
        ),
        Product(
            "jacket-red",
            "Fernley Gale Women's Rain Jacket, Brick Red",
            "Sealed seams keep the rain out.",
            "Fernley",
            ("Clothing", "Rain Jackets"),
            Price(15000, "USD"),
            4.3,
            125,
            12,
            {"color": ("red",), "gender": ("women",), "size": ("M", "XL"), "waterproof": ("yes",)},
        ),
        Product(
            "tent",
            "Trailby Tarn 6-Person Tent, Sand",
            "",
            "Trailby",
            ("Outdoor", "Tents"),
            Price(57500, "USD"),
            4.6,
            48,
            9,
        ),
        Product("mystery", "Trailby Plain Box", "", "Trailby", ("Outdoor",)),
    )
}
LISTED = ("press", "grinder", "jacket")

TEMPLATE_TRUE = [
    "1. Willowby Cascade Glass French Press: $39.00, 4.4 stars from 771 ratings. Matches “press”.",
    "2. Copperton Millstone Hand Coffee Grinder, Chalk White: $76.00, 4.7 stars from 71 ratings, only 3 left.",
    "3. Fernley Gale Women's Rain Jacket, Navy: $155.00, 4.4 stars from 288 ratings, out of stock.",
    "The Willowby Cascade Glass French Press costs least of these.",
    "Of these, the Willowby Cascade Glass French Press costs least and the Copperton Millstone Hand Coffee Grinder,"
    " Chalk White is rated best, at 4.7 stars.",
    "The Willowby Cascade Glass French Press is cheapest, by $116.00 against the Fernley Gale Women's Rain Jacket,"
    " Navy.",
    "The Copperton Millstone Hand Coffee Grinder, Chalk White is rated highest: 4.7 against 4.4 and 4.4 stars.",
    "Brand: Willowby; Copperton; Fernley.",
    "Color: not stated; white; blue.",
    "Here are 3 products for you:",
]
TEMPLATE_FALSE = [
    "1. Willowby Cascade Glass French Press: $38.00, 4.4 stars from 771 ratings.",
    "1. Willowby Cascade Glass French Press: $39.00, 4.5 stars from 771 ratings.",
    "1. Willowby Cascade Glass French Press: $39.00, 4.4 stars from 71 ratings.",
    "2. Copperton Millstone Hand Coffee Grinder, Chalk White: $76.00, only 2 left.",
    "3. Fernley Gale Women's Rain Jacket, Navy: $155.00, in stock.",
    "1. Willowby Cascade Glass French Press: $39.00, out of stock.",
    "1. Willowby Cascade Glass French Press: $39.00. Matches “grinder”.",
    "The Copperton Millstone Hand Coffee Grinder, Chalk White costs least of these.",
    "The Willowby Cascade Glass French Press is rated best of these, at 4.4 stars.",
    "The Willowby Cascade Glass French Press is cheapest, by $16.00 against the Fernley Gale Women's Rain Jacket,"
    " Navy.",
    "The Copperton Millstone Hand Coffee Grinder, Chalk White is rated highest: 4.7 against 4.4 and 4.3 stars.",
    "Brand: Willowby; Fernley; Copperton.",
    "Color: black; white; blue.",
    "All cost $39.00.",
    "I found 9 products for what you asked for:",
]
MODEL_TRUE = [
    "You might like the Willowby Cascade Glass French Press at $39.00.",
    "For $39 you get the Willowby Cascade Glass French Press.",
    "The Willowby Cascade French Press is a lovely choice for slow mornings.",
    "The Copperton Millstone is made of stainless steel and weighs 470 g.",
    "The Copperton Millstone Hand Coffee Grinder in white could be a great choice for you at $76.00.",
    "The Fernley Gale Women's Rain Jacket is waterproof and blue, in sizes S and L.",
    "Stay dry with the Fernley Gale Women's Rain Jacket, Navy, rated 4.4 out of 5.",
    "The Willowby Cascade Glass French Press holds 1.0 L, which is a fine size for two.",
    "The Willowby Cascade Glass French Press is under $40.",
    "The Willowby Cascade Glass French Press costs about $40.",
    "The Copperton Millstone Hand Coffee Grinder is $37.00 more than the Willowby Cascade Glass French Press.",
    "The Willowby Cascade Glass French Press is available and has 771 reviews.",
    "The Willowby Cascade Glass French Press and the Copperton Millstone Hand Coffee Grinder cost $39.00 and $76.00.",
    "You might like the willowby cascade glass french press at $39.00.",
    "I'd choose the Willowby Cascade Glass French Press: it is not leather.",
    "The Fernley Gale is a waterproof jacket.",
]
MODEL_FALSE = [
    "You might like the Willowby Cascade Glass French Press at $93.00.",
    "You might like the Copperton Millstone at $39.00.",
    "The Willowby Cascade Steel French Press is a lovely choice.",
    "The Willoughby Cascade Glass French Press is a lovely choice.",
    "The Bodum Chambord is a lovely choice.",
    "You might like the Trailby Tarn 6-Person Tent, Sand.",
    "The Copperton Millstone is made of ceramic.",
    "The Copperton Millstone is waterproof.",
    "The Copperton Millstone weighs 740 g.",
    "The Willowby Cascade Glass French Press comes in red.",
    "The Fernley Gale Women's Rain Jacket, Black is a good choice.",
    "The Fernley Gale Women's Rain Jacket comes in size XL.",
    "The Fernley Gale Women's Rain Jacket is in stock.",
    "The Willowby Cascade Glass French Press is under $30.",
    "The Willowby Cascade Glass French Press holds 1.5 L.",
    "The Willowby Cascade Glass French Press comes with free shipping.",
    "The Willowby Cascade Glass French Press has a two-year warranty.",
    "Save 20% off the Willowby Cascade Glass French Press.",
    "The Copperton Millstone is the cheapest.",
    "The Willowby Cascade Glass French Press has five stars.",
    "The Willowby Cascade Glass French Press was rated by 1,000 shoppers.",
    "The espresso machine at $39.00 is for you.",
    "The Willowby Cascade Glass French Press serves 12.",
    "The Fernley Gale is a warm tent.",
]  # fmt: skip


@pytest.mark.parametrize("sentence", [*TEMPLATE_TRUE, *MODEL_TRUE])
def test_what_is_true_raises_no_alarm(sentence: str) -> None:
    wrong = [claim for claim in claims_of(sentence, SHOP, LISTED) if claim.verdict != "supported"]
    assert not wrong


@pytest.mark.parametrize("sentence", [*TEMPLATE_FALSE, *MODEL_FALSE])
def test_what_is_false_is_found(sentence: str) -> None:
    assert any(claim.verdict == "unsupported" for claim in claims_of(sentence, SHOP, LISTED))


@pytest.mark.parametrize(
    ("sentence", "kinds"),
    [
        ("The Willowby Cascade Glass French Press costs $39.00.", {"name", "price"}),
        ("Only 3 left of the Copperton Millstone.", {"name", "stock"}),
        ("It was rated 4.4 stars by 771 people.", {"rating", "rating_count"}),
        ("Free delivery!", {"promise"}),
        ("The Fernley Gale Women's Rain Jacket, Navy is blue.", {"name", "attribute"}),
    ],
)
def test_a_claim_has_its_kind(sentence: str, kinds: set[str]) -> None:
    assert {claim.kind for claim in claims_of(sentence, SHOP, LISTED)} == kinds


def test_praise_claims_nothing() -> None:
    assert claims_of("A lovely, stylish choice that you will enjoy every day!", SHOP, LISTED) == []


def test_an_empty_reply_claims_nothing() -> None:
    assert claims_of("", SHOP, LISTED) == []
    assert claims_of("You're welcome. I am here if you want to look for anything else.", SHOP, ()) == []


def _under(amount: int) -> Constraint:
    return Constraint("price", f"under ${amount}", Filters(price_max=100 * amount - 1, currency="USD"))


def test_a_count_of_limits_alone_is_counted_again() -> None:
    limits = [_under(100)]
    right = claims_of("I found 2 products (under $100):", SHOP, ("press", "grinder"), limits)
    wrong = claims_of("I found 3 products (under $100):", SHOP, ("press", "grinder"), limits)
    assert [(claim.kind, claim.verdict) for claim in right] == [("constraint", "supported"), ("count", "supported")]
    assert ("count", "unsupported") in [(claim.kind, claim.verdict) for claim in wrong]


def test_a_count_of_words_is_disproven_by_what_is_shown() -> None:
    shown = ("jacket", "tent")
    (claim,) = claims_of("I found 2 products for “jacket”:", SHOP, shown, query="jacket")
    assert (claim.kind, claim.verdict) == ("count", "supported")  # by the catalogue: there are two jackets
    (claim,) = claims_of("I found 2 products for “navy jacket”:", SHOP, shown, query="navy jacket")
    assert (claim.kind, claim.verdict) == ("count", "unsupported")


def test_more_words_than_we_can_count_are_left_open() -> None:
    (claim,) = claims_of("I found 5 products for “seams”:", SHOP, ("jacket",), query="seams")
    assert (claim.kind, claim.verdict) == ("count", "unverifiable")
    (claim,) = claims_of("I found 7 products for “seams”:", SHOP, ("jacket",), query="seams")
    assert claim.verdict == "unsupported", "the shop has six"


def test_nothing_fits_only_where_nothing_does() -> None:
    (claim,) = claims_of("Nothing in the shop fits “tent”.", SHOP, (), query="tent")
    assert claim.verdict == "unsupported"
    (claim,) = claims_of("Nothing in the shop fits “sofa”.", SHOP, (), query="sofa")
    assert claim.verdict == "supported"


def test_a_limit_must_be_kept_by_all_that_is_shown() -> None:
    (claim,) = claims_of("All of these are under $100:", SHOP, LISTED)
    assert (claim.kind, claim.verdict) == ("constraint", "unsupported")
    blue = Constraint("color:blue", "blue", Filters(attributes=(AttributeFilter("color", ("blue",)),)))
    assert [claim.verdict for claim in claims_of("Some more (blue):", SHOP, ("jacket",), [blue])] == ["supported"]
    assert [claim.verdict for claim in claims_of("Some more (blue):", SHOP, ("jacket-red",), [blue])] == ["unsupported"]


def test_a_limit_within_a_title_is_still_a_title() -> None:
    rain = Constraint("for:rain", "rain", Filters(exclude_brands=("Fernley",)))
    line = "1. You might like the fernley gale women's rain jacket, navy at $155.00."
    claims = claims_of(line, SHOP, ("jacket",), [rain])
    assert [(claim.kind, claim.verdict) for claim in claims] == [("name", "supported"), ("price", "supported")]


def test_what_a_limit_hides_is_counted_without_it() -> None:
    limits = [_under(100)]
    right, wrong = "Without “under $100”, 2 products would.", "Without “under $100”, 3 products would."
    told = {"constraints": limits, "query": "jacket"}
    assert [claim.verdict for claim in claims_of(right, SHOP, (), **told)] == ["supported"]  # type: ignore[arg-type]
    assert [claim.verdict for claim in claims_of(wrong, SHOP, (), **told)] != ["supported"]  # type: ignore[arg-type]


def test_an_unknown_fact_must_be_unknown() -> None:
    line = "Copperton Millstone Hand Coffee Grinder, Chalk White: $76.00.\nI do not know the {}: the shop says nothing."
    verdicts = [claim.verdict for claim in claims_of(line.format("warranty"), SHOP, ("grinder",))]
    assert "unsupported" not in verdicts
    verdicts = [claim.verdict for claim in claims_of(line.format("weight"), SHOP, ("grinder",))]
    assert "unsupported" in verdicts


def test_what_a_person_did_is_looked_up() -> None:
    line = "1. Willowby Cascade Glass French Press: $39.00. Because you bought Trailby Tarn 6-Person Tent, Sand."
    claims = Claims(SHOP)
    bought = claims.of(line, Told(("press",), deeds={"purchase": frozenset({"tent"})}))
    viewed = claims.of(line, Told(("press",), deeds={"view_item": frozenset({"tent"})}))
    assert [claim.verdict for claim in bought if claim.kind == "history"] == ["supported"]
    assert [claim.verdict for claim in viewed if claim.kind == "history"] == ["unsupported"]


def test_an_ambiguous_name_is_left_open() -> None:
    claims = claims_of("The Fernley Gale Women's Rain Jacket is lovely.", SHOP, ("jacket", "jacket-red"))
    assert [(claim.kind, claim.verdict) for claim in claims] == [("name", "unverifiable")]


def test_a_product_without_figures_has_none() -> None:
    for said in ("at $10.00", "with 4.0 stars", "from 12 ratings"):
        assert any(c.verdict == "unsupported" for c in claims_of(f"The Trailby Plain Box {said}.", SHOP, ("mystery",)))


# One lie in a true reply: a digit, a word of a name, a colour.


@pytest.fixture(scope="module")
def catalogue() -> dict[str, Product]:
    return {product.id: product for product in demo_shop.products()}


Lie = Callable[[str, list[Product], random.Random], str | None]


def _other_digit(pattern: str) -> Lie:
    def lie(reply: str, _: list[Product], chance: random.Random) -> str | None:
        places = list(re.finditer(pattern, reply))
        if not places:
            return None
        found = chance.choice(places)
        digits = [found.start("n") + i for i, c in enumerate(found["n"]) if c.isdigit()]
        place = chance.choice(digits)
        wrong = chance.choice([d for d in "123456789" if d != reply[place]])
        return reply[:place] + wrong + reply[place + 1 :]

    return lie


def _other_word(reply: str, shown: list[Product], chance: random.Random) -> str | None:
    product = chance.choice(shown)
    words = [word for word in re.findall(r"[A-Z][a-z]{3,}", product.title)]
    if not words or product.title not in reply:
        return None
    wrong = product.title.replace(chance.choice(words), chance.choice(("Zephyrine", "Ostrander", "Quillmark")), 1)
    return reply.replace(product.title, wrong, 1)


def _familiar_word(reply: str, shown: list[Product], chance: random.Random) -> str | None:
    """A word of the name exchanged for one from the name of another product that is shown."""
    if len(shown) < 2 or shown[0].title not in reply:
        return None
    own, other = (re.findall(r"[A-Z][a-z]{3,}", product.title) for product in shown[:2])
    strange = [word for word in other if word not in own]
    if not own or not strange:
        return None
    wrong = shown[0].title.replace(own[0], strange[0], 1)
    return None if wrong in {product.title for product in shown} else reply.replace(shown[0].title, wrong, 1)


def _other_color(reply: str, shown: list[Product], chance: random.Random) -> str | None:
    product = chance.choice(shown)
    colors = product.attributes.get("color", ())
    place = re.search(rf"\b(?:is|color:?) {colors[0]}\b", reply) if colors else None
    if place is None:
        return None
    wrong = chance.choice([c for c in ("black", "green", "white", "red", "yellow") if c != colors[0]])
    return reply[: place.start()] + place.group().replace(colors[0], wrong) + reply[place.end() :]


LIES: dict[str, Lie] = {
    "price": _other_digit(r"\$(?P<n>[\d,]+\.\d\d)"),
    "rating": _other_digit(r"(?P<n>\d\.\d) stars"),
    "rating count": _other_digit(r"from (?P<n>[\d,]+) ratings?"),
    "name": _other_word,
    "mixed name": _familiar_word,
    "color": _other_color,
}


def _true_replies(catalogue: dict[str, Product], chance: random.Random) -> list[tuple[str, list[Product]]]:
    """In both voices, over products that are alike, so that a lie about one may be true of another."""
    products = list(catalogue.values())
    replies = []
    for _ in range(60):
        start = chance.randrange(len(products) - 4)
        shown = [p for p in products[start : start + 4] if p.price]
        ranked = tuple(RankedProduct(p, 1.0, (Reason("similar", ""),)) for p in shown)
        kind = chance.choice(("recommended", "compared", "details"))
        if kind == "details":
            shown, ranked = shown[:1], ranked[:1]
        facts = ReplyFacts(kind, products=ranked, total=len(ranked), turn=chance.randrange(3))  # type: ignore[arg-type]
        replies.append((render_reply(facts), shown))
        best = shown[0]
        color = f" It is {best.attributes['color'][0]}." if "color" in best.attributes else ""
        stars = f" and has {best.rating} stars from {best.rating_count} ratings" if best.rating else ""
        assert best.price is not None
        price = f"${best.price.amount / 100:,.2f}"
        replies.append((f"You might like the {best.title} at {price}.{color}", shown))
        replies.append((f"At {price}, the {best.title} could be a lovely choice for you{stars}.", shown))
    return replies


def test_of_one_lie_in_a_true_reply_nearly_all_are_found(catalogue: dict[str, Product]) -> None:
    chance = random.Random(11)
    checker = Claims(catalogue)
    tried, found = Counter[str](), Counter[str]()
    for reply, shown in _true_replies(catalogue, chance):
        told = Told(tuple(product.id for product in shown))
        assert not [claim for claim in checker.of(reply, told) if claim.verdict == "unsupported"], reply
        for name, lie in LIES.items():
            false = lie(reply, shown, chance)
            if false is None or false == reply:
                continue
            tried[name] += 1
            found[name] += any(claim.verdict == "unsupported" for claim in checker.of(false, told))
    assert min(tried.values()) >= 30
    assert {name: found[name] / tried[name] for name in tried} == pytest.approx(dict.fromkeys(tried, 1.0), abs=0.05)
    assert sum(found.values()) >= 0.95 * sum(tried.values())


def test_the_shelf_counts_as_a_reader_would(catalogue: dict[str, Product]) -> None:
    shelf = Shelf(catalogue)
    cheap = shelf.fitting([_under(10)], "")
    assert cheap
    assert all(p.price and p.price.amount < 1000 for p in map(catalogue.__getitem__, cheap))
    assert len(cheap) == sum(bool(p.price and p.price.amount < 1000) for p in catalogue.values())
