"""An inaudible mark in synthetic speech that says so, and by which voice: spread spectrum in band energies.

Sound is cut into cells, 60 ms by 140 Hz between 300 and 4,500 Hz. Two cells in a row make a chip: one is raised by
0.9 dB and the other lowered, in an order that a key decides and that repeats every 32 chips (3.84 s). Even bands carry
the key that all marks share, odd bands that of the voice. A detector compares each cell with those beside it, subtracts
what neighbouring bands do together (speech itself), weighs it by how steady the levels around it are, and correlates
with the key; only a key that was used correlates.

It is a label, no lock: anyone with this file can remove it, and a sound without it may be synthetic all the same.
benchmarks/watermark.py measures how well it survives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from timbre.audio.waveform import Samples, Waveform

STRENGTH_DB = 0.9
_CELL_S, _LOW_HZ, _WIDTH_HZ, _BANDS, _PERIOD = 0.06, 300.0, 140.0, 30, 32
_HOP_S = 0.02
_COMMON = "timbre synthetic speech 1"
_RATE_HZ = 16_000
"""Of the detector."""
_STEP_S = 0.01
_STEPS = 6
_WINDOW_S = 30.0
_BESIDE = 0.35
"""Share of the two differences beside a chip's own that count against it: the level of speech wanders, so that what it
does from the cell before and to the cell after tells what it does inside. Raises scores by an eighth."""
_CLIP_DB, _SMOOTH = 12.0, 5
_QUIET_PERCENT, _ABOVE_DB, _RISE_DB = 10, 3.0, 12.0
"""A cell counts in so far as it is louder than its band mostly is at its quietest: noise that was added later carries
no mark, and pauses of a clean sound do."""
_LEAST_POWER = 1.0
"""Added to the mean square of the differences around a cell, dB squared, by which its own is divided: where levels
are steady the mark is seen more clearly than where they jump. Raises scores by a quarter."""
SCORE = 5.1
"""Standard deviations that a mark must stand out by: with 384 alignments tried, less than one sound in 10,000 reaches
it by chance."""

ALIGNMENTS = _PERIOD * 2 * _STEPS
"""Places, 10 ms apart, at which a period may begin."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mark:
    """What a sound carries."""

    score: float
    """Of the common key."""
    voice: str = ""
    """The candidate whose key stands out, "" when none does."""

    @property
    def found(self) -> bool:
        """Whether the sound is marked."""
        return self.score >= SCORE


