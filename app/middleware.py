"""What every request passes on its way in and out: size limit, key, security headers, metrics, one log line.

Plain ASGI, because a wrapper around each request object would cost more than a search does.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Sequence

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import of_error
from app.telemetry import Metrics
from tasteline.errors import TastelineError, TooLarge, Unauthorised

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
OPEN = ("/health/", "/static/", "/favicon.ico", "/openapi.json", "/insights")
"""Beginnings of paths that need no key, beside the page itself: none of them carries data (pages ask for it)."""

log = structlog.get_logger(__name__)


class Body:
    """Counts a body as it comes, for clients that send none of its length ahead."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit
        self.too_large = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.too_large = True
            return {"type": "http.disconnect"}
        return message


class Gate:
    """Outermost layer of the service."""

    def __init__(self, app: ASGIApp, metrics: Metrics, api_keys: Sequence[str], max_body_bytes: int) -> None:
        self._app = app
        self._metrics = metrics
        self._keys = [key.encode() for key in api_keys]
        self._max_body = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        request_id = secrets.token_hex(6)
        body = Body(receive, self._max_body)

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _mark(MutableHeaders(scope=message), request_id)
            await send(message)

        async def unless_too_large(message: Message) -> None:
            # The framework turns an error while it reads the body into a 400 of its own.
            if not body.too_large:
                await watched(message)

        try:
            if (refusal := self._refusal(scope)) is None:
                await self._app(scope, body.receive, unless_too_large)
                refusal = self._too_large() if body.too_large else None
            if refusal is not None:
                await of_error(refusal)(scope, receive, watched)
        finally:
            self._record(scope, status, time.perf_counter() - started, request_id)

    def _refusal(self, scope: Scope) -> TastelineError | None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._max_body:
            return self._too_large()
        path = scope["path"]
        if not self._keys or path == "/" or path.startswith(OPEN):
            return None
        scheme, _, key = headers.get("authorization", "").partition(" ")
        offered = key.strip().encode()
        # Every key is compared, so that the time taken does not tell which one was nearly right.
        known = [hmac.compare_digest(offered, expected) for expected in self._keys]
        if scheme.lower() != "bearer" or not any(known):
            return Unauthorised("This service wants a key: send 'Authorization: Bearer KEY'.")
        return None

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is over {self._max_body:,} bytes; send it in smaller batches.")

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.requests.labels(route, status).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if route.startswith("/v1") or status >= 500:
            log.info("request", route=route, status=status, ms=round(1000 * seconds, 1), request_id=request_id)


def _mark(headers: MutableHeaders, request_id: str) -> None:
    headers["x-request-id"] = request_id
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
