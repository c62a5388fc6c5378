"""A server in this process on a free port, and a plain client for it."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import uvicorn

from timbre.registry.registry import Registry
from timbre.serving.app import create_app
from timbre.serving.server import Server
from timbre.serving.settings import ServeSettings
from timbre.serving.wire import http_config

# Looks often and gives up late: a test that means a time limit sets it itself.
FAST = ServeSettings(poll_s=0.1, retry_s=0.3, workers=4, queue=16, queue_timeout_s=300, body_timeout_s=60)


@dataclass
class Reply:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    data: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.data)


@dataclass
class Running:
    """A live server. lines: what it logged."""

    server: Server
    port: int
    lines: list[logging.LogRecord] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, timeout_s: float = 300) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        """One request; body: bytes as they are, anything else as JSON."""
        connection = self.connect()
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            sent = {"content-type": "application/json", **(headers or {})} if data is not None else headers or {}
            connection.request(method, path, data, sent)
            answer: HTTPResponse = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def say(self, voice: str | None, text: str = "Good morning.", **more: Any) -> Reply:
        """A whole wav over /tts with a fixed seed."""
        named = {} if voice is None else {"spk": voice}
        return self.call("POST", "/tts", {"text": text, "seed": 1, **named, **more})

    def metric(self, name: str) -> float:
        """The sum of a metric's series; name may hold labels."""
        lines = self.call("GET", "/metrics").data.decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


class _Lines(logging.Handler):
    def __init__(self, lines: list[logging.LogRecord]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record)


@contextlib.contextmanager
def running(registry: Registry, exports: Path, settings: ServeSettings = FAST) -> Iterator[Running]:
    """Starts a server and ends it; ready when the block begins."""
    lines: list[logging.LogRecord] = []
    log = logging.Logger("serve")
    log.addHandler(_Lines(lines))
    server = Server(registry, exports, settings, log)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = http_config(create_app(server), settings, shutdown_s=2, log_level="critical")
    http = uvicorn.Server(config)
    thread = threading.Thread(target=http.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        assert server.ready.wait(120)
        wait_until(lambda: http.started)
        yield Running(server, listening.getsockname()[1], lines)
    finally:
        http.should_exit = True
        thread.join(20)
        listening.close()


def wait_until(holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Returns as soon as it holds; fails after timeout_s."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
