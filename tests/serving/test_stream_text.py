"""Text in pieces over a WebSocket: sound while it is written, interruption, and frames that nobody should send."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.serving.running import FAST, Running, wait_until
from timbre.serving.clauses import Clauses
from timbre.serving.stream_session import StreamSession, read_options
from timbre.serving.wire import http_config

TEXT = "Good morning, everybody. Dr. Smith paid 3.5 pounds for it, and went home. That was all."


@contextmanager
def opened(live: Running, query: str = "voice=ada&seed=1", **options: Any) -> Iterator[ClientConnection]:
    url = f"ws://127.0.0.1:{live.port}/v1/audio/speech/stream?{query}"
    with connect(url, open_timeout=60, close_timeout=5, proxy=None, **options) as client:
        yield client


def send(client: ClientConnection, kind: str, **more: Any) -> None:
    client.send(json.dumps({"type": kind, **more}))


def until(client: ClientConnection, *kinds: str) -> list[dict[str, Any]]:
    """Events up to the first of these kinds."""
    found = []
    while not found or found[-1]["type"] not in kinds:
        message = client.recv(timeout=120)
        assert isinstance(message, str)
        found.append(json.loads(message))
    return found


def sound(events: list[dict[str, Any]]) -> np.ndarray:
    data = b"".join(base64.b64decode(event["audio"]) for event in events if event["type"] == "speech.audio.delta")
    return np.frombuffer(data, "<i2") / 32768


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_clauses_do_not_depend_on_how_the_text_arrives(size: int) -> None:
    clauses = Clauses()
    found = [part for at in range(0, len(TEXT), size) for part in clauses.add(TEXT[at : at + size])] + clauses.flush()
    assert "".join("".join(found).split()) == "".join(TEXT.split())
    assert len(found) in (3, 4)  # a comma that comes alone ends a clause before the stop is known
    assert found[1].startswith("everybody") or found[0] == "Good morning, everybody."
    assert not any(part.startswith(("Smith", "5 pounds")) for part in found)


def test_clauses_are_bounded_and_quick() -> None:
    clauses = Clauses()
    started = time.process_time()
    found = [part for _ in range(50) for part in clauses.add("a. b, " * 200)]
    assert time.process_time() - started < 20
    assert max(map(len, found)) <= 200
    assert len(clauses.waiting) <= 200


def test_sound_comes_while_the_text_is_written(live: Running) -> None:
    with opened(live) as client:
        send(client, "text.delta", delta="Good morning, everybody. And ")
        first = until(client, "speech.audio.delta")
        for word in ["then", "he", "went", "home.", "That", "was", "all."]:
            send(client, "text.delta", delta=f"{word} ")
        send(client, "text.done")
        rest = until(client, "speech.audio.done")
    events = first + rest
    done = rest[-1]
    samples = sound(events)
    assert done["spoken"] == "Good morning, everybody. And then he went home. That was all."
    assert done["seconds"] == pytest.approx(len(samples) / 24_000, abs=0.05)
    assert np.abs(samples).max() > 0.01
    times = [event["sentence"] for event in events if event["type"] == "speech.timestamps"]
    edges = [edge for item in times for edge in (item["start_s"], item["end_s"])]
    assert edges == sorted(edges)
    assert [word["text"] for item in times for word in item["words"]][:4] == ["Good", "morning", "everybody", "And"]


def test_a_sentence_that_nothing_follows_is_spoken(live: Running) -> None:
    with opened(live) as client:
        send(client, "text.delta", delta="That was all for today.")
        assert len(sound(until(client, "speech.timestamps"))) > 0


def test_one_connection_many_turns_and_other_settings(live: Running) -> None:
    with opened(live, "seed=1") as client:
        send(client, "session.update", voice="bob", binary=True, timestamps=False, sample_rate="16000")
        send(client, "text.delta", delta="Good morning.")
        send(client, "text.done")
        data = b""
        while isinstance(message := client.recv(timeout=120), bytes):
            data += message
        assert json.loads(message)["type"] == "speech.audio.done"
        assert len(data) / 2 / 16_000 == pytest.approx(json.loads(message)["seconds"], abs=0.05)
        send(client, "session.update", session={"binary": False})
        send(client, "text.done")
        assert until(client, "speech.audio.done")[-1]["spoken"] == ""


def test_interruption_stops_decoding_and_says_what_was_heard(live: Running) -> None:
    busy = live.server.metrics.in_flight
    with opened(live) as client:
        send(client, "text.delta", delta="Good morning, everybody. " + "And then he went home to his garden. " * 12)
        send(client, "text.done")
        until(client, "speech.timestamps")
        until(client, "speech.timestamps")
        send(client, "cancel", played_s=0.01)
        told = until(client, "speech.audio.interrupted")[-1]
        assert told["spoken"] == ""
        send(client, "text.delta", delta="Yes, of course. ")
        send(client, "text.done")
        again = until(client, "speech.audio.done")[-1]
        assert again["spoken"] == "Yes, of course."
        send(client, "text.delta", delta="Good morning, everybody. And then he went ")
        until(client, "speech.timestamps")
        send(client, "cancel")
        assert until(client, "speech.audio.interrupted")[-1]["spoken"].startswith("Good morning")
        send(client, "cancel")
        assert until(client, "speech.audio.interrupted")[-1]["spoken"] == ""
    wait_until(lambda: busy._value.get() == 0)
    wait_until(lambda: live.server.engines.open[0].scheduler.depth == (0, 0))


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("no json", "not_json"),
        ("[" * 50_000, "not_json"),
        ("[]", "invalid_request"),
        ('{"type": "shout"}', "invalid_request"),
        ('{"type": 7}', "invalid_request"),
        ('{"type": "text.delta", "delta": 7}', "invalid_request"),
        ('{"type": "text.delta"}', "invalid_request"),
        ('{"type": "session.update", "session": 3}', "invalid_request"),
        ('{"type": "session.update", "speed": 99}', "invalid_request"),
        ('{"type": "session.update", "response_format": "wav"}', "invalid_request"),
        ('{"type": "cancel", "played_s": "x"}', "invalid_request"),
        (json.dumps({"type": "text.delta", "delta": "a" * 5000}), "too_large"),
    ],
)
def test_wrong_events_are_told_and_the_stream_goes_on(live: Running, frame: str, code: str) -> None:
    with opened(live) as client:
        client.send(frame)
        assert until(client, "error")[-1]["error"]["code"] == code
        send(client, "text.delta", delta="Hello there.")
        send(client, "text.done")
        assert until(client, "speech.audio.done")[-1]["spoken"] == "Hello there."


def test_what_the_voice_cannot_do_is_told(live: Running) -> None:
    with opened(live, "voice=nobody") as client:
        send(client, "text.delta", delta="Hello there. ")
        send(client, "text.done")
        assert until(client, "error")[-1]["error"]["code"] == "voice_not_found"
        send(client, "session.update", voice="ada")
        send(client, "text.delta", delta="Hello there. ")
        send(client, "text.done")
        assert until(client, "speech.audio.done")[-1]["spoken"] == "Hello there."


def test_marks_documents_and_voices_in_a_stream(live: Running) -> None:
    with opened(live) as client:
        for delta in ("Hello there, Bob. [voice:", "bob] Good morning to you. ", "How are you today? [pause:1s]"):
            send(client, "text.delta", delta=delta)
        send(client, "text.done")
        events = until(client, "speech.audio.done")
        assert events[-1]["spoken"] == "Hello there, Bob. Good morning to you. How are you today?"
        # A document is spoken when it is complete, whatever marks stand in it.
        for delta in ("<speak>Good mor", "ning. I am <sub alias='Ada'>A</sub>. ", "Hello.</speak>"):
            send(client, "text.delta", delta=delta)
        send(client, "text.done")
        assert until(client, "speech.audio.done")[-1]["spoken"] == "Good morning. I am Ada. Hello."
        send(client, "text.delta", delta="<speak><audio/></speak>")
        send(client, "text.done")
        assert "<audio> is not supported" in until(client, "error")[-1]["error"]["message"]


def test_frames_that_end_the_stream(live: Running) -> None:
    for data, code in ((b"\x00" * 10, 1003), ("x" * 300_000, 1009)):
        with opened(live) as client:
            client.send(data)
            with pytest.raises(ConnectionClosed) as caught:
                until(client, "never")
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == code
    with opened(live) as client, pytest.raises(ConnectionClosed):
        for _ in range(40):
            client.send("{")
        until(client, "never")


def raw(live: Running) -> socket.socket:
    """A WebSocket whose frames a test writes byte by byte."""
    wire = socket.create_connection(("127.0.0.1", live.port), timeout=60)
    wire.sendall(
        b"GET /v1/audio/speech/stream?voice=ada HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\n"
        b"connection: upgrade\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 13\r\n\r\n"
    )
    assert wire.recv(4096).startswith(b"HTTP/1.1 101")
    return wire


def test_broken_frames_harm_nobody_else(live: Running) -> None:
    """Lengths that lie, masks that are missing, fragments that never end, bytes after close, noise."""
    random_bytes = random.Random(1)
    huge = b"\x81\xff" + struct.pack("!Q", 1 << 62) + b"\0\0\0\0"
    frames = [
        huge, b"\x81\x05hello", b"\x01\x81\0\0\0\0a" * 3, b"\x88\x80\0\0\0\0" + b"\x81\x81\0\0\0\0a" * 5,
        b"\x81\x82\0\0\0\0\xff\xfe", b"\xf1\x80\0\0\0\0", b"\x83\x80\0\0\0\0",
        *(random_bytes.randbytes(random_bytes.randint(1, 200)) for _ in range(150)),
    ]  # fmt: skip
    for frame in frames:
        with raw(live) as wire:
            wire.sendall(frame)
    assert live.say("ada").status == 200
    assert not [line for line in live.lines if "bug" in line.getMessage()]


@pytest.mark.parametrize("event", ['{"type": "cancel"}', '{"type": "unknown"}', '{"type": "text.done"}'])
def test_an_answer_to_a_connection_that_has_ended_is_no_bug(live: Running, event: str) -> None:
    """The protocol closes after a broken frame, while an answer to the frame before it is on its way."""
    frames = iter([{"type": "websocket.connect"}, {"type": "websocket.receive", "text": event}])

    async def receive() -> dict[str, Any]:
        return next(frames, {"type": "websocket.disconnect", "code": 1002})

    async def send_after_close(message: MutableMapping[str, Any]) -> None:
        if message["type"] != "websocket.accept":  # as uvicorn says it
            raise RuntimeError(f"Unexpected ASGI message '{message['type']}', after sending 'websocket.close'.")

    async def session() -> None:
        socket = WebSocket({"type": "websocket", "state": {}}, receive, send_after_close)
        await socket.accept()
        await StreamSession(live.server, socket, read_options({"voice": "ada"}), lambda: None).run()

    before = len(live.lines)
    asyncio.run(session())
    assert not [line for line in live.lines[before:] if line.exc_info]


def test_a_bug_while_a_text_is_spoken_is_logged_and_ends_the_stream(
    live: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("of our own")

    monkeypatch.setattr("timbre.serving.stream_session.Sound", fails)  # isinstance() of a function is a TypeError
    before = len(live.lines)
    with opened(live) as client:
        send(client, "text.delta", delta="Good morning. ")
        send(client, "text.done")
        with pytest.raises(ConnectionClosed) as caught:
            until(client, "speech.audio.done")
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1011
    assert [line.getMessage() for line in live.lines[before:] if line.exc_info] == ["bug in a stream"]
    del live.lines[before:]


def test_a_message_that_never_ends(serve: Callable[..., Running], shelf: Any) -> None:
    """In fragments without an end: cut off at the largest message, and when it stops half-way."""
    shelf.publish("ada", 0)
    live = serve(replace(FAST, stream_idle_s=0.5))
    with raw(live) as wire:
        wire.sendall(b"\x01\x80\0\0\0\0")
        with contextlib.suppress(ConnectionError):
            for _ in range(2_000):
                wire.sendall(b"\x00\xfe\x10\x00\0\0\0\0" + b"a" * 4096)
        with contextlib.suppress(ConnectionError):
            assert closed_with(wire) in (1009, None)
    with raw(live) as wire:
        wire.sendall(b"\x01\x84\0\0\0\0half")
        assert closed_with(wire) == 1001
    assert live.say("ada").status == 200
    assert not [line for line in live.lines if line.exc_info]


def closed_with(wire: socket.socket) -> int | None:
    """Code of the close frame; None where the connection ended without one."""
    said = b""
    while part := wire.recv(4096):
        said += part
    assert said[:1] in (b"", b"\x88"), said
    return struct.unpack("!H", said[2:4])[0] if said else None


@pytest.fixture
def strict(serve: Callable[..., Running], shelf: Any) -> Running:
    shelf.publish("ada", 0)
    return serve(replace(FAST, max_streams=2, stream_idle_s=0.5, api_keys=("k" * 20,)))


def test_streams_are_bounded_guarded_and_not_kept_when_idle(strict: Running) -> None:
    key = {"additional_headers": {"authorization": f"Bearer {'k' * 20}"}}
    for options in ({}, {"additional_headers": {"x-api-key": "wrong"}}):
        with pytest.raises(InvalidStatus) as caught, opened(strict, **options):
            pass
        assert caught.value.response.status_code == 401
    with pytest.raises(InvalidStatus) as caught, opened(strict, "speed=99", **key):
        pass
    assert caught.value.response.status_code == 400
    assert b"speed" in caught.value.response.body
    by_protocol = ["realtime", f"openai-insecure-api-key.{'k' * 20}"]
    with opened(strict, subprotocols=by_protocol) as one, opened(strict, **key) as two:
        assert one.subprotocol == "realtime"
        with pytest.raises(InvalidStatus) as caught, opened(strict, **key):
            pass
        assert caught.value.response.status_code == 503
        for client in (one, two):
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(timeout=60)
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "idle")
    wait_until(lambda: _opens(strict, key))


def _opens(live: Running, key: dict[str, Any]) -> bool:
    try:
        with opened(live, **key):
            return True
    except InvalidStatus:
        return False


def test_without_the_protocol_the_route_says_so(live: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = live.call("GET", "/v1/audio/speech/stream")
    assert (answer.status, answer.json["error"]["code"]) == (426, "upgrade_required")
    assert "ws://" in answer.json["error"]["message"]
    monkeypatch.setattr("timbre.serving.wire.find_spec", lambda _: None)
    monkeypatch.setattr("timbre.serving.stream_routes.find_spec", lambda _: None)
    assert http_config(lambda *_: None, FAST, shutdown_s=1).ws == "none"  # type: ignore[arg-type,return-value]
    assert "timbre[stream]" in live.call("GET", "/v1/audio/speech/stream").json["error"]["message"]


def test_a_page_of_another_site_is_refused(live: Running) -> None:
    with pytest.raises(InvalidStatus) as caught, opened(live, origin="https://evil.example"):
        pass
    assert caught.value.response.status_code == 403
