"""The health check of the image, against a server that is ready, one that is not, and none."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from timbre.serving.probe import probe


class Answers(BaseHTTPRequestHandler):
    """/readyz is not ready, everything else is fine."""

    def do_GET(self) -> None:
        self.send_response(503 if self.path == "/readyz" else 200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        return None


@pytest.fixture
def port() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield str(server.server_address[1])
    server.shutdown()
    server.server_close()


def test_alive_is_not_ready(port: str) -> None:
    environment = {"TIMBRE_SERVE_PORT": port}
    assert probe(["/livez"], environment) == (0, f"127.0.0.1:{port}/livez: 200")
    assert probe([], environment) == (1, f"127.0.0.1:{port}/readyz: 503")


def test_nobody_answers() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    code, line = probe([], {"TIMBRE_SERVE_PORT": port})
    assert code == 1
    assert "ConnectionRefused" in line
    assert probe([], {"TIMBRE_SERVE_PORT": "many"})[0] == 1


def test_as_the_image_calls_it(port: str) -> None:
    command = [sys.executable, "-m", "timbre.serving.probe", "/livez"]
    done = subprocess.run(command, env={"TIMBRE_SERVE_PORT": port}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(": 200\n"), done.stderr
