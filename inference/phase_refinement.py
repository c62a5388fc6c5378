"""Phase for a given magnitude by fast Griffin-Lim (Perraudin, Balazs & Sondergaard 2013), in numpy with real FFTs.

Equal to refine_phase in gptsovits/acoustic/generator_source_istft.py, and about ten times faster than its matrix
products in a graph. A part of an utterance can be refined with the samples before it held fixed, so that it joins on
in phase (the idea of real-time iterative inversion: Beauregard, Zhu & Wyse 2005).
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Phasors = NDArray[np.complex64]
EPSILON = np.float32(1e-8)
_MOMENTUM = 0.99
_SHARE = np.float32(_MOMENTUM / (1 + _MOMENTUM))


def unit(values: Phasors) -> Phasors:
    """Complex numbers divided by their magnitude; 0 stays 0."""
    scale = np.square(values.real)
    scale += np.square(values.imag)
    scale += EPSILON
    np.sqrt(scale, out=scale)
    np.reciprocal(scale, out=scale)
    return np.asarray(values * scale, np.complex64)


class FrameTransform:
    """Fourier transforms on the generator's grid: T frames of fft_size samples belong to T * hop samples.

    fft_size is a multiple of hop; a frame reaches `edge` = (fft_size - hop) / 2 samples beyond its hop on both sides.
    """

    def __init__(self, fft_size: int, hop: int) -> None:
        self.fft_size, self.hop = fft_size, hop
        self.edge = (fft_size - hop) // 2
        self._window = np.hanning(fft_size + 1)[:-1].astype(np.float32)

    def spectra(self, padded: Floats) -> Phasors:
        """Samples [T * hop + 2 * edge] -> [T, F]."""
        frames = sliding_window_view(padded, self.fft_size)[:: self.hop] * self._window
        return np.asarray(scipy.fft.rfft(frames, axis=1), np.complex64)

    def samples(self, spectra: Phasors) -> Floats:
        """[T, F] -> [T * hop]: overlap-add divided by the window's energy."""
        frames = np.asarray(scipy.fft.irfft(spectra, self.fft_size, axis=1), np.float32)
        frames *= self._window
        total = _overlap_added(frames, self.hop)
        total /= _energy(self.fft_size, self.hop, len(spectra))
        return total[self.edge : len(total) - self.edge]

    def padded(self, wave: Floats) -> Floats:
        """[S] -> [S + 2 * edge], reflected at both ends, as the ends of an utterance are."""
        return np.pad(wave, self.edge, mode="reflect")

    def refine(self, magnitude: Floats, phasors: Phasors, iterations: int, known: Floats | None = None) -> Phasors:
        """Unit phasors [T, F] -> ones more consistent with the magnitude [T, F].

        known [edge + K]: samples that stay as they are, beginning `edge` samples before the first frame's hop; without
        them the first frame begins the utterance.
        """
        last = np.zeros_like(phasors)
        for _ in range(iterations):
            wave = self.samples(magnitude * phasors)
            if known is None:
                padded = self.padded(wave)
            else:
                padded = np.concatenate([known, wave[len(known) - self.edge :]])
                padded = np.pad(padded, (0, self.edge), mode="reflect")
            new = self.spectra(padded)
            last *= -_SHARE
            last += new
            phasors, last = unit(last), new
        return phasors


def _overlap_added(frames: Floats, hop: int) -> Floats:
    # fft_size = k * hop: overlap-add is k shifted sums of whole hops.
    count, size = frames.shape
    pieces = size // hop
    parts = frames.reshape(count, pieces, hop)
    total = np.zeros((count + pieces - 1, hop), np.float32)
    for shift in range(pieces):
        total[shift : shift + count] += parts[:, shift]
    return total.reshape(-1)


@cache
def _window_energy(fft_size: int) -> Floats:
    return np.square(np.hanning(fft_size + 1)[:-1].astype(np.float32))


@lru_cache(maxsize=8)
def _energy(fft_size: int, hop: int, count: int) -> Floats:
    """What the squared windows of `count` frames sum to at each sample [(count - 1) * hop + fft_size]."""
    frames = np.broadcast_to(_window_energy(fft_size), (count, fft_size))
    return np.maximum(_overlap_added(np.ascontiguousarray(frames), hop), EPSILON)
