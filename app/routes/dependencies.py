"""What every route shares: the running shop, and an answer written without a second validation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from app.batching import Batcher
from app.schemas import Problem
from app.shop import Shop
from retrieval.search import SearchQuery
from tasteline.errors import TooLarge
from tasteline.types import Ranking

Result = TypeVar("Result")
SearchBatcher = Batcher[SearchQuery, Ranking]
PROBLEMS: dict[int | str, dict[str, object]] = {
    code: {"model": Problem, "content": {"application/problem+json": {}}} for code in (401, 413, 422, 429, 503)
}
NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"model": Problem, "content": {"application/problem+json": {}}}}


# Coroutines, because FastAPI sends a plain function through a thread: half a millisecond for a look-up.
async def _shop(request: Request) -> Shop:
    shop: Shop = request.app.state.shop
    return shop


async def _searches(request: Request) -> SearchBatcher:
    batcher: SearchBatcher = request.app.state.searches
    return batcher


TheShop = Annotated[Shop, Depends(_shop)]
Searches = Annotated[SearchBatcher, Depends(_searches)]


def answer(model: BaseModel) -> Response:
    """The model as JSON; it was built by us, so it is not validated again."""
    return Response(model.model_dump_json(), media_type="application/json")


async def in_worker(shop: Shop, work: Callable[[], Result]) -> Result:
    """Run blocking work on one of the shop's threads."""
    return await asyncio.get_running_loop().run_in_executor(shop.workers, work)


def within_limit(text: str, shop: Shop) -> None:
    """Raises TooLarge for a text that is longer than this shop reads."""
    if len(text) > shop.settings.max_text:
        raise TooLarge(f"The text has {len(text):,} characters; send at most {shop.settings.max_text:,}.")
