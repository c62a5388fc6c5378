"""Voices of one recording: made with consent, for the key that asks, for a time, and marked as what they are."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from tests.pipeline.stages.validate.test_consent import heard
from tests.pipeline.voice.bad_inputs import clip, texts
from tests.serving.running import FAST, Reply, Running, wait_until
from tests.serving.shelf_of_voices import Shelf
from timbre.audio.provenance import read_label
from timbre.audio.waveform import Waveform
from timbre.core.errors import ConfigurationError
from timbre.inference.reference import prepare
from timbre.serving.settings import load_settings
from timbre.text.consent import CONSENT_PHRASES

pytest.importorskip("python_multipart", reason="python-multipart is missing: make install")

VOICES = "/v1/audio/voices"
KEYS = ("k" * 20, "m" * 20)
RATE_HZ = 16_000
MINE, OTHER = ({"authorization": f"Bearer {key}"} for key in KEYS)


def sound(*clips: tuple[str, int]) -> np.ndarray:
    return np.concatenate([clip(voice, number).samples for voice, number in clips])


def wav(samples: np.ndarray, rate_hz: int = RATE_HZ, kind: str = "WAV") -> bytes:
    buffer = io.BytesIO()
    sf.write(buffer, samples, rate_hz, format=kind, subtype="PCM_16" if kind == "WAV" else None)
    return buffer.getvalue()


RECORDING, TEXT = sound(("awb", 1), ("awb", 2)), " ".join(texts("awb")[:2])
STATEMENT = sound(("awb", 7), ("awb", 8))
HEARD = len(prepare(Waveform(RECORDING, RATE_HZ)).heard)


class FakeEar:
    """Hears the transcript in sounds of the recording's length, a consent in all others: pico has no recogniser."""

    def logits(self, wave: Waveform) -> np.ndarray:
        recording = abs(len(wave.samples) - HEARD) < RATE_HZ / 10
        return heard(TEXT if recording else CONSENT_PHRASES["en"][0], "en")


