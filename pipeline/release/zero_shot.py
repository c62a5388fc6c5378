"""A base that speaks like one recording, before anything is trained: a first listen, not what a voice will be.

recording -> spectrogram, speaker embedding -> condition vector -> Voice without an adapter
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.core.base import Base
from timbre.core.errors import ConfigurationError
from timbre.inference.exported_base import ExportedBase
from timbre.inference.pace import Pace
from timbre.inference.t2s_slots import NO_LORA
from timbre.inference.voice import Prompt, Voice

MAX_S = 12.0
_ENCODERS = ("none", "ge2e")
_ENCODER_HZ = 16_000
# Seconds a phone, of readers at an easy pace; a trained voice has its own, measured on its recordings.
_PACE_S = {"en": 0.085}
_OTHER_PACE_S = 0.1


def zero_shot(base: Base, exported: ExportedBase, name: str, recording: Path, language: str) -> Voice:
    """The base with one recording of a speaker as its prompt: it conditions the sound, its codes are not continued.

    Raises ConfigurationError for a base whose condition needs another speaker encoder.
    """
    if base.speaker_encoder not in _ENCODERS:
        message = f"base {base.name}: no preview, its speaker encoder is {base.speaker_encoder!r}"
        raise ConfigurationError(message, "push the voice: the pipeline's samples are the first listen")
    import torch

    from timbre.gptsovits.acoustic.spectrogram import Spectrogram, SpectrogramConfig
    from timbre.gptsovits.acoustic.synthesizer import Reference
    from timbre.gptsovits.encoders.ge2e import load_ge2e
    from timbre.gptsovits.files.base_networks import load_synthesizer

    model = load_synthesizer(base, with_posterior=False).float()
    config = model.config
    wave = read(recording, MAX_S)
    vector = load_ge2e().embed(resample(wave, _ENCODER_HZ).samples)
    own = torch.from_numpy(np.ascontiguousarray(resample(wave, config.rate_hz).samples)).view(1, 1, -1)
    spectrogram = Spectrogram(SpectrogramConfig(config.rate_hz, config.fft_size, config.hop, config.fft_size))
    speaker = torch.from_numpy(vector).unsqueeze(0) if base.speaker_encoder != "none" else None
    with torch.inference_mode():
        condition = model.condition(Reference(spectrogram(own), speaker)).numpy()
    empty = np.zeros(0, np.int64)
    prompt = Prompt(empty, empty, language, condition, vector, Pace(_PACE_S.get(language, _OTHER_PACE_S)))
    return Voice(name, "zero-shot", exported.digest, prompt, NO_LORA, {})
