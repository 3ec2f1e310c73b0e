"""What is bought together: bundles around a product, add-ons for a cart."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.routes.dependencies import NOT_FOUND, PROBLEMS, TheShop, answer, in_worker
from app.schemas import FiltersModel, Id, Limit, PriceModel, ProductModel, ReasonModel, Wire
from retrieval.offers.bundles import Added, Bundle, Bundles
from tasteline.types import Price

router = APIRouter(prefix="/v1", tags=["offers"], responses=PROBLEMS)


class CartRequest(Wire):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"cart": ["tent-02", "bag-01"], "limit": 4}]}
    )
    cart: list[Id] = Field(min_length=1, max_length=200)
    filters: FiltersModel = FiltersModel()
    limit: Limit = 10
    exclude_ids: list[Id] = Field(default=[], max_length=1_000)


class AddedModel(BaseModel):
    product: ProductModel
    score: float
    reason: ReasonModel
    support: int = Field(description="Baskets with both: this product and the one of the cart that `reason` names.")
    confidence: float = Field(description="Share of the baskets with that one in which this one is, too.")
    lift: float = Field(description="Times as often as chance would have it.")

    @classmethod
    def of(cls, added: Added) -> AddedModel:
        reason = ReasonModel.model_construct(
            kind=added.reason.kind, text=added.reason.text, evidence=list(added.reason.evidence)
        )
        return cls.model_construct(
            product=ProductModel.of(added.product),
            score=round(added.score, 6),
            reason=reason,
            support=added.rule.support,
            confidence=round(added.rule.confidence, 4),
            lift=round(added.rule.lift, 2),
        )


class BundleModel(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"product_ids": ["tent-02"], "added": [], "total": {"amount": 18900, "currency": "USD"}},
            ]
        }
    )
    product_ids: list[str] = Field(description="What was asked about first, then what is added.")
    added: list[AddedModel]
    total: PriceModel | None = Field(
        description="Sum of the true prices of `product_ids`, of a cart as often as each stands in it; null where one "
        "has none, where no product has an id of the cart, or where currencies differ."
    )

    @classmethod
    def of(cls, bundle: Bundle) -> BundleModel:
        return cls.model_construct(
            product_ids=[product.id for product in bundle.products],
            added=[AddedModel.of(each) for each in bundle.added],
            total=_price(bundle.total),
        )


class BundlesResponse(BaseModel):
    product_id: str
    bundles: list[BundleModel]


def _price(price: Price | None) -> PriceModel | None:
    return None if price is None else PriceModel.model_construct(amount=price.amount, currency=price.currency)


async def _bundles(shop: TheShop) -> Bundles:
    return shop.retrieval.bundles


TheBundles = Annotated[Bundles, Depends(_bundles)]


@router.get(
    "/products/{product_id}/bundles",
    response_model=BundlesResponse,
    responses=NOT_FOUND,
    summary="Bundles around a product, of what is bought with it",
)
async def of_product(
    product_id: Id,
    shop: TheShop,
    bundles: TheBundles,
    size: Annotated[int, Query(ge=2, le=5, description="Products in a bundle.")] = 3,
    limit: Annotated[int, Query(ge=1, le=20)] = 3,
) -> Response:
    """No bundle price is made up: `total` is the sum of what its products cost."""
    found = await in_worker(shop, lambda: bundles.of(product_id, size, limit))
    return answer(
        BundlesResponse.model_construct(product_id=product_id, bundles=[BundleModel.of(bundle) for bundle in found])
    )


@router.post(
    "/bundles", response_model=BundleModel, responses=NOT_FOUND, summary="What is bought along with the cart as it is"
)
async def of_cart(request: CartRequest, shop: TheShop, bundles: TheBundles) -> Response:
    """`total` is what the cart itself costs: an add-on's price stands at the add-on."""
    filters = request.filters.filters(request.exclude_ids)
    found = await in_worker(shop, lambda: bundles.add_ons(request.cart, filters, request.limit))
    return answer(BundleModel.of(found))
