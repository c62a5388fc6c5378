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
"""Iterations from which lower parts of the band are refined by themselves first."""
_BLOCK = 1 << 17
"""Samples of all the frames that are transformed at a time: half a megabyte of them."""
_BANDS: tuple[tuple[int, int], ...] = ((8, 32), (4, 8), (1, 6))
"""Parts that the band is cut into, of which the lowest is refined; iterations there for each 32."""


def unit(values: Phasors, power: Floats | None = None) -> Phasors:
    """Complex numbers divided by their magnitude; 0 stays 0. power: their squared magnitude, where it is known."""
    length = _length(values) if power is None else np.sqrt(power + EPSILON)
    return np.asarray(values * np.reciprocal(length, out=length), np.complex64)


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
        total = np.zeros((len(spectra) - 1) * self.hop + self.fft_size, np.float32)
        self._add(spectra, total)
        return self._evened(total, len(spectra))

    def _add(self, spectra: Phasors, total: Floats) -> None:
        """Overlap-add from the beginning of `total` on."""
        frames = np.asarray(scipy.fft.irfft(spectra, self.fft_size, axis=1), np.float32)
        frames *= self._window
        _overlap_add(frames, self.hop, total)

    def _evened(self, total: Floats, count: int) -> Floats:
        """Overlap-added frames, so many, divided by the window's energy -> their hops alone."""
        total /= _energy(self.fft_size, self.hop, count)
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
        if not iterations:
            return spectra
        moved = last = self._extended(self.samples(spectra), known)
        for _ in range(iterations - 1):
            padded = self._extended(self._heard(moved, magnitude), known)
            # The transform is linear, so the momentum of the spectra may be that of the samples, which are fewer.
            moved, last = padded - _SHARE * last, padded
        return self._given(moved, magnitude)

    def _extended(self, wave: Floats, known: Floats | None) -> Floats:
        """Samples [S] as spectra() takes them, with what is known in its place."""
        if known is None:
            return self.padded(wave)
        joined = np.concatenate([known, wave[len(known) - self.edge :]])
        return np.pad(joined, (0, self.edge), mode="reflect")

    def _given(self, padded: Floats, magnitude: Floats) -> Phasors:
        """Samples -> spectra of the magnitude, with the phases of the samples."""
        spectra = self.spectra(padded)
        spectra *= magnitude / _length(spectra)
        return spectra

    def _heard(self, padded: Floats, magnitude: Floats) -> Floats:
        """samples() of _given(), some frames at a time, which stay inside the processor's cache."""
        count, step = len(magnitude), max(1, _BLOCK // self.fft_size)
        total = np.zeros((count - 1) * self.hop + self.fft_size, np.float32)
        for first in range(0, count, step):
            last = min(first + step, count)
            part = padded[first * self.hop : (last - 1) * self.hop + self.fft_size]
            self._add(self._given(part, magnitude[first:last]), total[first * self.hop :])
        return self._evened(total, count)

    def settle(self, magnitude: Floats, phasors: Phasors, iterations: int, known: Floats | None = None) -> Phasors:
        """As refine, in a quarter of the time: most iterations see the lower part of the band alone, at a lower rate.

        _BANDS says how many: in place of 32, 32 see an eighth of the band, then 8 a fourth and 6 all of it. Frames,
        windows and bins are the same at every rate. The upper half, where speech is noise, settles in the few that are
        left as well as PESQ and STOI can tell (docs/serving-engine.md).
        """
        if iterations < _FEWEST or self.hop % _BANDS[0][0] or self.fft_size % (2 * _BANDS[0][0]):
            return self.refine(magnitude, phasors, iterations, known)
        for parts, share in _BANDS[:-1]:
            lower = FrameTransform(self.fft_size // parts, self.hop // parts)
            bins = lower.fft_size // 2 + 1
            # A transform of so many times fewer samples gives a magnitude as many times smaller.
            below = magnitude[:, :bins] * np.float32(1 / parts)
            fixed = None if known is None else _slowed(known, parts)
            found = lower.refine(below, phasors[:, :bins], _rounds(iterations, share), fixed)
            phasors = phasors.copy()
            # Without the last bin: at that rate it is real.
            phasors[:, : bins - 1] = unit(found[:, :-1])
        return self.refine(magnitude, phasors, _rounds(iterations, _BANDS[-1][1]), known)


def _rounds(iterations: int, share: int) -> int:
    return -(-iterations * share // 32)


def _length(values: Phasors) -> Floats:
    """Magnitude of complex numbers, never 0."""
    length = np.square(values.real)
    length += np.square(values.imag)
    length += EPSILON
    return np.asarray(np.sqrt(length, out=length), np.float32)


def _slowed(samples: Floats, parts: int) -> Floats:
    """[S] -> [S / parts]: the lowest of so many parts of the band, at a rate as many times lower."""
    return np.asarray(soxr.resample(samples, parts, 1), np.float32)[: len(samples) // parts]


def _overlap_add(frames: Floats, hop: int, total: Floats) -> None:
    # fft_size = k * hop: overlap-add is k shifted sums of whole hops.
    count, size = frames.shape
    pieces = size // hop
    parts, hops = frames.reshape(count, pieces, hop), total[: (count + pieces - 1) * hop].reshape(-1, hop)
    for shift in range(pieces):
        hops[shift : shift + count] += parts[:, shift]


@cache
def _window_energy(fft_size: int) -> Floats:
    return np.square(np.hanning(fft_size + 1)[:-1].astype(np.float32))


@lru_cache(maxsize=8)
def _energy(fft_size: int, hop: int, count: int) -> Floats:
    """What the squared windows of `count` frames sum to at each sample [(count - 1) * hop + fft_size]."""
    frames = np.broadcast_to(_window_energy(fft_size), (count, fft_size))
    total = np.zeros((count - 1) * hop + fft_size, np.float32)
    _overlap_add(np.ascontiguousarray(frames), hop, total)
    return np.maximum(total, EPSILON)
