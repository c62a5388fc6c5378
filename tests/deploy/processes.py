"""Servers as processes of their own: started on free ports, and ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.deploy.tools import ROOT


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL for one that does not listen."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(15)


def timbre_serve(registry: Path, cache: Path, port: int, **settings: str) -> subprocess.Popen[bytes]:
    """`timbre serve` on a loopback port; cache: its folder of exported bases. Settings as in docs/server.md."""
    environment = {**os.environ, "TIMBRE_REGISTRY": str(registry), "TIMBRE_SERVE_PORT": str(port)}
    environment["TIMBRE_SERVE_HOST"] = "127.0.0.1"
    environment |= {f"TIMBRE_SERVE_{name.upper()}": value for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "timbre.cli.main", "serve", "--cache", str(cache)], env=environment, cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def wait_ready(port: int, timeout_s: float = 120) -> None:
    """Return when /readyz of a loopback port says 200."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (OSError, urllib.error.URLError):
            assert time.monotonic() < deadline, f"port {port} is not ready"
            time.sleep(0.1)
