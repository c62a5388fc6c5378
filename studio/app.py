"""The studio as an ASGI application: its page and its addresses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from timbre.core.recipe import Recipe
from timbre.pipeline.engine.workspace import Workspace
from timbre.studio.desk import Desk
from timbre.studio.imports import Imports
from timbre.studio.preview import Previews
from timbre.studio.publishing import Publishing
from timbre.studio.publishing_routes import publishing_routes
from timbre.studio.routes import studio_routes

_FILES = (
    ("/", "index.html", "text/html; charset=utf-8"),
    ("/studio.css", "studio.css", "text/css; charset=utf-8"),
    ("/studio.js", "studio.js", "text/javascript; charset=utf-8"),
    ("/words.js", "words.js", "text/javascript; charset=utf-8"),
    ("/push.js", "push.js", "text/javascript; charset=utf-8"),
    ("/recorder.js", "recorder.js", "text/javascript; charset=utf-8"),
    ("/capture.js", "capture.js", "text/javascript; charset=utf-8"),
)
# The look is that of the server's page: one style sheet, one picture.
_SHARED = (("/page.css", "page.css", "text/css; charset=utf-8"), ("/favicon.ico", "icon.svg", "image/svg+xml"))


def create_studio(workspace: Workspace, recipe: Recipe, publishing: Publishing) -> tuple[ASGIApp, Desk]:
    """The application, which a Door has to stand before, and what it works on."""
    desk = Desk(workspace, recipe)
    pages = [
        Route(path, _file((resources.files(f"timbre.{room}") / "page" / name).read_bytes(), media))
        for room, files in (("studio", _FILES), ("serving", _SHARED))
        for path, name, media in files
    ]
    previews = Previews(workspace, publishing.registry, desk.judges)
    app = Starlette(
        routes=[*pages, *studio_routes(desk, Imports(workspace)), *publishing_routes(desk, publishing, previews)]
    )
    return app, desk


def _file(data: bytes, media: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        return Response(data, media_type=media)

    return answer
