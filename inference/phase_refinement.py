"""Phase for a given magnitude by fast Griffin-Lim (Perraudin, Balazs & Sondergaard 2013), in numpy with real FFTs.

Equal to refine_phase in gptsovits/acoustic/generator_source_istft.py, and about ten times faster than its matrix
products in a graph. A part of an utterance can be refined with the samples before it held fixed, so that it joins on
in phase (the idea of real-time iterative inversion: Beauregard, Zhu & Wyse 2005).
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import scipy.fft
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Phasors = NDArray[np.complex64]
EPSILON = np.float32(1e-8)
_MOMENTUM = 0.99
_SHARE = np.float32(_MOMENTUM / (1 + _MOMENTUM))
_FEWEST = 8
"""Iterations from which the lower half of the band is refined by itself first."""


def unit(values: Phasors) -> Phasors:
    """Complex numbers divided by their magnitude; 0 stays 0."""
    return np.asarray(values * np.reciprocal(_length(values)), np.complex64)


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
        """Unit phasors [T, F] -> spectra [T, F] of the magnitude [T, F], with phases more consistent with it.

        known [edge + K]: samples that stay as they are, beginning `edge` samples before the first frame's hop; without
        them the first frame begins the utterance.
        """
        spectra = magnitude * phasors
        last: Floats | None = None
        for _ in range(iterations):
            wave = self.samples(spectra)
            if known is None:
                padded = self.padded(wave)
            else:
                padded = np.concatenate([known, wave[len(known) - self.edge :]])
                padded = np.pad(padded, (0, self.edge), mode="reflect")
            # The transform is linear, so the momentum of the spectra may be that of the samples, which are fewer.
            spectra = self.spectra(padded if last is None else padded - _SHARE * last)
            last = padded
            spectra *= magnitude / _length(spectra)
        return spectra

    def settle(self, magnitude: Floats, phasors: Phasors, iterations: int, known: Floats | None = None) -> Phasors:
        """As refine, in half the time: most iterations see the lower half of the band alone, at half the rate.

        Seven of eight do, and three of sixteen the whole band afterwards: 28 and 6 in place of 32. Frames, windows and
        bins below the middle are the same at both rates. The upper half, where speech is noise, settles in the few
        that are left as well as PESQ and STOI can tell (docs/serving-engine.md).
        """
        lower, whole = 0, iterations
        if iterations >= _FEWEST and not (self.hop % 2 or self.fft_size % 4):
            lower, whole = iterations * 7 // 8, -(-iterations * 3 // 16)
        if lower:
            half = FrameTransform(self.fft_size // 2, self.hop // 2)
            bins = half.fft_size // 2 + 1
            # A transform of half as many samples gives half the magnitude.
            below = magnitude[:, :bins] * np.float32(0.5)
            fixed = None if known is None else _halved(known)
            found = half.refine(below, phasors[:, :bins], lower, fixed)
            phasors = phasors.copy()
            # Without the bin in the middle: at half the rate it is real.
            phasors[:, : bins - 1] = unit(found[:, :-1])
        return self.refine(magnitude, phasors, whole, known)


def _length(values: Phasors) -> Floats:
    """Magnitude of complex numbers, never 0."""
    length = np.square(values.real)
    length += np.square(values.imag)
    length += EPSILON
    return np.asarray(np.sqrt(length, out=length), np.float32)


def _halved(samples: Floats) -> Floats:
    """[S] -> [S / 2]: the lower half of the band, at half the rate."""
    return np.asarray(soxr.resample(samples, 2, 1), np.float32)[: len(samples) // 2]


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
