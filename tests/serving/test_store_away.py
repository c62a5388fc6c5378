"""A server whose registry is a bucket that goes away: loaded voices keep speaking, and a restart finds them again."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.registry.s3_servers import CREDENTIALS, seaweedfs
from tests.serving.running import FAST, Running, running, wait_until
from tests.serving.shelf_of_voices import Shelf
from timbre.registry.address import RegistryAddress
from timbre.registry.open import open_registry, with_cache

OPTIONS = {"connect_s": "0.5", "read_s": "2", "attempts": "2"}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("away_s", [8.0, 75.0], ids=["8 s", "75 s"])
def test_a_bucket_away_fails_no_request(
    tmp_path: Path, pico_export: Path, monkeypatch: pytest.MonkeyPatch, away_s: float
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with seaweedfs(tmp_path / "weed") as store:
        address = store.address("served", **OPTIONS)
        shelf = Shelf(tmp_path, pico_export, address)
        versions = {name: shelf.publish(name, seed) for seed, name in enumerate(("ada", "ben"))}
        exports, copies = tmp_path / "exports", tmp_path / "copies"
        with running(with_cache(open_registry(RegistryAddress(address, os.environ)), copies), exports, FAST) as live:
            for name in versions:
                wait_until(lambda name=name: live.say(name).status == 200)  # type: ignore[misc]
            assert _registry(live) == "ok"
            assert live.metric("voice_registry_away") == 0
            statuses: list[int] = []
            stop = threading.Event()
            load = [threading.Thread(target=_speak_on, args=(live, name, statuses, stop)) for name in versions]
            os.killpg(store.process.pid, signal.SIGSTOP)  # no answer at all: worse than a refused connection
            began = time.monotonic()
            for thread in load:
                thread.start()
            wait_until(lambda: _registry(live) == "away")
            assert live.call("GET", "/readyz").status == 200
            assert live.metric("voice_registry_away") == 1
            while time.monotonic() - began < away_s:
                time.sleep(0.2)
            stop.set()
            for thread in load:
                thread.join()
            print(f"store away {away_s:g} s: {len(statuses)} requests, {sum(s != 200 for s in statuses)} failed")
            assert len(statuses) > 5
            assert set(statuses) == {200}
            os.killpg(store.process.pid, signal.SIGCONT)
            wait_until(lambda: _registry(live) == "ok")
            later = shelf.publish("ada", 7)
            wait_until(lambda: live.say("ada").headers["x-timbre-voice"] == f"ada@{later}")
        os.killpg(store.process.pid, signal.SIGSTOP)
        with running(with_cache(open_registry(RegistryAddress(address, os.environ)), copies), exports, FAST) as again:
            wait_until(lambda: _registry(again) == "away" and again.say("ben").status == 200)
        os.killpg(store.process.pid, signal.SIGCONT)


def _registry(live: Running) -> str:
    return str(live.call("GET", "/readyz").json["registry"])


def _speak_on(live: Running, name: str, statuses: list[int], stop: threading.Event) -> None:
    while not stop.is_set():
        statuses.append(live.say(name, "Good morning.").status)
