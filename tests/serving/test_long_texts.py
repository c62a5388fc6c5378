"""Texts beyond the limit of one answer: spoken part by part in one stream."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest

from tests.serving.running import FAST, Running
from tests.serving.shelf_of_voices import Shelf
from tests.serving.test_speaking import decoded
from timbre.inference.long_text import parts_of

TEXT = (
    "It was late, said Dr. Smith. He had 3.5 hours left!\n\n"
    + "The sea was calm and grey that day. " * 12
    + "\u3002\n\nEnd."
)


@pytest.mark.parametrize("longest", [40, 100, 333, 10_000])
def test_parts_hold_the_whole_text(longest: int) -> None:
    found = list(parts_of(TEXT, longest))
    assert "".join("".join(found).split()).replace("\u3002", "") == "".join(TEXT.split()).replace("\u3002", "")
    assert max(map(len, found)) <= longest
    assert not any(part.endswith("Dr.") for part in found)
    if longest >= 100:
        assert all(part.endswith((".", "!", "\u3002")) for part in found)


def test_parts_of_a_text_without_blanks() -> None:
    text = "\u4eca" * 5000
    assert [len(part) for part in parts_of(text)] == [2000, 2000, 1000]
    assert list(parts_of(" * * * \n" * 900)) == []


@pytest.fixture
def narrow(serve: Callable[..., Running], shelf: Shelf) -> Running:
    shelf.publish("ada", 0)
    return serve(dataclasses.replace(FAST, max_characters=60, max_stream_characters=4500))


def test_a_long_text_is_one_sound(narrow: Running) -> None:
    text = "The sea was calm and grey that day. " * 62  # two parts
    body = {"input": text, "voice": "ada", "response_format": "wav", "seed": 1, "speed": 4.0}
    events = narrow.call("POST", "/v1/audio/speech?timestamps=json", {**body, "stream_format": "sse"})
    parsed = [json.loads(line.removeprefix("data: ")) for line in events.data.decode().split("\n\n") if line]
    assert parsed[-1]["type"] == "speech.audio.done"
    assert parsed[-1]["usage"]["input_tokens"] == pytest.approx(len(text), abs=5)
    times = [item["sentence"] for item in parsed if item["type"] == "speech.timestamps"]
    edges = [edge for item in times for edge in (item["start_s"], item["end_s"])]
    assert edges == sorted(edges)
    assert " ".join(item["text"] for item in times) == text.strip()
    samples, rate = decoded(narrow.call("POST", "/v1/audio/speech", body).data, "wav")
    assert len(samples) / rate == pytest.approx(edges[-1], abs=0.01)
    whole = narrow.call("POST", "/v1/audio/speech", {**body, "stream": False})
    assert whole.status == 413
    assert "streamed answer" in whole.json["error"]["message"]
    assert narrow.call("POST", "/v1/audio/speech", {**body, "input": text * 3}).status == 413
    assert narrow.call("POST", "/v1/audio/speech", {**body, "input": "* * * " * 50}).status == 400
