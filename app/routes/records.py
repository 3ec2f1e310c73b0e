"""What comes in and goes out of the store: products, events, people's data. Acknowledged means committed."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response

from app.routes.dependencies import NOT_FOUND, PROBLEMS, TheShop, answer, in_worker
from app.schemas import (
    EventBatch,
    EventModel,
    EventsBody,
    Id,
    ProductBatch,
    ProductModel,
    RemovedResponse,
    WrittenResponse,
)
from tasteline.errors import NotFound, TooLarge
from tasteline.ports import Written

router = APIRouter(prefix="/v1", tags=["records"], responses=PROBLEMS)


@router.post("/events", response_model=WrittenResponse, summary="Record what shoppers did")
async def record(body: EventsBody, shop: TheShop) -> Response:
    """Idempotent by `event_id`; visible to the very next request."""
    models = [body] if isinstance(body, EventModel) else body.events if isinstance(body, EventBatch) else body
    if len(models) > shop.settings.max_batch:
        raise TooLarge(f"{len(models)} events in one batch; send at most {shop.settings.max_batch}.")
    with shop.waiting.place():
        written = await asyncio.wrap_future(shop.writer.submit([model.to_event() for model in models]))
    shop.metrics.events.labels("accepted").inc(written.accepted)
    shop.metrics.events.labels("repeated").inc(written.repeated)
    return answer(WrittenResponse(accepted=written.accepted, repeated=written.repeated))


@router.put("/products", response_model=WrittenResponse, summary="Add or change products")
async def put_products(body: ProductBatch | list[ProductModel], shop: TheShop) -> Response:
    """Searchable when the call returns."""
    models = body if isinstance(body, list) else body.products
    if len(models) > shop.settings.max_batch:
        raise TooLarge(f"{len(models)} products in one batch; send at most {shop.settings.max_batch}.")
    products = [model.product() for model in models]

    def put() -> Written:
        written = shop.store.put_products(products)
        shop.caught_up()
        return written

    written = await in_worker(shop, put)
    return answer(WrittenResponse(accepted=written.accepted, repeated=written.repeated))


@router.get("/products/{product_id}", response_model=ProductModel, responses=NOT_FOUND, summary="One product")
async def get_product(product_id: Id, shop: TheShop) -> Response:
    with shop.live.read() as indexes:
        row = indexes.catalogue.row(product_id)
        if row is None:
            raise NotFound(f"No product has the id {product_id!r}.")
        return answer(ProductModel.of(indexes.catalogue.product(row)))


@router.delete("/products/{product_id}", response_model=RemovedResponse, responses=NOT_FOUND, summary="Take one out")
async def delete_product(product_id: Id, shop: TheShop) -> Response:
    """Gone from every answer when the call returns."""

    def delete() -> int:
        removed = shop.store.delete_products([product_id])
        shop.caught_up()
        return removed

    if not (removed := await in_worker(shop, delete)):
        raise NotFound(f"No product has the id {product_id!r}.")
    return answer(RemovedResponse(removed=removed))


@router.delete("/users/{user_id}", response_model=RemovedResponse, summary="Erase a person")
async def erase(user_id: Id, shop: TheShop) -> Response:
    """Removes events, conversations and rankings; counts that learned from them are made anew."""
    await in_worker(shop, shop.flush_rankings)
    return answer(RemovedResponse(removed=await in_worker(shop, lambda: shop.store.erase_user(user_id))))


@router.get("/users/{user_id}/export", summary="All that is stored about a person")
async def export(user_id: Id, shop: TheShop) -> dict[str, list[dict[str, object]]]:
    await in_worker(shop, shop.flush_rankings)
    return await in_worker(shop, lambda: shop.store.export_user(user_id))
