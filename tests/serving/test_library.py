"""Voices come, change, fail and go while the server speaks; requests never see another's voice."""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.serving.running import FAST, Reply, Running, wait_until
from tests.serving.shelf_of_voices import ACTOR, Shelf
from timbre.inference.device import CPU, Device
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.errors import GraphError
from timbre.inference.profiles import chosen_profile
from timbre.registry.registry import Registry
from timbre.registry.revocation import revoke
from timbre.serving.catalogue import read_catalogue
from timbre.serving.engines import Engines

LONG = "Good morning to everybody. " * 40


def speaks(live: Running, voice: str) -> str:
    """name@version that speaks, or the error's code."""
    answer = live.say(voice, "hi")
    return answer.headers.get("x-timbre-voice") or answer.json["code"]


def test_a_voice_published_while_serving_speaks_within_seconds(serve: Callable[..., Running], shelf: Shelf) -> None:
    live = serve()
    assert live.say("ada").status == 404
    assert live.call("GET", "/readyz").status == 200
    first = shelf.publish("ada", 1)
    wait_until(lambda: speaks(live, "ada") == f"ada@{first}")
    second = shelf.publish("ada", 2)
    wait_until(lambda: speaks(live, "ada") == f"ada@{second}")
    assert speaks(live, f"ada@{first}") == f"ada@{first}"
    shelf.registry.rollback("ada", actor=ACTOR)
    wait_until(lambda: speaks(live, "ada") == f"ada@{first}")


def test_requests_in_flight_finish_with_the_version_they_began_with(
    serve: Callable[..., Running], shelf: Shelf
) -> None:
    old = shelf.publish("ada", 1)
    live = serve()
    alone = live.say("ada", LONG).data
    answers: list[Reply] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            answers.append(live.say("ada", "hi"))

    asking = [threading.Thread(target=keep_asking) for _ in range(2)]
    long: list[Reply] = []
    speaking = threading.Thread(target=lambda: long.append(live.say("ada", LONG)))
    speaking.start()
    wait_until(lambda: len(live.server.workers._busy) > 0)
    for thread in asking:
        thread.start()
    new = shelf.publish("ada", 2)
    wait_until(lambda: speaks(live, "ada") == f"ada@{new}")
    stop.set()
    for thread in (speaking, *asking):
        thread.join()
    assert [answer.status for answer in answers] == [200] * len(answers)
    assert {answer.headers["x-timbre-voice"] for answer in answers} <= {f"ada@{old}", f"ada@{new}"}
    assert long[0].headers["x-timbre-voice"] == f"ada@{old}"
    assert long[0].data == alone


def test_a_version_that_cannot_be_loaded_keeps_the_old_one_and_says_so(
    serve: Callable[..., Running], shelf: Shelf
) -> None:
    good = shelf.publish("ada", 1)
    live = serve(dataclasses.replace(FAST, poll_s=3600))
    wait_until(lambda: "ada" in live.server.library.entries and speaks(live, "ada") == f"ada@{good}")
    # A promotion looks at the files first, so the disk fails after it.
    bad = shelf.publish("ada", 2)
    shelf.damage("ada", bad, "prompt.safetensors")
    live.server.library.poll()
    assert speaks(live, "ada") == f"ada@{good}"
    for path in ("/readyz", "/health"):
        problems = live.call("GET", path).json["problems"]
        assert any(bad in line and f"{good} keeps speaking" in line and "prompt" in line for line in problems), path
    assert live.call("GET", "/health").json["status"] == "degraded"
    assert live.call("GET", "/readyz").status == 200
    assert bad in live.call("GET", "/v1/audio/voices/ada").json["problem"]
    assert live.metric('voice_model_loads_total{result="failed"}') >= 1
    assert any(record.getMessage() == "a version could not be loaded" for record in live.lines)
    better = shelf.publish("ada", 3)
    live.server.library.poll()
    assert speaks(live, "ada") == f"ada@{better}"
    assert live.call("GET", "/health").json["problems"] == []


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("prompt.safetensors", b"not a safetensors file"),
        ("prompt.safetensors", struct.pack("<Q", 2**60) + b"{}"),
        ("prompt.json", b"[]"),
        ("t2s/adapter_config.json", b'{"peft_type": "OTHER"}'),
        ("t2s/adapter_model.safetensors", b""),
        ("sovits/adapter_model.safetensors", b"\x80\x04\x95pickle"),
    ],
)
def test_packages_that_are_not_sound_speak_with_the_version_before(
    serve: Callable[..., Running], shelf: Shelf, path: str, content: bytes
) -> None:
    good = shelf.publish("ada", 1)
    live = serve()
    manifest = shelf.registry.manifest("ada", good)
    files = {item.path: shelf.registry.read_file(manifest, item.path) for item in manifest.files}
    bad = shelf.publish_files("ada", {**files, path: content}, "bad")
    wait_until(lambda: live.metric("voice_model_load_failed") == 1)
    assert speaks(live, "ada") == f"ada@{good}"
    assert live.say(f"ada@{bad}", "hi").status == 503
    assert not any("Traceback" in str(record.exc_info) for record in live.lines)


