"""Liveness, readiness, metrics, and what a page or client needs to know of the shop."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.routes.dependencies import GUARDED, TheShop, answer, in_worker
from app.schemas import EngineModel, FeaturedPersonModel, ReadyResponse, ShopResponse
from retrieval.live_model import Followed
from tasteline.errors import TastelineError

router = APIRouter(tags=["operations"])


@router.get("/health/live", summary="The process runs")
async def live() -> dict[str, str]:
    return {"status": "live"}


@router.get(
    "/health/ready",
    responses={503: {"model": ReadyResponse}},
    summary="Every part can answer; 503 with the reasons where not",
)
async def ready(shop: TheShop, response: Response) -> ReadyResponse:
    reasons = []
    try:
        await in_worker(shop, shop.store.revision)
    except TastelineError as error:
        reasons.append(f"the store does not answer: {error}")
    if not (shop.follower.alive and shop.models.alive):
        reasons.append("the indexes no longer follow the store: restart the service")
    with shop.live.read() as indexes:
        size = indexes.catalogue.size
    response.status_code = 503 if reasons else 200
    notes = [] if size else ["the catalogue is empty: run `tasteline import` or PUT /v1/products"]
    notes += [note for model in (*shop.trained, *shop.candidates) for note in (model.problem, model.progress) if note]
    return ReadyResponse(
        status="not ready" if reasons else "ready",
        reasons=reasons + notes,
        products=size,
        revision=shop.live.revision,
        models=_in_use(shop.trained),
        candidates=_in_use(shop.candidates),
    )


def _in_use(models: Iterable[Followed]) -> dict[str, str]:
    return {model.kind: loaded.entry.id for model in models if (loaded := model.current())}


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"description": "Prometheus text format"}, **GUARDED},
    summary="Prometheus metrics",
)
async def metrics(shop: TheShop) -> Response:
    return Response(generate_latest(shop.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.get(
    "/v1/shop",
    response_model=ShopResponse,
    responses=GUARDED,
    summary="Name, departments, people of the demo, engines",
)
async def shop_page(shop: TheShop) -> Response:
    with shop.live.read() as indexes:
        catalogue = indexes.catalogue
        engine = EngineModel(
            embedder=shop.embedder.name,
            language_model=shop.language_model.name if shop.language_model else "templates",
            products=catalogue.size,
            revision=indexes.revision,
            sources=shop.recommender.source_names,
        )
        return answer(
            ShopResponse(
                name=shop.settings.shop_name,
                currency=catalogue.currency(),
                categories=catalogue.top_categories()[:40],
                people=[
                    FeaturedPersonModel(user_id=person.user_id, name=person.name, about=person.about)
                    for person in shop.featured
                ],
                engine=engine,
            )
        )
