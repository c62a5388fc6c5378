"""One machine without containers: the script of the guide brings up TLS, speaks with a key, and ends in order."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from tests.deploy.processes import free_port
from tests.deploy.tools import ROOT
from tests.serving.shelf_of_voices import Shelf

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx", path=_PATH) is None, reason="nginx is not installed"),
]


def say(port: int, certificate: Path, key: str) -> tuple[int, bytes]:
    context = ssl.create_default_context(cafile=str(certificate))
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
    connection.sock = context.wrap_socket(
        socket.create_connection(("127.0.0.1", port), timeout=60), server_hostname="voices.test"
    )
    headers = {"Host": "voices.test", "Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    body = {"model": "timbre", "voice": "ada", "input": "Good morning.", "response_format": "wav"}
    connection.request("POST", "/v1/audio/speech", json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_one_command_serves_over_tls(tmp_path: Path, pico_export: Path) -> None:
    Shelf(tmp_path / "registry", pico_export).publish("ada")
    https, http_port, state = free_port(), free_port(), tmp_path / "tls"
    environment = {**os.environ, "TIMBRE_REGISTRY": str(tmp_path / "registry"), "TIMBRE_TLS_FOLDER": str(state)}
    command = [
        "deploy/host/serve_tls.sh",
        "voices.test",
        str(https),
        str(http_port),
        "--cache",
        str(tmp_path / "cache"),
    ]
    started = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            while "speaks; keys" not in (line := process.stderr.readline()):
                assert line, process.wait()
            print(f"start to TLS: {time.monotonic() - started:.1f} s")
            deadline, key = time.monotonic() + 30, (state / "api-keys").read_text().strip()
            while True:
                try:
                    status, sound = say(https, state / "tls.crt", key)
                    break
                except ConnectionRefusedError:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            assert (status, sound[:4]) == (200, b"RIFF")
            assert say(https, state / "tls.crt", "another-key-of-24-characters")[0] == 401
            assert (state / "tls.key").stat().st_mode & 0o077 == 0
        finally:
            process.terminate()
        assert process.wait(60) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", https), timeout=5)
