"""Slower speech has more codes to a sound; faster speech goes through the frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.conftest import ROOT
from tests.exports import kept_export
from tests.inference.pico_voice import write_voice
from timbre.audio.reader import read
from timbre.core.base import load_base
from timbre.inference.engine import Engine
from timbre.inference.errors import TextError, VoiceError
from timbre.inference.exported_base import read_export
from timbre.inference.reference import ReferenceEncoder, prepare
from timbre.inference.request import Speech, SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.inference.t2s_slots import NO_LORA
from timbre.inference.tempo import Tempo, tempo_of
from timbre.inference.voice import Voice, load_voice, prompt_tensors
from timbre.text.phone_codes import PLOSIVES

TEXT = "A narrow path leads down to the beach."


def test_a_request_is_faster_or_slower_than_its_voice() -> None:
    assert tempo_of(1.0, 1.6, codes_are_phones=True) == Tempo(stretch=1.6)
    assert tempo_of(0.5, 1.5, codes_are_phones=True) == Tempo(stretch=3.0)
    assert tempo_of(2.0, 1.0, codes_are_phones=True) == Tempo(speed=2.0)
    assert tempo_of(2.0, 1.6, codes_are_phones=True) == Tempo(speed=1.25)
    assert tempo_of(1.0, 0.8, codes_are_phones=True) == Tempo(speed=1.25)
    assert tempo_of(0.5, 1.6, codes_are_phones=False) == Tempo(speed=0.5), "these codes are no phones"
    assert tempo_of(0.25, 2.0, codes_are_phones=True) == Tempo(3.0, 0.375), "memory grows with the square of codes"


def test_packages_say_how_far_codes_are_drawn_out(tmp_path: Path, pico_export: Path) -> None:
    base, folder = read_export(pico_export), write_voice(tmp_path, pico_export, np.random.default_rng(0))
    assert load_voice(folder, base, name="ada").prompt.pace.stretch == 1.0, "older packages"
    tensors = load_file(folder / "prompt.safetensors")
    for stretch in (0.8, 2.0):
        tensors["pauses"] = np.array([0.2, 0.4, 0.3], np.float32)
        save_file({**tensors, "stretch": np.array(stretch, np.float32)}, folder / "prompt.safetensors")
        prompt = load_voice(folder, base, name="ada").prompt
        assert prompt.pace.stretch == pytest.approx(stretch)
        assert float(prompt_tensors(prompt)["stretch"]) == pytest.approx(stretch)
    for stretch in (0.0, 9.0, float("nan")):
        save_file({**tensors, "stretch": np.array(stretch, np.float32)}, folder / "prompt.safetensors")
        with pytest.raises(VoiceError, match="stretch"):
            load_voice(folder, base, name="ada")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(read_export(kept_export(load_base("nano", ROOT / "bases")))) as engine:
        yield engine


@pytest.fixture(scope="module")
def voice(engine: Engine) -> Voice:
    clip = read(min((ROOT / "voices" / "wren" / "wavs").glob("*.flac")))
    prompt = ReferenceEncoder(engine.base).prompt(prepare(clip), "en", None)
    return Voice("wren", "1", engine.base.digest, prompt, NO_LORA, {})


def at(voice: Voice, stretch: float) -> Voice:
    """Of an owner who takes so many times the base's seconds."""
    own = voice.prompt.pace
    pace = replace(
        own, phone_s=stretch * own.phone_s, weak_s=stretch * own.weak_s, strong_s=stretch * own.strong_s,
        edges_s=stretch * own.edges_s, stretch=stretch,
    )  # fmt: skip
    return replace(voice, prompt=replace(voice.prompt, pace=pace))


def said(engine: Engine, voice: Voice, speed: float = 1.0) -> Speech:
    return engine.speak(SpeechRequest(TEXT, sampling=Sampling(seed=3), speed=speed, check=False), voice)


