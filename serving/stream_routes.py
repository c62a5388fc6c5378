"""The WebSocket that takes text as it is written: /v1/audio/speech/stream."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from fastapi import APIRouter, WebSocket

from timbre.serving.errors import ApiError, error_response, unavailable
from timbre.serving.schemas import OpenAIError
from timbre.serving.server import Server
from timbre.serving.stream_session import ROUTE, StreamSession, read_options

KEY_PROTOCOL = "openai-insecure-api-key."
"""Prefix of the subprotocol by which a page of a browser, which cannot set headers, sends its key."""


def stream_routes(server: Server) -> APIRouter:
    """The route over one server."""
    router = APIRouter()
    open_sockets: set[WebSocket] = set()

    @router.websocket(ROUTE)
    async def stream(socket: WebSocket) -> None:
        if len(open_sockets) >= server.settings.max_streams:
            await refuse(socket, unavailable("too many streams are open"))
            return
        try:
            options = read_options(dict(socket.query_params))
        except ApiError as error:
            await refuse(socket, error)
            return
        open_sockets.add(socket)
        try:
            offered = [name for name in socket.scope["subprotocols"] if not name.startswith(KEY_PROTOCOL)]
            await socket.accept(offered[0] if offered else None)
            await StreamSession(server, socket, options, _abort(socket)).run()
        finally:
            open_sockets.discard(socket)

    @router.get(ROUTE, responses={426: {"model": OpenAIError}}, tags=["speech"])
    async def plain() -> None:
        """Speak text while it is written: a WebSocket, described in docs/server.md."""
        missing = find_spec("websockets") is None
        raise ApiError(
            426, "this route is a WebSocket" + (", and this server has no package for it" if missing else ""),
            "pip install 'timbre[stream]' on the server" if missing else "connect with ws:// instead of http://",
            headers={"upgrade": "websocket"},
        )  # fmt: skip

    return router


def _abort(socket: WebSocket) -> Callable[[], None]:
    wire = socket.scope["state"].get("wire")
    return wire.abort if wire is not None else lambda: None


async def refuse(socket: WebSocket, error: ApiError) -> None:
    """Answers the handshake with an HTTP error."""
    await socket.send_denial_response(error_response(error, socket.scope))
