"""One WebSocket of /v1/audio/speech/stream: text deltas in, sound and times out, turn by turn.

frame -> event -> clauses -> turn -> events of the answer

A client that breaks the protocol gets an error and may go on; one that takes nothing is cut off.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from timbre.inference.captions import plain
from timbre.serving.clauses import Clauses
from timbre.serving.errors import ApiError, error_body
from timbre.serving.leniency import make_encodable
from timbre.serving.metrics import UNKNOWN
from timbre.serving.order import Delivery, Order
from timbre.serving.ordering import asked
from timbre.serving.schemas import StreamOptions
from timbre.serving.server import Server
from timbre.serving.speaking_options import openai_rate, openai_request, voice_of
from timbre.serving.turn import Heard, Sound, Turn

ROUTE = "/v1/audio/speech/stream"
_SETTLE_S = 0.25
"""A sentence that nothing follows for so long is spoken without waiting for what comes after its mark."""
_MOST_ERRORS = 20
_MOST_TURNS = 4
_FOR_EXAMPLE = 'send {"type": "text.delta", "delta": "Good "}'
_TOO_MANY, _UNSUPPORTED, _AWAY, _BUG = 1008, 1003, 1001, 1011


class StreamSession:
    """run() once. abort: cuts the connection off."""

    def __init__(self, server: Server, socket: WebSocket, options: StreamOptions, abort: Callable[[], None]) -> None:
        self._server = server
        self._socket = socket
        self._options = options
        self._abort = abort
        self._clauses = Clauses()
        self._turn: Turn | None = None
        self._turns: list[tuple[Turn, asyncio.Task[None]]] = []
        self._errors = 0
        self._failed = False
        self._voice = ""

    async def run(self) -> None:
        """Until either side closes."""
        try:
            while self._socket.client_state is WebSocketState.CONNECTED:
                frame = await self._frame()
                if frame is None:
                    return
                if not await self._take(frame):
                    return
        except (WebSocketDisconnect, OSError):
            pass
        except Exception as error:
            self._server.log.error("bug in a stream", exc_info=error)
            await self._close(_BUG)
        finally:
            for turn, speaking in self._turns:
                turn.stop()
                speaking.cancel()
            await asyncio.gather(*(speaking for _, speaking in self._turns), return_exceptions=True)

    async def _frame(self) -> dict[str, Any] | None:
        """The next frame of the client; None when it has been idle for too long. Clauses that wait are settled."""
        settled = not self._clauses.ended
        waited_s = 0.0
        while True:
            timeout_s = _SETTLE_S if not settled else self._server.settings.stream_idle_s - waited_s
            try:
                frame = await asyncio.wait_for(self._socket.receive(), max(timeout_s, 0.01))
            except TimeoutError:
                if not settled:
                    settled, waited_s = True, _SETTLE_S
                    self._begun().add(self._clauses.settle())
                elif any(not turn.waits for turn, _ in self._unfinished()):
                    waited_s = 0.0
                else:
                    await self._close(_AWAY, "idle")
                    return None
                continue
            if frame["type"] == "websocket.disconnect":
                return None
            return dict(frame)

    def _unfinished(self) -> list[tuple[Turn, asyncio.Task[None]]]:
        self._turns = [item for item in self._turns if not item[1].done()]
        return self._turns

    async def _take(self, frame: dict[str, Any]) -> bool:
        """False when the connection was closed for it."""
        text = frame.get("text")
        if text is None:
            await self._close(_UNSUPPORTED, "send JSON in text frames")
            return False
        try:
            await self._event(_parsed(text))
        except ApiError as error:
            self._errors += 1
            await self._tell(error)
            if self._errors >= _MOST_ERRORS:
                await self._close(_TOO_MANY, "too many wrong events")
                return False
        return True

    async def _event(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        if kind in ("text.delta", "response.text.delta", "response.output_text.delta"):
            self._delta(event.get("delta"))
        elif kind in ("text.done", "response.text.done", "response.output_text.done"):
            rest, failed, self._failed = self._clauses.flush(), self._failed, False
            if failed and self._turn is None and not rest:
                return  # the end of a text whose error was sent: there is nothing more to say of it
            self._begun().add(rest)
            self._begun().end()
            self._turn = None
        elif kind in ("cancel", "response.cancel"):
            await self._interrupt(event.get("played_s"))
        elif kind == "session.update":
            self._update(event)
        else:
            raise ApiError(
                400, f"type: {str(kind)[:40]!r} is no event of this route",
                "send session.update, text.delta, text.done or cancel", param="type",
            )  # fmt: skip

    def _delta(self, delta: object) -> None:
        if not isinstance(delta, str):
            raise ApiError(400, "delta: it is no text", _FOR_EXAMPLE, param="delta")
        waiting = len(self._clauses.waiting) + sum(turn.waiting_characters for turn, _ in self._unfinished())
        most = self._server.settings.max_characters
        if waiting + len(delta) > most:
            raise ApiError(
                413, f"delta: {waiting + len(delta)} characters wait to be spoken, the limit is {most}",
                "send text as it is written, and wait for sound", param="delta",
            )  # fmt: skip
        turn, self._failed = self._begun(), False
        if clauses := self._clauses.add(delta):
            turn.add(clauses)

    def _update(self, event: dict[str, Any]) -> None:
        given = event.get("session", {name: value for name, value in event.items() if name != "type"})
        if not isinstance(given, dict):
            raise ApiError(400, "session: it is no object", 'send {"type": "session.update", "voice": "NAME"}')
        known = {**self._options.model_dump(exclude_unset=True), **given}
        self._options = read_options(known)

    async def _interrupt(self, played_s: object) -> None:
        if played_s is not None and (isinstance(played_s, bool) or not isinstance(played_s, int | float)):
            raise ApiError(400, "played_s: it is no number", "send the seconds that were heard", param="played_s")
        self._clauses.clear()
        self._turn = None
        stopped = list(self._unfinished())
        for turn, _ in stopped:
            turn.stop()
        await asyncio.gather(*(speaking for _, speaking in stopped), return_exceptions=True)
        heard = stopped[0][0].heard if stopped else Heard()
        whole, broken = heard.until(None if played_s is None else float(played_s))
        await self._send(
            {
                "type": "speech.audio.interrupted", "spoken": whole, "broken_off": broken,
                "seconds": round(heard.seconds, 3),
            }
        )  # fmt: skip

    # -- speaking --------------------------------------------------------------------------------------------------

    def _begun(self) -> Turn:
        """The turn that takes text now."""
        if self._turn is None:
            unfinished = self._unfinished()
            if len(unfinished) >= _MOST_TURNS:
                raise ApiError(429, f"{len(unfinished)} texts wait to be spoken", "wait for speech.audio.done")
            before = unfinished[-1][1] if unfinished else None
            self._turn = Turn(self._submitter())
            self._turns.append((self._turn, asyncio.ensure_future(self._speak(self._turn, before))))
        return self._turn

    async def _speak(self, turn: Turn, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        metrics, status = self._server.metrics, "200"
        metrics.in_flight.inc()
        try:
            async for event in turn.events():
                if isinstance(event, Sound):
                    await self._sound(event.data)
                elif self._options.timestamps:
                    await self._send({"type": "speech.timestamps", "sentence": plain(event)})
            if turn.stopped:
                status = "interrupted"
            else:
                spoken = turn.heard.until(None)[0]
                seconds = round(turn.heard.seconds, 3)
                await self._send({"type": "speech.audio.done", "spoken": spoken, "seconds": seconds})
        except ApiError as error:
            status = str(error.status_code)
            self._clauses.clear()
            if self._turn is turn:
                self._turn, self._failed = None, True
            await self._tell(error)
        except (WebSocketDisconnect, OSError):
            status = "cut"
        except Exception as error:
            status = "500"
            self._server.log.error("bug in a stream", exc_info=error)
            await self._close(_BUG)
        finally:
            turn.stop()
            metrics.in_flight.dec()
            metrics.requests.labels(ROUTE, self._voice or UNKNOWN, status).inc()

    def _submitter(self) -> Callable[[str], Delivery]:
        """Orders the clauses of one turn. A voice that a mark calls for speaks on until the turn ends."""
        called = ""

        def submit(clause: str) -> Delivery:
            nonlocal called
            options = self._options
            reference = called or voice_of(options)
            found = asked(
                self._server, clause, reference, openai_request(options), field="delta",
                owner=self._socket.scope["state"].get("owner", ""),
            )  # fmt: skip
            called = found.voice_after or called
            order = Order(found.parts, options.response_format, openai_rate(options), False, ROUTE, timed=True)
            self._voice = order.label
            return self._server.deliver(order)

        return submit

    # -- out -------------------------------------------------------------------------------------------------------

    async def _sound(self, data: bytes) -> None:
        if self._options.binary:
            await self._within_limit(self._socket.send_bytes(data))
        else:
            await self._send({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()})

    async def _send(self, body: dict[str, Any]) -> None:
        await self._within_limit(self._socket.send_text(json.dumps(body, ensure_ascii=False)))

    async def _tell(self, error: ApiError) -> None:
        with suppress(WebSocketDisconnect, OSError):
            await self._send({"type": "error", **error_body(error, "/v1/", "")})

    async def _within_limit(self, sending: Any) -> None:
        """Raises WebSocketDisconnect when the client has gone, or takes nothing for stall_timeout_s and is cut off."""
        try:
            await asyncio.wait_for(sending, self._server.settings.stall_timeout_s)
        except RuntimeError as error:
            # Starlette and uvicorn say so of a message after the end: one task sends while another, or the protocol
            # after a broken frame, has closed.
            raise WebSocketDisconnect(_AWAY) from error
        except TimeoutError:
            self._server.metrics.cancelled.labels("stalled").inc()
            self._abort()
            raise WebSocketDisconnect(_AWAY) from None

    async def _close(self, code: int, reason: str = "") -> None:
        with suppress(WebSocketDisconnect, OSError):
            await self._within_limit(self._socket.close(code, reason))


def read_options(given: dict[str, Any]) -> StreamOptions:
    """Raises ApiError 400 that names the wrong field."""
    try:
        return StreamOptions.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))[:60] or "session"
        message = "".join(item for item in first["msg"][:200] if item.isprintable())
        raise ApiError(400, f"{name}: {message}", "docs/server.md lists the fields", param=name) from None


def _parsed(text: str) -> dict[str, Any]:
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        raise ApiError(
            400, "the frame is not JSON", 'send {"type": "text.delta", "delta": "..."}', code="not_json"
        ) from None
    if not isinstance(event, dict):
        raise ApiError(400, "the frame is no JSON object", _FOR_EXAMPLE)
    make_encodable(event)
    return event
