"""What GPT-SoVITS's clients send to /tts: paths that are refused, values that its api_v2 takes."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.serving.running import Running


@pytest.mark.parametrize(
    "field", [{"ref_audio_path": "/etc/passwd"}, {"audio_file": "../x.wav"}, {"aux_ref_audio_paths": ["/etc/passwd"]}]
)
@pytest.mark.parametrize("named", [{}, {"spk": "ada"}, {"voice": "ada"}, {"ref_audio_path": "ada"}])
def test_a_path_is_refused_whoever_else_names_the_voice(
    live: Running, field: dict[str, Any], named: dict[str, str]
) -> None:
    body = {"text": "hi", **named, **field}
    asked = (live.call("POST", "/tts", body), live.call("GET", f"/tts?{urlencode(body, doseq=True)}"))
    for answer in asked:
        assert (answer.status, answer.json["code"]) == (403, "path_refused")
        assert answer.json["message"].startswith(f"{next(iter(field))}: file paths are refused")


def test_names_beside_the_one_that_speaks_are_told_as_ignored(live: Running) -> None:
    beside = {"voice": "bob", "ref_audio_path": "bob", "audio_file": "carl", "aux_ref_audio_paths": []}
    answer = live.call("POST", "/tts", {"text": "hi", "spk": "ada", **beside})
    assert answer.headers["x-timbre-voice"].startswith("ada@")
    assert answer.headers["x-timbre-ignored"] == "audio_file, ref_audio_path, voice"
    alone = live.call("GET", "/tts?text=hi&audio_file=carl&aux_ref_audio_paths=")
    assert alone.headers["x-timbre-voice"].startswith("carl@")
    assert "x-timbre-ignored" not in alone.headers


VALUES: list[dict[str, Any]] = [
    {"seed": 4_294_967_295}, {"seed": -1}, {"top_p": 0}, {"repetition_penalty": 1}, {"text_lang": None},
    {"text_lang": "EN"}, {"text_lang": "all_zh"}, {"text_lang": "Auto_Yue"},
    {"speed_factor": None}, {"seed": None, "media_type": None, "top_k": None}, {"speed_factor": "1.25"}, {"seed": 3.0},
    {"seed": "7", "top_p": "0.9"},
]  # fmt: skip
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"seed": 4_294_967_296}, "seed"), ({"seed": -2}, "seed"), ({"top_p": -0.1}, "top_p"),
    ({"text_lang": ""}, "text_lang"),
    ({"repetition_penalty": 0.9}, "repetition_penalty: below 1 repetition is rewarded and speech loops"),
    ({"repetition_penalty": 11}, "repetition_penalty"),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_values_that_api_v2_takes_are_taken(live: Running, value: dict[str, Any]) -> None:
    assert live.say("ada", "hi", **value).status == 200
    body = {"language" if name == "text_lang" else name: item for name, item in value.items()}
    assert live.call("POST", "/v1/audio/speech", {"input": "hi", "voice": "ada", **body}).status == 200
    if None not in value.values():
        assert live.call("GET", f"/tts?{urlencode({'text': 'hi', 'spk': 'ada', **value})}").status == 200


@pytest.mark.parametrize(("value", "words"), REFUSED, ids=str)
def test_values_that_are_refused_are_named_with_the_reason(live: Running, value: dict[str, Any], words: str) -> None:
    answer = live.say("ada", "hi", **value)
    assert answer.status == 400
    assert words in answer.json["message"]


def test_a_top_p_of_0_takes_the_likeliest_code_as_upstream_does(live: Running) -> None:
    spoken = {live.say("ada", "hi", top_p=0, seed=1, temperature=heat).data for heat in (0.1, 2.0)}
    assert len(spoken) == 1
