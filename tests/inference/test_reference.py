"""A recording's prompt without torch equals what stages 2 and 3 make of the same sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.voice.bad_inputs import clip, texts
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.base import read_base
from timbre.core.errors import ConfigurationError, InputError
from timbre.inference.exported_base import read_export
from timbre.inference.reference import HEARING_HZ, ReferenceEncoder, pieces, prepare
from timbre.inference.voice import load_voice, prompt_tensors
from timbre.text.frontend import phonemize
from timbre.text.pauses import finished

TOLERANCE = 1e-4
"""Of the largest value: what the export itself is held to."""


def test_the_prompt_equals_that_of_the_torch_networks(pico_base: Path, pico_export: Path) -> None:
    torch = pytest.importorskip("torch")
    from timbre.gptsovits.encoders.ge2e import load_ge2e
    from timbre.gptsovits.files.base_networks import load_content_encoder, load_synthesizer
    from timbre.training.finetune.data import Row
    from timbre.training.finetune.voice_condition import voice_condition

    base, exported = read_base(pico_base), read_export(pico_export)
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
    speaker = torch.from_numpy(ge2e) if base.speaker_encoder == "ge2e" else None
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
    # The pace is that of the recording.
    sounds = sum(phone.isalnum() for phone in phonemes.phones)
    assert prompt.pace.phone_s == pytest.approx(found.speech_s / sounds, rel=0.1)


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
