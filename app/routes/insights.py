"""The shop-wide view for the merchandiser: `GET /v1/insights`, and its page. Needs the key like every other call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, FastAPI, Query, Request, Response
from starlette.responses import FileResponse

from app.problems import documented
from app.routes.dependencies import TheShop, answer
from app.schemas import Word
from app.schemas_insights import InsightsResponse
from app.shop import Shop
from tasteline.types import Product

if TYPE_CHECKING:
    from retrieval.insights.desk import InsightsDesk

PAGE = Path(__file__).parents[1] / "web" / "insights.html"


def open_desk(shop: Shop) -> InsightsDesk:
    from retrieval.insights.desk import InsightsDesk  # polars and its like, for who asks only

    def products() -> list[Product]:
        with shop.live.read() as indexes:
            return list(indexes.catalogue.products())

    chosen = shop.settings

    def revision() -> int:
        return shop.live.revision

    return InsightsDesk(shop.retrieval.deeds, products, chosen.insights_people, chosen.insights_seconds, revision)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Nothing is opened before somebody asks."""
    yield
    desk: InsightsDesk | None = getattr(app.state, "insights", None)
    if desk is not None:
        await asyncio.to_thread(desk.close)


router = APIRouter(tags=["insights"], lifespan=lifespan)


def desk_of(request: Request, shop: Shop) -> InsightsDesk:
    """One for the process, made when it is first asked for: on the event loop, so that there are never two."""
    state = request.app.state
    if not hasattr(state, "insights"):
        state.insights = open_desk(shop)
    desk: InsightsDesk = state.insights
    return desk


@router.get(
    "/v1/insights",
    response_model=InsightsResponse,
    responses=documented(401, 422, 503),
    summary="What the whole shop is turning to: rising and falling, among whom, and what to do",
)
async def insights(
    request: Request,
    shop: TheShop,
    days: Annotated[
        int | None,
        Query(
            ge=7,
            le=364,
            multiple_of=7,
            description="Of each window: whole weeks. Default: 28, or 91 in a shop with few shoppers.",
        ),
    ] = None,
    category: Annotated[Word | None, Query(description="Only findings about it, at any level of the path.")] = None,
    limit: Annotated[int, Query(ge=1, le=50, description="Lines of each list.")] = 12,
) -> Response:
    """Computed behind the requests and kept for minutes; the answer says how old it is. 503 while there is none."""
    chosen, patience = days or shop.settings.insights_days, shop.settings.deadline_seconds
    told = await asyncio.to_thread(desk_of(request, shop).view, chosen, patience)
    with shop.live.read() as indexes:
        departments = indexes.catalogue.top_categories()
    return answer(InsightsResponse.of(told, departments[:60], category, limit))


@router.get("/insights", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(PAGE)
