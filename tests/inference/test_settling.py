"""A voice of one recording takes over its owner's pace and level, as far as words bear it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.exports import kept_export
from timbre.audio.level import active_level_dbfs, apply_gain
from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.vad import detect
from timbre.audio.waveform import Waveform
from timbre.core.base import load_base
from timbre.inference import settling
from timbre.inference.engine import Engine
from timbre.inference.exported_base import read_export
from timbre.inference.reference import HEARING_HZ, Reference, ReferenceEncoder, prepare
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.inference.settling import FASTEST, SLOWEST, settled
from timbre.inference.t2s_slots import NO_LORA
from timbre.inference.voice import MOST_GAIN, Prompt, Voice
from timbre.pipeline.release.zero_shot import zero_shot
from timbre.text.frontend import phonemize
from timbre.text.pauses import count_pauses, finished

ROOT = Path(__file__).resolve().parents[2]
KATHLEEN = ROOT / "voices" / "kathleen"
CLIP = KATHLEEN / "wavs" / "0002.ogg"
TEXT = "Many other similar disconcerning omissions will be noticed in the Manuscript."
SOUNDS = count_pauses(finished(phonemize(TEXT, "en")).phones).sounding
REQUEST = SpeechRequest("He opened the window and listened to the birds.", "en", Sampling(seed=3), check=False)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(read_export(kept_export(load_base("nano", ROOT / "bases")))) as engine:
        yield engine


@pytest.fixture(scope="module")
def recording() -> Reference:
    return prepare(read(CLIP, 12.0))


@pytest.fixture(scope="module")
def prompt(engine: Engine, recording: Reference) -> Prompt:
    return ReferenceEncoder(engine.base).prompt(recording, "en", None)


def slower(recording: Reference, times: float) -> Reference:
    """The same sounds in so many times the seconds, by what the detector of speech says."""
    activity = recording.activity
    count = round(times * len(activity.speech))
    places = np.minimum((np.arange(count) / times).astype(int), len(activity.speech) - 1)
    drawn_out = replace(activity, speech=activity.speech[places], levels_dbfs=activity.levels_dbfs[places])
    return replace(recording, activity=drawn_out)


def spoken(engine: Engine, prompt: Prompt) -> Waveform:
    return engine.speak(REQUEST, Voice("one", "1", engine.base.digest, prompt, NO_LORA, {})).wave


def level(wave: Waveform) -> float:
    found = detect(resample(wave, HEARING_HZ).samples)
    return active_level_dbfs(found.levels_dbfs, found.speech)


def test_a_slow_reader_is_drawn_out_and_an_even_one_is_not(
    engine: Engine, prompt: Prompt, recording: Reference
) -> None:
    own = settled(engine, prompt, recording, TEXT)
    assert own.pace.stretch == 1.0, "Kathleen reads at the pace of the base"
    ratio = recording.speech_s / (own.pace.phone_s * SOUNDS)
    assert ratio == pytest.approx(1.0, abs=0.15)
    paces = [settled(engine, prompt, slower(recording, times / ratio), TEXT).pace for times in (1.1, 1.3, 3.0, 0.5)]
    assert [pace.stretch for pace in paces] == [1.0, pytest.approx(1.3, abs=0.03), SLOWEST, FASTEST]
    before = spoken(engine, own).duration_s
    after = spoken(engine, replace(own, pace=paces[2])).duration_s
    assert SLOWEST - 0.15 < after / before < SLOWEST + 0.05, "plosives stay as they are"
    for pace in paces:
        assert pace.phone_s / pace.stretch == pytest.approx(own.pace.phone_s), "seconds of this voice, not its owner's"


def test_sounds_are_counted_where_words_are_not_known(
    engine: Engine, prompt: Prompt, recording: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = slower(recording, 1.2)
    one = settled(engine, prompt, slow).pace
    monkeypatch.setattr(engine, "recogniser", SimpleNamespace(hear=lambda wave: [0] * (2 * SOUNDS)))
    assert settled(engine, prompt, slow).pace.stretch == FASTEST < one.stretch
    monkeypatch.setattr(engine, "recogniser", SimpleNamespace(hear=lambda wave: [0] * (SOUNDS // 2)))
    assert settled(engine, prompt, slow).pace.stretch == SLOWEST


def test_the_base_speaks_the_words_of_the_recording(
    engine: Engine, prompt: Prompt, recording: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same sounds on both sides; and no page is read for it."""
    heard: list[str] = []
    speak = engine.speak

    def listening(request: SpeechRequest, voice: Voice) -> object:
        heard.append(request.text)
        return speak(request, voice)

    monkeypatch.setattr(engine, "speak", listening)
    for text in (TEXT, TEXT * 5, ""):
        settled(engine, prompt, recording, text)
    assert heard[0] == TEXT
    assert heard[1] == heard[2] != TEXT


def test_a_voice_speaks_as_loud_as_its_recording(engine: Engine, prompt: Prompt, recording: Reference) -> None:
    quieter = replace(recording, activity=detect(0.5 * recording.heard))
    own, half = (settled(engine, prompt, item) for item in (recording, quieter))
    assert own.gain / half.gain == pytest.approx(2.0, abs=0.02)
    assert level(spoken(engine, half)) == pytest.approx(level(apply_gain(recording.wave, -6.02)), abs=1.5)
    assert settled(engine, half, recording).gain == own.gain, "from the base's own level each time"
    whisper = replace(recording, activity=detect(0.01 * recording.heard))
    assert settled(engine, prompt, whisper).gain == 1 / MOST_GAIN


def test_silence_changes_nothing(
    engine: Engine, prompt: Prompt, recording: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = SimpleNamespace(wave=Waveform(np.zeros(24_000, np.float32), 24_000))
    monkeypatch.setattr(engine, "speak", lambda request, voice: silent)
    assert settled(engine, prompt, recording) is prompt


def test_a_short_recording_says_nothing_about_pace(
    engine: Engine, prompt: Prompt, recording: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = slower(recording, 2.0)
    assert settled(engine, prompt, slow, "Hi.").pace == prompt.pace
    monkeypatch.setattr(engine, "recogniser", None)
    found = settled(engine, prompt, slow)
    assert found.pace == prompt.pace, "nobody hears its sounds"
    assert found.gain != 1.0


def test_a_language_without_a_sentence_stays_as_it_is(engine: Engine, prompt: Prompt, recording: Reference) -> None:
    assert settled(engine, replace(prompt, language="fr"), recording) == replace(prompt, language="fr")


def test_every_language_of_the_base_has_a_sentence(engine: Engine) -> None:
    assert set(engine.base.languages) <= set(settling._TEXTS)


def test_codes_that_are_no_phones_keep_their_pace(
    engine: Engine, prompt: Prompt, recording: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = engine.base
    monkeypatch.setattr(engine, "base", replace(base, speaking=replace(base.speaking, follow_text=False)))
    found = settled(engine, prompt, slower(recording, 2.0))
    assert found.pace == prompt.pace
    assert found.gain != 1.0


def test_a_first_listen_settles_where_an_engine_is_open(engine: Engine) -> None:
    plain, own = (zero_shot(engine.base, "one", CLIP, "en", engine=whose).prompt for whose in (None, engine))
    assert plain.gain == 1.0 != own.gain
