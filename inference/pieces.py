"""Latent frames -> audio of one utterance, at once or piece by piece as more frames come.

A piece may look a few frames ahead. Where frames before a border moved since they were decoded (codes that follow
change them a little), the two decodes are cross-faded over one frame.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from timbre.inference.exported_base import AcousticShape, ExportedBase
from timbre.inference.harmonic_source import HarmonicSource
from timbre.inference.phase_refinement import EPSILON, FrameTransform, Phasors
from timbre.inference.real_transforms import load_transforms

Floats = NDArray[np.float32]
CHUNK_S = 2.0
# Frames after a piece that are refined with it, if they are there already.
_AHEAD = 8


class GeneratorGraph(Protocol):
    """A session, or a voice's graph."""

    def run(self, outputs: Sequence[str] | None, feeds: Mapping[str, Any], /) -> Sequence[Any]:
        """As ort.InferenceSession.run."""


class Pieces(ABC):
    """Audio of one utterance in order. Not thread-safe: one utterance, one owner."""

    def __init__(self, hop: int) -> None:
        self._hop = hop
        self._start = 0
        self._tail: Floats | None = None

    def next(self, latent: Floats, end: int | None = None) -> Floats:
        """Samples of the frames up to `end` (all of them by default) that were not given yet.

        latent [1, L, T]: all frames so far, those beyond end as context. Empty when there is nothing new.
        """
        total = latent.shape[2]
        end = total if end is None else min(end, total)
        if end <= self._start:
            return np.zeros(0, np.float32)
        after = min(end + 1, total)
        samples = self._decode(latent, self._start, end, after)
        size = (end - self._start) * self._hop
        piece, following = samples[:size].copy(), samples[size:]
        if self._tail is not None and len(self._tail):
            ramp = np.linspace(0, 1, min(len(self._tail), len(piece)), dtype=np.float32)
            piece[: len(ramp)] = piece[: len(ramp)] * ramp + self._tail[: len(ramp)] * (1 - ramp)
        self._start, self._tail = end, following
        self._given(piece)
        return piece

    @abstractmethod
    def _decode(self, latent: Floats, start: int, end: int, after: int) -> Floats:
        """Samples of the frames start to after; those from end on are only cross-faded with the next piece."""

    def _given(self, piece: Floats) -> None:  # noqa: B027  (only generators with a memory need it)
        """Called with each piece as it was given."""


def pieces_of(base: ExportedBase, generator: GeneratorGraph, condition: Floats) -> Pieces:
    """What fits the base's generator. condition [1, G, 1]."""
    kind = SourcePieces if base.acoustic.source_fft_size else WavePieces
    return kind(base, generator, condition)


def prepare(base: ExportedBase) -> None:
    """Loads what the first sentence of the base would wait for."""
    if base.acoustic.source_fft_size:
        load_transforms()


class WavePieces(Pieces):
    """A generator whose graph gives the wave. With enough context on each side a part equals the same part of a decode
    at once; parts of two seconds also keep the generator inside the processor's cache.
    """

    def __init__(self, base: ExportedBase, generator: GeneratorGraph, condition: Floats) -> None:
        super().__init__(base.hop)
        self._acoustic: AcousticShape = base.acoustic
        self._size = max(1, round(CHUNK_S * base.rate_hz / base.hop))
        self._generator, self._condition = generator, condition

    def _decode(self, latent: Floats, start: int, end: int, after: int) -> Floats:
        context = self._acoustic.generator_context_frames
        if not context:
            return self._run(latent)[start * self._hop : after * self._hop]
        parts = []
        for first in range(start, after, self._size):
            last = min(first + self._size, after)
            low, high = max(0, first - context), min(latent.shape[2], last + context)
            wave = self._run(latent[:, :, low:high])
            parts.append(wave[(first - low) * self._hop : (last - low) * self._hop])
        return np.concatenate(parts)

    def _run(self, latent: Floats) -> Floats:
        feeds = {"z": np.ascontiguousarray(latent), "condition": self._condition}
        return np.asarray(self._generator.run(None, feeds)[0][0], np.float32)


