"""The studio as an ASGI application: its page and its addresses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import resources

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from timbre.core.recipe import Recipe
from timbre.pipeline.engine.workspace import Workspace
from timbre.studio.desk import Desk
from timbre.studio.hosted import Hosted
from timbre.studio.imports import Imports
from timbre.studio.judging import Networks
from timbre.studio.people import Person, Sessions
from timbre.studio.preview import Previews
from timbre.studio.publishing import Publishing
from timbre.studio.publishing_routes import publishing_routes
from timbre.studio.routes import studio_routes
from timbre.studio.work_trees import WorkTrees

_FILES = (
    ("/", "index.html", "text/html; charset=utf-8"),
    ("/studio.css", "studio.css", "text/css; charset=utf-8"),
    ("/studio.js", "studio.js", "text/javascript; charset=utf-8"),
    ("/words.js", "words.js", "text/javascript; charset=utf-8"),
    ("/push.js", "push.js", "text/javascript; charset=utf-8"),
    ("/recorder.js", "recorder.js", "text/javascript; charset=utf-8"),
    ("/capture.js", "capture.js", "text/javascript; charset=utf-8"),
    ("/enter.js", "enter.js", "text/javascript; charset=utf-8"),
)
# The look is that of the server's page: one style sheet, one picture.
_SERVED = (("/page.css", "page.css", "text/css; charset=utf-8"), ("/favicon.ico", "icon.svg", "image/svg+xml"))


@dataclass(frozen=True)
class Shared:
    """What several studios of one process have in common."""

    networks: Networks
    """Loaded once for all."""
    exports: Workspace
    """The workspace whose exported bases previews speak with."""


def create_studio(
    workspace: Workspace, recipe: Recipe, publishing: Publishing, shared: Shared | None = None
) -> tuple[ASGIApp, Desk]:
    """The application, which a Door has to stand before, and what it works on. shared: what several studios of one
    process have in common, None for a studio of its own.
    """
    desk = Desk(workspace, recipe, shared.networks if shared else None)
    exports = shared.exports if shared else workspace
    previews = Previews(workspace, exports, publishing.registry, desk.judges)
    routes = [
        *studio_routes(desk, Imports(workspace), publishing.may, exports.root.name),
        *publishing_routes(desk, publishing, previews),
    ]
    return Starlette(routes=[*_pages(), *routes]), desk


def create_hosted(
    workspace: Workspace,
    recipe: Recipe,
    sessions: Sessions,
    trees: WorkTrees,
    publishing: Callable[[Person, Workspace], Publishing],
) -> tuple[ASGIApp, Callable[[], None]]:
    """The application of a studio for several people, which a Door has to stand before, and what loads its networks."""
    shared = Shared(Networks(), workspace)

    def make(person: Person) -> ASGIApp:
        own = trees.of(person)
        return create_studio(own, recipe, publishing(person, own), shared)[0]

    warm = Desk(workspace, recipe, shared.networks).warm
    return Hosted(sessions, make, trees.of, Starlette(routes=_pages())), warm


def _pages() -> list[Route]:
    return [
        Route(path, _file((resources.files(f"timbre.{room}") / "page" / name).read_bytes(), media))
        for room, files in (("studio", _FILES), ("serving", _SERVED))
        for path, name, media in files
    ]


def _file(data: bytes, media: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        return Response(data, media_type=media)

    return answer
