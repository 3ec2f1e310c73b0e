"""What comes next: a person's next 30 days, and who of all people is leaving."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.routes.dependencies import PROBLEMS, TheShop, answer, in_worker
from app.schemas import Id
from app.schemas_forecast import ForecastResponse, LeavingResponse
from retrieval.forecast import BASELINE

router = APIRouter(prefix="/v1", tags=["forecast"], responses=PROBLEMS)


@router.get("/users/{user_id}/forecast", response_model=ForecastResponse, summary="What a person will buy next")
async def forecast(user_id: Id, shop: TheShop, limit: Annotated[int, Query(ge=1, le=100)] = 10) -> Response:
    """Categories and products of the next 30 days with probabilities and plain reasons.

    Without a trained forecast the person's own decayed frequency answers, and `model` says so.
    """
    found = await in_worker(shop, lambda: shop.retrieval.forecasting.of_person(user_id, limit))
    return answer(ForecastResponse.of(user_id, found, calibrated=found.model != BASELINE and found.visits.times > 0))


@router.get("/insights/leaving", response_model=LeavingResponse, summary="Who used to come and is likely to stay away")
async def leaving(shop: TheShop, limit: Annotated[int, Query(ge=1, le=1000)] = 20) -> Response:
    """People with three visits or more, by the probability that they buy nothing within the next 30 days."""
    moment, model, found = await in_worker(shop, lambda: shop.retrieval.forecasting.leaving(limit))
    return answer(LeavingResponse.of(moment, model, found, calibrated=model != BASELINE))
