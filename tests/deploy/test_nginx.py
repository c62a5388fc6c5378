"""The shipped nginx configuration in Debian's nginx: TLS, streams, limits, and two servers of which one is killed.

Nothing here is decided by how fast this machine is: what is proved is what comes before what.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import itertools
import json
import re
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.deploy.processes import free_port, stop, timbre_serve, wait_ready
from tests.deploy.proxies import NAME, Proxy, installed, nginx_over
from tests.serving.shelf_of_voices import Shelf

SPEECH = "/v1/audio/speech"
LONG = " ".join(["This sentence is spoken while the next one is still being prepared."] * 6)
# A busy machine is waited for; a fault is not decided by a clock.
_PATIENCE_S = 300
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not installed(), reason="nginx is not installed"),
]


def asked(text: str, form: str = "pcm") -> bytes:
    return json.dumps({"model": "timbre", "voice": "ada", "input": text, "response_format": form}).encode()


@dataclass(frozen=True)
class Pair:
    """nginx over two servers. servers: their processes, each replaced by `start` in the same place of `ports`."""

    proxy: Proxy
    ports: list[int]
    servers: list[subprocess.Popen[bytes]]
    start: Callable[[int], subprocess.Popen[bytes]]

    def metric(self, index: int, name: str) -> float:
        """Sum over the labels, from that server itself."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[index]}/metrics", headers={"Host": NAME})
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as reply:
            text = reply.read().decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))

    def wait_until_it_speaks(self, index: int) -> None:
        """Until a fresh server has answered what the proxy passed on to it."""
        wait_until(lambda: self.metric(index, "voice_tts_requests_total") >= 1)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, pico_export: Path) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("nginx")
    Shelf(folder / "registry", pico_export).publish("ada")
    ports = [free_port(), free_port()]

    def start(port: int) -> subprocess.Popen[bytes]:
        cache = folder / f"cache{port}"
        return timbre_serve(folder / "registry", cache, port, allowed_hosts=NAME, drain_s=str(_PATIENCE_S))

    servers = [start(port) for port in ports]
    try:
        for port in ports:
            wait_ready(port, _PATIENCE_S)
        with nginx_over(folder, ports) as proxy:
            yield Pair(proxy, ports, servers, start)
    finally:
        for server in servers:
            stop(server)


def test_it_speaks_over_tls(pair: Pair) -> None:
    status, _, sound = pair.proxy.request("POST", SPEECH, asked("Good morning.", "wav"))
    assert (status, sound[:4]) == (200, b"RIFF")
    status, headers, _ = pair.proxy.request("GET", "/v1/audio/voices")
    assert status == 200
    assert headers["strict-transport-security"] == "max-age=31536000"


def test_plain_http_is_sent_to_tls(pair: Pair) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", pair.proxy.plain, timeout=_PATIENCE_S)
    connection.request("GET", "/health", headers={"Host": NAME})
    reply = connection.getresponse()
    assert (reply.status, reply.getheader("location")) == (308, f"https://{NAME}/health")


PIECES = [bytes([number]) * 100 for number in range(1, 6)]


@dataclass
class HeldStream:
    """A server that sends the next piece of its answer only after a client has said that it has the one before."""

    received: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    held_back: list[int] = field(default_factory=list)

    @contextlib.contextmanager
    def serving(self) -> Iterator[int]:
        stream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for number, piece in enumerate(PIECES):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    if not stream.received.acquire(timeout=60):
                        stream.held_back.append(number)
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_: object) -> None:
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield server.server_port
            finally:
                server.shutdown()
                thread.join()


def test_no_piece_of_a_stream_waits_for_the_next(tmp_path: Path) -> None:
    """Every piece, however small, arrives while the server is still waiting to send the one behind it."""
    stream = HeldStream()
    with stream.serving() as port, nginx_over(tmp_path, [port]) as proxy:
        connection = proxy.connect()
        connection.request("POST", SPEECH, asked(LONG), {"Host": NAME})
        reply = connection.getresponse()
        for piece in PIECES:
            assert reply.read(len(piece)) == piece
            assert stream.held_back == []
            stream.received.release()
        assert reply.read() == b""
        connection.close()


