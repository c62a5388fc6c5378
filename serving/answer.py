"""The way out of an answer: in pieces, each gone before the next, and given up when the client takes nothing."""

from __future__ import annotations

import asyncio
from typing import Protocol

from starlette.types import Message, Send

_PIECE_BYTES = 64 * 1024


class StalledError(OSError):
    """The client took no byte within the time limit; its connection was cut."""


class Connection(Protocol):
    """What an answer needs of its connection (serving/wire.py)."""

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the client has not taken yet."""

    @property
    def closing(self) -> bool:
        """Whether it takes no more bytes."""

    lost: bool
    """Whether it ended while an answer was under way."""

    broken: bool
    """Whether it ended with an error, so that bytes it had taken over may not have left."""

    def abort(self) -> None:
        """Closes at once."""


class Answer:
    """Passes an answer on with the request's id, and remembers how it went.

    It is complete when its last byte has left this process, not when it was handed over. A client that has all bytes
    of the Content-Length may close before the application ends its answer: that is complete too. connection: None
    where nothing is known of it. Raises StalledError when no byte leaves within stall_s.
    """

    def __init__(self, send: Send, request_id: str, connection: Connection | None, stall_s: float) -> None:
        self._send = send
        self._id = request_id.encode()
        self._connection = connection
        self._stall_s = stall_s
        self.status = 499
        self.started = False
        self.complete = False
        self._owed_bytes: int | None = None

    async def __call__(self, message: Message) -> None:
        """One ASGI message of the application."""
        if message["type"] == "http.response.start":
            self.status, self.started = message["status"], True
            lengths = [int(value) for name, value in message.get("headers", []) if name.lower() == b"content-length"]
            self._owed_bytes = lengths[0] if lengths else None
            extra = [(b"x-request-id", self._id), (b"x-content-type-options", b"nosniff")]
            await self._pass({**message, "headers": [*message.get("headers", []), *extra]})
        elif message["type"] == "http.response.body":
            body = memoryview(message.get("body", b""))
            for start in range(0, len(body), _PIECE_BYTES):
                part = bytes(body[start : start + _PIECE_BYTES])
                if self._owed_bytes is not None and self._connection is not None and not self._connection.closing:
                    self._owed_bytes -= len(part)
                await self._pass({"type": "http.response.body", "body": part, "more_body": True})
            if not message.get("more_body", False):
                # It waits until the pieces before it are gone.
                await self._pass({"type": "http.response.body", "body": b"", "more_body": False})
                self.complete = self._arrived()
        else:
            await self._pass(message)

    def _arrived(self) -> bool:
        connection = self._connection
        if connection is None or not connection.lost:
            return True
        return self._owed_bytes == 0 and not connection.broken

    async def _pass(self, message: Message) -> None:
        sending = asyncio.ensure_future(self._send(message))
        left = self._left
        try:
            while not (await asyncio.wait({sending}, timeout=self._stall_s))[0]:
                before, left = left, self._left
                if left >= before:
                    if self._connection is not None:
                        self._connection.abort()
                    raise StalledError(f"the client took nothing for {self._stall_s:g} s")
            sending.result()
        finally:
            sending.cancel()

    @property
    def _left(self) -> int:
        return 0 if self._connection is None else self._connection.unsent_bytes
