"""The folder of reports at a local address: a list that is read at each visit, and files, in parts where asked for.

GET / -> the list; GET /reports/<path> -> a file, whole or the range of bytes that a player seeks
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from timbre.cli.reports.listing import index_page, reports_below
from timbre.core.errors import ConfigurationError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

# Reports hold all that they show; a page that somebody put there may ask no other address for anything.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data: 'self'; media-src data: blob: 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_LOCAL = ("127.0.0.1", "localhost", "::1", "[::1]")


def reports_app(folder: Path, host: str = "127.0.0.1") -> Starlette:
    """host: where it listens. On a local one it answers to local names only, so that no other page reaches it under
    a name of its own.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse
    from starlette.routing import Route

    root = folder.resolve()

    def index(_: Request) -> Response:
        return HTMLResponse(index_page(reports_below(root)), headers=_HEADERS)

    def file(request: Request) -> Response:
        path = root / request.path_params["path"]
        if not path.resolve().is_relative_to(root) or not path.is_file():
            return PlainTextResponse("no such report\n", status_code=404, headers=_HEADERS)
        return FileResponse(path, headers=_HEADERS)

    allowed = list(_LOCAL) if host in _LOCAL else ["*"]
    return Starlette(
        routes=[Route("/", index), Route("/reports/{path:path}", file)],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=allowed)],
    )


def serve_reports(folder: Path, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until interrupted; announce the address first. Raises ConfigurationError for one that it cannot listen
    on.
    """
    import uvicorn

    config = uvicorn.Config(reports_app(folder, host), host=host, port=port, log_level="warning", access_log=False)
    try:
        listening = config.bind_socket()
    except SystemExit as error:
        raise ConfigurationError(
            f"{host}:{port}: cannot listen there", "give another --port, or 0 for a free one"
        ) from error
    # Bound is not yet listening: a browser that opens the address at once must not be turned away.
    listening.listen()
    address = listening.getsockname()
    shown = f"[{address[0]}]" if ":" in address[0] else address[0]
    announce(f"http://{shown}:{address[1]}/")
    uvicorn.Server(config).run(sockets=[listening])
