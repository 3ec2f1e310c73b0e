"""Advice about offers: for a person, and for the merchant over all people."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.routes.dependencies import PROBLEMS, TheShop, answer, in_worker
from app.schemas import Id, ProductModel
from retrieval.offers.advice import Advice, Offer
from retrieval.offers.adviser import Adviser

router = APIRouter(prefix="/v1", tags=["offers"], responses=PROBLEMS)

Most = Annotated[int, Query(ge=1, le=100, description="Offers, at most.")]


class OfferedModel(BaseModel):
    """What to offer: a topic, and the products of it that it is about most, at their true prices."""

    topic: str
    products: list[ProductModel]


class OfferModel(BaseModel):
    what: OfferedModel
    whom: list[str] = Field(description="User ids, likeliest first; at most twenty of them.")
    people: int = Field(description="How many there are in all.")
    sign: Literal["cart", "rising", "lapsed"] = Field(
        description="A cart that was left, a growing interest without a purchase, a repeat purchase that is overdue."
    )
    why: str
    events: int = Field(description="How many events it rests on.")
    expected: float | None = Field(
        description="Share of these people who are expected to respond, see `basis`; null: nothing was counted yet."
    )

    @classmethod
    def of(cls, offer: Offer) -> OfferModel:
        return cls.model_construct(
            what=OfferedModel.model_construct(
                topic=offer.topic, products=[ProductModel.of(product) for product in offer.products]
            ),
            whom=list(offer.whom),
            people=offer.people,
            sign=offer.sign,
            why=offer.why,
            events=offer.events,
            expected=None if offer.expected is None else round(offer.expected, 4),
        )


class OffersResponse(BaseModel):
    """Most expected responses first. A response, never an uplift: what would have been bought anyway is in it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "offers": [
                        {
                            "what": {"topic": "Tents", "products": []},
                            "whom": ["mara", "u017"],
                            "people": 2,
                            "sign": "cart",
                            "why": "2 people have left Tents in the cart within 14 days",
                            "events": 3,
                            "expected": 0.17,
                        }
                    ],
                    "basis": "counted: of those who showed the same sign 30 days earlier, the share who bought …",
                    "as_of": "2026-03-02",
                }
            ]
        }
    )
    offers: list[OfferModel]
    basis: str = Field(description="What `expected` is and where it comes from.")
    as_of: date | None = Field(description="The first day of which nothing is known; null: no event has a time.")

    @classmethod
    def of(cls, advice: Advice) -> OffersResponse:
        offers = [OfferModel.of(offer) for offer in advice.offers]
        return cls.model_construct(offers=offers, basis=advice.basis, as_of=advice.as_of)


async def _adviser(request: Request, shop: TheShop) -> Adviser:
    """Made with the first question: a shop that never asks computes nothing."""
    state = request.app.state
    if not hasattr(state, "adviser"):
        patience = shop.settings.deadline_seconds
        state.adviser = Adviser(shop.retrieval.deeds, shop.store, shop.live, shop.settings.home, seconds=patience)
    adviser: Adviser = state.adviser
    return adviser


@router.get("/users/{user_id}/offers", response_model=OffersResponse, summary="What to offer a person, and why")
async def of_person(
    user_id: Id, shop: TheShop, adviser: Annotated[Adviser, Depends(_adviser)], limit: Most = 10
) -> Response:
    """Empty for somebody of whom nothing is known. No discount is named: how much to give is the merchant's."""
    return answer(OffersResponse.of(await in_worker(shop, lambda: adviser.person(user_id, limit))))


@router.get("/insights/offers", response_model=OffersResponse, summary="What to offer whom in the whole shop, and why")
async def of_shop(shop: TheShop, adviser: Annotated[Adviser, Depends(_adviser)], limit: Most = 20) -> Response:
    """For the merchant: it names people. Read anew at most every so often, in proportion to what reading costs."""
    return answer(OffersResponse.of(await in_worker(shop, lambda: adviser.shop(limit))))
