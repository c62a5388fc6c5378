"""Both shapes of request, every encoding, streaming, the real OpenAI client."""

from __future__ import annotations

import base64
import io
import json
import time

import av
import numpy as np
import openai
import pytest

from tests.serving.running import Running, wait_until
from tests.serving.shelf_of_voices import Shelf

MEDIA = {
    "mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav",
    "pcm": "audio/pcm; rate=24000; channels=1",
}  # fmt: skip


def decoded(data: bytes, form: str, rate_hz: int = 24_000) -> tuple[np.ndarray, int]:
    """Samples and rate of an answer, by a decoder that knows nothing of ours."""
    if form == "pcm":
        return np.frombuffer(data, "<i2") / 32768, rate_hz
    with av.open(io.BytesIO(data)) as container:
        rate = container.streams.audio[0].rate
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]), rate


@pytest.fixture
def client(live: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0)


def test_every_encoding_through_the_openai_client(client: openai.OpenAI, live: Running) -> None:
    plain = live.say("ada", streaming_mode=True)
    reference, rate = decoded(plain.data, "wav")
    for form, media in MEDIA.items():
        answer = client.audio.speech.with_raw_response.create(
            model="tts-1", voice="ada", input="Good morning.", response_format=form, extra_body={"seed": 1}
        )
        assert answer.headers["content-type"] == media
        samples, form_rate = decoded(answer.content, form)
        seconds = len(samples) / form_rate
        assert seconds == pytest.approx(len(reference) / rate, abs=0.15), form
        assert np.abs(samples).max() > 0.3 * np.abs(reference).max(), form
        assert int(answer.headers["x-timbre-sample-rate"]) == (24_000 if form == "pcm" else rate)


def test_wav_is_what_the_engine_speaks(live: Running, voices: Shelf) -> None:
    """Streamed and whole answers, both routes, one sound; lengths are right where they are known."""
    whole, streamed = live.say("ada"), live.say("ada", streaming_mode=1)
    assert whole.headers["content-type"] == streamed.headers["content-type"] == "audio/wav"
    size = int.from_bytes(whole.data[40:44], "little")
    assert int(whole.headers["content-length"]) == len(whole.data) == 8 + int.from_bytes(whole.data[4:8], "little")
    assert whole.data[44 + size :][:4] == b"LIST"  # the label, behind the samples
    assert streamed.data[40:44] == b"\xff\xff\xff\xff"
    assert whole.headers["x-timbre-voice"] == f"ada@{voices.registry.resolve('ada').version}"
    assert whole.headers["x-timbre-failed-sentences"].isdigit()
    assert streamed.headers["transfer-encoding"] == "chunked"
    body = {"input": "Good morning.", "voice": "ada", "response_format": "wav", "seed": 1}
    same = live.call("POST", "/v1/audio/speech", body)
    assert same.data == streamed.data
    by_query = live.call("GET", "/tts?text=Good%20morning.&spk=ada&seed=1&streaming_mode=true")
    assert by_query.data == streamed.data


def test_the_voice_may_be_an_object_an_alias_or_a_version(live: Running, voices: Shelf) -> None:
    version = voices.registry.resolve("bob").version
    answers = [live.say(name).data for name in ("bob", "bob@production", f"bob@{version}")]
    assert answers[0] == answers[1] == answers[2] != live.say("ada").data
    body = {"input": "Good morning.", "voice": {"id": "bob"}, "response_format": "wav", "seed": 1, "stream": False}
    assert live.call("POST", "/v1/audio/speech", body).data == answers[0]


def test_sse_carries_the_same_bytes(client: openai.OpenAI, live: Running) -> None:
    body = {"input": "Good morning.", "voice": "ada", "response_format": "pcm", "seed": 3}
    plain = live.call("POST", "/v1/audio/speech", body)
    events = live.call("POST", "/v1/audio/speech", {**body, "stream_format": "sse"})
    assert events.headers["content-type"].startswith("text/event-stream")
    parsed = [json.loads(line.removeprefix("data: ")) for line in events.data.decode().split("\n\n") if line]
    assert [item["type"] for item in parsed[:-1]] == ["speech.audio.delta"] * (len(parsed) - 1)
    assert b"".join(base64.b64decode(item["audio"]) for item in parsed[:-1]) == plain.data
    assert parsed[-1]["type"] == "speech.audio.done"
    usage = parsed[-1]["usage"]
    assert usage["input_tokens"] == len("Good morning.")
    assert usage["total_tokens"] > usage["output_tokens"] > 0


