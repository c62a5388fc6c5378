"""Random segments of the corpus for the acoustic model: wave, voicing and pitch on its frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from timbre.core.errors import ConfigurationError
from timbre.nano.corpus import Clip, Corpus
from timbre.nano.pitch_tracks import PitchTracks
from timbre.training.pitch import HOP, continuous


@dataclass(frozen=True)
class SegmentBatch:
    """Segments of T frames."""

    wave: Tensor
    """[B,1,T*hop]."""
    voiced: Tensor
    """[B,T], 0 or 1."""
    log_f0: Tensor
    """[B,T], natural log of Hz, filled where unvoiced."""
    pitched: Tensor
    """bool [B], whether the pitch is known."""

    def to(self, device: torch.device) -> SegmentBatch:
        """The same batch on another device."""
        return SegmentBatch(*(tensor.to(device) for tensor in (self.wave, self.voiced, self.log_f0, self.pitched)))


class SegmentSampler:
    """Draws segments of a fixed number of frames, clips in proportion to their length and their part's weight.

    Draws depend on seed and step only, so that a resumed run sees the same batches.
    """

    def __init__(
        self, corpus: Corpus, pitch: PitchTracks, frames: int, seed: int, part_weights: dict[str, float] | None = None
    ) -> None:
        clips = [clip for clip in corpus.select(split="train") if clip.samples // HOP > frames]
        if not clips:
            raise ConfigurationError(f"no training clip of more than {frames} frames", remedy="timbre pretrain corpus")
        self.corpus, self.frames, self.seed, self.clips = corpus, frames, seed, clips
        self._filled: dict[str, npt.NDArray[np.float32]] = {}
        self._pitch = pitch
        shares = np.array([clip.samples * (part_weights or {}).get(clip.part, 1.0) for clip in clips], dtype=np.float64)
        self._edges = np.cumsum(shares / shares.sum())

    def _log_f0(self, clip: Clip) -> npt.NDArray[np.float32]:
        if clip.id not in self._filled:
            filled = continuous(self._pitch[clip.id])
            self._filled[clip.id] = np.log(np.maximum(filled, 1.0)).astype(np.float32)
        return self._filled[clip.id]

    def draw(self, step: int, count: int) -> list[tuple[Clip, int]]:
        """Clips and first frames of the batch of a step."""
        rng = np.random.default_rng((self.seed, step))
        picks = np.minimum(np.searchsorted(self._edges, rng.random(count)), len(self.clips) - 1)
        chosen = [self.clips[index] for index in picks]
        return [(clip, int(rng.integers(clip.samples // HOP - self.frames + 1))) for clip in chosen]

    def batch(self, step: int, count: int) -> SegmentBatch:
        """The batch of a step; loudness varies by up to 6 dB in both directions."""
        rng = np.random.default_rng((self.seed, step, 1))
        waves, voiced, logs, pitched = [], [], [], []
        for clip, first in self.draw(step, count):
            samples = self.corpus.samples(clip)[first * HOP : (first + self.frames) * HOP].astype(np.float32) / 32768.0
            waves.append(np.clip(samples * 10.0 ** (rng.uniform(-6.0, 6.0) / 20.0), -1.0, 1.0))
            f0 = self._pitch[clip.id][first : first + self.frames]
            voiced.append(f0 > 0)
            logs.append(self._log_f0(clip)[first : first + self.frames])
            pitched.append(bool((self._pitch[clip.id] > 0).any()))
        return SegmentBatch(
            torch.from_numpy(np.stack(waves)).unsqueeze(1), torch.from_numpy(np.stack(voiced).astype(np.float32)),
            torch.from_numpy(np.stack(logs)), torch.tensor(pitched),
        )  # fmt: skip


def sample_waves(corpus: Corpus, clips: Iterable[Clip], samples: int) -> Tensor:
    """The middle ``samples`` of each clip that is long enough, [N,samples]; for statistics of the spectrum."""
    rows = []
    for clip in clips:
        if clip.samples >= samples:
            first = (clip.samples - samples) // 2
            rows.append(corpus.waveform(clip)[first : first + samples])
    return torch.from_numpy(np.stack(rows))
