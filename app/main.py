"""The HTTP service. Importing this is light; everything heavy is opened in the lifespan.

uvicorn --factory app.main:create_app
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

import tasteline
from app import problems
from app.middleware import Gate
from app.telemetry import Metrics, configure_logging
from tasteline.settings import Settings

if TYPE_CHECKING:
    from app.shop import Shop

LANES = 2
"""Search batches at once: one encodes while the other scans."""
WEB = Path(__file__).parent / "web"


def create_app(settings: Settings | None = None, open_shop: Callable[[Settings], Shop] | None = None) -> FastAPI:
    """The service for `settings` (default: from the environment). `open_shop` is replaced by tests only."""
    settings = settings or Settings()
    configure_logging(settings.log_format)
    metrics = Metrics()
    app = FastAPI(
        title="tasteline",
        version=tasteline.__version__,
        description=tasteline.__doc__ or "",
        docs_url=None,  # its scripts come from a foreign host, and no request leaves the machine
        redoc_url=None,
        lifespan=_lifespan(settings, metrics, open_shop),
    )
    problems.install(app)
    _add_routes(app)
    keys = [key.get_secret_value() for key in settings.api_keys]
    app.add_middleware(Gate, metrics=metrics, api_keys=keys, max_body_bytes=settings.max_body_bytes)
    return app


def _lifespan(
    settings: Settings, metrics: Metrics, open_shop: Callable[[Settings], Shop] | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        from app import bootstrap
        from app.admission import Admission
        from app.batching import Batcher

        opener = open_shop or (lambda chosen: bootstrap.open_shop(chosen, metrics=metrics))
        shop = await asyncio.to_thread(opener, settings)
        searching = ThreadPoolExecutor(max_workers=LANES, thread_name_prefix="search")
        app.state.shop = shop
        app.state.chats = Admission(settings.chats_at_once, "conversations", settings.deadline_seconds / 4)
        app.state.searches = Batcher(shop.searcher.search, searching, lanes=LANES)
        shop.start()
        # Catalogue and models stay for good. Walking them on every full collection cost requests up to 140 ms.
        gc.freeze()
        try:
            yield
        finally:
            gc.unfreeze()
            searching.shutdown(wait=True, cancel_futures=True)
            await asyncio.to_thread(shop.close)

    return lifespan


def _add_routes(app: FastAPI) -> None:
    # Imported here: the routes name the shop's types, which pull in the numerical packages.
    from app.routes import bundles, chat, forecast, insights, offers, operations, records, shopping

    for routes in (shopping, chat, records, operations, forecast, insights, offers, bundles):
        app.include_router(routes.router)
    app.mount("/static", StaticFiles(directory=WEB), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(WEB / "index.html")
