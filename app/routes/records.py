"""What comes in and goes out of the store: products, events, people's data. Acknowledged means committed."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.engines import open_store_at
from app.routes.dependencies import NOT_FOUND, PROBLEMS, TheShop, answer, in_worker
from app.schemas import (
    ErasedResponse,
    EventBatch,
    EventModel,
    EventsBody,
    Id,
    ProductBatch,
    ProductModel,
    RemovedResponse,
    WrittenResponse,
)
from app.shop import Shop
from retrieval.erasure import Erased, erase_person
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


@router.delete("/users/{user_id}", response_model=ErasedResponse, summary="Erase a person")
async def erase(
    user_id: Id,
    shop: TheShop,
    retire: Annotated[bool, Query(description="Take models that learned from the person out of service.")] = False,
) -> Response:
    """Removes events, conversations, rankings and rows of datasets; counts that learned from them are made anew.

    Models that learned from the person are named, this once: nothing says later who it was. With `retire` they are
    never live again, and what was live before them is, unless it learned from the person too.
    """
    await in_worker(shop, shop.flush_rankings)
    erased = await in_worker(shop, lambda: _erased(shop, user_id, retire))
    return answer(ErasedResponse.of(erased))


def _erased(shop: Shop, user_id: str, retire: bool) -> Erased:
    settings = shop.settings
    erased = erase_person(settings.home, shop.store, open_store_at(settings), user_id, retire=retire)
    shop.featured = [person for person in shop.featured if person.user_id != user_id]
    return erased


@router.get("/users/{user_id}/export", summary="All that is stored about a person")
async def export(user_id: Id, shop: TheShop) -> dict[str, list[dict[str, object]]]:
    await in_worker(shop, shop.flush_rankings)
    return await in_worker(shop, lambda: shop.store.export_user(user_id))
