"""Errors as RFC 9457 problem details: a stable `type`, a status, one sentence that says what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from app.schemas import Problem
from tasteline.errors import (
    DeadlineExceeded,
    InputError,
    InvalidInput,
    NotFound,
    Overloaded,
    SetupError,
    TastelineError,
    TooLarge,
    TransientError,
    Unauthorised,
)

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:tasteline:"
KINDS: tuple[tuple[type[TastelineError], str, int], ...] = (
    (Unauthorised, "unauthorised", 401),
    (NotFound, "not-found", 404),
    (TooLarge, "too-large", 413),
    (InvalidInput, "invalid-input", 422),
    (InputError, "invalid-input", 422),
    (Overloaded, "overloaded", 429),
    (DeadlineExceeded, "deadline-exceeded", 503),
    (SetupError, "not-set-up", 503),
    (TransientError, "try-again", 503),
)
"""The first class that fits decides."""
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
TITLES = {400: "Bad request", 404: "Not found", 405: "Method not allowed", 415: "Unsupported media type"}

log = structlog.get_logger(__name__)


def problem(status: int, kind: str, title: str, detail: str, errors: list[dict[str, str]] | None = None) -> Response:
    body = Problem(type=PREFIX + kind, title=title, status=status, detail=detail, errors=errors or [])
    return Response(body.model_dump_json(), status_code=status, media_type=MEDIA_TYPE)


def of_error(error: TastelineError) -> Response:
    for kind, name, status in KINDS:
        if isinstance(error, kind):
            response = problem(status, name, name.replace("-", " ").capitalize(), str(error))
            if isinstance(error, TransientError):
                response.headers["Retry-After"] = str(max(1, round(error.retry_after)))
            if status == 401:
                response.headers["WWW-Authenticate"] = "Bearer"
            return response
    return problem(500, "internal", "Internal error", "Something broke here; it has been logged.")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Responses of a route for the OpenAPI; FastAPI's own way would promise them as application/json."""
    schema = {"$ref": "#/components/schemas/Problem"}
    after = {"description": "Seconds to wait before trying again.", "schema": {"type": "string", "pattern": "^[0-9]+$"}}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
            **({"headers": {"Retry-After": after}} if status == 429 else {}),
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    _describe(app)

    @app.exception_handler(TastelineError)
    async def ours(_: Request, error: TastelineError) -> Response:
        return of_error(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        errors = [
            {"field": ".".join(str(part) for part in found["loc"] if part != "body"), "reason": str(found["msg"])}
            for found in error.errors()[:20]
        ]
        first = errors[0] if errors else {"field": "", "reason": "unreadable"}
        detail = f"{first['field'] or 'body'}: {first['reason']}"
        return problem(422, "invalid-input", "Invalid input", detail, errors)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        title = TITLES.get(error.status_code, "Request failed")
        kind = title.lower().replace(" ", "-")
        response = problem(error.status_code, kind, title, str(error.detail))
        response.headers.update(error.headers or {})
        if "allow" in response.headers:
            response.headers["Allow"] = ", ".join(_methods(app.routes, request.scope))
        return response

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("request_failed", path=request.scope.get("path"), error=type(error).__name__, exc_info=error)
        return problem(500, "internal", "Internal error", "Something broke here; it has been logged.")


def _methods(routes: Sequence[BaseRoute], scope: Mapping[str, Any]) -> list[str]:
    """All that the path may be asked for: the framework names the first route's only."""

    def answered(method: str) -> bool:
        asked = {**scope, "method": method}
        return any(route.matches(asked)[0] == Match.FULL for route in routes)

    return [method for method in METHODS if answered(method)]


def _describe(app: FastAPI) -> None:
    """The schema of a problem is no route's own: it is added to the OpenAPI here, in FastAPI's documented way."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            made["components"]["schemas"]["Problem"] = Problem.model_json_schema()
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