class SourcePieces(Pieces):
    """A generator whose graph gives spectra: harmonic source, rotation and phase refinement are computed here.

    Between pieces the source's phase goes on and the last samples are held fixed while what follows is refined, so a
    piece costs what its own frames cost. Spectra are those of a decode at once; phases settle a little differently.
    """

    def __init__(self, base: ExportedBase, generator: GeneratorGraph, condition: Floats) -> None:
        super().__init__(base.hop)
        self._acoustic = base.acoustic
        self._generator, self._condition = generator, condition
        self._transform = FrameTransform(base.acoustic.source_fft_size, base.hop)
        # One frame more than a window overlaps: beyond these no held sample meets a new one.
        self._held = base.acoustic.source_fft_size // base.hop
        self._source = HarmonicSource(base.rate_hz, base.hop)
        # What is held, and as much before it as its first window reaches.
        self._memory = self._held * base.hop + self._transform.edge
        self._cycles = 0.0
        self._excitation = np.zeros(0, np.float32)
        self._wave = np.zeros(0, np.float32)

    def _decode(self, latent: Floats, start: int, end: int, after: int) -> Floats:
        hop, edge = self._hop, self._transform.edge
        first, last = start - self._held, min(latent.shape[2], end + _AHEAD)
        joins = first * hop >= edge
        if not joins:
            first = 0
        heads, voicing, f0_hz = self._spectra(latent, first, last)
        cycles, excitation = self._cycles, self._excitation
        fresh, self._cycles = self._source.render(
            voicing, f0_hz, start * hop, end * hop, first_frame=first, cycles=cycles
        )
        ahead, _ = self._source.render(voicing, f0_hz, end * hop, last * hop, first_frame=first, cycles=self._cycles)
        wave = np.concatenate([excitation, fresh, ahead])
        padded = np.pad(wave, (0, edge), mode="reflect") if joins else self._transform.padded(wave)
        known = self._wave if joins else None
        self._excitation = np.concatenate([excitation, fresh])[-self._memory :]
        magnitude, phasors = _polar(heads, self._transform, padded)
        wave = self._transform.settled(magnitude, phasors, self._acoustic.refinements, known)
        return wave[(start - first) * hop : (after - first) * hop]

    def _given(self, piece: Floats) -> None:
        self._wave = np.concatenate([self._wave, piece])[-self._memory :]

    def _spectra(self, latent: Floats, first: int, last: int) -> tuple[Floats, Floats, Floats]:
        """Network outputs [T, 4 F], voicing [T] and F0 [T] of the frames first to last."""
        context = self._acoustic.generator_context_frames
        low, high = max(0, first - context), min(latent.shape[2], last + context)
        if not context:
            low, high = 0, latent.shape[2]
        feeds = {"z": np.ascontiguousarray(latent[:, :, low:high]), "condition": self._condition}
        found = self._generator.run(["spectrum", "voicing", "f0_hz"], feeds)
        heads, voicing, f0_hz = (np.asarray(item[0], np.float32)[first - low : last - low] for item in found)
        return heads, voicing, f0_hz


def _polar(heads: Floats, transform: FrameTransform, padded: Floats) -> tuple[Floats, Phasors]:
    """Network outputs [T, 4 F] (log magnitude, comb, rotation) and the padded source -> magnitude, phasors [T, F].

    As timbre.gptsovits.acoustic.generator_source_istft has it, some frames at a time.
    """
    size = len(heads), heads.shape[1] // 4
    magnitude, phasors = np.empty(size, np.float32), np.empty(size, np.complex64)
    frames = transform.frames(padded)
    for part in transform.blocks(len(heads)):
        log_magnitude, comb, turn_real, turn_imaginary = np.split(heads[part], 4, axis=1)
        source, shape, turned = transform.of_frames(frames[part]), magnitude[part], phasors[part]
        power = np.square(source.real)
        power += np.square(source.imag)
        np.log(power + np.float32(0.25), out=shape)
        shape *= np.float32(0.5)
        shape -= np.float32(2)
        shape *= comb
        shape += log_magnitude
        np.exp(np.clip(shape, np.float32(-12), np.float32(6), out=shape), out=shape)
        turned.real, turned.imag = turn_real, turn_imaginary
        # unit(turned * unit(source)), whose lengths are divided by at once.
        turned *= source
        power += EPSILON
        square = np.square(turned.real)
        square += np.square(turned.imag)
        square /= power
        square += EPSILON
        square *= power
        turned *= np.reciprocal(np.sqrt(square, out=square), out=square)
    return magnitude, phasors
