"""Wyoming, the protocol of Home Assistant: voices and their speech over TCP, without HTTP.

JSON line (+ JSON data, + payload) -> event -> order -> audio-start, audio-chunk..., audio-stop

The package `wyoming` knows the events; they are read here, since its own reader waits for as many bytes as a line says.
The protocol has no keys: every program that can connect may speak, so the address is a loopback one unless the operator
says otherwise.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_write_event
from wyoming.info import Attribution, Describe, Info, TtsProgram, TtsVoice
from wyoming.ping import Ping, Pong
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from timbre.inference.request import SpeechRequest
from timbre.registry.names import PRODUCTION
from timbre.serving.clauses import Clauses
from timbre.serving.errors import ApiError, unavailable
from timbre.serving.metrics import UNKNOWN
from timbre.serving.order import Begun, Done, Order, Piece
from timbre.serving.ordering import asked_for
from timbre.serving.server import Server

ROUTE = "wyoming"
_LONGEST_LINE = 64 * 1024
_WIDTH, _CHANNELS = 2, 1
_CHUNK_BYTES = 8 * 1024
_NAME, _URL = "timbre", "https://github.com/rhasspy/wyoming"


class WyomingBridge:
    """start() and stop() once each, in the loop of the application."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._listening: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """On which it listens."""
        assert self._listening is not None
        return int(self._listening.sockets[0].getsockname()[1])

    async def start(self, host: str, port: int) -> None:
        """Raises OSError when the address is not free."""
        self._listening = await asyncio.start_server(self._connected, host, port, limit=_LONGEST_LINE)

    async def stop(self) -> None:
        """Ends at once."""
        if self._listening is not None:
            self._listening.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = _Connection(self._server, reader, writer)
        try:
            if len(self._tasks) > self._server.settings.max_streams:
                await connection.tell(unavailable("too many connections are open"))
            else:
                await connection.run()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or takes nothing, or the server ends
        except Exception as error:
            self._server.log.error("bug in a Wyoming connection", exc_info=error)
        finally:
            self._tasks.discard(task)
            writer.close()


class _Connection:
    """One client: its events in order, each answered before the next is read."""

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._clauses: Clauses | None = None
        self._voice: SynthesizeVoice | None = None
        self._rate_hz = 0
        self._failed = False

    async def run(self) -> None:
        """Until either side closes."""
        settings = self._server.settings
        while True:
            event = await asyncio.wait_for(
                read_event(self._reader, settings.max_body_kib * 1024), settings.stream_idle_s
            )  # fmt: skip
            if event is None:
                return
            try:
                await self._take(event)
            except ApiError as error:
                self._failed = True
                await self._end()
                await self.tell(error)
            except (KeyError, TypeError, ValueError, AttributeError):
                await self.tell(ApiError(400, f"{event.type[:40]}: its fields are wrong", "see the protocol's page"))

    async def tell(self, error: ApiError) -> None:
        """Sends an error as an event."""
        text = f"{error.message}; {error.remedy}" if error.remedy else error.message
        await self._send(Error(text, error.code))

    async def _take(self, event: Event) -> None:
        if Describe.is_type(event.type):
            await self._send(self._info())
        elif Ping.is_type(event.type):
            await self._send(Pong(Ping.from_event(event).text))
        elif SynthesizeStart.is_type(event.type):
            self._clauses, self._voice = Clauses(), SynthesizeStart.from_event(event).voice
            self._failed = False
        elif SynthesizeChunk.is_type(event.type) and self._clauses is not None:
            await self._say(self._clauses.add(_text(SynthesizeChunk.from_event(event).text)))
        elif SynthesizeStop.is_type(event.type) and self._clauses is not None:
            rest, self._clauses = self._clauses.flush(), None
            try:
                await self._say(rest)
                await self._end()
            finally:
                await self._send(SynthesizeStopped())
        elif Synthesize.is_type(event.type) and self._clauses is None:
            # Between start and stop the whole text comes once more, for servers that do not take pieces.
            whole = Synthesize.from_event(event)
            self._voice, self._failed = whole.voice, False
            await self._say([_text(whole.text)])
            await self._end()

    async def _say(self, texts: list[str]) -> None:
        """Speaks texts in order. After an error nothing more of this text is spoken."""
        for text in texts:
            if not self._failed:
                await self._speak(text)

    async def _speak(self, text: str) -> None:
        server = self._server
        asked = await asked_for(server, text, self._reference(), SpeechRequest(""), field="text", whole=False)
        order = Order(asked.parts, "pcm", self._rate_hz or None, False, ROUTE)
        delivery, status = server.deliver(order), "cut"
        try:
            while True:
                event = await delivery.take()
                if isinstance(event, ApiError):
                    status = str(event.status_code)
                    raise event
                if isinstance(event, Begun) and not self._rate_hz:
                    self._rate_hz = event.rate_hz
                    await self._send(AudioStart(self._rate_hz, _WIDTH, _CHANNELS))
                elif isinstance(event, Piece):
                    for start in range(0, len(event.data), _CHUNK_BYTES):
                        sound = event.data[start : start + _CHUNK_BYTES]
                        await self._send(AudioChunk(self._rate_hz, _WIDTH, _CHANNELS, sound))
                elif isinstance(event, Done):
                    status = "200"
                    return
        finally:
            delivery.cancel.cancel("the client left")
            server.metrics.requests.labels(ROUTE, order.label or UNKNOWN, status).inc()

    async def _end(self) -> None:
        """What begins with audio-start ends with audio-stop."""
        if self._rate_hz:
            self._rate_hz = 0
            await self._send(AudioStop())

    def _reference(self) -> str:
        """The voice that is named, else the first that speaks the language that is named, else the default one."""
        voice = self._voice
        if voice is None or voice.name:
            return (voice and voice.name) or ""
        wanted = (voice.language or "").partition("-")[0].partition("_")[0].lower()
        return next((name for name, _, languages in self._voices() if wanted in languages), "")

    def _voices(self) -> list[tuple[str, str, list[str]]]:
        """Name, version and languages of those that speak."""
        library = self._server.library
        found = []
        for name, entry in library.entries.items():
            version = entry.serving.get(PRODUCTION)
            if entry.state == "ready" and version is not None:
                manifest = library.manifest(name, version)
                found.append((name, version, list(manifest.languages) if manifest else []))
        return found

    def _info(self) -> Info:
        source = Attribution(_NAME, _URL)
        voices = [
            TtsVoice(
                name=name, attribution=source, installed=True, description=name, version=version, languages=languages
            )
            for name, version, languages in self._voices()
        ]
        program = TtsProgram(
            name=_NAME, attribution=source, installed=True, description="Voices of a registry",
            version=self._server.version, voices=voices, supports_synthesize_streaming=True,
        )  # fmt: skip
        return Info(tts=[program])

    async def _send(self, event: Eventable) -> None:
        await asyncio.wait_for(
            async_write_event(event.event(), self._writer), self._server.settings.stall_timeout_s
        )  # fmt: skip


async def read_event(reader: asyncio.StreamReader, most_bytes: int) -> Event | None:
    """The next event; None at the end of the connection, and for anything that is none or larger than most_bytes."""
    try:
        line = await reader.readline()
    except ValueError:  # longer than the reader's limit
        return None
    try:
        head: Any = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(head, dict) or not isinstance(head.get("type"), str):
        return None
    sizes = [head.get(name) or 0 for name in ("data_length", "payload_length")]
    if any(isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= most_bytes for size in sizes):
        return None
    given = head.get("data") or {}
    try:
        more = json.loads(await reader.readexactly(sizes[0])) if sizes[0] else {}
    except (ValueError, RecursionError):
        return None
    payload = await reader.readexactly(sizes[1]) if sizes[1] else None
    if not (isinstance(given, dict) and isinstance(more, dict)):
        return None
    return Event(head["type"], {**given, **more}, payload)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value
