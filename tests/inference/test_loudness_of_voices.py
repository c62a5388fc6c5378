"""A voice speaks as loud as its recordings, and peaks stay within full scale without clipping."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.inference.pico_voice import write_voice
from timbre.audio.level import to_db
from timbre.inference.acoustic import DecoderCache
from timbre.inference.copy_synthesis import CopySynthesis
from timbre.inference.engine import Engine
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.errors import VoiceError
from timbre.inference.exported_base import read_export
from timbre.inference.guards import SentenceLimits
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.inference.voice import Voice, load_voice, prompt_tensors

REQUEST = SpeechRequest("The quick brown fox jumps over the lazy dog.", sampling=Sampling(seed=1), check=False)


@pytest.fixture(scope="module")
def engine(pico_export: Path) -> Iterator[Engine]:
    limits = SentenceLimits(0.0, 100.0, 100.0, 10_000, -500.0)
    with Engine(pico_export, EngineSettings(limits=limits)) as engine:
        yield engine


@pytest.fixture
def voice(engine: Engine, make_voice: Callable[..., Path]) -> Voice:
    return load_voice(make_voice(), engine.base, name="ada")


def at(voice: Voice, gain: float) -> Voice:
    return replace(voice, prompt=replace(voice.prompt, gain=gain))


def peak(samples: np.ndarray) -> float:
    return float(np.abs(samples).max())


def test_gain_is_a_factor_on_every_sample(engine: Engine, voice: Voice) -> None:
    own = engine.speak(REQUEST, voice).wave.samples
    quieter = 0.9 / peak(own)
    for how in (
        lambda whose: engine.speak(REQUEST, whose).wave.samples,
        lambda whose: np.concatenate([piece.samples for piece in engine.stream(REQUEST, whose)]),
    ):
        half, full = how(at(voice, quieter / 2)), how(at(voice, quieter))
        np.testing.assert_allclose(2 * half, full, atol=1e-6)
        assert len(full) == len(own)
        assert np.corrcoef(full, own)[0, 1] > 0.8


def test_loud_voices_stay_within_full_scale(engine: Engine, voice: Voice) -> None:
    own = peak(engine.speak(REQUEST, at(voice, 1e-3)).wave.samples) * 1e3
    loud = at(voice, 2.5 / own)
    whole = engine.speak(REQUEST, loud)
    assert to_db(peak(whole.wave.samples)) == pytest.approx(-0.1, abs=0.01)
    assert whole.sentences[0].gain == pytest.approx(10 ** (-0.1 / 20) / 2.5, rel=1e-3)
    streamed = np.concatenate([piece.samples for piece in engine.stream(REQUEST, loud)])
    assert len(streamed) == len(whole.wave.samples)
    assert to_db(peak(streamed)) <= -0.0999
    top = np.abs(streamed) > 0.999 * peak(streamed)
    assert not np.any(top[1:] & top[:-1] & (np.diff(streamed) == 0)), "no flat tops"


def test_quiet_parts_of_a_loud_sentence_keep_their_level(engine: Engine, voice: Voice) -> None:
    """One high peak does not make the sentence quieter than its neighbours."""
    own = engine.speak(REQUEST, at(voice, 1e-3)).wave.samples * 1e3
    found = engine.speak(REQUEST, at(voice, 1.2 / peak(own))).wave.samples * peak(own) / 1.2
    same = np.isclose(found, own, atol=1e-5 * peak(own))
    assert same.mean() > 0.3
    assert not same.all()


def test_copies_are_the_models_own(engine: Engine, voice: Voice) -> None:
    wave = engine.speak(REQUEST, voice).wave
    copies = CopySynthesis(engine.base, DecoderCache(engine.base))
    one, other = (copies.copy(wave, whose)[1].samples for whose in (voice, at(voice, 0.25)))
    np.testing.assert_array_equal(one, other)


def test_packages_say_how_loud(tmp_path: Path, pico_export: Path) -> None:
    base, folder = read_export(pico_export), write_voice(tmp_path, pico_export, np.random.default_rng(0))
    assert load_voice(folder, base, name="ada").prompt.gain == 1.0, "older packages"
    tensors = load_file(folder / "prompt.safetensors")
    for gain in (0.125, 0.4, 8.0):
        save_file({**tensors, "gain": np.array(gain, np.float32)}, folder / "prompt.safetensors")
        prompt = load_voice(folder, base, name="ada").prompt
        assert prompt.gain == pytest.approx(gain)
        assert float(prompt_tensors(prompt)["gain"]) == pytest.approx(gain)
    for gain in (0.0, -1.0, 0.12, 8.1, float("nan"), float("inf")):
        save_file({**tensors, "gain": np.array(gain, np.float32)}, folder / "prompt.safetensors")
        with pytest.raises(VoiceError, match="gain"):
            load_voice(folder, base, name="ada")
