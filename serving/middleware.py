"""What every request passes: an id, the guard, limits of the body, and one shape for everything that goes wrong.

Plain ASGI, because answers are streams and must not be held back.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from timbre.serving.answer import Answer, StalledError
from timbre.serving.auth import Authenticator
from timbre.serving.errors import ApiError, bug, error_response, explain
from timbre.serving.leniency import utf8_query
from timbre.serving.metrics import UNKNOWN, Metrics
from timbre.serving.origins import Origins
from timbre.serving.settings import ServeSettings
from timbre.serving.stream_routes import KEY_PROTOCOL, refuse
from timbre.serving.uploads import MULTIPART, TTS_FORM, UPLOADS

_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_SPEAKING = ("/v1/audio/speech", "/tts", "/dev/captioned_speech", TTS_FORM)
_UPLOAD_S = 60.0
"""Longest wait for a body with a recording, unless body_timeout_s is longer."""


class RefusalMiddleware:
    """Wraps the application. Answers refusals itself and turns every exception into an answer."""

    def __init__(
        self, app: ASGIApp, guard: Authenticator, metrics: Metrics, settings: ServeSettings, log: logging.Logger
    ) -> None:
        self._app = app
        self._guard = guard
        self._metrics = metrics
        self._most_bytes = settings.max_body_kib * 1024
        self._most_upload_bytes = settings.max_upload_kib * 1024 if settings.zero_shot else self._most_bytes
        self._body_s = settings.body_timeout_s
        self._origins = Origins(settings)
        self._stall_s = settings.stall_timeout_s
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        state = scope.setdefault("state", {})
        state["request_id"] = given if _ID.fullmatch(given) else secrets.token_hex(8)
        answer = Answer(send, state["request_id"], state.get("wire"), self._stall_s)
        state["known"] = self._guard.knows(headers)
        state["owner"] = self._guard.owner(headers) if state["known"] else ""
        speaking = scope["path"] in _SPEAKING
        started = time.perf_counter()
        if speaking:
            self._metrics.in_flight.inc()
        try:
            self._check_framing(headers)
            self._origins.check(scope["path"], headers)
            self._guard.check(scope["path"], state["known"], headers)
            scope = _as_meant(scope, headers)
            upload = scope["path"] in UPLOADS
            most_bytes = self._most_upload_bytes if upload else self._most_bytes
            _check_length(headers, most_bytes)
            body_s = max(self._body_s, _UPLOAD_S) if upload else self._body_s
            await self._app(scope, _Body(receive, most_bytes, body_s), answer)
        except StalledError:
            self._metrics.cancelled.labels("stalled").inc()
        except Exception as error:
            try:
                await self._tell(error, scope, receive, answer)
            except StalledError:
                self._metrics.cancelled.labels("stalled").inc()
        finally:
            if speaking:
                self._metrics.in_flight.dec()
                self._count(scope, answer, time.perf_counter() - started)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The handshake passes what a request passes; frames are the route's own."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        scope.setdefault("state", {})["request_id"] = secrets.token_hex(8)
        for name in scope.get("subprotocols", ()):
            if name.startswith(KEY_PROTOCOL):
                headers.setdefault(b"x-api-key", name.removeprefix(KEY_PROTOCOL).encode())
        try:
            self._origins.check(scope["path"], headers)
            self._guard.check(scope["path"], self._guard.knows(headers), headers)
            scope["state"]["owner"] = self._guard.owner(headers)
        except ApiError as error:
            await refuse(WebSocket(scope, receive, send), error)
            return
        await self._app(scope, receive, send)

    @staticmethod
    def _check_framing(headers: dict[bytes, bytes]) -> None:
        # Two lengths: programs in front of this one may take the other, and read the rest as a request of its own.
        if b"content-length" in headers and b"transfer-encoding" in headers:
            raise ApiError(
                400, "the request has Content-Length and Transfer-Encoding", "send one of them",
                headers={"connection": "close"},
            )  # fmt: skip

    async def _tell(self, error: Exception, scope: Scope, receive: Receive, answer: Answer) -> None:
        told = explain(error)
        if told is None:
            self._log.error("bug in a request", extra={"path": scope["path"][:100]}, exc_info=error)
            told = bug()
        if not answer.started:
            response = error_response(told, scope)
            await response(scope, receive, answer)

    def _count(self, scope: Scope, answer: Answer, seconds: float) -> None:
        route, voice = scope["path"], scope["state"].get("voice", UNKNOWN)
        status = str(answer.status) if answer.complete else "cut"
        self._metrics.requests.labels(route, voice, status).inc()
        if answer.status == 200:
            self._metrics.duration.labels(route, voice).observe(seconds)
        else:
            self._metrics.refused.labels(str(answer.status)).inc()
        extra: dict[str, Any] = {"route": route, "voice": voice, "status": status, "seconds": round(seconds, 3)}
        self._log.info("request", extra={**extra, "request_id": scope["state"]["request_id"]})


def _check_length(headers: dict[bytes, bytes], most_bytes: int) -> None:
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > most_bytes:
        raise _too_large(most_bytes)


def _as_meant(scope: Scope, headers: dict[bytes, bytes]) -> Scope:
    """HEAD as GET where nothing is spoken, since the protocol leaves the body out; a query in GBK as UTF-8; a form for
    /tts, which may bring a recording, to its own route.
    """
    changed: dict[str, Any] = {}
    if (scope["method"], scope["path"]) == ("POST", "/tts") and _is_form(headers):
        changed["path"], changed["raw_path"] = TTS_FORM, TTS_FORM.encode()
    if scope["method"] == "HEAD" and scope["path"] not in _SPEAKING:
        changed["method"] = "GET"
    if b"%" in scope["query_string"]:
        changed["query_string"] = utf8_query(scope["query_string"])
    return {**scope, **changed} if changed else scope


def _is_form(headers: dict[bytes, bytes]) -> bool:
    return headers.get(b"content-type", b"").lower().startswith(MULTIPART.encode())


class _Body:
    """The request's body, refused when it grows too large or does not arrive."""

    def __init__(self, receive: Receive, most_bytes: int, timeout_s: float) -> None:
        self._receive = receive
        self._most = most_bytes
        self._deadline_s = timeout_s
        self._read = 0
        self._all = False

    async def __call__(self) -> Message:
        if self._all:
            return await self._receive()
        started = time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(self._deadline_s, 0.01))
        except TimeoutError:
            raise ApiError(408, "the rest of the request did not arrive", "send the whole body at once") from None
        self._deadline_s -= time.monotonic() - started
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            self._all = not message.get("more_body", False)
            if self._read > self._most:
                raise _too_large(self._most)
        return message


def _too_large(most_bytes: int) -> ApiError:
    return ApiError(413, f"the body is larger than {most_bytes} bytes", "send less in each request")
