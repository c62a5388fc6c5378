"""The web page: three files of this package, read once."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

from fastapi import APIRouter
from fastapi.responses import Response

from timbre.serving.server import Server

_FILES = (
    ("/", "index.html", "text/html; charset=utf-8"),
    ("/page.js", "page.js", "text/javascript; charset=utf-8"),
    ("/page.css", "page.css", "text/css; charset=utf-8"),
    ("/favicon.ico", "icon.svg", "image/svg+xml"),
)
_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "referrer-policy": "no-referrer",
}


def page_routes(server: Server) -> APIRouter:
    """The page and what it loads; nothing comes from other hosts."""
    router = APIRouter(include_in_schema=False)
    folder = resources.files("timbre.serving") / "page"
    for path, name, media in _FILES:
        router.add_api_route(path, _serve((folder / name).read_bytes(), media), methods=["GET"])
    return router


def _serve(data: bytes, media: str) -> Callable[[], Response]:
    def answer() -> Response:
        return Response(data, media_type=media, headers=_HEADERS)

    return answer
