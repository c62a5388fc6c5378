"""A corpus of made-up clips in a temporary folder: harmonic sounds with pauses, two speakers, known pitch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from timbre.nano.corpus import RATE_HZ, Corpus, PartWriter, to_int16


def tone(seconds: float, f0_hz: float, seed: int = 0) -> npt.NDArray[np.float32]:
    """A harmonic sound with a gliding pitch, faint noise and silence at both ends, float32 [T]."""
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    pitch = f0_hz * np.exp(0.1 * np.sin(2 * np.pi * 0.7 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    wave = sum(np.sin(k * phase) / k for k in range(1, 12)) * 0.1
    envelope = np.clip(np.minimum(time, seconds - time) * 10 - 1, 0, 1)
    noise = np.random.default_rng(seed).normal(0, 1e-3, len(time))
    return (wave * envelope + noise).astype(np.float32)


def write_corpus(folder: Path, clips: int = 12, seconds: float = 2.0) -> Corpus:
    """Write part ``real`` with that many clips of two speakers and open it."""
    writer = PartWriter(folder, "real", frozenset())
    for index in range(clips):
        speaker = f"S{index % 2}"
        audio = to_int16(tone(seconds, 110.0 if index % 2 else 190.0, index))
        writer.add(f"made/{index}", f"made/train/{index}.ogg", speaker, "en", "Nine men met in the lane.", audio)
    writer.close()
    return Corpus.open(folder)
