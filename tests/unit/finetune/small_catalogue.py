"""A hundred and twenty products of four brands and three kinds, described as feeds do."""

from __future__ import annotations

from tasteline.types import Product

BRANDS = ("Acme", "Borealis", "Cobalt", "Dune")
KINDS = ("coffee grinder", "desk lamp", "travel mug")
COLOURS = ("Black", "White", "Red", "Blue", "Green")


def catalogue() -> list[Product]:
    products = []
    for number in range(120):
        brand, kind, colour = BRANDS[number % 4], KINDS[number % 3], COLOURS[number % 5]
        material = ("Steel", "Copper", "Bamboo")[number // 3 % 3]
        products.append(
            Product(
                id=f"p{number}",
                title=f"{brand} X{number} {kind} {colour} edition {number}",
                description=f"Quiet {material.lower()} housing, {kind} of lasting comfort",
                brand=brand,
                categories=("Home", f"{kind}s".title()),
                attributes={"Material": (material,)},
            )
        )
    return products
