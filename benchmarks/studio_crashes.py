"""Takes that survive `kill -9` of the studio: python -m benchmarks.studio_crashes [--kills 50]

A client sends takes, deletes some and brings some back, as fast as it can; the studio is killed at a random moment and
started again. Afterwards every take that was answered must be there, bit by bit, and the folder must be whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

import click
import numpy as np
import soundfile as sf

from timbre.pipeline.voice.folder import open_voice

_LATEST_S = 1.6


class Client:
    """Calls one studio. Raises OSError when it is gone."""

    def __init__(self, link: str) -> None:
        self.root = link.partition("/enter")[0]
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        opener.open(link, timeout=30).read()
        self._opener = opener

    def call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"origin": self.root, "x-timbre-studio": "1"}
        request = urllib.request.Request(self.root + path, data=body, headers=headers, method=method)
        answer: bytes = self._opener.open(request, timeout=60).read()
        return answer


def start(root: Path) -> tuple[subprocess.Popen[str], Client]:
    """A studio and a client that entered it."""
    command = [sys.executable, "-m", "timbre.cli.main", "--root", str(root), "studio", "--no-browser"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    stream: IO[str] = process.stderr
    for line in stream:
        if found := re.search(r"http://\S+", line):
            threading.Thread(target=stream.read, daemon=True).start()
            while True:
                try:
                    return process, Client(found.group())
                except urllib.error.HTTPError:
                    raise
                except OSError:
                    time.sleep(0.05)
    raise SystemExit("the studio did not start")


def sound(number: int) -> bytes:
    """A short take that no other is like; noise, so that judging it is quick."""
    out = io.BytesIO()
    samples = np.random.default_rng(number).normal(0, 0.05, 12_000)
    sf.write(out, samples, 24_000, format="WAV", subtype="PCM_16")
    return out.getvalue()


def digest(data: bytes) -> str:
    """Of the samples, whatever the format of the file."""
    return hashlib.sha256(sf.read(io.BytesIO(data), dtype="int16")[0].tobytes()).hexdigest()


def work(client: Client, kept: dict[str, str], number: list[int], chance: random.Random) -> str:
    """Sends, deletes and brings back until the studio is gone; kept: what was answered. Returns the line under way."""
    key = ""
    try:
        while True:
            key = f"{chance.randrange(1, 21):04d}"
            if key in kept and chance.random() < 0.25:
                client.call("DELETE", f"/api/voices/ada/takes/{key}")
                client.call("POST", f"/api/voices/ada/takes/{key}/back")
                continue
            number[0] += 1
            data = sound(number[0])
            client.call("PUT", f"/api/voices/ada/takes/{key}", data)
            kept[key] = digest(data)
    except urllib.error.HTTPError:
        raise
    except (OSError, ValueError):
        return key
    except Exception as error:
        if type(error).__module__ == "http.client":
            return key
        raise


@click.command()
@click.option("--kills", type=int, default=50, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(kills: int, seed: int) -> None:
    """Prints how many takes were lost."""
    chance = random.Random(seed)
    kept: dict[str, str] = {}
    lost, broken, sent = 0, 0, [0]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "voices").mkdir()
        voice = root / "voices" / "ada"
        for kill in range(kills):
            process, client = start(root)
            if kill == 0:
                form = {"name": "ada", "language": "en", "base": "nano", "speaker": "Ada", "purpose": "tests"}
                client.call("POST", "/api/voices", json.dumps(form).encode())
            client.call("GET", "/api/voices/ada")
            delay = threading.Timer(chance.uniform(0.05, _LATEST_S), os.kill, (process.pid, signal.SIGKILL))
            delay.start()
            current = work(client, kept, sent, chance)
            process.wait()
            # A studio that starts again mends what was under way.
            process, client = start(root)
            client.call("GET", "/api/voices/ada")
            for key, expected in kept.items():
                path = voice / "wavs" / f"{key}.flac"
                found = digest(path.read_bytes()) if path.is_file() else ""
                if key != current and found != expected:
                    lost += 1
                elif key == current and not found:
                    # A deletion that was under way: the take must come back.
                    client.call("POST", f"/api/voices/ada/takes/{key}/back")
                    found = digest(path.read_bytes())
                kept[key] = found
            problems = [str(item) for item in open_voice(voice).problems if "consent" not in item.where]
            remains = [path for path in voice.rglob(".*.????????") if path.is_file()]
            broken += bool(problems or remains)
            for line in problems:
                print(f"<!-- {line} -->")
            process.kill()
            process.wait()
    print(f"kills: {kills}; takes sent: {sent[0]}; lost besides the one under way: {lost}; folders not whole: {broken}")
    raise SystemExit(bool(lost or broken))


if __name__ == "__main__":
    main()