@pytest.mark.slow
def test_a_voice_speaks_at_its_owners_pace(engine: Engine, voice: Voice) -> None:
    own, slow = said(engine, voice), said(engine, at(voice, 1.6))
    code_s = engine.base.samples_per_code / engine.base.rate_hz
    short_s = code_s * sum(PLOSIVES[code // 2] for code in own.sentences[0].codes)
    assert short_s > 0
    assert slow.wave.duration_s == pytest.approx(1.6 * (own.wave.duration_s - short_s) + short_s, abs=0.03)
    assert len(slow.sentences[0].codes) * engine.base.samples_per_code == len(slow.wave.samples)
    words, slower = own.times[0].words, slow.times[0].words
    assert [word.text for word in slower] == [word.text for word in words]
    for word, later in zip(words, slower, strict=True):
        before_s, after_s = word.end_s - word.start_s, later.end_s - later.start_s
        assert before_s - 0.05 <= after_s <= 1.6 * before_s + 0.05
    halved = said(engine, voice, speed=0.5)
    np.testing.assert_array_equal(halved.wave.samples, said(engine, at(voice, 2.0)).wave.samples)
    assert said(engine, at(voice, 1.6), speed=1.6).sentences[0].codes == own.sentences[0].codes
    fast = said(engine, voice, speed=2.0)
    assert fast.sentences[0].codes == own.sentences[0].codes
    assert fast.wave.duration_s == pytest.approx(own.wave.duration_s / 2, abs=0.03)


@pytest.mark.slow
def test_a_stream_has_the_same_pace(engine: Engine, voice: Voice) -> None:
    slow = at(voice, 1.6)
    stream = engine.stream(SpeechRequest(TEXT, sampling=Sampling(seed=3), check=False), slow)
    streamed = np.concatenate([piece.samples for piece in stream])
    whole = said(engine, slow)
    assert len(streamed) == len(whole.wave.samples)
    assert stream.times[0].words == whole.times[0].words


@pytest.mark.slow
def test_slow_speech_by_codes_keeps_words_that_stretched_frames_lose(engine: Engine, voice: Voice) -> None:
    """And a slow voice is checked at its own pace: nothing of it counts as failed."""
    text = "The harbour was quiet. Fresh bread and smoked fish were laid out on a long table near the door."
    own = engine.speak(SpeechRequest(text, sampling=Sampling(seed=3), check=False), voice)
    sounds = sum(len(word.sounds) for time in own.times for word in time.words)
    seconds = sum(item.seconds for item in own.sentences)
    pace = replace(voice.prompt.pace, phone_s=seconds / sounds, edges_s=0.0)
    slow = at(replace(voice, prompt=replace(voice.prompt, pace=pace)), 2.0)
    spoken = engine.speak(SpeechRequest(text, sampling=Sampling(seed=3)), slow)
    assert [item.failures for item in spoken.sentences] == [(), ()]
    rates = [item.error_rate for item in spoken.sentences]
    assert all(rate is not None and rate < 0.35 for rate in rates), rates


@pytest.mark.slow
def test_a_slow_voice_gets_as_many_codes_and_as_much_room_as_the_base(engine: Engine, voice: Voice) -> None:
    """Its seconds are its owner's; what is drawn before it is drawn out is not more."""
    planner, request = engine._planner, SpeechRequest(TEXT, sampling=Sampling(seed=3))
    jobs = []
    for speaker in (voice, at(voice, 2.0)):
        planned = planner.plan(request, speaker)[0]
        jobs.append(planner.job(planned[0], request, speaker))
    own, slow = jobs
    assert abs(slow.min_codes - own.min_codes) <= 1
    slack = planner.limits.slack_s * engine.base.codes_hz
    assert own.max_codes - slack <= slow.max_codes <= own.max_codes
    exact = round(len(planned[0].ids) + planned[0].seconds / 2 * engine.base.codes_hz) + 1
    tight = replace(planner, capacity=exact)
    tight.plan(request, at(voice, 2.0))
    with pytest.raises(TextError, match="does not fit"):
        replace(planner, capacity=exact - 3).plan(request, at(voice, 2.0))