def test_a_first_version_that_is_damaged_answers_503_until_it_is_mended(
    serve: Callable[..., Running], shelf: Shelf
) -> None:
    bad = shelf.publish("ada", 1)
    shelf.damage("ada", bad, "prompt.safetensors")
    shelf.publish("bob", 2)
    live = serve()
    wait_until(lambda: live.metric("voice_model_load_failed") == 1)
    answer = live.say("ada", "hi")
    assert answer.status == 503
    assert answer.headers["retry-after"]
    assert str(shelf.folder) not in answer.data.decode()
    assert live.say("bob", "hi").status == 200
    assert str(shelf.folder) in live.call("GET", "/readyz").json["problems"][0]
    key = "k-0123456789abcdef"
    closed = serve(dataclasses.replace(FAST, api_keys=(key,)))
    wait_until(lambda: closed.server.problems != [])
    assert closed.call("GET", "/readyz").json["problems"] == ["send a key to read them"]
    assert bad in closed.call("GET", "/readyz", headers={"x-api-key": key}).json["problems"][0]
    shelf.damage("ada", bad, "prompt.safetensors")
    wait_until(lambda: speaks(live, "ada") == f"ada@{bad}")


def test_retired_and_revoked_voices_answer_410_while_serving(serve: Callable[..., Running], shelf: Shelf) -> None:
    version = shelf.publish("ada", 1)
    bob = shelf.publish("bob", 2)
    live = serve()
    shelf.registry.retire("ada", actor=ACTOR, reason="left the school")
    wait_until(lambda: live.say("ada", "hi").status == 410)
    for reference in ("ada", "ada@production", f"ada@{version}"):
        answer = live.say(reference, "hi")
        assert (answer.status, answer.json["code"]) == (410, "voice_retired")
        assert "left the school" in answer.json["message"]
    shelf.registry.promote("ada", version, actor=ACTOR)
    wait_until(lambda: speaks(live, "ada") == f"ada@{version}")
    revoke(shelf.registry, "ada", actor=ACTOR, reason="consent withdrawn")
    wait_until(lambda: live.say("ada", "hi").status == 410)
    assert live.say(f"ada@{version}", "hi").json["code"] == "voice_revoked"
    assert live.call("POST", "/v1/audio/speech", {"input": "hi", "voice": "ada"}).json["error"]["code"] == (
        "voice_revoked"
    )
    assert speaks(live, "bob") == f"bob@{bob}"
    states = {item["id"]: item["state"] for item in live.call("GET", "/v1/audio/voices").json["data"]}
    assert states == {"ada": "revoked", "bob": "ready"}
    assert not any(key[0] == "ada" for key in live.server.library.loader.held)
    wait_until(lambda: not any("ada@" in key for engine in live.server.engines.open for key in engine.decoders.held))
    # A request that was under way merges the voice again; the next look takes it out of memory.
    engine = live.server.engines.open[0]
    engine.decoders._voices[f"ada@{version}"] = engine.decoders._plain
    wait_until(lambda: f"ada@{version}" not in engine.decoders.held)


def test_a_registry_that_goes_away_silences_nobody(serve: Callable[..., Running], shelf: Shelf) -> None:
    version = shelf.publish("ada", 1)
    live = serve()
    wait_until(lambda: speaks(live, "ada") == f"ada@{version}")
    away = shelf.folder.with_name("away")
    shutil.move(shelf.folder, away)
    wait_until(lambda: live.call("GET", "/health").json["problems"] != [])
    assert "holds no voice any more" in live.call("GET", "/health").json["problems"][0]
    assert speaks(live, "ada") == f"ada@{version}"
    assert live.metric('voice_registry_polls_total{result="failed"}') >= 1
    shutil.move(away, shelf.folder)
    wait_until(lambda: live.call("GET", "/health").json["problems"] == [])


