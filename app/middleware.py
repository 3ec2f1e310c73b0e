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
}
DOCS = ("/docs", "/redoc")
OPEN = ("/", "/health/", "/static/", "/favicon.ico", "/openapi.json", *DOCS)
"""Paths that need no key: the page itself carries no data."""

log = structlog.get_logger(__name__)


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
        started, status, answered = time.perf_counter(), 500, False
        request_id = secrets.token_hex(6)

        async def watched(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], True
                self._mark(scope["path"], MutableHeaders(scope=message), request_id)
            await send(message)

        try:
            self._admit(scope)
            await self._app(scope, self._limited(receive), watched)
        except TastelineError as error:
            if answered:
                raise
            await of_error(error)(scope, receive, watched)
        finally:
            self._record(scope, status, time.perf_counter() - started, request_id)

    def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._max_body:
            raise self._too_large()
        path = scope["path"]
        if not self._keys or path == "/" or path.startswith(OPEN[1:]):
            return
        scheme, _, key = headers.get("authorization", "").partition(" ")
        offered = key.strip().encode()
        # Every key is compared, so that the time taken does not tell which one was nearly right.
        known = [hmac.compare_digest(offered, expected) for expected in self._keys]
        if scheme.lower() != "bearer" or not any(known):
            raise Unauthorised("This service wants a key: send 'Authorization: Bearer KEY'.")

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is over {self._max_body:,} bytes; send it in smaller batches.")

    def _limited(self, receive: Receive) -> Receive:
        """A body without a length is counted as it comes."""
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_body:
                raise self._too_large()
            return message

        return counted

    def _mark(self, path: str, headers: MutableHeaders, request_id: str) -> None:
        headers["x-request-id"] = request_id
        for name, value in SECURITY_HEADERS.items():
            if name != "content-security-policy" or not path.startswith(DOCS):
                headers[name] = value

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.requests.labels(route, status).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if route.startswith("/v1") or status >= 500:
            log.info("request", route=route, status=status, ms=round(1000 * seconds, 1), request_id=request_id)