def test_the_first_chunk_leaves_before_the_rest_is_spoken(live: Running) -> None:
    text = "Good morning to everybody. " * 20
    connection = live.connect()
    started = time.monotonic()
    body = json.dumps({"text": text, "spk": "ada", "seed": 1, "streaming_mode": True})
    connection.request("POST", "/tts", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200
    assert len(answer.read1(4096)) > 0
    first_s = time.monotonic() - started
    while answer.read1(65536):
        pass
    assert first_s < 0.5 * (time.monotonic() - started)
    connection.close()


def test_speed_and_rate(live: Running) -> None:
    normal, rate = decoded(live.say("ada", streaming_mode=True).data, "wav")
    fast, _ = decoded(live.say("ada", streaming_mode=True, speed_factor=2.0).data, "wav")
    other = live.say("ada", streaming_mode=True, sample_rate=44_100)
    assert len(fast) / len(normal) == pytest.approx(0.5, abs=0.06)
    samples, other_rate = decoded(other.data, "wav")
    assert other_rate == 44_100 != rate
    assert len(samples) / other_rate == pytest.approx(len(normal) / rate, abs=0.01)


def test_every_field_of_api_v2_is_taken(live: Running) -> None:
    body = {
        "text": "Good morning.", "text_lang": "en", "ref_audio_path": "ada", "aux_ref_audio_paths": [],
        "prompt_text": "Good day.", "prompt_lang": "en", "top_k": 5, "top_p": 1, "temperature": 1.0,
        "text_split_method": "cut5", "batch_size": 1, "batch_threshold": 0.75, "split_bucket": True,
        "speed_factor": 1.0, "streaming_mode": False, "seed": 7, "parallel_infer": True, "repetition_penalty": 1.35,
        "fragment_interval": 0.3, "media_type": "wav", "sample_steps": 32, "super_sampling": False,
        "overlap_length": 2, "min_chunk_length": 16,
    }  # fmt: skip
    answer = live.call("POST", "/tts", body)
    assert answer.status == 200
    assert answer.headers["x-timbre-voice"].startswith("ada@")
    ignored = answer.headers["x-timbre-ignored"].split(", ")
    assert {"batch_size", "prompt_text", "sample_steps", "text_split_method"} <= set(ignored)
    assert not {"text", "seed", "ref_audio_path"} & set(ignored)
    for media in ("raw", "ogg", "aac"):
        assert live.say("ada", media_type=media).status == 200


def test_lists(client: openai.OpenAI, live: Running) -> None:
    names = [model.id for model in client.models.list()]
    assert names == ["timbre", "pico"]
    assert client.models.retrieve("pico").object == "model"
    listed = live.call("GET", "/v1/audio/voices").json
    assert listed["voices"] == ["ada", "bob", "carl"]
    ada = listed["data"][0]
    assert (ada["id"], ada["state"], ada["base"]) == ("ada", "ready", "pico")
    assert ada["aliases"] == {"production": ada["version"]}
    assert [item["id"] for item in ada["versions"]] == [ada["version"]]
    assert ada["versions"][0]["created"]
    assert live.call("GET", "/v1/audio/voices/ada").json == ada


def test_health_and_metrics(live: Running) -> None:
    assert live.call("GET", "/livez").json["status"] == "alive"
    assert live.call("GET", "/readyz").json["status"] == "ready"
    health = live.call("GET", "/health").json
    assert (health["status"], health["voices"], health["bases"]) == ("ok", {"ready": 3}, ["pico"])
    spoken = 'voice_tts_requests_total{route="/tts",status="200",voice="carl"}'
    before = live.metric(spoken)
    live.say("carl")
    live.say("carl")
    # An answer is counted after its last byte, so the client may know of its end first.
    wait_until(lambda: live.metric(spoken) == before + 2)
    assert live.metric('voice_tts_audio_seconds_total{voice="carl"}') > 0
    assert live.metric('voice_tts_time_to_first_audio_seconds_count{voice="carl"}') >= 2
    assert live.metric("voice_model_info") == 3
    wait_until(lambda: live.metric("voice_tts_in_flight") == 0)
    live.say("made-up-name")
    wait_until(lambda: 'voice="unknown"' in live.call("GET", "/metrics").data.decode())
    assert "made-up-name" not in live.call("GET", "/metrics").data.decode()


def test_logs_tell_requests_and_never_their_text(live: Running) -> None:
    def requests() -> list[dict[str, object]]:
        return [vars(record) for record in live.lines if record.getMessage() == "request"]

    before = len(requests())
    live.say("ada", "A most secret sentence.")
    wait_until(lambda: len(requests()) > before)
    found = requests()
    assert {"route", "voice", "status", "seconds", "request_id"} <= set(found[-1])
    assert not any("secret sentence" in str(vars(record)) for record in live.lines)
