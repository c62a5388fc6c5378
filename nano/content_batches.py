"""Batches for the content encoder: augmented audio with a class for every frame and a phone sequence for CTC.

Clips are drawn a window at a time: every batch has one window length, drawn from the clips' own lengths, so that
little is padded. What is padded is silence, and is labelled so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from timbre.nano.alignment import UNKNOWN, Alignment
from timbre.nano.augmentation import Augmenter, change_speed
from timbre.nano.content_network import HOP, WINDOW, frames_of
from timbre.nano.corpus import CONTENT_RATE_HZ as RATE_HZ
from timbre.nano.corpus import RATE_HZ as CACHE_RATE_HZ
from timbre.nano.corpus import Clip, Corpus
from timbre.text.recognition import BLANK, CLASSES, SILENCE

BEGIN_S = 0.04
"""A sound has just begun for so long: one code."""


@dataclass(frozen=True)
class BatchConfig:
    """How batches of windows are drawn."""

    seconds: float = 40.0
    """Seconds of audio in a batch."""
    shortest_s: float = 1.5
    """Shortest window."""
    longest_s: float = 6.0
    """Longest window."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """How often clips of a part, a language or a corpus are drawn, relative to their hours (default 1)."""


@dataclass(frozen=True)
class Batch:
    """Augmented windows with their targets."""

    waveform: npt.NDArray[np.float32]
    """float32 [B, T]."""
    labels: npt.NDArray[np.int64]
    """int64 [B, F], UNKNOWN where nothing is known."""
    targets: npt.NDArray[np.int64]
    """Class ids without silence, the rows one behind the other, int64 [sum]."""
    target_lengths: npt.NDArray[np.int64]
    """int64 [B]."""
    prosody: npt.NDArray[np.float32]
    """float32 [B, F, 4]: voicing, relative pitch, tone (0 to 4), whether the sound has just begun; UNKNOWN where not
    known.
    """


class BatchSource:
    """Draws batches.

    Batch ``step`` depends on the seed and the step alone, so that a resumed run sees the same ones.
    """

    def __init__(
        self,
        corpus: Corpus,
        alignments: Mapping[str, Alignment],
        augmenter: Augmenter,
        config: BatchConfig,
        seed: int = 0,
        pitch: Mapping[str, npt.NDArray[np.float32]] | None = None,
        tones: Mapping[str, npt.NDArray[np.int64]] | None = None,
    ) -> None:
        clips = [clip for clip in corpus.select("train") if clip.id in alignments and clip.seconds >= config.shortest_s]
        if not clips:
            raise ValueError("no aligned training clip")
        self._clips = sorted(clips, key=lambda clip: clip.seconds)
        self._corpus, self._alignments, self._augmenter = corpus, alignments, augmenter
        self._config, self._seed, self._pitch = config, seed, pitch or {}
        self._tones = tones or {}
        self._lengths = np.array([clip.seconds for clip in self._clips])
        chances = np.array([clip.seconds * self._weight(clip) for clip in self._clips])
        self._chances = chances / chances.sum()
        self._names = {name: index for index, name in enumerate(CLASSES)}

    def _weight(self, clip: Clip) -> float:
        weights = self._config.weights
        keys = {clip.part, clip.language, clip.path.partition("/")[0]}
        return math.prod(weights.get(key, 1.0) for key in keys)

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        random = np.random.default_rng((self._seed, step))
        config = self._config
        anchor = self._clips[random.choice(len(self._clips), p=self._chances)]
        seconds = min(max(anchor.seconds, config.shortest_s), config.longest_s)
        frames = int(seconds * RATE_HZ) // HOP
        samples = WINDOW + HOP * (frames - 1)
        rows = max(1, round(config.seconds / seconds))
        near = self._near(seconds)
        chances = self._chances[near] / self._chances[near].sum()
        chosen = random.choice(near, size=rows, p=chances)
        pieces = [self._piece(self._clips[index], samples, random) for index in chosen]
        targets = [target for _, _, target, _ in pieces]
        return Batch(
            np.stack([piece[0] for piece in pieces]),
            np.stack([piece[1] for piece in pieces]),
            np.concatenate(targets),
            np.array([len(target) for target in targets]),
            np.stack([piece[3] for piece in pieces]),
        )

    def _near(self, seconds: float) -> npt.NDArray[np.int64]:
        """Indices of clips at least as long as a window, or hardly shorter; all of the longest where few are."""
        low = np.searchsorted(self._lengths, seconds * 0.85)
        return np.arange(min(int(low), max(0, len(self._clips) - 64)), len(self._clips))

    def _piece(
        self, clip: Clip, samples: int, random: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """One window: audio [T], labels [F], CTC targets, prosody [F, 4]."""
        alignment = self._alignments[clip.id]
        speed = self._augmenter.speed(random)
        cached = CACHE_RATE_HZ / RATE_HZ  # samples of the cache a sample that the encoder hears
        whole = clip.samples / cached / speed
        first = (
            int(random.integers(-max(0, int(samples - whole)), 1))
            if whole <= samples
            else int(random.integers(int(whole - samples) + 1))
        )  # in samples at the new speed; below 0: silence comes first
        source_from = max(0, int(first * speed * cached))
        source_to = min(clip.samples, int((first + samples) * speed * cached) + 64)
        piece = self._corpus.samples(clip)[source_from:source_to].astype(np.float32) / 32768.0
        audio = change_speed(piece, speed * cached)
        window = np.zeros(samples, dtype=np.float32)
        start = max(0, -first)
        part = audio[: samples - start]
        window[start : start + part.size] = part
        window = self._augmenter.colour(window, random)
        frames = frames_of(samples)
        centres = (first + WINDOW / 2 + HOP * np.arange(frames)) * speed / RATE_HZ
        ends = np.asarray(alignment.ends_s)
        classes = np.array([*(self._names[phone] for phone in alignment.phones), SILENCE], dtype=np.int64)
        labels = classes[np.searchsorted(ends, centres, side="right")]
        labels[centres < 0] = SILENCE
        middles = (ends + np.concatenate([[0.0], ends[:-1]])) / 2 * RATE_HZ / speed - first
        inside = (middles > WINDOW / 2) & (middles < samples - WINDOW / 2)
        target = classes[:-1][inside]
        target = target[(target != SILENCE) & (target != BLANK)]
        if not target.size:
            target = np.array([SILENCE])
        segment = np.searchsorted(ends, centres, side="right")
        inside_clip = (centres >= 0) & (segment < len(ends))
        begins = np.append(np.concatenate([[0.0], ends[:-1]]), np.inf)[segment]
        just_begun = np.where(inside_clip, (centres - begins < BEGIN_S).astype(np.float32), UNKNOWN)
        tones = np.append(self._tones.get(clip.id, np.full(len(ends), UNKNOWN)), UNKNOWN)
        tone = np.where(inside_clip, tones[segment], UNKNOWN)
        prosody = np.concatenate(
            [prosody_at(self._pitch.get(clip.id), centres), np.stack([tone, just_begun], axis=1)], axis=1
        ).astype(np.float32)
        return window, labels, target, prosody


def prosody_at(track: npt.NDArray[np.float32] | None, centres_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Voicing (1, 0, or UNKNOWN without a track) and relative pitch (octaves from the clip's median) at each frame's
    centre, [F, 2]. track: F0 in Hz a hop, 0 where unvoiced.

    Relative pitch does not change with speed, which is why it is asked for and not hertz.
    """
    if track is None:
        return np.full((centres_s.size, 2), UNKNOWN, dtype=np.float32)
    index = np.rint(centres_s * RATE_HZ / HOP - 0.5).astype(int)  # pitch.py: frame i is centred on (i + 0.5) hops
    inside = (index >= 0) & (index < track.size)
    pitch_hz = np.where(inside, track[np.clip(index, 0, track.size - 1)], 0.0)
    voiced = pitch_hz > 0
    median_hz = np.median(track[track > 0]) if voiced.any() else 1.0
    relative = np.clip(np.log2(np.where(voiced, pitch_hz, median_hz) / median_hz), -1.0, 1.0)
    prosody: npt.NDArray[np.float32] = np.stack([voiced, relative], axis=1).astype(np.float32)
    return prosody
