"""Phase for a given magnitude by fast Griffin-Lim (Perraudin, Balazs & Sondergaard 2013), in numpy with real FFTs.

Equal to refine_phase in gptsovits/acoustic/generator_source_istft.py, and about ten times faster than its matrix
products in a graph. A part of an utterance can be refined with the samples before it held fixed, so that it joins on
in phase (the idea of real-time iterative inversion: Beauregard, Zhu & Wyse 2005).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from timbre.inference.real_transforms import load_transforms

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


def unit(values: Phasors) -> Phasors:
    """Complex numbers divided by their magnitude; 0 stays 0."""
    length = _length(values)
    return np.asarray(values * np.reciprocal(length, out=length), np.complex64)


class FrameTransform:
    """Fourier transforms on the generator's grid: T frames of fft_size samples belong to T * hop samples.

    fft_size is a multiple of hop; a frame reaches `edge` = (fft_size - hop) / 2 samples beyond its hop on both sides.
    """

    def __init__(self, fft_size: int, hop: int) -> None:
        self.fft_size, self.hop = fft_size, hop
        self.edge = (fft_size - hop) // 2
        self.window = _window(fft_size)

    def blocks(self, count: int) -> Iterator[slice]:
        """So many frames, as many at a time as stay inside the processor's cache."""
        for first in range(0, count, self.block_frames):
            yield slice(first, min(first + self.block_frames, count))

    @property
    def block_frames(self) -> int:
        """Frames of such a block."""
        return max(1, _BLOCK // self.fft_size)

    def spectra(self, padded: Floats) -> Phasors:
        """Samples [T * hop + 2 * edge] -> [T, F]."""
        return self.of_frames(self.frames(padded))

    def frames(self, padded: Floats) -> Floats:
        """Samples [T * hop + 2 * edge] -> a view [T, fft_size]."""
        return sliding_window_view(padded, self.fft_size)[:: self.hop]

    def of_frames(self, frames: Floats) -> Phasors:
        """Frames [T, fft_size] of samples, not yet windowed -> [T, F]."""
        return np.asarray(load_transforms().forward(frames * self.window), np.complex64)

    def samples(self, spectra: Phasors) -> Floats:
        """[T, F] -> [T * hop]: overlap-add divided by the window's energy."""
        total = np.zeros((len(spectra) - 1) * self.hop + self.fft_size, np.float32)
        self.add(spectra, total.reshape(-1, self.hop))
        total /= _energy(self.fft_size, self.hop, len(spectra))
        return total[self.edge : len(total) - self.edge]

    def add(self, spectra: Phasors, hops: Floats) -> None:
        """Overlap-add of [T, F] to samples [T + fft_size / hop - 1 or more, hop], not yet divided."""
        frames: Floats = np.asarray(load_transforms().back(spectra, self.fft_size), np.float32)
        frames *= self.window
        parts = frames.reshape(len(spectra), -1, self.hop)
        for shift in range(parts.shape[1]):
            hops[shift : shift + len(parts)] += parts[:, shift]

    def padded(self, wave: Floats) -> Floats:
        """[S] -> [S + 2 * edge], reflected at both ends, as the ends of an utterance are."""
        return np.pad(wave, self.edge, mode="reflect")

    def refine(self, magnitude: Floats, phasors: Phasors, iterations: int, known: Floats | None = None) -> Phasors:
        """Unit phasors [T, F] -> spectra [T, F] of the magnitude [T, F], with phases more consistent with it.

        known [edge + K]: samples that stay as they are, beginning `edge` samples before the first frame's hop; without
        them the first frame begins the utterance.
        """
        if not iterations:
            return magnitude * phasors
        spectra = self.spectra(_Rounds(self, magnitude, known).moved(phasors, iterations))
        spectra *= magnitude / _length(spectra)
        return spectra

    def settle(self, magnitude: Floats, phasors: Phasors, iterations: int, known: Floats | None = None) -> Phasors:
        """As refine, in a quarter of the time: most iterations see the lower part of the band alone, at a lower rate.

        _BANDS says how many: in place of 32, 32 see an eighth of the band, then 8 a fourth and 6 all of it. Frames,
        windows and bins are the same at every rate. The upper half, where speech is noise, settles in the few that are
        left as well as PESQ and STOI can tell (docs/serving-engine.md).
        """
        phasors, rounds = self.led(magnitude, phasors, iterations, known)
        return self.refine(magnitude, phasors, rounds, known)

    def settled(self, magnitude: Floats, phasors: Phasors, iterations: int, known: Floats | None = None) -> Floats:
        """samples() of what settle() gives, [T * hop], some frames at a time."""
        phasors, rounds = self.led(magnitude, phasors, iterations, known)
        if not rounds:
            return self.samples(magnitude * phasors)
        return _Rounds(self, magnitude, known).samples(phasors, rounds)

    def led(self, magnitude: Floats, phasors: Phasors, iterations: int, known: Floats | None) -> tuple[Phasors, int]:
        """Phasors whose lower part has settled, and the iterations that are left for the whole band."""
        if iterations < _FEWEST or self.hop % _BANDS[0][0] or self.fft_size % (2 * _BANDS[0][0]):
            return phasors, iterations
        phasors = phasors.copy()
        for parts, share in _BANDS[:-1]:
            lower = FrameTransform(self.fft_size // parts, self.hop // parts)
            bins = lower.fft_size // 2 + 1
            # A transform of so many times fewer samples gives a magnitude as many times smaller.
            below = magnitude[:, :bins] * np.float32(1 / parts)
            fixed = None if known is None else _slowed(known, parts)
            found = lower.refine(below, phasors[:, :bins], _rounds(iterations, share), fixed)
            # Without the last bin: at that rate it is real.
            phasors[:, : bins - 1] = unit(found[:, :-1])
        return phasors, _rounds(iterations, _BANDS[-1][1])


class _Rounds:
    """Iterations for one magnitude [T, F], in buffers that all of them share, some frames at a time, which stay inside
    the processor's cache. All samples here have what frames reach beyond the hops on both sides: [T * hop + 2 * edge].
    """

    def __init__(self, transform: FrameTransform, magnitude: Floats, known: Floats | None) -> None:
        self._transform, self._magnitude, self._known = transform, magnitude, known
        self._energy = _energy(transform.fft_size, transform.hop, len(magnitude))
        self._moved, self._last, self._next = (np.empty_like(self._energy) for _ in range(3))
        step = min(transform.block_frames, len(magnitude))
        self._frames = transform.frames(self._moved)
        self._windowed = np.empty((step, transform.fft_size), np.float32)
        self._length = np.empty((step, magnitude.shape[1]), np.float32)
        self._square = np.empty_like(self._length)

    def moved(self, phasors: Phasors, iterations: int) -> Floats:
        """Phasors -> samples whose phases are those that so many iterations find, one at least; until the next call."""
        self._sound(phasors, self._last)
        self._extend(self._last)
        self._moved[:] = self._last
        for _ in range(iterations - 1):
            self._sound(None, self._next)
            self._extend(self._next)
            # The transform is linear, so the momentum of the spectra may be that of the samples, which are fewer.
            np.multiply(self._last, _SHARE, out=self._moved)
            np.subtract(self._next, self._moved, out=self._moved)
            self._last, self._next = self._next, self._last
        return self._moved

    def samples(self, phasors: Phasors, iterations: int) -> Floats:
        """As moved(), with the magnitude and those phases: [T * hop]."""
        self.moved(phasors, iterations)
        self._sound(None, self._next)
        edge = self._transform.edge
        return self._next[edge : len(self._next) - edge].copy()

    def _sound(self, phasors: Phasors | None, total: Floats) -> None:
        """The magnitude with these phasors, None: with the phases of the moved samples -> samples, not yet extended."""
        transform, hops = self._transform, total.reshape(-1, self._transform.hop)
        total.fill(0)
        for part in transform.blocks(len(self._magnitude)):
            magnitude = self._magnitude[part]
            if phasors is None:
                windowed = np.multiply(self._frames[part], transform.window, out=self._windowed[: len(magnitude)])
                spectra = load_transforms().forward(windowed)
                spectra *= self._turns(spectra, magnitude)
            else:
                spectra = magnitude * phasors[part]
            transform.add(spectra, hops[part.start :])
        total /= self._energy

    def _turns(self, spectra: Phasors, magnitude: Floats) -> Floats:
        """What makes the spectra as long as the magnitude: magnitude / _length(spectra)."""
        length, square = self._length[: len(spectra)], self._square[: len(spectra)]
        np.square(spectra.real, out=length)
        length += np.square(spectra.imag, out=square)
        length += EPSILON
        np.sqrt(length, out=length)
        return np.divide(magnitude, length, out=length)

    def _extend(self, total: Floats) -> None:
        """What is known, and reflections, in the place of what only the frames at the ends reach."""
        edge = self._transform.edge
        end = len(total) - edge
        if end - edge <= edge:
            kept = total[edge:end] if self._known is None else total[len(self._known) : end]
            joined = kept if self._known is None else np.concatenate([self._known, kept])
            total[:] = np.pad(joined, (edge if self._known is None else 0, edge), mode="reflect")
            return
        if self._known is None:
            total[:edge] = total[2 * edge : edge : -1]
        else:
            total[: len(self._known)] = self._known
        total[end:] = total[end - 2 : end - 2 - edge : -1]


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


@cache
def _window(fft_size: int) -> Floats:
    window = np.hanning(fft_size + 1)[:-1].astype(np.float32)
    window.setflags(write=False)
    return window


@lru_cache(maxsize=8)
def _energy(fft_size: int, hop: int, count: int) -> Floats:
    """What the squared windows of `count` frames sum to at each sample [(count - 1) * hop + fft_size]."""
    total = np.zeros((count - 1) * hop + fft_size, np.float32)
    hops = total.reshape(-1, hop)
    for shift, part in enumerate(np.square(_window(fft_size)).reshape(-1, hop)):
        hops[shift : shift + count] += part
    np.maximum(total, EPSILON, out=total)
    total.setflags(write=False)
    return total
