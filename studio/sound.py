"""What the page sends, WAV, as what a voice folder keeps: FLAC of the same samples."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile as sf

from timbre.audio.waveform import Waveform
from timbre.pipeline.stages.validate.one_clip import MAX_TAKE_S
from timbre.studio.errors import StudioError

_LEAST_RATE_HZ, _MOST_RATE_HZ = 8_000, 192_000
_LEAST_S = 0.2


def as_file(data: bytes, suffix: str = ".flac") -> bytes:
    """The samples of a WAV file as .flac or .wav, bit by bit, one channel. Raises StudioError for anything else."""
    samples, rate_hz = _samples(data, "int32")
    with sf.SoundFile(io.BytesIO(data)) as opened:
        subtype = "PCM_24" if opened.subtype in ("PCM_24", "PCM_32", "FLOAT", "DOUBLE") else "PCM_16"
    out = io.BytesIO()
    sf.write(out, samples, rate_hz, format=suffix.removeprefix(".").upper(), subtype=subtype)
    return out.getvalue()


def as_waveform(data: bytes) -> Waveform:
    """The samples of a WAV file as floats."""
    samples, rate_hz = _samples(data, "float32")
    return Waveform(samples, rate_hz)


def _samples(data: bytes, kind: str) -> tuple[npt.NDArray[Any], int]:
    try:
        samples, rate_hz = sf.read(io.BytesIO(data), dtype=kind, always_2d=True)
    except (sf.LibsndfileError, RuntimeError, ValueError) as error:
        raise StudioError(400, "no-sound", "the recording is no WAV file", "record it again") from error
    seconds = len(samples) / max(rate_hz, 1)
    if not _LEAST_RATE_HZ <= rate_hz <= _MOST_RATE_HZ:
        raise StudioError(400, "no-sound", f"rate {rate_hz} Hz", "record it with another microphone")
    if seconds < _LEAST_S:
        raise StudioError(400, "too-short", f"{seconds:.2f} s of sound", "record it again, and stop at the end")
    if seconds > MAX_TAKE_S:
        raise StudioError(400, "too-long", f"{seconds:.0f} s of sound", "read one line only", limit=int(MAX_TAKE_S))
    return np.ascontiguousarray(samples[:, 0]), rate_hz
