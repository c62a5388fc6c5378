"""SSML, marks and dialogue over HTTP and in the text that arrives in pieces."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from tests.serving.running import Running
from tests.serving.test_speaking import decoded

DIALOGUE = "[voice:ada] Good morning, Bob. [pause:2s] [voice:bob] Good morning to you."


def speech(live: Running, text: str, **more: object) -> tuple[np.ndarray, dict[str, str]]:
    answer = live.call("POST", "/v1/audio/speech", {"input": text, "response_format": "wav", "seed": 1, **more})
    assert answer.status == 200, answer.data
    return decoded(answer.data, "wav")[0], answer.headers


def longest_silence_s(samples: np.ndarray, rate_hz: int) -> float:
    loud = np.flatnonzero(np.abs(samples) > 1e-4)
    return float(np.max(np.diff(loud))) / rate_hz


def rate_of(live: Running) -> int:
    answer = live.call("POST", "/v1/audio/speech", {"input": "Hi there.", "voice": "ada", "response_format": "wav"})
    return decoded(answer.data, "wav")[1]


@pytest.mark.parametrize("stream", [False, True])
def test_two_voices_and_a_pause_in_one_answer(live: Running, stream: bool) -> None:
    samples, headers = speech(live, DIALOGUE, stream=stream, voice="carl")
    names = [name.partition("@")[0] for name in headers["x-timbre-voice"].split(", ")]
    assert names == ["ada", "bob"]
    assert longest_silence_s(samples, rate_of(live)) >= 1.95
    document = (
        '<speak><voice name="ada">Good morning, Bob.</voice><break time="2s"/>'
        '<voice name="bob">Good morning to you.</voice></speak>'
    )
    same, _ = speech(live, document, stream=stream)
    assert np.array_equal(same, samples)


def test_each_voice_sounds_as_it_does_alone(live: Running) -> None:
    alone, _ = speech(live, "Good morning, Bob.", voice="ada", stream=False)
    both, _ = speech(live, DIALOGUE, stream=False)
    # The mark of the next voice begins two hops before the end.
    size = len(alone) - rate_of(live) // 10
    assert np.array_equal(both[:size], alone[:size])


def test_what_has_no_effect_is_named_in_the_header(live: Running) -> None:
    _, headers = speech(live, "<speak><emphasis>Good</emphasis> morning.</speak>", voice="ada")
    assert headers["x-timbre-ignored"] == "emphasis"


@pytest.mark.parametrize("route", ["/v1/audio/speech", "/tts"])
@pytest.mark.parametrize(
    ("text", "status", "named"),
    [
        ("<speak><audio src='x'/>Hi.</speak>", 400, "<audio> is not supported"),
        ("<!DOCTYPE speak [<!ENTITY a 'b'>]><speak>&a;</speak>", 400, "document type"),
        ("[voice:nobody] Hello there.", 404, "nobody"),
        ("Hello. [pause:99s] You.", 400, "the limit is 10 s"),
        ("<speak><voice name='ada@0'>Hi.</voice></speak>", 404, "no version or alias"),
        ("<speak/>", 400, "it is empty"),
        ("[pause:1s]", 400, "nothing that can be spoken"),
        ("".join(f"[voice:v{n}] hi " for n in range(21)), 400, "21 voices"),
    ],
)
def test_refusals_name_what_is_wrong(live: Running, route: str, text: str, status: int, named: str) -> None:
    body = {"input": text, "voice": "ada"} if route.startswith("/v1") else {"text": text, "spk": "ada"}
    answer = live.call("POST", route, body)
    assert answer.status == status
    assert named in answer.data.decode()


def test_times_count_pauses_and_turns(live: Running) -> None:
    body = {"input": DIALOGUE, "response_format": "wav", "seed": 1}
    found = live.call("POST", "/v1/audio/speech?timestamps=json", body).json
    first, second = found["timestamps"]
    assert second["start_s"] - first["end_s"] == pytest.approx(2.0, abs=0.01)
    assert second["end_s"] == pytest.approx(found["seconds"], abs=0.01)
    assert len(decoded(base64.b64decode(found["audio"]), "wav")[0]) > 0
    assert (first["text"], second["text"]) == ("Good morning, Bob.", "Good morning to you.")


def test_a_long_marked_text_is_spoken_part_by_part(live: Running) -> None:
    text = "[voice:bob] " + "Yes. No. " * 1_200 + "[pause:1s] Done."
    connection = live.connect()
    body = json.dumps({"input": text, "response_format": "pcm", "stream": True})
    connection.request("POST", "/v1/audio/speech", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.headers["x-timbre-voice"].startswith("bob@")
    assert len(answer.read(4_000)) == 4_000
    connection.close()
