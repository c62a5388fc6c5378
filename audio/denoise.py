"""Noise suppression by RNNoise (Valin 2018). Its weights are part of the library that pyrnnoise brings."""

from __future__ import annotations

import ctypes
from typing import Protocol

import numpy as np

from timbre.audio.resample import resample
from timbre.audio.waveform import Samples, Waveform

_RATE_HZ = 48_000
_FULL_SCALE = 32768.0
# The output comes two frames of 10 ms late (measured by cross-correlation; a test holds it).
_DELAY = 960


class Denoiser(Protocol):
    """Something that takes noise out of a piece of speech of any rate."""

    name: str

    def denoise(self, wave: Waveform) -> Waveform:
        """The cleaned sound: same rate, same length, in time with the input."""
        ...


class RnNoise:
    """RNNoise, full band at 48 kHz; other rates go there and back."""

    name = "rnnoise"

    def __init__(self) -> None:
        from pyrnnoise import rnnoise

        self._lib = rnnoise.lib
        self._frame = int(rnnoise.FRAME_SIZE)

    def denoise(self, wave: Waveform) -> Waveform:
        """The cleaned sound: same rate, same length, aligned with the input. Each call resets the network."""
        source = resample(wave, _RATE_HZ).samples
        # The library works in place on floats in the range of 16 bits.
        padded = np.zeros(-(-(len(source) + _DELAY) // self._frame) * self._frame, dtype=np.float32)
        padded[: len(source)] = source * np.float32(_FULL_SCALE)
        pointer = ctypes.POINTER(ctypes.c_float)
        state = self._lib.rnnoise_create(None)
        try:
            for start in range(0, len(padded), self._frame):
                frame = padded[start : start + self._frame].ctypes.data_as(pointer)
                self._lib.rnnoise_process_frame(state, frame, frame)
        finally:
            self._lib.rnnoise_destroy(state)
        clean = Waveform(padded[_DELAY : _DELAY + len(source)] / np.float32(_FULL_SCALE), _RATE_HZ)
        return Waveform(to_length(resample(clean, wave.rate_hz).samples, len(wave.samples)), wave.rate_hz)


def to_length(samples: Samples, count: int) -> Samples:
    """Samples (n,) cut or padded to `count`: rounding of two changes of rate may leave one too many or too few."""
    return samples[:count] if len(samples) >= count else np.pad(samples, (0, count - len(samples)))
