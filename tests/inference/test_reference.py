"""A recording's prompt without torch equals what stages 2 and 3 make of the same sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.inference.test_engine import ANYTHING
from tests.pipeline.voice.bad_inputs import clip, texts
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.base import read_base
from timbre.core.errors import ConfigurationError, InputError
from timbre.inference.engine import Engine
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.exported_base import read_export
from timbre.inference.filter_bank import filter_bank
from timbre.inference.reference import HEARING_HZ, ReferenceEncoder, pieces, prepare
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.inference.t2s_slots import NO_LORA
from timbre.inference.voice import Voice, load_voice, prompt_tensors
from timbre.text.frontend import phonemize
from timbre.text.pauses import finished

TOLERANCE = 1e-4
"""Of the largest value: what the export itself is held to."""


@pytest.fixture(scope="module")
def like_official(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base in the form of v2Pro, with a speaker network of its own, and its export."""
    pytest.importorskip("torch")
    from timbre.gptsovits.files.pico import make_pico
    from timbre.training.export.base_export import export_base

    folder = tmp_path_factory.mktemp("official")
    export_base(make_pico(folder / "base", like="v2Pro"), folder / "export", int8=False)
    return folder / "base", folder / "export"


@pytest.mark.parametrize("like", ["nano", pytest.param("v2Pro", marks=pytest.mark.slow)])
def test_the_prompt_equals_that_of_the_torch_networks(request: pytest.FixtureRequest, like: str) -> None:
    torch = pytest.importorskip("torch")
    from timbre.gptsovits.encoders.eres2net import ERes2NetV2
    from timbre.gptsovits.encoders.ge2e import load_ge2e
    from timbre.gptsovits.encoders.kaldi_fbank import kaldi_fbank
    from timbre.gptsovits.files.base_networks import load_content_encoder, load_speaker_encoder, load_synthesizer
    from timbre.training.finetune.data import Row
    from timbre.training.finetune.voice_condition import voice_condition

    if like == "nano":
        places = request.getfixturevalue("pico_base"), request.getfixturevalue("pico_export")
    else:
        places = request.getfixturevalue("like_official")
    base, exported = read_base(places[0]), read_export(places[1])
    found = prepare(Waveform(np.concatenate([clip("awb", 1).samples, clip("awb", 2).samples]), HEARING_HZ))
    phonemes = finished(phonemize(f"{texts('awb')[0]} {texts('awb')[1]}", "en"))
    prompt = ReferenceEncoder(exported).prompt(found, "en", phonemes)

    # As training/features.py hears a slice.
    network = load_synthesizer(base)
    with torch.inference_mode():
        wave = torch.from_numpy(np.pad(found.heard, (0, 80)))[None]
        hidden = load_content_encoder(base)(wave).last_hidden_state[:, : len(found.heard) // 320]
        codes = network.extract_codes(hidden.transpose(1, 2))[0, 0].numpy()
    ge2e = load_ge2e().embed(found.heard)
    own = resample(found.wave, base.rate_hz).samples
    own_encoder = load_speaker_encoder(base)
    if isinstance(own_encoder, ERes2NetV2):
        with torch.inference_mode():
            speaker = own_encoder(kaldi_fbank(torch.from_numpy(found.heard)[None]))[0]
    else:
        speaker = torch.from_numpy(ge2e)
    nothing = torch.zeros(0)
    rows = [
        Row("1", False, nothing, nothing, torch.from_numpy(piece.copy()), torch.from_numpy(ge2e), speaker, None, None)
        for piece in pieces(own, base.rate_hz)
    ]
    condition = voice_condition(network, rows, torch.device("cpu")).numpy()

    np.testing.assert_array_equal(prompt.codes, codes)
    np.testing.assert_array_equal(prompt.phones, phonemes.ids)
    np.testing.assert_allclose(prompt.speaker, ge2e, atol=TOLERANCE)
    np.testing.assert_allclose(prompt.condition, condition, atol=TOLERANCE * np.abs(condition).max())
    assert len(rows) > 1
    # The vector conditions: without the base's own it would be another voice.
    assert (exported.speaker_encoder, exported.has("verification")) == (base.speaker_encoder, like == "v2Pro")
    # The pace is that of the recording.
    sounds = sum(phone.isalnum() for phone in phonemes.phones)
    assert prompt.pace.phone_s == pytest.approx(found.speech_s / sounds, rel=0.1)


@pytest.mark.slow
def test_a_base_like_v2pro_speaks_like_a_recording(like_official: tuple[Path, Path]) -> None:
    """It continues the recording, so the words count, and two speakers condition it differently."""
    exported = read_export(like_official[1])
    encoder = ReferenceEncoder(exported)
    prompts = [
        encoder.prompt(prepare(clip(name, 1)), "en", finished(phonemize(texts(name)[0], "en")))
        for name in ("awb", "wren")
    ]
    assert all(
        len(prompt.codes) and prompt.condition.shape == (1, exported.acoustic.condition, 1) for prompt in prompts
    )
    with Engine(exported, EngineSettings(limits=ANYTHING)) as engine:
        asked = SpeechRequest("Good morning.", sampling=Sampling(seed=1))
        spoken = [
            engine.speak(asked, Voice("x", f"{number}", exported.digest, prompt, NO_LORA, {})).wave
            for number, prompt in enumerate(prompts)
        ]
    assert all(wave.rate_hz == 32_000 and np.abs(wave.samples).max() > 1e-4 for wave in spoken)
    assert not np.array_equal(spoken[0].samples[:8_000], spoken[1].samples[:8_000])


@pytest.mark.parametrize("seconds", [0.025, 0.5, 3.21])
def test_the_filter_bank_equals_the_torch_one(seconds: float) -> None:
    torch = pytest.importorskip("torch")
    from timbre.gptsovits.encoders.kaldi_fbank import kaldi_fbank

    samples = clip("awb", 1).samples[: round(seconds * HEARING_HZ)]
    wanted = kaldi_fbank(torch.from_numpy(samples)).numpy()
    assert wanted.shape == filter_bank(samples).shape
    np.testing.assert_allclose(filter_bank(samples), wanted, atol=2e-3)


def test_a_prompt_survives_its_file(pico_export: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    exported = read_export(pico_export)
    prompt = ReferenceEncoder(exported).prompt(prepare(clip("awb", 1)), "en", phonemize(texts("awb")[0], "en"))
    save_file(prompt_tensors(prompt), tmp_path / "prompt.safetensors")
    (tmp_path / "prompt.json").write_text('{"language": "en"}')
    read = load_voice(tmp_path, exported, name="x").prompt
    for name in ("codes", "phones", "condition", "speaker"):
        np.testing.assert_array_equal(getattr(read, name), getattr(prompt, name))
    assert read.pace.phone_s == pytest.approx(prompt.pace.phone_s)


def test_level_and_silence_around_speech_do_not_matter() -> None:
    wave = clip("awb", 1)
    padded = np.concatenate([np.zeros(8_000, np.float32), wave.samples * 0.05, np.zeros(8_000, np.float32)])
    plain, quiet = prepare(wave), prepare(Waveform(padded, wave.rate_hz))
    assert len(quiet.heard) == pytest.approx(len(plain.heard), rel=0.1)
    assert np.sqrt(np.mean(quiet.heard**2)) == pytest.approx(np.sqrt(np.mean(plain.heard**2)), rel=0.15)
    with pytest.raises(InputError, match="no speech"):
        prepare(Waveform(np.zeros(64_000, np.float32), 16_000))


def test_what_a_base_needs_is_said(pico_export: Path) -> None:
    exported = read_export(pico_export)
    with pytest.raises(InputError, match="must know its words"):
        ReferenceEncoder(exported).prompt(prepare(clip("awb", 1)), "en", None)
    with pytest.raises(ConfigurationError, match="eres2netv2"):
        ReferenceEncoder(replace(exported, speaker_encoder="eres2netv2"))
    follows = replace(exported, speaking=replace(exported.speaking, prompt_codes=False))
    prompt = ReferenceEncoder(follows).prompt(prepare(clip("awb", 1)), "en", None)
    assert len(prompt.codes) == len(prompt.phones) == 0