def form(parts: Mapping[str, str | bytes]) -> tuple[bytes, dict[str, str]]:
    """A multipart body of texts and files, and its header."""
    lines = []
    for name, value in parts.items():
        file = f'; filename="{name}.wav"\r\nContent-Type: audio/wav' if isinstance(value, bytes) else ""
        data = value if isinstance(value, bytes) else value.encode()
        lines.append(f'--edge\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data + b"\r\n")
    return b"".join(lines) + b"--edge--\r\n", {"content-type": "multipart/form-data; boundary=edge"}


def send(live: Running, parts: Mapping[str, str | bytes], path: str = VOICES, **headers: str) -> Reply:
    body, kind = form(parts)
    return live.call("POST", path, body, {**kind, **headers})


def good(**changes: str | bytes | None) -> dict[str, str | bytes]:
    parts = {"audio": wav(RECORDING), "consent": wav(STATEMENT), "text": TEXT, "name": "Ada", **changes}
    return {name: value for name, value in parts.items() if value is not None}


@pytest.fixture
def opened(serve: Callable[..., Running], shelf: Shelf, tmp_path: Path) -> Callable[..., Running]:
    """opened(**settings) -> a server that makes voices for two keys, with an ear that hears consents."""

    def start(**settings: Any) -> Running:
        if not shelf.registry.voices():
            shelf.publish("ada", 0)
        given = {"zero_shot": str(tmp_path / "voices"), "api_keys": KEYS, **settings}
        live = serve(replace(FAST, **given))
        wait_until(lambda: bool(live.server.library.bases))
        live.server.maker.ear_for = lambda engine, language: FakeEar()  # type: ignore[method-assign]
        return live

    return start


def test_a_voice_from_its_recording_to_its_end(opened: Callable[..., Running], tmp_path: Path) -> None:
    live = opened()
    made = send(live, good(), **MINE)
    assert made.status == 200, made.data
    name = made.json["id"]
    assert (made.json["kind"], made.json["version"], made.json["name"]) == ("zero_shot", "zero-shot", "Ada")
    assert made.json["expires_at"] - made.json["created_at"] == 24 * 3600
    assert made.json["consent"]["similarity"] > 0.84

    # It speaks, in every shape, and says what it is.
    spoken = live.call("POST", "/v1/audio/speech", {"input": "Good morning.", "voice": name, "seed": 1}, MINE)
    assert (spoken.status, spoken.headers["x-timbre-voice"]) == (200, f"{name}@zero-shot")
    (tmp_path / "said.mp3").write_bytes(spoken.data)
    label = read_label(tmp_path / "said.mp3")
    assert label is not None
    assert label.voice == f"{name}@zero-shot"
    tts = live.call("POST", "/tts", {"text": "Good morning.", "spk": name, "seed": 1}, MINE)
    registry = live.call("POST", "/tts", {"text": "Good morning.", "spk": "ada", "seed": 1}, MINE)
    assert (tts.status, tts.data[:4]) == (200, b"RIFF")
    assert tts.data != registry.data

    # It is this key's alone, and never one of the registry.
    listed = live.call("GET", VOICES, headers=MINE).json
    assert [item["id"] for item in listed["data"] if item["kind"] == "zero_shot"] == [name]
    assert name in listed["voices"]
    assert name not in json.dumps(live.call("GET", VOICES, headers=OTHER).json)
    for method, path, body in (
        ("GET", f"{VOICES}/{name}", None), ("DELETE", f"{VOICES}/{name}", None),
        ("POST", "/v1/audio/speech", {"input": "hi", "voice": name}),
        ("POST", "/v1/audio/speech", {"input": f"[voice:{name}] hi", "voice": "ada"}),
        ("POST", "/tts", {"text": "hi", "spk": name}),
    ):  # fmt: skip
        assert live.call(method, path, body, OTHER).status == 404
        assert live.call(method, path, body).status == 401
    assert list(live.server.library.registry.voices()) == ["ada"]
    metrics = live.call("GET", "/metrics", headers=MINE).data.decode()
    assert name not in metrics
    assert 'voice="zero-shot"' in metrics

    # Sound is nowhere kept, what was heard is.
    kept = {path.name: path.read_bytes() for path in (tmp_path / "voices").rglob("*") if path.is_file()}
    assert set(kept) == {"record.json", "prompt.safetensors", "prompt.json", "lock"} | (set(kept) & {"lock.holder"})
    record = json.loads(kept["record.json"])
    assert (len(record["recording_sha256"]), record["consent"]["language"]) == (64, "en")
    assert sum(map(len, kept.values())) < 20_000
    assert any(line.getMessage() == "a voice was made of one recording" for line in live.lines)

    assert live.call("DELETE", f"{VOICES}/{name}", headers=MINE).json["deleted"] is True
    assert live.call("GET", f"{VOICES}/{name}", headers=MINE).status == 404
    assert live.call("POST", "/tts", {"text": "hi", "spk": name}, MINE).status == 404
    assert not list((tmp_path / "voices").glob("ZS-*"))
    assert live.call("DELETE", f"{VOICES}/ada", headers=MINE).status == 403


def test_a_voice_outlives_a_restart_and_ends_by_time(
    opened: Callable[..., Running], serve: Callable[..., Running], tmp_path: Path
) -> None:
    live = opened()
    name = send(live, good(), **MINE).json["id"]
    before = live.call("POST", "/tts", {"text": "Good morning.", "spk": name, "seed": 1}, MINE).data
    voices = live.server.zero_shot
    voices._voices.clear()  # as after a restart
    voices._records.clear()
    voices.open()
    assert live.call("POST", "/tts", {"text": "Good morning.", "spk": name, "seed": 1}, MINE).data == before
    record = voices._records[name]
    voices._records[name] = replace(record, expires_s=record.created_s)
    wait_until(lambda: not (tmp_path / "voices" / name).exists())
    assert live.call("GET", f"{VOICES}/{name}", headers=MINE).status == 404


def test_limits_of_a_key(opened: Callable[..., Running]) -> None:
    live = opened(max_zero_shot=1, max_upload_kib=512)
    assert send(live, good(), **MINE).status == 200
    more = send(live, good(), **MINE)
    assert (more.status, more.json["error"]["code"]) == (429, "too_many_voices")
    assert send(live, good(), **OTHER).status == 200
    large = send(live, good(audio=wav(np.zeros(400_000))), **OTHER)
    assert (large.status, "524288 bytes" in large.json["error"]["message"]) == (413, True)
    # Other routes keep their own limit.
    assert live.call("POST", "/tts", b"{" + b" " * 300_000 + b"}", MINE).status == 413


NOISE = np.random.default_rng(1).standard_normal(6 * RATE_HZ).astype(np.float32) * 0.1
CHORD = sum(np.sin(2 * np.pi * hz * np.arange(6 * RATE_HZ) / RATE_HZ) for hz in (330, 415.3, 494)) * 0.1
TWO = sound(("awb", 1), ("awb", 2), ("wren", 1), ("wren", 2))


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"audio": wav(np.zeros(5 * RATE_HZ))}, 400, "no_speech"),
        ({"audio": wav(NOISE)}, 400, None),
        ({"audio": wav(CHORD)}, 400, None),
        ({"audio": wav(TWO)}, 400, "speakers_recording"),
        ({"audio": wav(RECORDING[:RATE_HZ])}, 400, "too_short"),
        ({"audio": wav(np.tile(RECORDING, 8))}, 413, "too_long"),
        ({"audio": wav(np.zeros(600 * 8_000), 8_000, "FLAC")}, 413, "too_long"),
        ({"audio": b"no sound at all" * 100}, 400, "not_sound"),
        ({"audio": b""}, 400, None),
        ({"audio": "a text"}, 400, None),
        ({"audio": None}, 400, None),
        ({"consent": None}, 403, "consent_missing"),
        ({"consent": wav(STATEMENT[:RATE_HZ])}, 400, "no_speech"),
        ({"consent": wav(sound(("wren", 7)))}, 403, "consent_speaker"),
        ({"consent": wav(RECORDING)}, 403, "consent_words"),
        ({"text": None}, 400, None),
        ({"text": "Completely different words were spoken in this recording, were they not?"}, 400, "wrong_transcript"),
        ({"text": "x" * 3_000}, 413, None),
        ({"name": "x" * 200}, 413, None),
        ({"language": "fr"}, 400, None),
        ({"model": "nobody"}, 404, "model_not_found"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else str(value),
)
def test_what_is_refused(bad: Running, changes: dict[str, Any], status: int, code: str | None) -> None:
    answer = send(bad, good(**changes))
    error = answer.json["error"]
    assert answer.status == status, error
    assert code in (None, error["code"]), error
    assert error["param"] or status == 413
    assert "; " in error["message"]
    assert not bad.server.zero_shot.of("")


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory, pico_export: Path) -> Any:
    from tests.serving.running import running

    folder = tmp_path_factory.mktemp("bad")
    shelf = Shelf(folder / "registry", pico_export)
    shelf.publish("ada", 0)
    with running(shelf.registry, folder / "cache", replace(FAST, zero_shot=str(folder / "voices"))) as live:
        wait_until(lambda: bool(live.server.library.bases))
        live.server.maker.ear_for = lambda engine, language: FakeEar()  # type: ignore[method-assign]
        yield live


