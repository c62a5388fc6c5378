"""The server and `say` where modules of Unix are missing, as on Windows."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from timbre.cli.studio_sites import listen_at
from timbre.serving import sockets

ROOT = Path(__file__).resolve().parents[2]
UNIX_ONLY = ("fcntl", "termios", "resource", "pwd", "grp", "pty", "tty", "syslog")
PROGRAM = """
import json, sys
for name in UNIX_ONLY:
    sys.modules[name] = None
import timbre.cli.commands.say, timbre.cli.commands.serve, timbre.cli.main, timbre.api
import timbre.inference.engine, timbre.registry.open, timbre.serving.app, timbre.serving.server
from tests.serving.test_attacks import LIVEZ, SHORT, site
from timbre.core.memory import peak_mib
with site() as here:
    livez = here.ask(LIVEZ)
    spoken = here.ask(f"GET {SHORT} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n".encode())
print(json.dumps([livez[:12].decode(), spoken[:12].decode(), peak_mib() >= 0]))
"""


def test_the_server_answers_without_the_modules_of_unix() -> None:
    program = PROGRAM.replace("UNIX_ONLY", repr(UNIX_ONLY)).replace("\\\\", "\\")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["HTTP/1.1 200", "HTTP/1.1 200", True]


@pytest.fixture
def full() -> socket.socket:
    """A connection whose other side reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sender = socket.create_connection(listening.getsockname())
        taken, _ = listening.accept()
    sender.setblocking(False)
    try:
        while True:
            sender.send(b"x" * 65536)
    except BlockingIOError:
        pass
    threading.Timer(60, taken.close).start()
    return sender


def test_bytes_that_nobody_takes_are_seen(full: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sockets.held_bytes(full) > 65536
    monkeypatch.setattr(sockets, "fcntl", None)
    assert sockets.held_bytes(full) == 0


def test_without_a_limit_of_files_connections_are_as_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "resource", None)
    assert sockets.connection_limit(100_000) == 100_000


def test_under_windows_a_port_has_one_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Listening:
        def setsockopt(self, level: int, option: int, value: int) -> None:
            asked.append(option)

    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", ~socket.SO_REUSEADDR, raising=False)
    sockets.claim_address(Listening())  # type: ignore[arg-type]
    assert asked == [~socket.SO_REUSEADDR]


def test_the_port_of_the_studio_is_claimed_as_that_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    # An option that Linux knows stands in for the one of Windows.
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)
    with listen_at("127.0.0.1", 0) as listening:
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    monkeypatch.delattr(socket, "SO_EXCLUSIVEADDRUSE")
    with listen_at("127.0.0.1", 0) as listening:
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
