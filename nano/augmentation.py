"""Augmentations of a training clip that preserve its words.

They teach the content encoder to hear phones and not the speaker, the room or the microphone. All are numpy on one
clip, cost under a tenth of a training step, and draw from the given generator only, so that a run can be repeated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from timbre.core.errors import ConfigurationError
from timbre.nano.corpus import CONTENT_RATE_HZ as RATE_HZ
from timbre.nano.corpus import read_audio

Audio = npt.NDArray[np.float32]


@dataclass(frozen=True)
class AugmentationConfig:
    """Chances (0..1) and ranges of each change.

    A teacher's speech is studio clean; what it teaches must hold for rooms, microphones and codecs.
    """

    speed_chance: float = 0.5
    """Pitch, formants and tempo change together."""
    speed_least: float = 0.84
    """Lowest factor; below 1 is slower and deeper."""
    speed_most: float = 1.2
    """Highest factor."""
    tilt_chance: float = 0.4
    """Of another microphone: a shelf over the whole spectrum."""
    tilt_db: float = 8.0
    """Largest change of the level at 8 kHz against 0 Hz, up or down."""
    band_chance: float = 0.2
    """Of losing everything above a frequency, as on the telephone."""
    band_least_hz: float = 3200.0
    """Lowest of these frequencies; the highest is half the rate."""
    noise_chance: float = 0.3
    """Of a recorded noise (3 of 5) or one between white and pink."""
    noise_least_db: float = 5.0
    """Lowest ratio of signal to noise over the clip."""
    noise_most_db: float = 35.0
    """Highest of them."""
    room_chance: float = 0.15
    """Of being heard in one of the rooms."""
    gain_db: float = 8.0
    """Largest change of the level, up or down; every clip gets one."""


@dataclass(frozen=True)
class Augmenter:
    """Noise and rooms held in memory, and the chances to use them."""

    config: AugmentationConfig = field(default_factory=AugmentationConfig)
    """Chances and ranges of what it draws."""
    noises: Sequence[Audio] = ()
    """float32 [T] each, at RATE_HZ; without any, no noise is added."""
    rooms: Sequence[Audio] = ()
    """Impulse responses at RATE_HZ, their direct sound first; without any, no room is drawn."""

    @classmethod
    def load(cls, speech: Path, config: AugmentationConfig) -> Augmenter:
        """Read ``noise/`` and ``rir/`` of the speech folder. ConfigurationError when there is none."""
        sounds = sorted(path for path in (speech / "noise").rglob("*.*") if path.suffix in (".ogg", ".flac"))
        noises = [read_audio(path, RATE_HZ) for path in sounds]
        rooms = [_direct_first(read_audio(path, RATE_HZ)) for path in sorted((speech / "rir").glob("*.flac"))]
        if not noises or not rooms:
            raise ConfigurationError(
                f"{speech}: {len(noises)} noises and {len(rooms)} rooms", remedy="restore noise/ and rir/"
            )
        return cls(config, tuple(noises), tuple(rooms))

    def speed(self, random: np.random.Generator) -> float:
        """A factor: above 1 is faster, higher and with a shorter vocal tract; the labels' times divide by it."""
        if random.random() >= self.config.speed_chance:
            return 1.0
        return float(random.uniform(self.config.speed_least, self.config.speed_most))

    def colour(self, audio: Audio, random: np.random.Generator) -> Audio:
        """Room, microphone, noise and level. float32 [T] -> float32 [T], not delayed."""
        config = self.config
        if self.rooms and random.random() < config.room_chance:
            audio = reverberate(audio, self.rooms[random.integers(len(self.rooms))])
        if random.random() < config.tilt_chance:
            audio = tilt(audio, float(random.uniform(-config.tilt_db, config.tilt_db)))
        if random.random() < config.band_chance:
            audio = band_limit(audio, float(random.uniform(config.band_least_hz, RATE_HZ / 2)))
        if self.noises and random.random() < config.noise_chance:
            ratio_db = float(random.uniform(config.noise_least_db, config.noise_most_db))
            noise = self.noises[random.integers(len(self.noises))] if random.random() < 0.6 else None
            audio = add_noise(audio, noise, ratio_db, random)
        gain_db = random.uniform(-config.gain_db, config.gain_db)
        return np.clip(audio * np.float32(10 ** (gain_db / 20)), -1.0, 1.0)