@pytest.mark.parametrize("body", [b"", b"--edge", b"--edge\r\n\r\n\r\n--edge--", b"\x00" * 500, b"--other\r\n"])
def test_forms_that_are_none(bad: Running, body: bytes) -> None:
    for kind in ("multipart/form-data; boundary=edge", "multipart/form-data", "application/json"):
        answer = bad.call("POST", VOICES, body, {"content-type": kind})
        assert answer.status == 400, (kind, answer.data)


def test_without_an_ear_a_consent_cannot_be_judged(bad: Running) -> None:
    own = bad.server.maker.ear_for
    bad.server.maker.ear_for = lambda engine, language: None  # type: ignore[method-assign]
    try:
        answer = send(bad, good())
    finally:
        bad.server.maker.ear_for = own  # type: ignore[method-assign]
    assert (answer.status, answer.json["error"]["code"]) == (403, "consent_unheard")


def test_a_recording_with_the_request(opened: Callable[..., Running]) -> None:
    live = opened(max_zero_shot=2)
    parts = {"text": "Good morning.", "seed": "1", "prompt_text": TEXT, "ref_audio": wav(RECORDING)}
    assert send(live, parts, "/tts", **MINE).json["code"] == "consent_missing"
    answer = send(live, {**parts, "consent": wav(STATEMENT)}, "/tts", **MINE)
    assert (answer.status, answer.data[:4]) == (200, b"RIFF")
    name = answer.headers["x-timbre-voice"].partition("@")[0]
    assert live.call("POST", "/tts", {"text": "Good morning.", "spk": name, "seed": 1}, MINE).data == answer.data
    plain = send(live, {"text": "Good morning.", "spk": "ada", "seed": "1"}, "/tts", **MINE)
    assert plain.data == live.call("POST", "/tts", {"text": "Good morning.", "spk": "ada", "seed": 1}, MINE).data
    wrong = send(live, {"text": "hi", "spk": "ada", "speed_factor": "99"}, "/tts", **MINE)
    assert (wrong.status, "speed_factor" in wrong.json["message"]) == (400, True)


