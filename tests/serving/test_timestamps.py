"""When words are heard, in every shape that answers have."""

from __future__ import annotations

import base64
import json

import pytest

from tests.serving.running import Running
from tests.serving.test_speaking import decoded

BODY = {"input": "Good morning, everybody. How are you all today?", "voice": "ada", "response_format": "wav", "seed": 1}

WORDS = ["Good", "morning", "everybody", "How", "are", "you", "all", "today"]


def words(sentences: list[dict]) -> list[str]:
    return [word["text"] for sentence in sentences for word in sentence["words"]]


def test_one_object_with_sound_and_times(live: Running) -> None:
    answer = live.call("POST", "/v1/audio/speech?timestamps=json", BODY)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    found = answer.json
    samples, rate = decoded(base64.b64decode(found["audio"]), "wav")
    assert found["seconds"] == pytest.approx(len(samples) / rate, abs=2e-3)
    assert found["audio_format"] == "wav"
    assert words(found["timestamps"]) == WORDS
    assert found["timestamps"][-1]["end_s"] == pytest.approx(found["seconds"], abs=2e-3)
    plain = live.call("POST", "/v1/audio/speech", {**BODY, "stream": False})
    assert base64.b64decode(found["audio"]) == plain.data
    assert live.call("POST", "/v1/audio/speech", {**BODY, "timestamps": "srt"}).json["timestamps"].startswith("1\n00:")
    assert live.call("POST", "/v1/audio/speech?timestamps=vtt", BODY).json["timestamps"].startswith("WEBVTT")
    assert live.call("POST", "/v1/audio/speech?timestamps=exe", BODY).status == 400


def test_events_come_with_the_sentences(live: Running) -> None:
    answer = live.call("POST", "/v1/audio/speech?timestamps=json", {**BODY, "stream_format": "sse"})
    events = [json.loads(line.removeprefix("data: ")) for line in answer.data.decode().split("\n\n") if line]
    kinds = [event["type"] for event in events]
    assert kinds[-1] == "speech.audio.done"
    assert kinds.count("speech.timestamps") == 2
    assert kinds.index("speech.timestamps") < len(kinds) - 1 - kinds[::-1].index("speech.audio.delta")
    times = [event["sentence"] for event in events if event["type"] == "speech.timestamps"]
    assert words(times) == WORDS
    silent = live.call("POST", "/v1/audio/speech", {**BODY, "stream_format": "sse"})
    assert b"speech.timestamps" not in silent.data


def test_the_shape_of_captioned_speech(live: Running) -> None:
    found = live.call("POST", "/dev/captioned_speech", {**BODY, "return_timestamps": True, "stream": True}).json
    assert base64.b64decode(found["audio"])[:4] == b"RIFF"
    assert [item["word"] for item in found["timestamps"]] == WORDS
    edges = [edge for item in found["timestamps"] for edge in (item["start_time"], item["end_time"])]
    assert edges == sorted(edges)
    refused = live.call("POST", "/dev/captioned_speech", {**BODY, "voice": "nobody"})
    assert (refused.status, refused.json["code"]) == (404, "voice_not_found")
