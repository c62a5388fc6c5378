"""The HTTP protocol of one connection, on uvicorn's: heads that never end, too many connections, answers that nobody
takes, and request lines with raw bytes.

connection -> head within a time limit -> the application -> bytes that have left this process are counted as sent
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from timbre.serving.settings import ServeSettings
from timbre.serving.sockets import connection_limit, held_bytes

_MOST_HEAD_BYTES = 32 * 1024
_HIGH_BYTE = re.compile(rb"[\x80-\xff]")
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-type: text/plain\r\n"
    b"content-length: 21\r\n\r\ntoo many connections\n"
)
_LATE = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: text/plain\r\n"
    b"content-length: 37\r\n\r\nthe head of the request did not come\n"
)


class Wire(H11Protocol):
    """One connection. The application finds it in the scope's state as `wire`."""

    header_timeout_s = 10.0
    most_connections = 1000

    def __init__(self, config: uvicorn.Config, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, {**app_state, "wire": self}, _loop)
        self._head_timer: asyncio.TimerHandle | None = None
        self.idle_since_s = time.monotonic()
        self.lost = False
        self.broken = False

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the client has not taken yet: those of this process, and those that the system holds."""
        held = int(self.transport.get_write_buffer_size())
        connection = self.transport.get_extra_info("socket")
        if connection.fileno() < 0:  # closed: nothing will leave any more
            return held
        return held + held_bytes(connection)

    @property
    def closing(self) -> bool:
        """Whether it takes no more bytes."""
        return self.transport.is_closing()

    @property
    def answering(self) -> bool:
        """Whether a request was read whole and its answer is under way."""
        return self.cycle is not None and not self.cycle.response_complete

    def abort(self) -> None:
        """Closes without sending what is left."""
        self.broken = True
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Makes room by closing the connection that has asked for nothing for longest; without one, answers 503."""
        assert isinstance(transport, asyncio.Transport)
        if len(self.connections) >= self.most_connections and not self._make_room():
            transport.write(_FULL)
            transport.close()
            self.transport = transport
            return
        super().connection_made(transport)
        # `send` then waits until everything before it has left this process.
        transport.set_write_buffer_limits(high=0)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the timer with the connection. A client that closes is lost but not broken: the transport has sent
        what it had before it ends.
        """
        self._cancel_head()
        self.lost = self.answering
        self.broken = self.broken or exc is not None
        if self.flow is not None:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Percent-encodes raw bytes of a request line, which browsers' address bars and old clients send."""
        if self.flow is None:
            return
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            head, end, rest = data.partition(b"\n")
            data = _HIGH_BYTE.sub(lambda byte: b"%%%02X" % byte[0][0], head) + end + rest
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._watch_head()
        else:
            self._cancel_head()

    def send_400_response(self, msg: str) -> None:
        """Where no answer has begun. After one has, there is no room for another, and the connection ends; what the
        application still sends goes nowhere.
        """
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        """The connection is idle again."""
        self.idle_since_s = time.monotonic()
        super().on_response_complete()

    def _make_room(self) -> bool:
        idle = [other for other in self.connections if isinstance(other, Wire) and not other.answering]
        if not idle:
            return False
        oldest = min(idle, key=lambda other: other.idle_since_s)
        oldest.abort()
        self.connections.discard(oldest)
        return True

    def _watch_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.header_timeout_s, self._head_is_late)

    def _cancel_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.write(_LATE)
            self.transport.close()


def http_config(app: ASGIApp, settings: ServeSettings, *, shutdown_s: int, **options: Any) -> uvicorn.Config:
    """How uvicorn serves the application. shutdown_s: longest wait for answers under way; options: of
    uvicorn.Config.
    """

    class Bounded(Wire):
        header_timeout_s = settings.header_timeout_s
        most_connections = connection_limit(settings.max_connections)

    return uvicorn.Config(
        app, access_log=False, server_header=False, http=Bounded, ws=_sockets(), timeout_keep_alive=15,
        ws_max_size=settings.max_body_kib * 1024, ws_per_message_deflate=False,
        timeout_graceful_shutdown=shutdown_s, h11_max_incomplete_event_size=_MOST_HEAD_BYTES, **options,
    )  # fmt: skip


def _sockets() -> Any:
    """How WebSockets are spoken; "none" without the package for it, and the route then says which one is missing."""
    if find_spec("websockets") is None:
        return "none"
    from timbre.serving.socket_wire import SocketWire

    return SocketWire


class SeldomFilter(logging.Filter):
    """Passes a message once in every_s seconds, with the number of those in between. Bounded: it keeps kinds, not
    texts.
    """

    def __init__(self, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s = every_s
        self._clock = clock
        self._seen: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a line of a place in the program that has logged within every_s."""
        place, now = (record.pathname, record.lineno), self._clock()
        since, hidden = self._seen.get(place, (-float("inf"), 0))
        if now - since < self._every_s:
            self._seen[place] = since, hidden + 1
            return False
        if hidden:
            record.msg = f"{record.getMessage()} ({hidden} more in the last {now - since:.0f} s)"
            record.args = ()
        self._seen[place] = now, 0
        return True


class QuietLoop:
    """Handler of what an event loop reports, such as an accept without a free descriptor: one line a kind and period,
    without traceback.
    """

    _MOST_KINDS = 100

    def __init__(self, log: logging.Logger, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._every_s = every_s
        self._clock = clock
        self._seen: dict[str, tuple[float, int]] = {}

    def __call__(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """As loop.set_exception_handler wants it."""
        error = context.get("exception")
        kind = f"{str(context.get('message', ''))[:200]}: {error!r}"[:300]
        now = self._clock()
        since, hidden = self._seen.get(kind, (-float("inf"), 0))
        if now - since < self._every_s:
            self._seen[kind] = since, hidden + 1
            return
        if len(self._seen) >= self._MOST_KINDS:
            self._seen.clear()
        self._seen[kind] = now, 0
        self._log.error("event loop", extra={"reason": kind, "hidden": hidden})
