"""The ASGI application over one Server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp

from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.serving.auth import Authenticator
from timbre.serving.batch_routes import batch_routes, store_of
from timbre.serving.batch_runner import BatchRunner
from timbre.serving.errors import ApiError, bug, error_response, explain
from timbre.serving.listing_routes import listing_routes
from timbre.serving.middleware import RefusalMiddleware
from timbre.serving.page_routes import page_routes
from timbre.serving.server import Server
from timbre.serving.speaking_routes import speaking_routes
from timbre.serving.stream_routes import stream_routes
from timbre.serving.uploads import TTS_FORM
from timbre.serving.wire import QuietLoop
from timbre.serving.zero_shot_routes import zero_shot_routes

if TYPE_CHECKING:
    from timbre.serving.wyoming_bridge import WyomingBridge

_MOST_PROBLEMS = 3
SHOWN_HEADERS = (
    "x-timbre-voice", "x-timbre-sample-rate", "x-timbre-channels", "x-timbre-unspoken-characters",
    "x-timbre-audio-seconds", "x-timbre-failed-sentences", "x-timbre-ignored", "x-request-id", "retry-after",
    "content-length",
)  # fmt: skip
"""Headers that pages of other origins may read: those of docs/server.md."""


def create_app(server: Server) -> ASGIApp:
    """Starts the server with the application's life and closes it with it.

    Raises InfrastructureError at its start when another server has the folder of batches.
    """
    store = store_of(server) if server.settings.batches else None
    runner = BatchRunner(server, store) if store is not None else None

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_exception_handler(QuietLoop(server.log))
        bridge = await _bridge(server)
        try:
            server.start()
            if runner is not None:
                runner.start()
            server.opened.set()
            yield
        finally:
            if bridge is not None:
                await bridge.stop()
            if runner is not None:
                await runner.stop()
            server.close()

    # The pages for browsing the document load scripts from elsewhere; the document itself stays.
    app = FastAPI(title="Timbre", version=server.version, lifespan=life, docs_url=None, redoc_url=None)
    routers = [speaking_routes(server), stream_routes(server), listing_routes(server), zero_shot_routes(server)]
    if store is not None and runner is not None:
        routers.append(batch_routes(server, store, runner))
    if server.settings.page:
        routers.append(page_routes(server))
    for router in routers:
        app.include_router(router)
    app.state.all_routes = [route for router in routers for route in router.routes]
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _wrong_request)
    app.add_exception_handler(Exception, _unexpected)
    app.openapi = lambda: _openapi(app, closed=server.settings.guarded)  # type: ignore[method-assign]
    gate: ASGIApp = RefusalMiddleware(app, Authenticator(server.settings), server.metrics, server.settings, server.log)
    if server.settings.cors_origins:
        gate = CORSMiddleware(
            gate, allow_origins=list(server.settings.cors_origins), allow_methods=["GET", "HEAD", "POST", "DELETE"],
            # Official clients send a dozen of their own (x-stainless-os, ...): the requested ones are allowed.
            allow_headers=["*"], expose_headers=list(SHOWN_HEADERS), max_age=86_400,
        )  # fmt: skip
    return gate


async def _bridge(server: Server) -> WyomingBridge | None:
    address = server.settings.wyoming_address
    if address is None:
        return None
    if find_spec("wyoming") is None:
        raise ConfigurationError("wyoming: the package is missing", "pip install 'timbre[wyoming]' on the server")
    from timbre.serving.wyoming_bridge import WyomingBridge

    bridge = WyomingBridge(server)
    try:
        await bridge.start(*address)
    except OSError as error:
        raise InfrastructureError(
            f"wyoming: cannot listen on {server.settings.wyoming}: {error.strerror}",
            "stop the program that uses the port, or choose another",
        ) from error
    server.wyoming_port = bridge.port
    server.log.info("Wyoming is spoken too", extra={"address": server.settings.wyoming, "port": bridge.port})
    return bridge


async def _http_error(request: Request, error: Exception) -> Response:
    if isinstance(error, ApiError):
        return error_response(error, request.scope)
    assert isinstance(error, HTTPException)
    remedy = {404: "GET /openapi.json lists all routes", 405: "see the Allow header"}.get(error.status_code, "")
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    told = ApiError(error.status_code, str(error.detail), remedy, headers=headers)
    return error_response(told, request.scope)


async def _unexpected(request: Request, error: Exception) -> Response:
    """What no route expected, in the shape of its route; it is raised again, so that the middleware logs it."""
    return error_response(explain(error) or bug(), request.scope)


def _methods(request: Request) -> list[str]:
    """All methods of a path: each route knows only its own."""
    found: set[str] = set()
    for route in request.app.state.all_routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found)


async def _wrong_request(request: Request, error: Exception) -> Response:
    """Every wrong field by name, without its value: it may hold anything."""
    assert isinstance(error, RequestValidationError)
    kind = request.headers.get("content-type", "")
    if request.method == "POST" and "json" not in kind.lower() and request.scope["path"] != TTS_FORM:
        told = ApiError(
            400, f"the body is not JSON (Content-Type: {_clean(kind) or 'none'})", "send Content-Type: application/json"
        )
        return error_response(told, request.scope)
    problems = error.errors()
    if broken := next((item for item in problems if item["type"] == "json_invalid"), None):
        return error_response(_no_json(broken), request.scope)
    fields = [".".join(str(part) for part in item["loc"] if part not in ("body", "query")) for item in problems]
    lines = [f"{_clean(field) or 'body'}: {_clean(item['msg'])}" for field, item in zip(fields, problems, strict=True)]
    more = len(lines) - _MOST_PROBLEMS
    message = "; ".join(lines[:_MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
    told = ApiError(
        400, message, "see GET /openapi.json for the allowed fields and values", param=_clean(fields[0]) or None
    )
    return error_response(told, request.scope)


def _no_json(problem: Any) -> ApiError:
    """What the parser says, and where."""
    said = _clean(str(problem.get("ctx", {}).get("error", "")))
    place = problem["loc"][-1] if problem["loc"] and isinstance(problem["loc"][-1], int) else 0
    return ApiError(
        400, f"the body is not JSON: {said or 'it cannot be read'} (character {place + 1})",
        'send an object such as {"input": "Good morning.", "voice": "NAME"}', code="not_json",
    )  # fmt: skip


def _clean(text: str) -> str:
    return "".join(character for character in text[:200] if character.isprintable())


def _openapi(app: FastAPI, *, closed: bool) -> dict[str, Any]:
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(title=app.title, version=app.version, routes=app.routes, description=_DESCRIPTION)
    for methods in document["paths"].values():
        for operation in methods.values():
            # A wrong field is answered with 400 here, in the shape of its route.
            operation.get("responses", {}).pop("422", None)
    if closed:
        document.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
    app.openapi_schema = document
    return document


_DESCRIPTION = (
    "Speech in voices that are made by commits. `voice` and `spk` take NAME, NAME@VERSION or NAME@ALIAS; fields that "
    "are not listed are taken and have no effect."
)
