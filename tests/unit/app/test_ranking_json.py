"""The short way to JSON says the same as the schema that the API documents."""

from types import MappingProxyType

import pytest

from app.routes.shopping import ranking_json
from app.schemas import RankingResponse
from tasteline.types import Constraint, Filters, Price, Product, RankedProduct, Ranking, Reason, Relaxation, Understood

UNDER_20 = Constraint("price", "under $20", Filters(price_max=2_000))
FULL = Product(
    id="p1",
    title="Mug “Ünal”",
    description="Holds\n300 ml.",
    brand="Fernhollow",
    categories=("Kitchen", "Mugs"),
    price=Price(1_299, "USD"),
    rating=4.5,
    rating_count=12,
    stock=0,
    attributes=MappingProxyType({"colour": ("red", "blue")}),
    url="https://shop.example/p1",
    image_url="https://shop.example/p1.png",
)


@pytest.mark.parametrize(
    "ranking",
    [
        Ranking("r0", (), 0),
        Ranking("r1", (), 0, Understood("x", "x", (UNDER_20,), "price_asc"), (Relaxation(UNDER_20, 3),), ("dense",)),
        Ranking(
            "r2",
            (
                RankedProduct(FULL, 0.123456789, (Reason("match", "Matches “mug”", ("p1",)),)),
                RankedProduct(Product("p2", "Bare"), 0.0, sponsored=True),
            ),
            17,
        ),
    ],
)
def test_same_as_the_schema(ranking: Ranking) -> None:
    assert RankingResponse.model_validate_json(ranking_json(ranking)) == RankingResponse.model_validate(
        RankingResponse.of(ranking).model_dump()
    )
