"""What a server does not import before it takes requests."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from pathlib import Path

import pytest

LATER = (
    "scipy", "av", "torch", "yaml", "timbre.inference.reference", "timbre.serving.recordings",
    "timbre.serving.consent", "timbre.core.base", "timbre.core.recipe", "timbre.text.english", "timbre.text.mandarin",
    "timbre.text.mandarin_normalize", "timbre.text.mandarin_terms",
)  # fmt: skip
"""Needed by some bases, some formats of sound, clients' recordings, files of settings, and a language's first text."""
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


def python(code: str) -> list[str]:
    """Words that a program prints in an interpreter of its own."""
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    return found.stdout.split()


def test_a_server_opens_graphs_before_it_imports_what_runs_them() -> None:
    code = (
        "import sys, timbre.serving.server; "
        "print(*(name in sys.modules for name in ('onnxruntime', 'timbre.inference.engine')))"
    )
    assert python(code) == ["True", "False"]


def test_models_of_the_api_document_are_built_when_it_is_asked_for_and_those_of_requests_at_once() -> None:
    code = """
from timbre.serving.quick_imports import import_fastapi

import_fastapi()
from fastapi import FastAPI
from fastapi.openapi.models import OpenAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from timbre.serving.schemas import SpeechBody

print("defer_build" in BaseModel.model_config, OpenAPI.__pydantic_complete__, SpeechBody.__pydantic_complete__)
app = FastAPI()


@app.post("/say")
def say(body: SpeechBody) -> None: ...


found = get_openapi(title="T", version="1", routes=app.routes)
print("/say" in found["paths"], "SpeechBody" in found["components"]["schemas"])
"""
    assert python(code) == ["False", "False", "True", "True", "True"]
