"""A running `timbre serve` that is asked for speech over HTTP: which version answers, and with what sound."""

from __future__ import annotations

import io
import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import soundfile

from tests.e2e.gitlab_tool import environment

_START_S = 120


@dataclass(frozen=True)
class Answer:
    """status: of HTTP; voice: "name@version" that spoke; seconds: of sound; body: of a refusal."""

    status: int
    voice: str = ""
    seconds: float = 0.0
    body: str = ""


@dataclass(frozen=True)
class Listener:
    """A server at `address`, and one voice's listener."""

    address: str

    def ask(self, voice: str, text: str = "Good morning.") -> Answer:
        """One request of the OpenAI shape."""
        body = json.dumps({"model": "tts-1", "input": text, "voice": voice, "response_format": "wav"}).encode()
        request = urllib.request.Request(
            f"{self.address}/v1/audio/speech", data=body, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                samples, rate = soundfile.read(io.BytesIO(response.read()))
                return Answer(response.status, response.headers["x-timbre-voice"], len(samples) / rate)
        except urllib.error.HTTPError as error:
            return Answer(error.code, body=error.read().decode())


@contextmanager
def listening(registry: str, folder: Path) -> Iterator[Listener]:
    """A server over that registry, for as long as the block lasts; outside any voice repository."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "serve.log"
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            ["timbre", "serve", "--port", "0", "--poll", "0.2", "--cache", str(folder / "cache")],
            cwd=folder, env=environment(registry), stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield Listener(_address(process, log))
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ask_once(registry: str, folder: Path, voice: str = "ada") -> Answer:
    """Starts a server, asks it once, stops it."""
    with listening(registry, folder) as listener:
        return listener.ask(voice)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"http://\S+?(?=/ )", log.read_text(encoding="utf-8"))
        if found and _ready(found.group(0)):
            return found.group(0)
        time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{log.read_text(encoding='utf-8')}")


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
