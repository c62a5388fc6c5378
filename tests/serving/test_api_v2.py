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