def change_speed(audio: Audio, factor: float) -> Audio:
    """Resample so that it plays ``factor`` times as fast: float32 [T] -> float32 [T / factor], rounded.

    Through the spectrum of the whole clip, in numpy alone, so that it is the same on a machine with little installed.
    """
    if factor == 1.0 or not audio.size:
        return audio
    size = max(1, round(audio.size / factor))
    fast = _fast_size(audio.size)
    fast_size = max(1, round(fast * size / audio.size))
    spectrum = np.fft.rfft(audio, fast)
    bins = fast_size // 2 + 1
    kept = np.zeros(bins, dtype=spectrum.dtype)
    kept[: min(bins, spectrum.size)] = spectrum[:bins]
    changed = np.fft.irfft(kept, fast_size)[:size] * (fast_size / fast)
    return changed.astype(np.float32)


def band_limit(audio: Audio, highest_hz: float) -> Audio:
    """Cut what lies above a frequency, as telephones and codecs do. float32 [T] -> float32 [T]."""
    size = _fast_size(audio.size)
    spectrum = np.fft.rfft(audio, size)
    spectrum[int(highest_hz / RATE_HZ * size) + 1 :] = 0
    return np.fft.irfft(spectrum, size)[: audio.size].astype(np.float32)


def tilt(audio: Audio, slope_db: float) -> Audio:
    """First-order shelf: the level at 8 kHz moves by about slope_db against 0 Hz. float32 [T] -> float32 [T]."""
    ratio = 10 ** (slope_db / 20)
    coefficient = np.float32((ratio - 1) / (ratio + 1))  # (1 - c z^-1): gains 1-c at 0 Hz and 1+c at 8 kHz
    changed = audio.copy()
    changed[1:] -= coefficient * audio[:-1]
    return changed


def reverberate(audio: Audio, room: Audio) -> Audio:
    """Convolve with a room response; length and level stay. float32 [T] -> float32 [T].

    The direct sound of the room must lie at its first sample, so that labels stay in time.
    """
    size = _fast_size(audio.size + room.size)
    wet = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(room, size), size)[: audio.size].astype(np.float32)
    return wet * np.float32(_rms(audio) / max(_rms(wet), 1e-6))


def add_noise(audio: Audio, noise: Audio | None, ratio_db: float, random: np.random.Generator) -> Audio:
    """Add noise (None: white to pink) at a signal-to-noise ratio over the whole clip. float32 [T] -> float32 [T]."""
    if noise is None:
        noise = random.standard_normal(audio.size, dtype=np.float32)
        if random.random() < 0.5:
            noise = np.cumsum(noise - noise.mean(), dtype=np.float32)
            noise[1:] -= 0.97 * noise[:-1]
    elif noise.size < audio.size:
        noise = np.tile(noise, -(-audio.size // noise.size))
    start = random.integers(noise.size - audio.size + 1)
    noise = noise[start : start + audio.size]
    scale = _rms(audio) / max(_rms(noise), 1e-6) * 10 ** (-ratio_db / 20)
    return audio + noise * np.float32(scale)


def _fast_size(size: int) -> int:
    """The next size that a transform does fast: 2^a times 1, 3, 5 or 15."""
    return min(factor << max(0, math.ceil(math.log2(size / factor))) for factor in (1, 3, 5, 15))


def _direct_first(room: Audio) -> Audio:
    """Cut what precedes the direct sound, so that labels stay in time; at most 0.5 s."""
    start = int(np.argmax(np.abs(room)))
    return room[start : start + RATE_HZ // 2]


def _rms(audio: Audio) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if audio.size else 0.0
