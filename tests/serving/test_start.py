"""What a server does not import before it takes requests."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from pathlib import Path

import pytest

LATER = ("scipy", "av", "torch", "timbre.inference.reference", "timbre.serving.recordings", "timbre.serving.consent")
"""Needed by some bases, some formats of sound, and recordings that clients send."""
NEVER = "pydantic.v1."
"""FastAPI imports its modules to ask whether a model is one of their classes."""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], bytes]:
    """Modules that `timbre serve` had imported when it answered, and its answer to a request that names no voice."""
    folder = tmp_path_factory.mktemp("start")
    command = [sys.executable, "-X", "importtime", "-m", "timbre.cli.main", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--registry", str(folder / "registry"), "--cache", str(folder / "cache")],
        stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stderr is not None
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "http://127.0.0.1:" in line:
                break
        port = int(lines[-1].split("http://127.0.0.1:")[1].split("/")[0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/v1/audio/speech", '{"input": "Hi."}', {"content-type": "application/json"})
        answer = connection.getresponse().read()
    finally:
        process.terminate()
        lines += process.stderr.readlines()
        process.wait(30)
    return {line.split("|")[-1].strip() for line in lines if line.startswith("import time:")}, answer


def test_a_server_that_is_ready_has_imported_what_speaks_and_nothing_more(imported: tuple[set[str], bytes]) -> None:
    names, answer = imported
    assert b"voice" in answer, "models of requests are understood"
    assert {"onnxruntime", "fastapi", "pydantic", "timbre.inference.engine", "timbre.serving.app"} <= names
    assert names.isdisjoint(LATER)


def test_pydantic_1_is_never_imported(imported: tuple[set[str], bytes]) -> None:
    names, _ = imported
    assert not {name for name in names if name.startswith(NEVER)}
