"""What every route shares: the running shop, and an answer written without a second validation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Annotated, TypeVar

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from app.batching import Batcher
from app.problems import documented
from app.shop import Shop
from retrieval.search import SearchQuery
from tasteline.errors import TooLarge
from tasteline.types import Ranking

Result = TypeVar("Result")
SearchBatcher = Batcher[SearchQuery, Ranking]
PROBLEMS = documented(400, 401, 413, 422, 429, 503)
GUARDED = documented(401)
"""Reads nothing of the request, and needs the key."""
NOT_FOUND = documented(404)


# Coroutines, because FastAPI sends a plain function through a thread: half a millisecond for a look-up.
async def _shop(request: Request) -> Shop:
    shop: Shop = request.app.state.shop
    return shop


async def _searches(request: Request) -> SearchBatcher:
    batcher: SearchBatcher = request.app.state.searches
    return batcher


async def a_chat_place(request: Request) -> AsyncIterator[None]:
    """Held until the last byte of the answer is sent or the client has gone. Raises Overloaded."""
    with request.app.state.chats.place():
        yield


TheShop = Annotated[Shop, Depends(_shop)]
Searches = Annotated[SearchBatcher, Depends(_searches)]


def answer(model: BaseModel) -> Response:
    """The model as JSON; it was built by us, so it is not validated again."""
    return Response(model.model_dump_json(), media_type="application/json")


async def in_worker(shop: Shop, work: Callable[[], Result]) -> Result:
    """Run blocking work on one of the shop's threads. Raises Overloaded when too much waits for one."""
    with shop.waiting.place():
        return await asyncio.get_running_loop().run_in_executor(shop.workers, work)


async def unless_gone(request: Request, work: Coroutine[object, object, Result]) -> Result | None:
    """What `work` gives; None, with the work cancelled, when the client goes away before it is done."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()
        # Until its last line has run: the engine must be free when the place is.
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def within_limit(text: str, shop: Shop) -> None:
    """Raises TooLarge for a text that is longer than this shop reads."""
    if len(text) > shop.settings.max_text:
        raise TooLarge(f"The text has {len(text):,} characters; send at most {shop.settings.max_text:,}.")
