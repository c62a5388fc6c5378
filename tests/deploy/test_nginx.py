"""The shipped nginx configuration in Debian's nginx: TLS, streams, limits, and two servers of which one is killed."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.deploy.processes import free_port, stop, timbre_serve, wait_ready
from tests.deploy.tools import ROOT
from tests.serving.shelf_of_voices import Shelf

TEMPLATE = ROOT / "deploy" / "nginx" / "timbre.conf.template"
NAME = "voices.test"
LONG = " ".join(["This sentence is spoken while the next one is still being prepared."] * 6)
_PATH = "/usr/sbin:" + os.environ.get("PATH", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx", path=_PATH) is None, reason="nginx is not installed"),
]


@dataclass
class Proxy:
    """nginx over two servers. context trusts its certificate."""

    tls: int
    plain: int
    servers: list[subprocess.Popen[bytes]]
    ports: list[int]
    context: ssl.SSLContext
    start: Callable[[int], subprocess.Popen[bytes]]

    def connect(self, timeout_s: float = 60) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection("127.0.0.1", self.tls, timeout=timeout_s, context=self.context)
        connection.connect()
        return connection

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
        connection = self.connect()
        try:
            headers = {"Host": NAME, **({"Content-Type": "application/json"} if body is not None else {})}
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
        finally:
            connection.close()

    def stream(self, text: str) -> tuple[int, bytes]:
        """A spoken text as it comes; raises IncompleteRead for a stream without its end."""
        asked = {"model": "timbre", "voice": "ada", "input": text, "response_format": "pcm"}
        status, _, data = self.request("POST", "/v1/audio/speech", json.dumps(asked).encode())
        return status, data

    def say(self, text: str = "Good morning.") -> int:
        body = json.dumps({"model": "timbre", "voice": "ada", "input": text, "response_format": "wav"}).encode()
        return self.request("POST", "/v1/audio/speech", body)[0]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, pico_export: Path) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("nginx")
    Shelf(folder / "registry", pico_export).publish("ada")
    ports = [free_port(), free_port()]

    def start(port: int) -> subprocess.Popen[bytes]:
        return timbre_serve(folder / "registry", folder / f"cache{port}", port, allowed_hosts=NAME)

    servers = [start(port) for port in ports]
    certificate(folder)
    tls, plain = free_port(), free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(nginx_conf(folder, tls, plain, ports), encoding="utf-8")
    check = nginx(configuration, "-t")
    assert check.returncode == 0, check.stderr
    master = subprocess.Popen(["nginx", "-c", str(configuration), "-g", "daemon off;"], env=with_sbin())
    context = ssl.create_default_context(cafile=str(folder / "tls.crt"))
    context.check_hostname = False
    try:
        for port in ports:
            wait_ready(port)
        wait_open(tls)
        yield Proxy(tls, plain, servers, ports, context, start)
    finally:
        stop(master)
        for server in servers:
            stop(server)


def certificate(folder: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    command += ["-addext", f"subjectAltName=DNS:{NAME}"]
    command += ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")]
    subprocess.run(command, check=True, capture_output=True)


def nginx_conf(folder: Path, tls: int, plain: int, ports: list[int]) -> str:
    """The template as the image fills it in, with ports and paths of this machine."""
    servers = " ".join(f"server 127.0.0.1:{port} max_fails=1 fail_timeout=2s;" for port in ports)
    text = TEMPLATE.read_text("utf-8").replace("${SERVER_NAME}", NAME).replace("${UPSTREAMS}", servers)
    for old, new in (
        ("listen 443 ssl;\n    http2 on;", f"listen 127.0.0.1:{tls} ssl;"),  # Debian's nginx has no http2 directive yet
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("/etc/nginx/tls", str(folder)),
        ("client_body_timeout 10s", "client_body_timeout 1s"),
        ("client_header_timeout 10s", "client_header_timeout 1s"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    temporary = "\n".join(
        f"{kind}_temp_path {folder / kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"pid {folder / 'nginx.pid'};\nerror_log {folder / 'error.log'};\nworker_processes 1;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}\n{text}\n}}\n"
    )


def with_sbin() -> dict[str, str]:
    return {**os.environ, "PATH": _PATH}


def nginx(configuration: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["nginx", "-c", str(configuration), *options]
    return subprocess.run(command, env=with_sbin(), capture_output=True, text=True, check=False)


def wait_open(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_it_speaks_over_tls(proxy: Proxy) -> None:
    assert proxy.say() == 200
    status, headers, _ = proxy.request("GET", "/v1/audio/voices")
    assert status == 200
    assert headers["strict-transport-security"] == "max-age=31536000"


def test_plain_http_is_sent_to_tls(proxy: Proxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.plain, timeout=10)
    connection.request("GET", "/health", headers={"Host": NAME})
    reply = connection.getresponse()
    assert (reply.status, reply.getheader("location")) == (308, f"https://{NAME}/health")


def test_streams_are_not_held_back(proxy: Proxy) -> None:
    """The first bytes arrive while most of the speech is still to come."""
    connection = proxy.connect()
    body = json.dumps({"model": "timbre", "voice": "ada", "input": LONG, "response_format": "pcm"}).encode()
    started = time.monotonic()
    connection.request("POST", "/v1/audio/speech", body, {"Host": NAME, "Content-Type": "application/json"})
    reply = connection.getresponse()
    assert reply.status == 200
    assert reply.read(1024)
    first = time.monotonic() - started
    while reply.read(65536):
        pass
    whole = time.monotonic() - started
    assert first < whole / 2, f"first bytes after {first:.2f} s of {whole:.2f} s"


def test_metrics_stay_inside(proxy: Proxy) -> None:
    assert proxy.request("GET", "/metrics")[0] == 403


def test_large_bodies_are_refused(proxy: Proxy) -> None:
    assert proxy.request("POST", "/v1/audio/speech", b"x" * 1_100_000)[0] == 413


def test_slow_clients_are_dropped(proxy: Proxy) -> None:
    """A header that never ends costs the servers nothing, and the proxy one second."""
    with proxy.context.wrap_socket(socket.create_connection(("127.0.0.1", proxy.tls), timeout=20)) as slow:
        slow.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nX-")
        started = time.monotonic()
        answered = slow.recv(100)
        assert answered == b"" or b" 408 " in answered
        assert time.monotonic() - started < 15


@dataclass
class Load:
    """Clients that ask without a pause. failures: why an answer was not whole; whole: answers that were."""

    proxy: Proxy
    clients: int = 3
    whole: int = 0
    failures: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        ended, lock = threading.Event(), threading.Lock()

        def client(number: int) -> None:
            texts = itertools.cycle(("Good morning.", LONG) if number == 0 else ("Good morning.",))
            while not ended.is_set():
                try:
                    status, data = self.proxy.stream(next(texts))
                    failure = "" if status == 200 and len(data) > 1000 else f"status {status}, {len(data)} bytes"
                except (OSError, http.client.HTTPException) as error:
                    failure = repr(error)
                with lock:
                    if failure:
                        self.failures.append(failure)
                    else:
                        self.whole += 1

        threads = [threading.Thread(target=client, args=(number,)) for number in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join(120)

    def wait_for(self, more: int) -> None:
        """Until so many further answers were whole."""
        wanted, deadline = self.whole + more, time.monotonic() + 120
        while self.whole < wanted:
            assert time.monotonic() < deadline, self.failures
            time.sleep(0.05)


def test_a_rolling_update_costs_no_request(proxy: Proxy) -> None:
    """Each of two servers is asked to end and is replaced, under load; streams that are under way end whole."""
    load = Load(proxy)
    with load.asking():
        for index, port in enumerate(proxy.ports):
            load.wait_for(4)
            proxy.servers[index].terminate()
            assert proxy.servers[index].wait(60) == 0
            proxy.servers[index] = proxy.start(port)
            wait_ready(port)
        load.wait_for(4)
    print(f"rolling update of two servers: {load.whole} answers whole, {len(load.failures)} failed")
    assert load.failures == []


def test_a_killed_server_costs_no_request_that_had_not_begun(proxy: Proxy, tmp_path: Path) -> None:
    """Two servers under load, one killed: every request sent afterwards is answered by the other."""
    results: list[tuple[float, int]] = []
    ended = threading.Event()
    lock = threading.Lock()

    def client() -> None:
        while not ended.is_set():
            began = time.monotonic()
            try:
                status = proxy.say()
            except (OSError, http.client.HTTPException):
                status = 0
            with lock:
                results.append((began, status))

    threads = [threading.Thread(target=client) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    killed = time.monotonic()
    proxy.servers[0].kill()
    time.sleep(6)
    ended.set()
    for thread in threads:
        thread.join(60)
    after = [status for began, status in results if began > killed]
    failed = [status for began, status in results if status != 200]
    assert len(after) >= 5
    assert after == [200] * len(after)
    # Those whose answer had begun when their server died.
    assert len(failed) <= len(threads)
