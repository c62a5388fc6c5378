"""The server killed while takes are sent, deleted and brought back: at most the one under way is lost."""

from __future__ import annotations

import http.client
import io
import itertools
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.studio.running import ROOT, VOICE, Studio, send, wav
from timbre.pipeline.voice.metadata import FILE as METADATA
from timbre.studio.book import Book
from timbre.studio.errors import StudioError

KILLS = 5
_WARM = 2
LINES = [f"{number:04d}" for number in range(1, 7)]
GONE = (OSError, http.client.HTTPException, urllib.error.URLError)


class Killable:
    """A studio in a process of its own, entered."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-m", "tests.studio.serve_studio", str(root)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        port, code = self.process.stdout.readline().split()
        self.url = f"http://127.0.0.1:{port}"
        answer = send("GET", f"{self.url}/enter?code={code}")
        self.own = {
            "cookie": answer.headers["set-cookie"].partition(";")[0], "origin": self.url, "x-timbre-studio": "1",
        }  # fmt: skip

    def call(self, method: str, path: str, body: bytes | None = None) -> int:
        return send(method, f"{self.url}/api/voices/ada{path}", body, self.own).status

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def samples_of(data: bytes) -> bytes:
    return sf.read(io.BytesIO(data), dtype="int16")[0].tobytes()


@pytest.mark.slow
def test_a_killed_server_loses_at_most_the_take_under_way(studio: Studio) -> None:
    assert studio.call("POST", "/api/voices", VOICE).status == 201
    chance = random.Random(17)
    kept: dict[str, bytes | None] = {}
    changes = 0
    for _ in range(KILLS):
        server = Killable(studio.root)
        timer, took_s = None, 0.0
        under_way = ""
        try:
            for number in itertools.count():
                began = time.monotonic()
                if number == _WARM:
                    # Somewhere in the next changes, however long one takes on this machine.
                    timer = threading.Timer(chance.uniform(0, 3) * took_s, server.kill)
                    timer.start()
                under_way = chance.choice(LINES)
                if kept.get(under_way) is not None and chance.random() < 0.3:
                    assert server.call("DELETE", f"/takes/{under_way}") == 200
                    kept[under_way] = None
                else:
                    noise = np.asarray([chance.uniform(-0.5, 0.5) for _ in range(6_000)], np.float32)
                    sent = wav(noise)
                    assert server.call("PUT", f"/takes/{under_way}", sent) == 200
                    kept[under_way] = samples_of(sent)
                changes += 1
                took_s = time.monotonic() - began
        except GONE:
            assert timer is not None, "the server ended by itself"
            timer.join()
        book = Book(studio.root / "voices", "ada")
        listed = (studio.voice / METADATA).read_text("utf-8")
        for key, expected in kept.items():
            path = studio.voice / "wavs" / f"{key}.flac"
            found = samples_of(path.read_bytes()) if path.is_file() else None
            if key != under_way:
                assert found == expected, f"{key} after {changes} changes"
            elif found is None and expected is not None:
                # Deleted at that moment: it can come back.
                try:
                    book.bring_back(key)
                except StudioError as error:
                    raise AssertionError(f"{key} is lost") from error
                found = samples_of(path.read_bytes())
            assert (f"wavs/{key}.flac|" in listed or key == under_way) == (found is not None or key == under_way)
            kept[key] = found
        assert not [path for path in studio.voice.rglob(".*.*") if path.is_file() and path.name != ".gitkeep"]
    assert changes >= _WARM * KILLS
