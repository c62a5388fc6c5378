"""Log mel filter bank as the Kaldi toolkit computes it, in numpy: what the speaker network of the v2Pro family hears.

Povey et al. 2011. Equal to gptsovits/encoders/kaldi_fbank.py, which says what is done, by test.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]
RATE_HZ = 16_000
BINS = 80
FRAME = 400
"""Samples of a frame; a sound must have at least one."""
_SHIFT, _FFT = 160, 512
_PREEMPHASIS = np.float32(0.97)
_LOWEST_HZ = 20.0


def filter_bank(samples: Floats) -> Floats:
    """samples [S] at 16 kHz, at least FRAME of them -> log energies [1 + (S - FRAME) // 160, 80]."""
    frames = sliding_window_view(samples.astype(np.float32), FRAME)[::_SHIFT]
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames - _PREEMPHASIS * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    power = np.abs(np.fft.rfft(frames * _window(), n=_FFT, axis=1)).astype(np.float32) ** 2
    return np.asarray(np.log(np.maximum(power @ _triangles().T, np.finfo(np.float32).eps)), np.float32)


@cache
def _window() -> Floats:
    return np.asarray(np.hanning(FRAME) ** 0.85, np.float32)


@cache
def _triangles() -> Floats:
    """[80, 257], in float32 as the reference has them; the Nyquist bin gets nothing."""
    low, high = (1127.0 * math.log(1.0 + hz / 700.0) for hz in (_LOWEST_HZ, RATE_HZ / 2))
    step = (high - low) / (BINS + 1)
    place = np.arange(BINS, dtype=np.float32)[:, None]
    left, centre, right = (np.float32(low) + (place + np.float32(more)) * np.float32(step) for more in (0, 1, 2))
    hz = np.float32(RATE_HZ / _FFT) * np.arange(_FFT // 2, dtype=np.float32)
    mel = np.float32(1127.0) * np.log((np.float32(1.0) + hz / np.float32(700.0)).astype(np.float64)).astype(np.float32)
    bank = np.maximum(0.0, np.minimum((mel - left) / (centre - left), (right - mel) / (right - centre)))
    return np.asarray(np.pad(bank, ((0, 0), (0, 1))), np.float32)
