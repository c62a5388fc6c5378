"""Whole sentences for the second half of the acoustic stage: codes, phones, wave, pitch and a reference of the
speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from timbre.core.errors import ConfigurationError
from timbre.nano.corpus import Clip, Corpus
from timbre.nano.pitch_tracks import PitchTracks
from timbre.nano.semantic_data import Ids
from timbre.nano.speaker_vectors import SpeakerVectors
from timbre.training.pitch import HOP, continuous

REFERENCE_FRAMES = 150
SHORT_S = 2.0
"""Clips below it count as short texts."""


@dataclass(frozen=True)
class SentenceBatch:
    """Rows padded on the right; T frames, a multiple of two."""

    wave: Tensor
    """[B,1,T*hop]."""
    lengths: Tensor
    """[B], frames."""
    codes: Tensor
    """[B,1,T/2]."""
    phones: Tensor
    """[B,P]."""
    phone_lengths: Tensor
    """[B]."""
    voiced: Tensor
    """[B,T], 0 or 1."""
    log_f0: Tensor
    """[B,T], natural log of Hz."""
    pitched: Tensor
    """[B], whether the pitch is known."""
    reference: Tensor
    """[B,1,R*hop], of the same speaker, mostly another clip."""
    reference_lengths: Tensor
    """[B], frames."""
    speaker: Tensor
    """[B,256], of the reference."""
    places: Tensor
    """int64 [B,T], index of the phone that sounds, -1 where it is unknown."""
    texts: tuple[str, ...]
    """[B], as written."""
    languages: tuple[str, ...]
    """[B]."""

    def to(self, device: torch.device) -> SentenceBatch:
        """The same batch on another device."""
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            moved[field.name] = value.to(device) if isinstance(value, Tensor) else value
        return SentenceBatch(**moved)


def source_of(clip: Clip) -> str:
    """What weights are given for: the corpus of a real clip, the part of a synthetic one, `teacher zh` apart."""
    if clip.part == "real":
        return clip.id.split("/")[0]
    return f"{clip.part} zh" if clip.language == "zh" else clip.part


class SentenceSampler:
    """Batches of sentences of similar length, under a budget of frames. A batch depends on seed and step only.

    weights: how often a source's clips are drawn (see source_of); 1 where nothing is said. short: times that for clips
    below SHORT_S.
    """

    def __init__(
        self,
        corpus: Corpus,
        codes: Mapping[str, Ids],
        phones: Mapping[str, Ids],
        pitch: PitchTracks,
        speakers: SpeakerVectors,
        max_frames: int,
        seed: int,
        longest_s: float = 10.0,
        weights: Mapping[str, float] | None = None,
        split: str = "train",
        places: Mapping[str, Ids] | None = None,
        short: float = 1.0,
    ) -> None:
        self.clips = [
            clip
            for clip in corpus.select(split=split)
            if clip.id in codes and clip.id in phones and 0.8 <= clip.seconds <= longest_s and len(codes[clip.id]) > 8
        ]
        if not self.clips:
            raise ConfigurationError("no training clip has codes and phones", remedy="timbre pretrain corpus")
        self.corpus, self.codes, self.phones, self.pitch, self.speakers = corpus, codes, phones, pitch, speakers
        self.max_frames, self.seed = max_frames, seed
        self._places = places or {}
        shares = np.array(
            [
                (weights or {}).get(source_of(clip), 1.0) * (short if clip.seconds < SHORT_S else 1.0)
                for clip in self.clips
            ]
        )
        self._chances = shares / shares.sum()
        self._by_speaker: dict[str, list[Clip]] = {}
        for clip in self.clips:
            self._by_speaker.setdefault(clip.speaker, []).append(clip)

    def frames_of(self, clip: Clip) -> int:
        """Frames that both wave and codes cover; even."""
        return min(clip.samples // HOP // 2, len(self.codes[clip.id])) * 2

    def places(self, clip: Clip) -> Ids:
        """For each code of a clip the index of its phone, -1 where text and alignment disagree or there is none."""
        found = self._places.get(clip.id)
        return np.full(len(self.codes[clip.id]), -1, np.int16) if found is None else found

    def draw(self, step: int) -> list[Clip]:
        """Clips of a step."""
        random = np.random.default_rng((self.seed, step))
        pool = [self.clips[index] for index in random.choice(len(self.clips), size=64, p=self._chances)]
        pool.sort(key=self.frames_of)
        begin = int(random.integers(len(pool)))
        chosen: list[Clip] = []
        for clip in pool[begin:] + pool[:begin][::-1]:
            longest = max(self.frames_of(item) for item in [*chosen, clip])
            if chosen and (len(chosen) + 1) * longest > self.max_frames:
                break
            chosen.append(clip)
        return chosen

    def batch(self, step: int) -> SentenceBatch:
        """The batch of a step."""
        return self.collate(self.draw(step), np.random.default_rng((self.seed, step, 1)))

    def collate(self, clips: list[Clip], random: np.random.Generator) -> SentenceBatch:
        """Load and pad. Two thirds of the references are other clips of the speaker, the rest the clip itself."""
        frames = [self.frames_of(clip) for clip in clips]
        total, count = max(frames), len(clips)
        wave = np.zeros((count, 1, total * HOP), np.float32)
        codes = np.zeros((count, 1, total // 2), np.int64)
        voiced, log_f0 = np.zeros((count, total), np.float32), np.zeros((count, total), np.float32)
        places = np.full((count, total), -1, np.int64)
        phones = np.zeros((count, max(len(self.phones[clip.id]) for clip in clips)), np.int64)
        reference = np.zeros((count, 1, REFERENCE_FRAMES * HOP), np.float32)
        reference_lengths, speaker, pitched = [], [], []
        for row, (clip, length) in enumerate(zip(clips, frames, strict=True)):
            wave[row, 0, : length * HOP] = self.corpus.waveform(clip)[: length * HOP]
            codes[row, 0, : length // 2] = self.codes[clip.id][: length // 2]
            places[row, :length] = np.repeat(self.places(clip)[: length // 2], 2)
            f0 = self.pitch[clip.id][:length]
            voiced[row, : len(f0)] = f0 > 0
            log_f0[row, : len(f0)] = np.log(np.maximum(continuous(self.pitch[clip.id])[:length], 1.0))
            pitched.append(bool((self.pitch[clip.id] > 0).any()))
            phones[row, : len(self.phones[clip.id])] = self.phones[clip.id]
            mates = self._by_speaker.get(clip.speaker, [clip])
            other = mates[random.integers(len(mates))] if random.random() < 0.67 else clip
            heard = self._reference(other, random)
            reference[row, 0, : len(heard)] = heard
            reference_lengths.append(len(heard) // HOP)
            speaker.append(self.speakers[other.id])
        return SentenceBatch(
            torch.from_numpy(wave), torch.tensor(frames), torch.from_numpy(codes), torch.from_numpy(phones),
            torch.tensor([len(self.phones[clip.id]) for clip in clips]), torch.from_numpy(voiced),
            torch.from_numpy(log_f0), torch.tensor(pitched), torch.from_numpy(reference),
            torch.tensor(reference_lengths), torch.from_numpy(np.stack(speaker)), torch.from_numpy(places),
            tuple(clip.text for clip in clips), tuple(clip.language for clip in clips),
        )  # fmt: skip

    def _reference(self, clip: Clip, random: np.random.Generator) -> npt.NDArray[np.float32]:
        frames = min(clip.samples // HOP, REFERENCE_FRAMES)
        first = int(random.integers(clip.samples // HOP - frames + 1))
        return self.corpus.waveform(clip)[first * HOP : (first + frames) * HOP]
