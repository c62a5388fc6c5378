"""What one client can take from the others: connections, descriptors, memory, seconds. Without voices or graphs."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from tests.serving.running import wait_until
from timbre.core.speaking_defaults import SpeakingDefaults
from timbre.inference.errors import CancelledError, TextError, TooLongError
from timbre.inference.guards import SentenceLimits
from timbre.inference.pace import Pace
from timbre.inference.planning import Planner
from timbre.inference.request import SpeechRequest
from timbre.serving.auth import Authenticator
from timbre.serving.encoding import WholeEncoder
from timbre.serving.errors import ApiError, explain
from timbre.serving.metrics import Metrics
from timbre.serving.middleware import RefusalMiddleware
from timbre.serving.order import Delivery, Done, Order, Part, Piece
from timbre.serving.origins import Origins
from timbre.serving.poll_watch import PollWatch
from timbre.serving.settings import ServeSettings
from timbre.serving.sockets import connection_limit
from timbre.serving.wire import QuietLoop, SeldomFilter, http_config
from timbre.text.frontend import phonemize

QUICK = ServeSettings(header_timeout_s=0.5, stall_timeout_s=0.5, max_connections=8)
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = 24 << 20
SHORT = "/v1/audio/speech"
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclasses.dataclass
class Site:
    """A small application behind the gate. seen: query strings; lines: errors that were logged."""

    port: int
    metrics: Metrics
    seen: list[bytes]
    lines: list[logging.LogRecord]

    def connect(self, received_bytes: int = 0) -> socket.socket:
        client = socket.socket()
        if received_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received_bytes)
        client.settimeout(20)
        client.connect(("127.0.0.1", self.port))
        return client

    def ask(self, data: bytes) -> bytes:
        with self.connect() as client:
            client.sendall(data)
            said = b""
            with contextlib.suppress(ConnectionResetError, TimeoutError):
                while part := client.recv(65536):
                    said += part
                    if b"\r\n\r\n" in said:
                        break
            return said

    def count(self, name: str) -> float:
        lines = self.metrics.text().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


@contextlib.contextmanager
def site(settings: ServeSettings = QUICK) -> Iterator[Site]:
    seen: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        seen.append(scope["query_string"])
        body = b"x" * LARGE if scope["path"] == "/tts" else b"ok"
        headers = [(b"content-length", str(len(body)).encode())]
        if scope["query_string"] == b"chunked":
            headers = []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["path"] == SHORT:
            # Its end comes when the client is gone.
            half = 1 if scope["query_string"] == b"half" else 2
            await send({"type": "http.response.body", "body": body[:half], "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                continue
            body = body[half:]
        await send({"type": "http.response.body", "body": body, "more_body": False})

    metrics = Metrics("1", "")
    lines: list[logging.LogRecord] = []
    log = logging.Logger("site")
    log.addHandler(_Keep(lines, logging.ERROR))
    gate = RefusalMiddleware(app, Authenticator(settings), metrics, settings, log)
    config = http_config(gate, settings, shutdown_s=1, log_level="critical", lifespan="off")
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    http = uvicorn.Server(config)
    thread = threading.Thread(target=http.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    wait_until(lambda: http.started)
    try:
        yield Site(listening.getsockname()[1], metrics, seen, lines)
    finally:
        http.should_exit = True
        thread.join(20)
        listening.close()
    assert not lines, [line.exc_info for line in lines]


def test_half_a_head_is_given_up_and_makes_room() -> None:
    with site() as here, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(here.connect()) for _ in range(20)]
        for client in slow:
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: local")
        assert here.ask(LIVEZ).startswith(b"HTTP/1.1 200"), "more connections than may be open, and still an answer"
        last = slow[-1].recv(4096)
        assert last.startswith(b"HTTP/1.1 408"), last
        kept = stack.enter_context(here.connect())
        kept.sendall(LIVEZ)
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        kept.sendall(LIVEZ[:20])
        assert kept.recv(4096).startswith((b"HTTP/1.1 408", b"ok")), "the second head of a connection too"


def test_connections_leave_descriptors_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (256, 4096))
    assert connection_limit(1000) == 192
    assert connection_limit(50) == 50


def test_an_answer_that_nobody_reads_is_cut_and_not_counted_as_done() -> None:
    with site() as here, here.connect(4096) as client:
        client.sendall(b"GET /tts HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: here.count("voice_tts_in_flight") == 1)
        wait_until(lambda: here.count("voice_tts_in_flight") == 0)
        assert here.count('voice_tts_cancelled_total{reason="stalled"}') == 1
        assert here.count('voice_tts_requests_total{route="/tts",status="cut"') == 1
        assert here.count('voice_tts_requests_total{route="/tts",status="200"') == 0


def test_a_client_that_leaves_is_no_bug() -> None:
    with site() as here:
        for _ in range(20):
            with here.connect() as client:
                client.sendall(b"GET /tts HTTP/1.1\r\nHost: localhost\r\n\r\n" + LIVEZ)
                client.recv(1000)
        wait_until(lambda: here.count('voice_tts_requests_total{route="/tts",status="cut"') == 20)
        assert not here.lines


@pytest.mark.parametrize(("query", "outcome"), [("", "200"), ("half", "cut"), ("chunked", "cut")])
def test_a_client_that_has_all_bytes_may_close_first(query: str, outcome: str) -> None:
    with site() as here:
        with here.connect() as client:
            client.sendall(f"GET {SHORT}?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            said = b""
            while not said.partition(b"\r\n\r\n")[2]:
                said += client.recv(4096)
        wait_until(lambda: here.count("voice_tts_requests_total") == 1)
        assert here.count(f'voice_tts_requests_total{{route="{SHORT}",status="{outcome}"') == 1


def test_an_answer_that_is_read_slowly_but_steadily_arrives() -> None:
    with site() as here, here.connect(4096) as client:
        client.sendall(b"GET /tts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        taken, began = 0, time.monotonic()
        while part := client.recv(1 << 20):
            taken += len(part)
            if time.monotonic() - began < 1.2:
                time.sleep(0.05)
        assert taken > LARGE
        wait_until(lambda: here.count('voice_tts_requests_total{route="/tts",status="200"') == 1)


def test_two_lengths_are_refused_and_the_connection_ends() -> None:
    with site() as here, here.connect() as client:
        client.sendall(
            b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            + LIVEZ
        )
        said = b""
        while part := client.recv(65536):
            said += part
        assert said.startswith(b"HTTP/1.1 400")
        assert said.count(b"HTTP/1.1") == 1


def test_a_query_with_raw_bytes_arrives() -> None:
    with site() as here:
        for raw in ("café".encode(), "你好".encode("gbk")):
            said = here.ask(b"GET /livez?text=" + raw + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert said.startswith(b"HTTP/1.1 200"), said
        assert here.seen == [b"text=caf%C3%A9", b"text=%E4%BD%A0%E5%A5%BD"]


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        ({}, {"host": "127.0.0.1:9880"}, 0),
        ({}, {"host": "[::1]:9880"}, 0),
        ({}, {"host": "LOCALHOST."}, 0),
        ({}, {}, 0),
        ({}, {"host": "evil.example:9880"}, 421),
        ({}, {"host": "127.0.0.1.evil.example"}, 421),
        ({"allowed_hosts": ("tts.example",)}, {"host": "tts.example:443"}, 0),
        ({"allowed_hosts": ("tts.example",)}, {"host": "evil.example"}, 421),
        ({"api_keys": ("k" * 20,)}, {"host": "tts.example"}, 0),
        ({"api_keys": ("k" * 20,), "allowed_hosts": ("tts.example",)}, {"host": "evil.example"}, 421),
        ({}, {"host": "localhost", "sec-fetch-site": "cross-site"}, 403),
        ({}, {"host": "localhost", "sec-fetch-site": "same-origin", "origin": "http://localhost"}, 0),
        ({}, {"host": "localhost", "origin": "https://evil.example"}, 403),
        ({}, {"host": "localhost", "origin": "null"}, 403),
        ({"api_keys": ("k" * 20,)}, {"host": "localhost", "sec-fetch-site": "cross-site"}, 0),
        (
            {"cors_origins": ("https://app.example",)},
            {"host": "localhost", "sec-fetch-site": "cross-site", "origin": "https://app.example"},
            0,
        ),
    ],
)
def test_pages_of_other_sites(settings: dict[str, tuple[str, ...]], headers: dict[str, str], status: int) -> None:
    origins = Origins(dataclasses.replace(ServeSettings(), **settings))  # type: ignore[arg-type]
    sent = {name.encode(): value.encode() for name, value in headers.items()}
    try:
        origins.check("/tts", sent)
        found = 0
    except ApiError as error:
        found = error.status_code
    assert found == status


def test_a_delivery_holds_so_much_and_no_more() -> None:
    loop = asyncio.new_event_loop()
    order = Order((Part("ada", "production", SpeechRequest("hi")),), "wav", None, False, "/tts")
    delivery = Delivery(order, loop, most_bytes=1000, stall_s=0.3)
    for _ in range(2):
        delivery.post(Piece(b"x" * 500))
    with pytest.raises(CancelledError, match="too little"):
        delivery.post(Piece(b"x" * 500))
    assert delivery.waiting_bytes == 1000
    assert delivery.cancel.cancelled
    patient = Delivery(order, loop, most_bytes=1000, stall_s=30)

    def speak() -> None:
        for _ in range(40):
            patient.post(Piece(b"x" * 500))
        patient.post(Done(1.0))

    async def listen() -> int:
        count = 0
        while isinstance(await patient.take(), Piece):
            assert patient.waiting_bytes <= 1000
            count += 1
        return count

    speaker = threading.Thread(target=speak)
    speaker.start()
    assert loop.run_until_complete(listen()) == 40
    speaker.join()
    loop.close()


@pytest.mark.parametrize("name", ["wav", "pcm", "mp3", "flac"])
def test_a_whole_answer_in_parts_equals_one_at_once(name: str) -> None:
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, 300_000).astype(np.float32)
    whole, parts = WholeEncoder(name, 32_000), WholeEncoder(name, 32_000)
    whole.push(samples)
    for start in range(0, len(samples), 131_072):
        parts.push(samples[start : start + 131_072])
    data = whole.finish()
    assert data == parts.finish()
    if name == "wav":
        assert len(data) == 44 + 600_000
        assert data[40:44] == (600_000).to_bytes(4, "little")


def test_a_look_that_never_ends_is_reported_and_a_dead_thread_replaced() -> None:
    lines: list[logging.LogRecord] = []
    log = logging.Logger("watch")
    log.addHandler(_Keep(lines))
    metrics, stop, block = Metrics("1", ""), threading.Event(), threading.Event()
    looks = 0

    def poll_on() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            return  # ends, as a thread does that meets what nobody thought of
        watch.read()
        block.wait()

    watch = PollWatch(poll_on, metrics, log, stale_s=0.3, poll_s=0.01, stop=stop)
    watch.start()
    wait_until(lambda: looks == 2)
    wait_until(lambda: watch.stale_for_s is not None)
    wait_until(lambda: b"voice_registry_stale 1.0" in metrics.text())
    wait_until(lambda: any(line.getMessage() == "registry is not read" for line in lines))
    said = next(vars(line)["waits_in"] for line in lines if line.getMessage() == "registry is not read")
    assert "wait" in said
    assert "poll_on" in said
    assert any("ended" in line.getMessage() for line in lines)
    watch.read()
    wait_until(lambda: b"voice_registry_stale 0.0" in metrics.text())
    stop.set()
    block.set()
    watch.join(10)
    assert looks == 2


def test_floods_of_log_lines_are_one_line() -> None:
    lines: list[logging.LogRecord] = []
    log = logging.Logger("flood")
    log.addHandler(_Keep(lines))
    now = 0.0
    quiet = QuietLoop(log, 10.0, lambda: now)
    loop = asyncio.new_event_loop()
    for _ in range(10_000):
        quiet(loop, {"message": "socket.accept() out of system resource", "exception": OSError(24, "too many files")})
    assert len(lines) == 1
    now = 11.0
    quiet(loop, {"message": "socket.accept() out of system resource", "exception": OSError(24, "too many files")})
    assert len(lines) == 2
    assert vars(lines[1])["hidden"] == 9999
    loop.close()
    lines.clear()
    log.addFilter(SeldomFilter(10.0, lambda: now))
    for _ in range(1000):
        log.warning("Invalid HTTP request received.")
    assert len(lines) == 1


class _Keep(logging.Handler):
    def __init__(self, lines: list[logging.LogRecord], level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record)


@dataclasses.dataclass
class _Reading:
    """A planner over a base without graphs. calls: texts whose phones were asked for."""

    planner: Planner
    voice: Any
    calls: list[str]

    def plan(self, text: str, **options: Any) -> int:
        return len(self.planner.plan(SpeechRequest(text, **options), self.voice)[0])


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> _Reading:
    calls: list[str] = []

    def counted(text: str, *rest: Any) -> Any:
        calls.append(text)
        return phonemize(text, *rest)

    monkeypatch.setattr("timbre.inference.planning.phonemize", counted)
    speaking = SpeakingDefaults(prompt_codes=False)
    base = SimpleNamespace(languages=("en",), name="pico", codes_hz=25, speaking=speaking)
    prompt = SimpleNamespace(language="en", pace=Pace(0.08), phones=np.zeros(30), codes=np.zeros(80))
    voice = SimpleNamespace(prompt=prompt, lexicon={})
    return _Reading(Planner(base, SentenceLimits(), 1280, None), voice, calls)  # type: ignore[arg-type]


def test_hours_of_pauses_are_refused_before_a_word_is_read(reading: _Reading) -> None:
    with pytest.raises(TooLongError, match="1800 s to say, with 5 s"):
        reading.plan("One word here for you.\n" * 400, pause_s=5.0, longest_s=1800)
    assert not reading.calls
    with pytest.raises(TooLongError):
        reading.plan("One word here for you. " * 170, speed=0.25, longest_s=60)
    assert len(reading.calls) < 40, "it stops where the limit is reached"
    answer = explain(TooLongError("text: too long", "send less"))
    assert answer is not None
    assert answer.status_code == 413
    assert reading.plan("One word here for you.\n" * 4, pause_s=5.0, longest_s=60) == 4


@pytest.mark.parametrize("text", ["9" * 4096, "antidisestablishmentarianism" * 73, "a1" * 2000])
def test_a_run_that_no_sentence_can_hold_is_refused_unread(reading: _Reading, text: str) -> None:
    with pytest.raises(TextError, match="in a row, the limit is 180"):
        reading.plan(f"Read this. {text}")
    assert not reading.calls


def test_the_first_sentence_without_room_ends_the_reading(reading: _Reading) -> None:
    with pytest.raises(TextError, match="does not fit"):
        reading.plan("1234567890" * 17 + ". " + "One word here for you. " * 100)
    assert len(reading.calls) == 1
