"""Measuring a voice through the engine: what is spoken, what is kept, and that it can be stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from timbre.audio.mos import Mos
from timbre.audio.waveform import Waveform
from timbre.core.cancellation import Cancellation, Interrupted
from timbre.core.errors import InputError
from timbre.core.progress import SilentProgress
from timbre.evaluation.judge import Judge, Plan, TrainingOutcome, without_adapter
from timbre.evaluation.measurements import Group, Measurements, read_measurements
from timbre.evaluation.recorded import misheard_of
from timbre.evaluation.rendition import CopiedRecording, Recording, Renderer, Spoken, sentences_for
from timbre.inference.engine import Engine
from timbre.inference.exported_base import read_export
from timbre.inference.recogniser import Recogniser
from timbre.inference.voice import Voice, load_voice
from timbre.text.frontend import phonemize
from timbre.text.lexicon import Lexicon, parse
from timbre.text.recognition import spoken_class_ids

TEXTS = ("Fresh bread and smoked fish were laid out.", "The harbour was quiet.", "A narrow path leads to the beach.")


@pytest.fixture(scope="module")
def engine(pico_export: Path) -> Iterator[Engine]:
    with Engine(read_export(pico_export)) as running:
        yield running


@pytest.fixture(scope="module")
def held_out() -> list[Recording]:
    from timbre.audio.reader import read
    from timbre.audio.resample import resample

    files = sorted((ROOT / "voices" / "awb" / "wavs").glob("*.flac"))
    waves = [resample(read(path), 16_000) for path in files[: len(TEXTS)]]
    return [
        Recording(f"{number:05d}", text, "en", Waveform(wave.samples[:32_000], 16_000))
        for number, (text, wave) in enumerate(zip(TEXTS, waves, strict=True), 1)
    ]


@pytest.fixture
def voice(make_voice: Callable[..., Path], pico_export: Path) -> Voice:
    return load_voice(make_voice(), read_export(pico_export), name="ada")


@pytest.fixture(scope="module")
def judge(engine: Engine) -> Judge:
    return Judge(engine)


def test_everything_is_spoken_measured_and_kept(
    judge: Judge, voice: Voice, held_out: list[Recording], tmp_path: Path
) -> None:
    outcome = TrainingOutcome(1.1, 0.9)
    found = judge.measure(voice, held_out, Plan((1, 2), 1), tmp_path, SilentProgress(), outcome=outcome)
    assert [sample.id for sample in found.adapted.copy] == [item.id for item in held_out]
    assert len(found.adapted.tts) == (len(held_out) + 1) * 2
    assert len(found.plain.tts) == len(held_out) + 1
    assert {sample.source for sample in found.adapted.tts} == {"held-out", "fixed"}
    assert (found.memorisation, found.held_out_loss) == (1.1, 0.9)
    for sample in (*found.adapted.copy, *found.adapted.tts):
        assert (tmp_path / sample.file).is_file()
        assert {"level_dbfs", "peak_dbfs", "bandwidth_hz", "clipped_share"} <= set(sample.values)
    rated = [sample.seed for sample in found.adapted.tts if "dnsmos" in {**sample.values, **sample.unmeasurable}]
    assert set(rated) == {1}, "the predicted opinion is asked once a sentence"
    found.write(tmp_path)
    assert isinstance(read_measurements(tmp_path), Measurements)


class _Reader(Recogniser):
    """Hears each recording as a lexicon reads its text."""

    def __init__(self, held_out: Sequence[Recording], lexicon: Lexicon) -> None:
        self._said = {id(item.wave): phonemize(item.text, item.language, lexicon).phones for item in held_out}

    @property
    def digest(self) -> str:
        return "none"

    def doubt(self, wave: Waveform, spoken: object) -> float:
        return np.inf

    def hear(self, wave: Waveform, spoken: object = ()) -> list[int]:
        assert spoken, "a text is heard in its own language"
        return list(spoken_class_ids(self._said.get(id(wave), ())))


def test_recordings_are_read_with_the_voices_own_lexicon(
    engine: Engine, voice: Voice, held_out: list[Recording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("judge", "recorded"):
        monkeypatch.setattr(f"timbre.evaluation.{place}.dnsmos", lambda samples: Mos(3.0, 3.0, 3.0))  # the slow one
    lexicon = parse("harbour Z OW1 T", "lexicon.txt")
    reader = _Reader(held_out, lexicon)
    judge = Judge(engine, reader)
    found = judge.measure(replace(voice, lexicon=lexicon), held_out[:2], Plan((1,), 0), tmp_path, SilentProgress())
    assert found.real["phone_error_rate"] == 0.0, "what was said as the voice reads it is no error"
    assert found.real["word_error_rate"] == 0.0
    otherwise = misheard_of(held_out, reader, {})
    assert 0 < otherwise["word_error_rate"] < 0.5
    assert misheard_of(held_out, None, {}) == {}


def test_tones_are_asked_of_mandarin_texts_alone(judge: Judge) -> None:
    """A gate on them has no verdict on an English voice, and a miss is a miss on a Mandarin one."""
    nothing = Group((), ())
    for languages, reason in (({"en"}, "no text is Mandarin"), ({"zh"}, None), ({"en", "zh"}, None)):
        found = judge.measurements("ada", nothing, nothing, {}, languages=languages).unasked.get("tone_error_rate")
        expected = reason if reason or judge.recogniser else "neither the base nor nano beside it has a recogniser"
        assert found == expected


def test_the_base_alone_is_another_voice(engine: Engine, voice: Voice, held_out: list[Recording]) -> None:
    renderer = Renderer(engine)
    adapted, plain = (renderer.copy(held_out[0], item).copy.samples for item in (voice, without_adapter(voice)))
    assert not np.allclose(adapted, plain)


def test_it_stops_between_two_samples(judge: Judge, voice: Voice, held_out: list[Recording], tmp_path: Path) -> None:
    cancel = Cancellation()
    cancel.cancel("somebody pressed a key")
    with pytest.raises(Interrupted, match="pressed a key"):
        judge.measure(voice, held_out, Plan((1,), 0), tmp_path, SilentProgress(), cancel=cancel)
    assert not list((tmp_path / "samples").iterdir())


def test_one_recording_is_too_few(judge: Judge, voice: Voice, held_out: list[Recording], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 2"):
        judge.measure(voice, held_out[:1], Plan((1,), 0), tmp_path, SilentProgress())


def test_what_is_cut_off_or_refused_has_failed(judge: Judge, held_out: list[Recording]) -> None:
    real = judge.recorded(held_out)
    sentence = sentences_for(held_out, 0)[0]
    wave = held_out[0].wave
    phones = phonemize(sentence.text, sentence.language).phones
    whole = Spoken(sentence, 1, wave, (), wave.duration_s, wave.duration_s, phones)
    half = replace(whole, wave=Waveform(wave.samples[: len(wave.samples) // 2], wave.rate_hz))
    failures = [judge.judge_speech(item, real, opinions=False).failures for item in (whole, half)]
    assert not any("duration" in reason for reason in failures[0])
    assert any(reason.startswith("duration 1.00 s is outside 1.20") for reason in failures[1])
    refused = judge.judge_speech(replace(whole, wave=None, refusal="not spoken: no room"), real)
    assert refused.values == {"failed_sentences": 1.0}
    assert "no room" in refused.unmeasurable["speech"]


def test_the_peak_is_that_of_the_voice_not_of_what_was_turned_down(
    judge: Judge, engine: Engine, voice: Voice, held_out: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine turns peaks down, so that what it hands out never exceeds full scale."""
    real, sentence = judge.recorded(held_out), sentences_for(held_out, 0)[0]
    before = judge.judge_speech(Renderer(engine).speak(sentence, 1, voice), real, opinions=False).values["peak_dbfs"]
    monkeypatch.setattr("timbre.inference.engine._CEILING_DBFS", before - 12.0412)
    spoken = Renderer(engine).speak(sentence, 1, voice)
    assert spoken.wave is not None
    assert spoken.gain == pytest.approx(0.25, rel=1e-3)
    assert 20 * np.log10(np.abs(spoken.wave.samples).max()) == pytest.approx(before - 12.04, abs=0.01)
    assert judge.judge_speech(spoken, real, opinions=False).values["peak_dbfs"] == pytest.approx(before, abs=0.01)


def test_a_perfect_copy_and_a_silent_one(judge: Judge, held_out: list[Recording]) -> None:
    item = held_out[0]
    perfect = judge.judge_copy(CopiedRecording(item, item.wave, item.wave))
    assert perfect.values["pesq_nb"] > 4.4
    assert perfect.values["stoi"] > 0.99
    silent = judge.judge_copy(CopiedRecording(item, item.wave, Waveform(np.zeros_like(item.wave.samples), 16_000)))
    assert {"pesq_nb", "stoi", "dnsmos", "bandwidth_hz", "clipped_share"} <= set(silent.unmeasurable)
