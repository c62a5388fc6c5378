"""What a streamed answer says of itself: characters that it leaves out, and that it was nothing but silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import IncompleteRead
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.serving.running import Running, wait_until
from timbre.inference.engine import Engine

ODD = "Good ☃ morning 😀 to 😀 everybody ♪."
SPEECH = "/v1/audio/speech"
SILENT = 'voice_tts_silent_total{voice="ada"}'


def events(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in data.decode().split("\n\n") if line]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("text", "count"), [(ODD, 3), ("Good morning.", 0)])
def test_both_ways_count_the_characters_they_leave_out(live: Running, stream: bool, text: str, count: int) -> None:
    body = {"input": text, "voice": "ada", "response_format": "pcm", "seed": 1, "stream": stream}
    assert live.call("POST", SPEECH, body).headers["x-timbre-unspoken-characters"] == str(count)
    told = live.call("POST", SPEECH, {**body, "stream_format": "sse"})
    assert told.headers["x-timbre-unspoken-characters"] == str(count)
    last = events(told.data)[-1]
    assert (last["type"], last["unspoken_characters"]) == ("speech.audio.done", count)
    by_tts = live.say("ada", text, streaming_mode=stream)
    assert by_tts.headers["x-timbre-unspoken-characters"] == str(count)


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine whose decoders give nothing that could be heard."""

    def whisper(*_: object, **__: object) -> Iterator[NDArray[np.float32]]:
        yield from [np.full(16_000, 1e-4, np.float32)] * 3

    monkeypatch.setattr(Engine, "_stream_sentence", whisper)
    monkeypatch.setattr("timbre.inference.engine.Utterance.wave", lambda *_: np.zeros(16_000, np.float32))


def test_a_stream_of_silence_does_not_look_complete(live: Running, mute: None) -> None:
    before, cut = live.metric(SILENT), live.metric('voice_tts_requests_total{route="/tts",status="cut",voice="ada"}')
    for form in ("wav", "raw", "mp3"):
        with pytest.raises(IncompleteRead):
            live.say("ada", media_type=form, streaming_mode=True)
    assert live.metric(SILENT) == before + 3
    wait_until(lambda: live.metric('voice_tts_requests_total{route="/tts",status="cut",voice="ada"}') == cut + 3)
    told = live.call("POST", SPEECH, {"input": "hi", "voice": "ada", "response_format": "pcm", "stream_format": "sse"})
    *pieces, last = events(told.data)
    assert {item["type"] for item in pieces} == {"speech.audio.delta"}
    assert (last["type"], last["error"]["code"]) == ("error", "silent")
    assert live.metric(SILENT) == before + 4


def test_a_whole_answer_of_silence_is_refused(live: Running, mute: None) -> None:
    before = live.metric(SILENT)
    answer = live.say("ada", "hi")
    assert (answer.status, answer.json["code"]) == (503, "silent")
    assert live.metric(SILENT) == before + 1