class Marker:
    """Marks a sound piece by piece; the pieces together are as long as what was given. voice: NAME@VERSION.

    What comes out depends on the whole sound alone, never on how it was cut.
    """

    def __init__(self, rate_hz: int, voice: str, strength_db: float = STRENGTH_DB) -> None:
        self._hop = round(_HOP_S * rate_hz)
        self._rate_hz = rate_hz
        size = 2 * self._hop
        self._window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
        bands = _band_of(np.fft.rfftfreq(size, 1 / rate_hz))
        self._inside = np.flatnonzero(bands >= 0)
        self._bands = bands[self._inside]
        self._pattern = _pattern(voice) * np.float32(strength_db)
        # A hop of silence before the sound: its first samples then lie under two windows, as all others do.
        self._waiting = np.zeros(self._hop, np.float32)
        self._tail = np.zeros(self._hop, np.float32)
        self._frame = 0
        self._given = self._taken = 0
        self._skip = self._hop

    def push(self, samples: Samples) -> Samples:
        """samples [S] -> those that are ready, up to two hops (40 ms) behind."""
        self._taken += len(samples)
        self._waiting = np.concatenate([self._waiting, np.asarray(samples, np.float32)])
        count = len(self._waiting) // self._hop - 1
        if count < 1:
            return np.zeros(0, np.float32)
        made = self._marked(count)
        self._waiting = self._waiting[count * self._hop :]
        return self._ready(made)

    def finish(self) -> Samples:
        """What is left."""
        self._waiting = np.concatenate([self._waiting, np.zeros(2 * self._hop, np.float32)])
        return self._ready(self._marked(len(self._waiting) // self._hop - 1))

    def _ready(self, made: Samples) -> Samples:
        """Without the hop of silence before the sound, and without what follows its end."""
        skipped = min(self._skip, len(made))
        self._skip -= skipped
        made = made[skipped:][: self._taken - self._given]
        self._given += len(made)
        return made

    def _marked(self, count: int) -> Samples:
        """The next count frames, overlapped and added: count hops."""
        size = 2 * self._hop
        frames = np.lib.stride_tricks.sliding_window_view(self._waiting, size)[:: self._hop][:count]
        spectra = np.fft.rfft(frames * self._window, axis=1)
        centre_s = (self._frame + np.arange(count)) * self._hop / self._rate_hz
        cells = np.floor(centre_s / _CELL_S + 1e-9).astype(np.int64)
        signs = np.where(cells % 2 == 0, 1.0, -1.0).astype(np.float32)
        gain_db = self._pattern[cells // 2 % _PERIOD] * signs[:, None]
        spectra[:, self._inside] *= np.power(10.0, gain_db[:, self._bands] / 20)
        waves = np.fft.irfft(spectra, size, axis=1).astype(np.float32) * self._window
        made = waves[:, : self._hop].copy()
        made[0] += self._tail
        made[1:] += waves[:-1, self._hop :]
        self._tail = waves[-1, self._hop :]
        self._frame += count
        return made.reshape(-1)


def mark(wave: Waveform, voice: str) -> Waveform:
    """A whole sound, marked."""
    marker = Marker(wave.rate_hz, voice)
    return Waveform(np.concatenate([marker.push(wave.samples), marker.finish()]), wave.rate_hz)


def find_mark(wave: Waveform, voices: Iterable[str] = ()) -> Mark:
    """Whether a sound is marked, and by which of the candidates (NAME@VERSION).

    A candidate is named when it stands out so far that, with as many tried, fewer than one sound in 10,000 would be
    given a wrong name.
    """
    difference = differences(wave)
    if difference is None:
        return Mark(0.0)
    common = key_of(_COMMON)[None]
    scores = [float(scores_of(difference, common, offset, 0)[0]) for offset in range(ALIGNMENTS)]
    best = int(np.argmax(scores))
    names = list(voices)
    if scores[best] < SCORE or not names:
        return Mark(round(scores[best], 2))
    found = scores_of(difference, np.stack([key_of(name) for name in names]), best, 1)
    likeliest = int(np.argmax(found))
    # The tail of the normal distribution above z is below exp(-z z / 2) / 2.
    needed = float(np.sqrt(2 * np.log(len(names) / 2e-4)))
    name = names[likeliest] if found[likeliest] >= needed else ""
    return Mark(round(scores[best], 2), name)


def find_mark_anywhere(wave: Waveform, voices: Iterable[str] = ()) -> Mark:
    """The clearest mark of a long sound, whose parts may have been marked one by one, from any 30 s of it.

    Each window is one more chance of a false alarm, so the score that is asked for grows with their number.
    """
    names = list(voices)
    size, step = round(_WINDOW_S * wave.rate_hz), round(_WINDOW_S * wave.rate_hz / 2)
    starts = range(0, max(1, len(wave.samples) - step), step)
    if len(starts) == 1:
        return find_mark(wave, names)
    found = [find_mark(Waveform(wave.samples[start : start + size], wave.rate_hz), names) for start in starts]
    best = max(found, key=lambda item: (bool(item.voice), item.score))
    asked = float(np.sqrt(SCORE**2 + 2 * np.log(len(starts))))
    return best if best.score >= asked else Mark(min(best.score, SCORE - 0.01))


def differences(wave: Waveform) -> Floats | None:
    """How much louder each cell is than the next, against its neighbours, [steps of 10 ms, bands], weighed by how well
    it is heard and by how steady the levels around it are; None for a sound shorter than two cells.
    """
    # What marks sounds does without it, and a server starts sooner.
    from scipy.ndimage import uniform_filter, uniform_filter1d

    samples = wave.samples
    if wave.rate_hz != _RATE_HZ:
        samples = np.asarray(soxr.resample(samples, wave.rate_hz, _RATE_HZ), np.float32)
    size, hop = round(2 * _HOP_S * _RATE_HZ), round(_STEP_S * _RATE_HZ)
    if len(samples) < size + 2 * _STEPS * hop:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    window = np.hanning(size).astype(np.float32)
    bands = _band_of(np.fft.rfftfreq(size, 1 / _RATE_HZ))
    sums = np.stack([bands == band for band in range(_BANDS)], axis=1).astype(np.float32)
    levels = np.concatenate(
        [
            10 * np.log10(np.square(np.abs(np.fft.rfft(part * window, axis=1))).astype(np.float32) @ sums + 1e-9)
            for part in np.array_split(frames, max(1, len(frames) // 2048))
        ]
    )
    quiet = np.percentile(levels, _QUIET_PERCENT, axis=0)
    weights = np.clip((levels - quiet - _ABOVE_DB) / _RISE_DB, 0, 1)
    level, weight = _cells(levels), _cells(weights)
    weight = np.minimum(weight[:-_STEPS], weight[_STEPS:])
    difference = level[:-_STEPS] - level[_STEPS:]
    together = uniform_filter1d(difference * weight, _SMOOTH, axis=1, mode="constant")
    difference = difference - together / np.maximum(uniform_filter1d(weight, _SMOOTH, axis=1, mode="constant"), 1e-6)
    difference = np.asarray(np.clip(difference, -_CLIP_DB, _CLIP_DB) * weight, np.float64)
    beside = np.zeros_like(difference)
    beside[_STEPS:] += difference[:-_STEPS]
    beside[:-_STEPS] += difference[_STEPS:]
    difference -= _BESIDE * beside
    power = uniform_filter(np.square(difference), (2 * _STEPS + 1, _SMOOTH), mode="nearest")
    return np.asarray(difference / (power + _LEAST_POWER), np.float64)


def _cells(values: npt.NDArray[Any]) -> Floats:
    """Means over the steps of a cell, for cells that begin at each step."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    return np.asarray((sums[_STEPS:] - sums[:-_STEPS]) / _STEPS)


def scores_of(difference: Floats, keys: npt.NDArray[np.float32], offset: int, layer: int) -> Floats:
    """Correlations of K keys [K, period, bands] in every second band, from `layer`, in standard deviations of what keys
    that were not used have. offset: steps at which a period begins.
    """
    chip = 2 * _STEPS
    starts = np.arange(offset % chip, len(difference), chip)
    heard = difference[starts, layer::2]
    folded = np.zeros((_PERIOD, heard.shape[1]))
    np.add.at(folded, (starts - offset) // chip % _PERIOD, heard)
    spread = np.sqrt(np.square(heard).sum() + 1e-12)
    return np.asarray(keys[:, :, layer::2].reshape(len(keys), -1) @ folded.reshape(-1) / spread, np.float64)


def _pattern(voice: str) -> npt.NDArray[np.float32]:
    """Chips [period, bands]: even bands of the common key, odd ones of the voice's."""
    pattern = key_of(_COMMON).copy()
    pattern[:, 1::2] = key_of(voice)[:, 1::2]
    return pattern


def key_of(text: str) -> npt.NDArray[np.float32]:
    """+-1 [period, bands] that follow from a text."""
    bits = np.unpackbits(np.frombuffer(hashlib.shake_256(text.encode()).digest(_PERIOD * _BANDS // 8), np.uint8))
    return (2.0 * bits.reshape(_PERIOD, _BANDS) - 1.0).astype(np.float32)


def _band_of(frequencies_hz: Floats) -> npt.NDArray[np.int64]:
    """Band of each frequency, -1 outside."""
    band = np.floor((frequencies_hz - _LOW_HZ) / _WIDTH_HZ).astype(np.int64)
    return np.where((band >= 0) & (band < _BANDS), band, -1)
