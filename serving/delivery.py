"""From an order to an HTTP answer: errors before the first sound have a status, bytes go out as they come, and a client
that leaves or stalls frees its slots.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from timbre.inference.captions import plain
from timbre.serving.answer import StalledError
from timbre.serving.encoding import FORMATS
from timbre.serving.errors import ApiError, error_body
from timbre.serving.metrics import Metrics
from timbre.serving.order import Begun, Delivery, Done, Event, Piece, Timed


async def take_or_leave(delivery: Delivery, receive: Receive) -> Event | None:
    """The delivery's next event, or None when the client went away first (the order is then cancelled)."""
    taking = asyncio.ensure_future(delivery.take())
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({taking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if taking.done():
            return taking.result()
        delivery.cancel.cancel("the client went away")
        return None
    finally:
        for task in (taking, leaving):
            task.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


class SpokenResponse(Response):
    """Sends a delivery's pieces, flushed one by one; with sse as OpenAI's server-sent events.

    begun: the delivery's first event. characters: of the request's text. headers: added to those of every response.
    After the first byte a failure can only be signalled by ending without the last chunk, so that clients see a broken
    answer instead of a short one.
    """

    def __init__(
        self,
        delivery: Delivery,
        begun: Begun,
        metrics: Metrics,
        *,
        sse: bool,
        characters: int,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(status_code=200, media_type=None)
        kind = FORMATS[delivery.order.format]
        self._delivery = delivery
        self._metrics = metrics
        self._sse = sse
        self._characters = characters
        self._unspoken = len(begun.unknown)
        audio = f"{kind.media_type}; rate={begun.rate_hz}; channels=1" if kind.name == "pcm" else kind.media_type
        self._shown = {
            "content-type": "text/event-stream; charset=utf-8" if sse else audio,
            "cache-control": "no-store",
            "x-accel-buffering": "no",
            "x-timbre-voice": ", ".join(begun.voices),
            "x-timbre-sample-rate": str(begun.rate_hz),
            "x-timbre-channels": "1",
            "x-timbre-unspoken-characters": str(len(begun.unknown)),
            **headers,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        delivery = self._delivery
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await self._send_all(leaving, send)
        except StalledError:
            delivery.cancel.cancel("the client took nothing for too long")
            raise
        except OSError:
            delivery.cancel.cancel("the client went away")
        finally:
            leaving.cancel()
            # After the last event this changes nothing.
            delivery.cancel.cancel("the answer ended")

    async def _send_all(self, leaving: asyncio.Future[None], send: Send) -> None:
        delivery, order = self._delivery, self._delivery.order
        if order.whole and not self._sse:
            await self._send_whole(send)
            return
        await self._start(send)
        while True:
            taking = asyncio.ensure_future(delivery.take())
            await asyncio.wait((taking, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not taking.done():
                taking.cancel()
                self._metrics.cancelled.labels("disconnected").inc()
                delivery.cancel.cancel("the client went away")
                return
            event = taking.result()
            if isinstance(event, Piece):
                await self._body(send, _delta(event) if self._sse else event.data)
            elif isinstance(event, Timed):
                if self._sse:
                    await self._body(send, _event({"type": "speech.timestamps", "sentence": plain(event.sentence)}))
            elif isinstance(event, Done):
                await self._body(send, self._end(event) if self._sse else b"", more=False)
                return
            elif isinstance(event, ApiError):
                self._metrics.cancelled.labels("failed").inc()
                if self._sse:
                    body = {"type": "error", **error_body(event, "/v1/", "")}
                    await self._body(send, _event(body), more=False)
                return

    async def _send_whole(self, send: Send) -> None:
        parts: list[bytes] = []
        event = await self._delivery.take()
        while isinstance(event, Piece):
            parts.append(event.data)
            event = await self._delivery.take()
        if isinstance(event, Done):
            self._shown["x-timbre-failed-sentences"] = str(event.failed)
            self._shown["x-timbre-audio-seconds"] = f"{event.seconds:.3f}"
        self._shown["content-length"] = str(sum(map(len, parts)))
        await self._start(send)
        for part in parts:
            await self._body(send, part)
        await self._body(send, b"", more=False)

    async def _start(self, send: Send) -> None:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._shown.items()]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})

    async def _body(self, send: Send, data: bytes, *, more: bool = True) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": more})

    def _end(self, done: Done) -> bytes:
        # OpenAI counts tokens; here they are characters in and semantic codes (25 a second) out.
        spoken = round(25 * done.seconds)
        usage = {
            "input_tokens": self._characters, "output_tokens": spoken, "total_tokens": self._characters + spoken
        }  # fmt: skip
        return _event({"type": "speech.audio.done", "usage": usage, "unspoken_characters": self._unspoken})


def _delta(piece: Piece) -> bytes:
    return _event({"type": "speech.audio.delta", "audio": base64.b64encode(piece.data).decode()})


def _event(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()
