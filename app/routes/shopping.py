"""Find and recommend: `POST /v1/search`, `POST /v1/recommendations`, a person's interests."""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.bootstrap import Shop
from app.routes.dependencies import NOT_FOUND, PROBLEMS, Searches, TheShop, answer, in_worker
from app.schemas import (
    Id,
    InterestModel,
    InterestsResponse,
    RankingResponse,
    RecommendationRequest,
    SearchRequest,
)
from retrieval.recommend import RecommendationQuery
from retrieval.search import SearchQuery
from tasteline.types import Event, Ranking

router = APIRouter(prefix="/v1", tags=["shopping"], responses=PROBLEMS)


@router.post("/search", response_model=RankingResponse, summary="Find products in natural language")
async def search(request: SearchRequest, shop: TheShop, searches: Searches) -> Response:
    query = SearchQuery(
        text=request.query,
        filters=request.filters.filters(request.exclude_ids),
        limit=request.limit,
        ignore=frozenset(request.ignore),
    )
    return _ranked(shop, await searches.submit(query), request.user_id)


@router.post(
    "/recommendations",
    response_model=RankingResponse,
    responses=NOT_FOUND,
    summary="Recommend for a person, a session, a product, a cart or a stranger",
)
async def recommend(request: RecommendationRequest, shop: TheShop) -> Response:
    session = tuple(
        Event(id=f"step-{step}", type=event.event, product_id=event.product_id, query=event.query, position=step)
        for step, event in enumerate(request.session)
    )
    query = RecommendationQuery(
        user_id=request.user_id,
        session_id=request.session_id,
        session=session,
        context=request.context,
        product_id=request.product_id,
        cart=tuple(request.cart),
        query=request.query or "",
        filters=request.filters.filters(request.exclude_ids),
        limit=request.limit,
        exclude_seen=request.exclude_seen,
    )
    ranking = await in_worker(shop, lambda: shop.recommender.recommend(query))
    return _ranked(shop, ranking, request.user_id)


@router.get("/users/{user_id}/interests", response_model=InterestsResponse, summary="What a person is drawn to")
async def interests(user_id: Id, shop: TheShop) -> Response:
    found = await in_worker(shop, lambda: shop.recommender.interests(user_id))
    return answer(InterestsResponse(user_id=user_id, interests=[InterestModel.of(interest) for interest in found]))


def _ranked(shop: Shop, ranking: Ranking, user_id: str | None) -> Response:
    shop.rankings.append((ranking, user_id))
    return answer(RankingResponse.of(ranking))