def test_aliases_and_other_names(serve: Callable[..., Running], shelf: Shelf) -> None:
    old = shelf.publish("ada", 1)
    new = shelf.publish("ada", 2, promote=False)
    shelf.registry.promote("ada", new, actor=ACTOR, alias="beta")
    waiting = shelf.publish("zoe", 3, promote=False)
    live = serve(dataclasses.replace(FAST, voice_names=("alloy=ada", "nova=ada@beta"), default_voice="ada"))
    wait_until(lambda: speaks(live, "ada@beta") == f"ada@{new}")
    assert speaks(live, "ada") == speaks(live, "alloy") == speaks(live, "ada@production") == f"ada@{old}"
    assert speaks(live, "nova") == speaks(live, "alloy@beta") == f"ada@{new}"
    assert live.say(None, "hi").headers["x-timbre-voice"] == f"ada@{old}"
    answer = live.say("zoe", "hi")
    assert answer.status == 404
    assert waiting in answer.json["remedy"]
    assert speaks(live, f"zoe@{waiting}") == f"zoe@{waiting}"


def test_requests_at_once_equal_single_ones(serve: Callable[..., Running], shelf: Shelf) -> None:
    """Eight voices, random order, all at once: every answer is the voice's own, to the byte."""
    names = [f"v{index}" for index in range(8)]
    for seed, name in enumerate(names):
        shelf.publish(name, seed)
    live = serve(dataclasses.replace(FAST, workers=8, decoders=3, voices_held=4))
    alone = {name: live.say(name).data for name in names}
    assert len(set(alone.values())) == len(names)
    wrong: list[str] = []

    def ask(offset: int) -> None:
        for step in range(6):
            name = names[(offset * 3 + step * 5) % len(names)]
            answer = live.say(name)
            if answer.data != alone[name] or not answer.headers["x-timbre-voice"].startswith(f"{name}@"):
                wrong.append(name)

    threads = [threading.Thread(target=ask, args=(offset,)) for offset in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(live.server.library.loader.held) <= 4


def test_clients_that_leave_free_their_slots(serve: Callable[..., Running], shelf: Shelf) -> None:
    shelf.publish("ada", 1)
    live = serve(dataclasses.replace(FAST, workers=2))
    body = json.dumps({"text": LONG * 3, "spk": "ada", "streaming_mode": 1}).encode()
    head = (
        b"POST /tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % len(body)
    )
    for read in (0, 2000):
        with socket.create_connection(("127.0.0.1", live.port)) as client:
            client.sendall(head + body)
            wait_until(lambda: len(live.server.workers._busy) > 0)
            if read:
                client.recv(read)
            # Reset instead of a polite end, as a client that crashed.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_until(lambda: not live.server.workers._busy)
        wait_until(lambda: all(engine.scheduler.depth == (0, 0) for engine in live.server.engines.open))
    wait_until(lambda: live.metric("voice_tts_in_flight") == 0)
    assert live.say("ada", "hi").status == 200
    assert not any(record.exc_info for record in live.lines)


def test_a_client_that_stops_reading_is_dropped(serve: Callable[..., Running], shelf: Shelf) -> None:
    shelf.publish("ada", 1)
    live = serve(dataclasses.replace(FAST, stall_timeout_s=0.5, max_characters=10_000))
    body = json.dumps(
        {"text": "Good morning to everybody here. " * 300, "spk": "ada", "streaming_mode": 1, "sample_rate": 48000}
    ).encode()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", live.port))
        client.sendall(
            b"POST /tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % len(body)
            + body
        )
        wait_until(lambda: live.metric('voice_tts_cancelled_total{reason="stalled"}') == 1, 240)
        wait_until(lambda: live.metric("voice_tts_in_flight") == 0)
    assert live.say("ada", "hi").status == 200


def test_closing_ends_waiting_requests(serve: Callable[..., Running], shelf: Shelf) -> None:
    shelf.publish("ada", 1)
    live = serve(dataclasses.replace(FAST, workers=1))
    answers: list[Reply] = []
    threads = [threading.Thread(target=lambda: answers.append(live.say("ada", LONG * 2))) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: live.server.workers._waiting == 2)
    started = time.monotonic()
    live.server.workers.close()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started < 60
    assert {answer.status for answer in answers} == {503}
    assert live.say("ada", "hi").status == 503


def test_the_catalogue_reads_what_is_sound(shelf: Shelf) -> None:
    version = shelf.publish("ada", 1)
    (shelf.folder / "voices" / "Not A Voice").mkdir()
    (shelf.folder / "voices" / "Not A Voice" / "x.json").write_text("{}")
    (shelf.folder / "voices" / "ada" / "versions" / "short.json").write_text("{}")
    first = read_catalogue(shelf.registry, {})
    assert set(first) == {"ada"}
    assert first["ada"].versions == {version}
    alias = shelf.folder / "voices" / "ada" / "aliases" / "production.json"
    alias.write_text(alias.read_text().replace(version, "0" * 12))
    second = read_catalogue(shelf.registry, first)
    assert second["ada"].aliases == first["ada"].aliases
    assert "changed after it was written" in second["ada"].problem
    (shelf.folder / "voices" / "ada" / "revoked.json").write_text("damaged")
    assert read_catalogue(Registry(shelf.registry.store), second)["ada"].revoked is not None


def test_an_engine_closes_when_no_voice_needs_its_base(shelf: Shelf, tmp_path: Path) -> None:
    now = [100.0]
    engines = Engines(shelf.registry.store, tmp_path / "exports", EngineSettings(), clock=lambda: now[0])
    engine, key = engines.get(shelf.base.digest), (shelf.base.digest, "fp32")
    assert engines.get(shelf.base.digest) is engine
    for seconds, wanted, closed in ((0, [], []), (5, [], []), (1, [key], []), (20, [], []), (11, [], [key])):
        now[0] += seconds
        assert engines.keep_only(wanted) == closed
    assert engines.open == []
    engines.close()
    with pytest.raises(GraphError, match="shutting down"):
        engines.get(shelf.base.digest)


def test_moves_are_not_kept_waiting_by_first_loads(
    serve: Callable[..., Running], shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that has hundreds of voices to load for the first time still notices a move at its next look."""
    monkeypatch.setattr("timbre.serving.library._LOADING_S", -1.0)
    versions = {name: shelf.publish(name, seed) for seed, name in enumerate(("v0", "v1", "v2"))}
    live = serve()
    assert {key[0] for key in live.server.library.loader.held} == {"v0"}
    unnamed = live.call("POST", "/v1/audio/speech", {"input": "hi"})
    assert (unnamed.status, unnamed.json["error"]["code"]) == (400, "voice_missing"), "of three, not the first loaded"
    moved = shelf.publish("v0", 50)
    wait_until(lambda: live.server.library.entries["v0"].serving.get("production") == moved)
    assert live.server.library.pending
    assert {key[0] for key in live.server.library.loader.held} == {"v0"}
    assert speaks(live, "v2") == f"v2@{versions['v2']}", "a request loads what it needs"
    monkeypatch.setattr("timbre.serving.library._LOADING_S", 5.0)
    wait_until(lambda: not live.server.library.pending)
    assert {key[0] for key in live.server.library.loader.held} == {"v0", "v1", "v2"}


def int8_gates(*, words: bool = True, likeness: bool = True) -> dict[str, Any]:
    """As stage 4 writes them into a manifest."""
    passed = {"word_error_rate": words, "speaker_similarity": likeness}
    return {
        f"{name}_tts_int8": {"metric": name, "fp32_margin": 0.01, "passed": green, "blocks": False}
        for name, green in passed.items()
    }


def profile_of(live: Running, name: str) -> str:
    """Of the graphs that a voice speaks with."""
    assert live.say(name, "hi").status == 200
    return live.server.library.speaker(name, "production").engine.settings.profile


def test_int8_serves_the_voices_whose_int8_gates_passed(serve: Callable[..., Running], shelf: Shelf) -> None:
    shelf.publish("good", 1, gates=int8_gates())
    shelf.publish("slurred", 2, gates=int8_gates(words=False))
    shelf.publish("alien", 3, gates=int8_gates(likeness=False))
    shelf.publish("old", 4)
    live = serve()
    found = {name: profile_of(live, name) for name in ("good", "slurred", "alien", "old")}
    assert found == {"good": "int8", "slurred": "fp32", "alien": "fp32", "old": "fp32"}
    files = {
        engine.settings.profile: engine.base.graph("t2s", engine.settings.profile)
        for engine in live.server.engines.open
    }
    assert files["int8"] != files["fp32"], "two graphs, each open once"
    assert len(live.server.engines.open) == 2
    asked = serve(dataclasses.replace(FAST, profile="fp32"))
    assert profile_of(asked, "good") == "fp32"
    forced = serve(dataclasses.replace(FAST, profile="int8"))
    assert profile_of(forced, "slurred") == "int8"


def test_a_version_that_loses_with_int8_moves_its_voice_to_fp32(serve: Callable[..., Running], shelf: Shelf) -> None:
    shelf.publish("ada", 1, gates=int8_gates())
    live = serve()
    assert profile_of(live, "ada") == "int8"
    moved = shelf.publish("ada", 2, gates=int8_gates(words=False))
    wait_until(lambda: live.server.library.entries["ada"].serving.get("production") == moved)
    assert profile_of(live, "ada") == "fp32"


def test_a_gpu_speaks_with_fp32() -> None:
    assert chosen_profile("auto", True, Device("cuda:0")) == "fp32"
    assert chosen_profile("auto", True, CPU) == "int8"
    assert chosen_profile("int8", False, Device("cuda:0")) == "int8"