def test_closed_by_default(live: Running) -> None:
    for path, parts in ((VOICES, good()), ("/tts", {"text": "hi", "ref_audio": wav(RECORDING[:40_000])})):
        parts = {name: value[:1000] if isinstance(value, bytes) else value for name, value in parts.items()}
        answer = send(live, parts, path)
        error = answer.json.get("error", answer.json)
        assert (answer.status, error["code"]) == (403, "zero_shot_closed")
        assert "Git" in error["message"]
    assert live.call("POST", "/tts", {"text": "hi", "spk": "ZS-" + "0" * 24}).status == 404
    refused = live.call("POST", "/tts", {"text": "hi", "audio_file": "references/ada.wav"})
    assert (refused.status, refused.json["code"]) == (403, "path_refused")


def test_files_of_the_operators_folder(opened: Callable[..., Running], tmp_path: Path) -> None:
    folder = tmp_path / "references"
    folder.mkdir()
    live = opened(references=str(folder))
    (folder / "ada.wav").write_bytes(wav(RECORDING))
    (tmp_path / "outside.wav").write_bytes(wav(RECORDING))
    (folder / "link.wav").symlink_to(tmp_path / "outside.wav")
    os.mkfifo(folder / "pipe.wav")

    def ask(value: str, **more: Any) -> Reply:
        return live.call("POST", "/tts", {"text": "Good morning.", "seed": 1, "audio_file": value, **more}, MINE)

    assert (ask("ada.wav").status, ask("ada.wav").json["code"]) == (403, "consent_missing")
    (folder / "ada.consent.wav").write_bytes(wav(STATEMENT))
    assert "must know its words" in ask("ada.wav").json["message"]
    (folder / "ada.txt").write_text(TEXT)
    first = ask("references/ada.wav")
    assert (first.status, first.data[:4]) == (200, b"RIFF")
    assert ask("ada.wav").headers["x-timbre-voice"] == first.headers["x-timbre-voice"]
    assert ask("ada.wav").data == first.data
    asked = {"text": "Good morning.", "ref_audio_path": "ada.wav", "prompt_text": TEXT, "prompt_lang": "en"}
    named = live.call("POST", "/tts", {**asked, "seed": 1}, MINE)
    assert named.status == 200
    for value in ("link.wav", "pipe.wav", "nobody.wav"):
        assert ask(value).json["code"] == "reference_not_found"
    for value in ("/etc/passwd", "../outside.wav", "references/../outside.wav", "sub/ada.wav", "ada.txt"):
        assert (ask(value).status, ask(value).json["code"]) == (403, "path_refused")
    # With a voice of the registry beside it, the file has no effect.
    beside = ask("ada.wav", spk="ada")
    assert beside.headers["x-timbre-ignored"] == "audio_file"
    # The folder's owner withdraws: the next request is refused.
    (folder / "ada.consent.wav").unlink()
    assert ask("ada.wav").json["code"] == "consent_missing"
    # It is not in anybody's list.
    assert "zero_shot" not in json.dumps(live.call("GET", VOICES, headers=MINE).json)


def test_speech_of_one_recording_is_always_marked() -> None:
    with pytest.raises(ConfigurationError, match="zero_shot: set while mark is false"):
        load_settings(None, {}, {"zero_shot": "voices", "mark": False})


def test_the_document_shows_the_form(bad: Running) -> None:
    paths = bad.call("GET", "/openapi.json").json["paths"]
    schema = paths[VOICES]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(schema["required"]) == {"audio", "consent"}
    assert "delete" in paths[f"{VOICES}/{{name}}"]
