"""Power spectra of streams, and what they say about the band that a recording really holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from timbre.audio.waveform import Samples

Powers = npt.NDArray[np.float32]
_EMPTY = 1e-20


class FrameStream:
    """Cuts a stream of blocks into overlapping windows: push (n,) -> power spectra (frames, fft // 2 + 1)."""

    def __init__(self, fft: int, hop: int) -> None:
        self._fft, self._hop = fft, hop
        self._window = np.hanning(fft + 1)[:-1].astype(np.float32)
        self._rest: Samples = np.zeros(0, dtype=np.float32)

    def push(self, block: Samples) -> Powers:
        """Power spectra of every window that is now complete; a sine of amplitude 1 has 1 in its bin."""
        data = np.concatenate((self._rest, block)) if len(self._rest) else block
        count = max(0, (len(data) - self._fft) // self._hop + 1)
        if count == 0:
            self._rest = data.copy()
            return np.zeros((0, self._fft // 2 + 1), dtype=np.float32)
        windows = sliding_window_view(data, self._fft)[: (count - 1) * self._hop + 1 : self._hop]
        spectra = np.fft.rfft(windows * self._window, axis=1)
        self._rest = data[count * self._hop :].copy()
        scale = np.float32(4.0 / float(self._window.sum()) ** 2)
        return ((spectra.real**2 + spectra.imag**2) * scale).astype(np.float32)


class BandwidthStream:
    """The upper edge of the band of a stream, from its mean power spectrum at its own rate."""

    def __init__(self, rate_hz: int, window_s: float = 0.04) -> None:
        self._rate_hz = rate_hz
        self._fft = round(rate_hz * window_s / 2) * 2
        # No overlap: the mean of a long stream needs none, and this runs at the rate of the file.
        self._frames = FrameStream(self._fft, self._fft)
        self._sum = np.zeros(self._fft // 2 + 1)

    def push(self, block: Samples) -> None:
        """One more block (n,)."""
        self._sum += self._frames.push(block).sum(axis=0, dtype=np.float64)

    def finish(self, range_db: float = 70.0) -> float:
        """Highest frequency in Hz whose mean power is within range_db of the strongest; 0 for silence.

        Sound that was made at a lower rate ends in a cliff: above it only rounding noise is left, 80 dB below speech.
        """
        smooth = np.convolve(self._sum, np.ones(5) / 5, mode="same")
        top = float(smooth[2:].max(initial=0.0))
        if top <= _EMPTY:
            return 0.0
        above = np.flatnonzero(smooth > top * 10 ** (-range_db / 10))
        return float(above[-1]) * self._rate_hz / self._fft


def to_db(powers: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """10 log10, never below -200 dB."""
    return 10.0 * np.log10(np.maximum(powers, _EMPTY))