def test_speech_arrives_while_its_server_still_speaks(pair: Pair) -> None:
    """Twelve minutes fit into no buffer on the way: the client has the beginning, and the server is not done."""
    connection = pair.proxy.connect()
    connection.request("POST", SPEECH, asked(" ".join([LONG] * 40)), {"Host": NAME, "Content-Type": "application/json"})
    reply = connection.getresponse()
    assert reply.status == 200
    assert len(reply.read(1024)) == 1024
    assert sum(pair.metric(index, "voice_tts_in_flight") for index in (0, 1)) == 1
    connection.close()


def test_metrics_stay_inside(pair: Pair) -> None:
    assert pair.proxy.request("GET", "/metrics")[0] == 403


def test_large_bodies_are_refused(pair: Pair) -> None:
    assert pair.proxy.request("POST", SPEECH, b"x" * 1_100_000)[0] == 413


def test_slow_clients_are_dropped(pair: Pair) -> None:
    """A header that never ends costs the servers nothing, and the proxy one second; nginx's own limit is a minute."""
    plain = socket.create_connection(("127.0.0.1", pair.proxy.tls), timeout=40)
    with pair.proxy.context.wrap_socket(plain) as slow:
        slow.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nX-")
        answered = slow.recv(100)
        assert answered == b"" or b" 408 " in answered


@dataclass(frozen=True)
class Answer:
    """began_s: when its request was sent; failure: why it was not whole, or ""."""

    began_s: float
    failure: str


@dataclass
class Load:
    """Clients that ask without a pause."""

    proxy: Proxy
    clients: int = 3
    answers: list[Answer] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        return [answer.failure for answer in self.answers if answer.failure]

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        ended = threading.Event()

        def client(number: int) -> None:
            texts = itertools.cycle(("Good morning.", LONG) if number == 0 else ("Good morning.",))
            while not ended.is_set():
                began_s = time.monotonic()
                self.answers.append(Answer(began_s, self._ask(next(texts))))

        threads = [threading.Thread(target=client, args=(number,)) for number in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def _ask(self, text: str) -> str:
        try:
            status, _, data = self.proxy.request("POST", SPEECH, asked(text))
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        return "" if status == 200 and len(data) > 1000 else f"status {status}, {len(data)} bytes: {data[:200]!r}"

    def wait_for(self, more: int) -> None:
        """Until so many further answers have come."""
        wanted = len(self.answers) + more
        wait_until(lambda: len(self.answers) >= wanted)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.05)


def test_a_rolling_update_costs_no_request(pair: Pair) -> None:
    """Each of two servers is asked to end and is replaced, under load; streams that are under way end whole.

    The second is asked only after the first's successor has spoken: nginx leaves a server that refused a connection
    alone for fail_timeout, and would have nobody to ask meanwhile.
    """
    load = Load(pair.proxy)
    with load.asking():
        for index, port in enumerate(pair.ports):
            load.wait_for(4)
            pair.servers[index].terminate()
            assert pair.servers[index].wait(2 * _PATIENCE_S) == 0
            pair.servers[index] = pair.start(port)
            wait_ready(port, _PATIENCE_S)
            pair.wait_until_it_speaks(index)
        load.wait_for(4)
    print(f"rolling update of two servers: {len(load.answers)} answers, {len(load.failures)} failed")
    assert load.failures == []


def test_a_killed_server_costs_no_request_that_had_not_begun(pair: Pair) -> None:
    """Two servers under load, one killed: every request sent afterwards is answered by the other."""
    load = Load(pair.proxy)
    with load.asking():
        load.wait_for(4)
        pair.servers[0].kill()
        pair.servers[0].wait()
        dead_s = time.monotonic()
        wait_until(lambda: sum(answer.began_s > dead_s for answer in load.answers) >= 5)
    assert [answer.failure for answer in load.answers if answer.began_s > dead_s and answer.failure] == []
    # Those whose answer had begun when their server died.
    assert len(load.failures) <= load.clients
