"""The addresses of the last step: check, preview, plan, push, follow, published samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from timbre.studio.book import Book
from timbre.studio.desk import Desk
from timbre.studio.errors import StudioError
from timbre.studio.preview import Previews
from timbre.studio.publishing import Publishing
from timbre.studio.routes import MEDIA, Handler, guarded, json_body


def publishing_routes(desk: Desk, publishing: Publishing, previews: Previews) -> list[Route]:
    """Routes below /api/voices/NAME."""
    calls = PublishingCalls(desk, publishing, previews)
    table: list[tuple[str, str, Handler]] = [
        ("POST", "check", calls.check),
        ("GET", "push", calls.plan),
        ("POST", "push", calls.push),
        ("GET", "follow", calls.follow),
        ("POST", "promote", calls.promote),
        ("POST", "rollback", calls.roll_back),
        ("POST", "preview", calls.preview),
        ("GET", "versions/{version}/{path:path}", calls.sample),
    ]
    return [Route(f"/api/voices/{{voice}}/{path}", guarded(handler), methods=[verb]) for verb, path, handler in table]


class PublishingCalls:
    """The handlers."""

    def __init__(self, desk: Desk, publishing: Publishing, previews: Previews) -> None:
        self._desk = desk
        self._previews = previews
        self._publishing = publishing

    async def check(self, request: Request) -> Response:
        return await self._answer(request, self._publishing.check)

    async def plan(self, request: Request) -> Response:
        return await self._answer(request, self._publishing.plan)

    async def follow(self, request: Request) -> Response:
        return await self._answer(request, lambda book: self._publishing.follow(book, self._desk.takes(book)))

    async def promote(self, request: Request) -> Response:
        version, values = await self._version(request)
        approve = values.get("approve") is True
        return await self._moved(request, lambda book: self._publishing.promote(book, version, approve))

    async def roll_back(self, request: Request) -> Response:
        version, _ = await self._version(request)
        return await self._moved(request, lambda book: self._publishing.roll_back(book, version))

    async def push(self, request: Request) -> Response:
        values = await json_body(request)
        if not isinstance(values, dict) or not all(isinstance(values.get(key), str) for key in ("name", "address")):
            raise StudioError(400, "field", "name and address of the author", "fill them in", field="author")
        book = await run_in_threadpool(self._desk.book, request.path_params["voice"])
        return JSONResponse(
            await run_in_threadpool(self._publishing.push, book, values["name"], values["address"]), 201
        )

    async def preview(self, request: Request) -> Response:
        values = await json_body(request)
        text = values.get("text") if isinstance(values, dict) else None
        book = await run_in_threadpool(self._desk.book, request.path_params["voice"])
        data = await run_in_threadpool(self._previews.speak, book, text if isinstance(text, str) else "")
        return Response(data, media_type="audio/wav")

    async def sample(self, request: Request) -> Response:
        voice, version, path = (request.path_params[key] for key in ("voice", "version", "path"))
        data = await run_in_threadpool(self._publishing.sample, voice, version, path)
        return Response(data, media_type=MEDIA.get(PurePosixPath(path).suffix.lower(), "application/octet-stream"))

    async def _version(self, request: Request) -> tuple[str, dict[str, Any]]:
        values = await json_body(request)
        version = values.get("version") if isinstance(values, dict) else None
        if not isinstance(version, str):
            raise StudioError(400, "field", "version: expected 12 digits", "reload the page", field="version")
        return version, values

    async def _moved(self, request: Request, work: Callable[[Book], None]) -> Response:
        book = await run_in_threadpool(self._desk.book, request.path_params["voice"])
        await run_in_threadpool(work, book)
        return await self.follow(request)

    async def _answer(self, request: Request, work: Callable[[Book], dict[str, Any]]) -> Response:
        book = await run_in_threadpool(self._desk.book, request.path_params["voice"])
        return JSONResponse(await run_in_threadpool(work, book))
