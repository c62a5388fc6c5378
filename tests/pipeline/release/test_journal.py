"""The journal of spoken files: entries after a kill, and a key that every field of a request is part of."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.pipeline.release.journal import journal, sound_key
from timbre.pipeline.release.speaking import Speaking
from timbre.text.marks import Pause


@dataclass(frozen=True)
class Spoken:
    file: str
    key: str
    failures: tuple[str, ...] = ()


def spoken_by(voice: str = "ada", version: str = "0123456789ab", profile: str = "fp32") -> Speaking:
    engine = SimpleNamespace(settings=SimpleNamespace(profile=profile))
    return cast(Speaking, SimpleNamespace(manifest=SimpleNamespace(voice=voice, version=version), engine=engine))


SPEAKING = spoken_by()
OTHER: dict[str, Any] = {
    "text": "Two.", "language": "en", "sampling": Sampling(seed=4), "speed": 1.5, "pause_s": 0.9, "check": False,
    "lexicon": {"ada": ("EY1", "D", "AH0")}, "prompt_codes": True, "longest_s": 9.0,
    "marks": (Pause(0.5),), "lead_s": 0.2,
}  # fmt: skip


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(SpeechRequest)])
def test_every_field_of_a_request_is_part_of_the_key(name: str) -> None:
    request = SpeechRequest("One.", sampling=Sampling(seed=3))
    changed = replace(request, **{name: OTHER[name]})
    assert sound_key(SPEAKING, changed) != sound_key(SPEAKING, request)
    assert sound_key(SPEAKING, replace(request)) == sound_key(SPEAKING, request)


def test_what_else_decides_the_files_is_part_of_the_key() -> None:
    request = SpeechRequest("One.")
    assert sound_key(spoken_by(), request) == sound_key(SPEAKING, request)
    for other in (spoken_by(voice="eve"), spoken_by(version="ba9876543210"), spoken_by(profile="int8")):
        assert sound_key(other, request) != sound_key(SPEAKING, request)
    assert sound_key(SPEAKING, request, "srt") != sound_key(SPEAKING, request, "vtt")


def test_entries_are_found_by_file_and_key(tmp_path: Path) -> None:
    path = tmp_path / "out" / "spoken.jsonl"
    with journal(path, Spoken) as first:
        first.add(Spoken("1.wav", "a", ("too short",)))
        first.add(Spoken("1.wav", "b"))
        first.add(Spoken("2.wav", "c"))
    path.write_text(path.read_text(encoding="utf-8")[:-9] + '\n[1]\n{"file": 1}\n', encoding="utf-8")
    with journal(path, Spoken) as second:
        assert second.find("1.wav", "b") == Spoken("1.wav", "b")
        assert second.find("1.wav", "a") is None
        assert second.find("2.wav", "c") is None
        second.add(Spoken("2.wav", "c", ("silent",)))
    with journal(path, Spoken) as third:
        assert third.find("2.wav", "c") == Spoken("2.wav", "c", ("silent",))
