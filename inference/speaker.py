"""GE2E speaker vectors without torch: mel partials in numpy, the LSTM as an ONNX graph (Wan et al. 2018, arXiv
1710.10467).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.errors import InputError
from timbre.inference.exported_base import ExportedBase
from timbre.inference.session import open_session

Floats = NDArray[np.float32]
RATE_HZ = 16_000
_WINDOW, _HOP, _BANDS = 400, 160, 40
_PARTIAL_FRAMES = 160
_PARTIALS_HZ = 1.3
_MIN_COVERAGE = 0.75
_TARGET_DBFS = -30.0


class SpeakerEncoder:
    """Audio -> unit vector [256] that says who speaks. Equal to gptsovits/encoders/ge2e.py, by test."""

    def __init__(self, base: ExportedBase, *, threads: int = 1) -> None:
        self._session = open_session(base.graph("speaker"), threads=threads)

    def embed(self, wave: Waveform) -> Floats:
        """Vector [256] of one clip at any rate. Raises InputError when it is empty, silent or not finite."""
        samples = resample(wave, RATE_HZ).samples
        mels = _partials(_raised(samples))
        vectors = np.asarray(self._session.run(None, {"mels": mels})[0])
        mean = vectors.mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)

    def embed_many(self, waves: Sequence[Waveform]) -> Floats:
        """Vectors [N, 256]."""
        return np.stack([self.embed(wave) for wave in waves])


def _raised(samples: Floats) -> Floats:
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    if not math.isfinite(power) or power <= 1e-16:
        raise InputError(f"speaker vector: mean power {power:g}, nothing to hear", "leave the silent clip out")
    gain_db = _TARGET_DBFS - 10 * math.log10(power)
    return samples if gain_db <= 0 else np.asarray(samples * 10 ** (gain_db / 20), np.float32)


def _partials(samples: Floats) -> Floats:
    """Mel windows [K, 160, 40] of a clip [T]; the tail is padded with zeros, or dropped when it holds too little."""
    frames = math.ceil((len(samples) + 1) / _HOP)
    step = round(RATE_HZ / _PARTIALS_HZ / _HOP)
    starts = list(range(0, max(1, frames - _PARTIAL_FRAMES + step + 1), step))
    if (len(samples) / _HOP - starts[-1]) / _PARTIAL_FRAMES < _MIN_COVERAGE and len(starts) > 1:
        starts.pop()
    need = (starts[-1] + _PARTIAL_FRAMES) * _HOP
    mels = _mel_frames(np.pad(samples, (0, max(0, need - len(samples)))))
    return np.asarray(np.stack([mels[start : start + _PARTIAL_FRAMES] for start in starts]), np.float32)


def _mel_frames(samples: Floats) -> Floats:
    """Power mel frames [1 + T // 160, 40]: periodic Hann windows of 25 ms, centred, zeros beyond the ends."""
    padded = np.pad(samples, _WINDOW // 2)
    frames = sliding_window_view(padded, _WINDOW)[::_HOP]
    window = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    return np.asarray(power @ _filters().T, np.float32)


@cache
def _filters() -> Floats:
    """Slaney mel filters [40, 201] of unit area, 0 to 8 kHz (Slaney 1998)."""

    def hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * math.log(6.4) / 27))

    top = 15 + 27 * math.log(RATE_HZ / 2 / 1000) / math.log(6.4)
    edges = hz(np.linspace(0.0, top, _BANDS + 2))
    bins = np.linspace(0.0, RATE_HZ / 2, _WINDOW // 2 + 1)
    rise = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    area = 2.0 / (edges[2:] - edges[:-2])
    return np.asarray(np.maximum(0.0, np.minimum(rise, fall)) * area[:, None], np.float32)
