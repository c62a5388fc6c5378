"""Home Assistant's protocol, by the client of its own package."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.serving.running import FAST, Running, wait_until
from tests.serving.shelf_of_voices import Shelf
from timbre.core.errors import ConfigurationError
from timbre.serving.settings import load_settings

pytest.importorskip("wyoming", reason="wyoming is missing: make install")

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event, Eventable
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)


@pytest.fixture
def bridged(serve: Callable[..., Running], shelf: Shelf) -> Running:
    shelf.publish("ada", 0)
    shelf.publish("bob", 1)
    live = serve(replace(FAST, wyoming="127.0.0.1:0", default_voice="ada", max_body_kib=16))
    wait_until(lambda: all(entry.state == "ready" for entry in live.server.library.entries.values()))
    return live


def talk(port: int, sent: Sequence[Eventable], until: Callable[[Event], bool]) -> list[Event]:
    """What comes back for events, up to the one that ends it."""

    async def run() -> list[Event]:
        async with AsyncTcpClient("127.0.0.1", port) as client:
            for item in sent:
                await client.write_event(item.event())
            return await _answers(client.read_event, until)

    return asyncio.run(run())


async def _answers(read: Callable[[], Awaitable[Event | None]], until: Callable[[Event], bool]) -> list[Event]:
    found: list[Event] = []
    while not found or not until(found[-1]):
        event = await asyncio.wait_for(read(), 300)
        assert event is not None, found
        found.append(event)
    return found


def sound(events: list[Event]) -> bytes:
    return b"".join(AudioChunk.from_event(item).audio for item in events if AudioChunk.is_type(item.type))


def types(events: list[Event]) -> list[str]:
    """Types in order, chunks of sound once."""
    return [item.type for number, item in enumerate(events) if not number or item.type != events[number - 1].type]


def test_voices_and_speech(bridged: Running) -> None:
    (info,) = talk(bridged.server.wyoming_port, [Describe()], lambda event: Info.is_type(event.type))
    (program,) = Info.from_event(info).tts
    assert program.supports_synthesize_streaming
    assert [voice.name for voice in program.voices] == ["ada", "bob"]
    assert all("en" in voice.languages for voice in program.voices)
    (pong,) = talk(bridged.server.wyoming_port, [Ping("here?")], lambda event: True)
    assert Pong.from_event(pong).text == "here?"

    said, rate_hz = {}, bridged.server.library.speaker("ada", "production").engine.base.rate_hz
    for name in ("ada", "bob", None):
        voice = SynthesizeVoice(name=name) if name else SynthesizeVoice(language="en-GB")
        sent = [Synthesize("Good morning.", voice)]
        events = talk(bridged.server.wyoming_port, sent, lambda event: AudioStop.is_type(event.type))
        assert types(events) == ["audio-start", "audio-chunk", "audio-stop"]
        assert AudioStart.from_event(events[0]).rate == rate_hz
        said[name] = sound(events)
        assert len(said[name]) > 10_000
    assert bridged.metric('voice_tts_requests_total{route="wyoming",status="200"') == 3


def test_text_in_pieces(bridged: Running) -> None:
    """As Home Assistant sends it: the whole text comes too, for servers that take no pieces."""
    sent: list[Eventable] = [SynthesizeStart(SynthesizeVoice(name="bob"))]
    sent += [SynthesizeChunk(piece) for piece in ("The harbour was qui", "et. The boats ", "came home")]
    sent += [Synthesize("The harbour was quiet. The boats came home"), SynthesizeStop()]
    events = talk(bridged.server.wyoming_port, sent, lambda event: SynthesizeStopped.is_type(event.type))
    assert types(events) == ["audio-start", "audio-chunk", "audio-stop", "synthesize-stopped"]
    # Both sentences, once each.
    assert bridged.metric('voice_tts_requests_total{route="wyoming",status="200"') == 2


def test_errors_leave_the_connection_usable(bridged: Running) -> None:
    sent: list[Eventable] = [
        Synthesize("hi", SynthesizeVoice(name="nobody")), Synthesize("[pause:1s]"),
        _Raw(Event("synthesize", {"text": 5})),
        _Raw(Event("synthesize")), _Raw(Event("unknown")), SynthesizeStop(), Synthesize("Good morning."),
    ]  # fmt: skip
    events = talk(bridged.server.wyoming_port, sent, lambda event: AudioStop.is_type(event.type))
    errors = [Error.from_event(item) for item in events if Error.is_type(item.type)]
    assert [error.code for error in errors] == [
        "voice_not_found",
        "invalid_request",
        "invalid_request",
        "invalid_request",
    ]
    assert "GET /v1/audio/voices" in errors[0].text
    assert types(events)[-3:] == ["audio-start", "audio-chunk", "audio-stop"]


class _Raw:
    """An event as it is."""

    def __init__(self, event: Event) -> None:
        self._event = event

    def event(self) -> Event:
        return self._event


@pytest.mark.parametrize(
    "raw",
    [
        b"no json\n", b"[1]\n", b"{}\n", b"[" * 5_000 + b"\n", b"x" * 200_000, b'{"type": 5}\n',
        b'{"type": "synthesize", "data_length": 99999999999}\n', b'{"type": "synthesize", "data_length": -1}\n',
        b'{"type": "audio-chunk", "payload_length": 99999999999}\n' + b"0" * 100_000,
        b'{"type": "synthesize", "data_length": true}\n', b'{"type": "synthesize", "data": [1]}\n',
        b'{"type": "synthesize", "data_length": 3}\n{a}', b'{"type": "describe"',
    ],
)  # fmt: skip
def test_bytes_that_are_no_event_end_the_connection(bridged: Running, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", bridged.server.wyoming_port), timeout=60) as client:
        received = b""
        # The server may have hung up before everything is sent: ENOTCONN is no ConnectionError.
        with contextlib.suppress(OSError):
            client.sendall(raw)
            client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                received += data
    assert received == b"" or json.loads(received.splitlines()[0])["type"] == "error"
    (info,) = talk(bridged.server.wyoming_port, [Describe()], lambda event: Info.is_type(event.type))
    assert info.data
    assert not [line for line in bridged.lines if "bug" in line.getMessage()]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"wyoming": "0.0.0.0:10300"}, "no keys"), ({"wyoming": "10300"}, "HOST:PORT"),
        ({"wyoming": "a:99999"}, "HOST:PORT"),
        ({"wyoming": ":1"}, "HOST:PORT"),
    ],
)  # fmt: skip
def test_addresses(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load_settings(None, {}, given)
    assert load_settings(None, {}, {"wyoming": "0.0.0.0:1", "wyoming_open": True}).wyoming_address == ("0.0.0.0", 1)
    assert load_settings(None, {}, {"wyoming": "[::1]:10300"}).wyoming_address == ("::1", 10300)
