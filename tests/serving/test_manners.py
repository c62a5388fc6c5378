"""What clients send without meaning harm, taken as it is meant; and an end without errors."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote

import pytest
from pydantic import ValidationError

from tests.serving.running import Running
from tests.serving.shelf_of_voices import Shelf
from timbre.inference.errors import GraphError
from timbre.serving.leniency import utf8_query
from timbre.serving.openai_voices import OPENAI_VOICES, stand_in
from timbre.serving.schemas import SpeechBody, TtsBody, TtsQuery


@pytest.mark.parametrize(
    ("given", "field", "meant"),
    [
        ({"speed": None}, "speed", 1.0),
        ({"response_format": None}, "response_format", "mp3"),
        ({"stream_format": None}, "stream_format", "audio"),
        ({"stream": None}, "stream", True),
        ({"seed": None}, "seed", None),
        ({"speed": "1.5"}, "speed", 1.5),
        ({"seed": "7"}, "seed", 7),
        ({"seed": 1.0}, "seed", 1),
        ({"seed": "7.0"}, "seed", 7),
        ({"stream": "False"}, "stream", False),
        ({"sample_rate": "16000"}, "sample_rate", 16000),
        ({"response_format": "WAV"}, "response_format", "wav"),
        ({"input": "12.5"}, "input", "12.5"),
        ({"input": "true"}, "input", "true"),
        ({"voice": "007"}, "voice", "007"),
    ],
)
def test_openai_fields_as_meant(given: dict[str, Any], field: str, meant: object) -> None:
    body = SpeechBody.model_validate({"input": "hi", **given})
    found = getattr(body, field)
    assert found == meant
    assert type(found) is type(meant)


@pytest.mark.parametrize(
    "given",
    [
        {"speed": "fast"}, {"speed": "1e400"}, {"speed": "1" * 400}, {"seed": 1.5}, {"seed": True}, {"seed": "1.5"},
        {"stream": "maybe"}, {"stream": 2}, {"sample_rate": "1"}, {"response_format": "exe"}, {"input": None},
        {"input": 5}, {"seed": float("inf")}, {"seed": float("nan")}, {"speed": "९"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_clear_is_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        SpeechBody.model_validate({"input": "hi", **given})
    assert caught.value.errors()[0]["loc"][0] == next(iter(given))


def test_tts_fields_as_meant() -> None:
    body = TtsBody.model_validate({"text": "hi", "speed_factor": None, "streaming_mode": "3", "media_type": "OGG"})
    assert (body.speed_factor, body.streaming_mode, body.media_type) == (1.0, 3, "ogg")
    query = TtsQuery.model_validate({"text": "hi", "streaming_mode": "", "seed": "", "text_lang": ""})
    assert (query.streaming_mode, query.seed, query.text_lang) == (False, -1, "auto")


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
@pytest.mark.parametrize("text", ["你好，世界", "a=b&c 你好 + d", "镕", "plain"])
def test_queries_of_two_encodings(text: str, encoding: str) -> None:
    query = f"text={quote(text.encode(encoding))}&spk=awb".encode()
    assert parse_qs(utf8_query(query).decode()) == {"text": [text], "spk": ["awb"]}


@pytest.mark.parametrize("query", [b"text=caf%E9", b"text=%ff%fe&spk=%00", b"text=%", b"", b"%%%=&&&"])
def test_queries_of_no_encoding_stay(query: bytes) -> None:
    assert utf8_query(query) == query


def test_a_new_voice_takes_only_its_share_of_openais_names() -> None:
    voices = [f"voice{index}" for index in range(6)]
    before = {name: stand_in(name, voices) for name in OPENAI_VOICES}
    after = {name: stand_in(name, [*reversed(voices), "new"]) for name in OPENAI_VOICES}
    assert len(set(before.values())) > 2
    assert all(after[name] in (before[name], "new") for name in OPENAI_VOICES)
    assert stand_in("alloy", []) == ""
    assert stand_in("alloy", ["one"]) == "one"


def test_a_server_takes_what_clients_send(live: Running) -> None:
    for path in ("/livez", "/readyz", "/health", "/", "/page.js", "/v1/models"):
        looked, got = live.call("HEAD", path), live.call("GET", path)
        assert (looked.status, looked.data) == (200, b""), path
        assert looked.headers["content-type"] == got.headers["content-type"]
    assert live.call("HEAD", "/tts?text=hi&spk=ada").status == 405
    broken = live.call("POST", "/v1/audio/speech", b'{"voice": "ada", "input": "Hi.",}')
    assert broken.status == 400
    assert broken.json["error"]["code"] == "not_json"
    assert "the body is not JSON" in broken.json["error"]["message"]
    assert "character" in broken.json["error"]["message"]
    spoken = live.call("GET", "/tts?text=" + quote("hi 你".encode("gbk")) + "&spk=ada&streaming_mode=&seed=1")
    assert spoken.status == 200, spoken.data
    body = {"model": "tts-1", "input": "hi", "voice": "alloy", "speed": None, "response_format": None, "stream": False}
    named = [live.call("POST", "/v1/audio/speech", body).headers["x-timbre-voice"] for _ in range(2)]
    assert named[0] == named[1]
    assert named[0].split("@")[0] in ("ada", "bob", "carl")
    unknown = live.call("POST", "/v1/audio/speech", {**body, "voice": "nobody"})
    assert unknown.status == 404


def test_what_waits_at_shutdown_is_no_error(
    serve: Callable[..., Running], shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.publish("ada")
    live = serve()
    library, begun = live.server.library, threading.Event()

    def load(name: str, version: str) -> Any:
        begun.set()
        library.closing.wait(30)
        raise GraphError("the server is shutting down", "send the request to another server")

    monkeypatch.setattr(library, "_load", load)
    shelf.publish("late")
    assert begun.wait(30)
    live.server.close()
    assert [line.getMessage() for line in live.lines if line.levelno >= logging.ERROR] == []
