"""Voices of one recording on the base nano: judged by its own ear, and how like the person they sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.exports import kept_export
from tests.serving.running import FAST, Running, running, wait_until
from tests.serving.shelf_of_voices import Shelf
from tests.serving.test_zero_shot import VOICES, send, wav
from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.base import load_base
from timbre.inference.engine import Engine
from timbre.inference.reference import HEARING_HZ, ReferenceEncoder, prepare
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.inference.t2s_slots import NO_LORA
from timbre.inference.voice import Voice

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
CONSENT = "My name is Ada. I agree that my recordings may be used to make a synthetic voice, for school."
STORY = "The early train to York was late again, so we walked along the river. My father usually reads the newspaper."
LEAST_LIKENESS, LEAST_LEAD = 0.7, 0.1
"""GE2E of speech to other recordings of the person (a reader that the base knows), and above that of two others."""


@pytest.fixture(scope="module")
def nano_export() -> Path:
    return kept_export(load_base("nano", ROOT / "bases"), int8=False)


def clips(voice: str, suffix: str, *numbers: int) -> Waveform:
    parts = [read(ROOT / "voices" / voice / "wavs" / f"{number:04d}.{suffix}") for number in numbers]
    return Waveform(np.concatenate([resample(part, HEARING_HZ).samples for part in parts]), HEARING_HZ)


PEOPLE = {"kathleen": "ogg", "awb": "flac", "wren": "flac"}


@pytest.fixture(scope="module")
def engine(nano_export: Path) -> Iterator[Engine]:
    with Engine(nano_export) as opened:
        yield opened


def voice_of(engine: Engine, name: str) -> Voice:
    recording = prepare(clips(name, PEOPLE[name], 1, 2, 3))
    prompt = ReferenceEncoder(engine.base).prompt(recording, "en", None)
    return Voice(name, "zero-shot", engine.base.digest, prompt, NO_LORA, {})


def said(engine: Engine, voice: Voice, text: str) -> Waveform:
    return engine.speak(SpeechRequest(text, language="en", sampling=Sampling(seed=1)), voice).wave


def test_speech_is_like_the_recording(engine: Engine) -> None:
    encoder = ReferenceEncoder(engine.base)
    others = {name: encoder.speaker(clips(name, suffix, 5, 6, 7)) for name, suffix in PEOPLE.items()}
    spoken = encoder.speaker(said(engine, voice_of(engine, "kathleen"), STORY))
    likeness = {name: float(spoken @ other) for name, other in others.items()}
    assert likeness["kathleen"] > LEAST_LIKENESS, likeness
    assert likeness["kathleen"] > max(likeness["awb"], likeness["wren"]) + LEAST_LEAD, likeness


def test_a_consent_by_the_ear_of_the_base(engine: Engine, nano_export: Path, tmp_path: Path) -> None:
    """People of the tests have said no consent, so two voices of nano play them."""
    ada, other = voice_of(engine, "kathleen"), voice_of(engine, "wren")
    recording, statement, alien, plain = (
        wav(wave.samples, wave.rate_hz)
        for wave in (
            said(engine, ada, STORY), said(engine, ada, CONSENT), said(engine, other, CONSENT), said(engine, ada, STORY)
        )
    )  # fmt: skip
    shelf = Shelf(tmp_path / "registry", nano_export)
    shelf.publish_files("kate", _package(ada), "1")
    with running(shelf.registry, tmp_path / "cache", replace(FAST, zero_shot=str(tmp_path / "voices"))) as live:
        wait_until(lambda: bool(live.server.library.bases))
        assert _code(live, audio=recording, consent=plain) == "consent_words"
        assert _code(live, audio=recording, consent=alien) == "consent_speaker"
        assert _code(live, audio=recording, consent=statement, text="Nothing of this was said by anybody.") == (
            "wrong_transcript"
        )
        made = send(live, {"audio": recording, "consent": statement})
        assert made.status == 200, made.data
        # The language is that of the statement, of the two that nano hears.
        assert (made.json["languages"], made.json["consent"]["language"]) == (["en"], "en")
        (stored,) = (tmp_path / "voices").rglob("*.safetensors")
        assert 0.5 < float(load_file(stored)["gain"]) != 1.0, "as loud as its recording"
        answer = live.say(made.json["id"], STORY)
        assert answer.status == 200
        (tmp_path / "said.wav").write_bytes(answer.data)
        encoder = ReferenceEncoder(engine.base)
        likeness = encoder.speaker(read(tmp_path / "said.wav")) @ encoder.speaker(said(engine, ada, CONSENT))
        assert likeness > LEAST_LIKENESS


def _code(live: Running, **parts: Any) -> str:
    return str(send(live, parts, VOICES).json["error"]["code"])


def _package(voice: Voice) -> dict[str, bytes]:
    from safetensors.numpy import save

    from timbre.inference.voice import prompt_tensors

    return {"prompt.safetensors": save(prompt_tensors(voice.prompt)), "prompt.json": b'{"language": "en"}'}
