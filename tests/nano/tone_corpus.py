"""A corpus in which every phone is a tone of its own: small, quick to learn, with exact times."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from timbre.nano.alignment import Alignment, read_alignments, write_alignments
from timbre.nano.augmentation import AugmentationConfig, Augmenter
from timbre.nano.content_batches import BatchConfig, BatchSource
from timbre.nano.corpus import RATE_HZ, Corpus, PartWriter, to_int16

PHONES = ("AA", "S", "IY", "M")
TONES_HZ = (500.0, 3500.0, 2000.0, 1000.0)
SILENT = "<silence>"


def write_tones(folder: Path, clips: int = 60, seed: int = 0) -> Corpus:
    """Clips of 2 to 3 s: silence, then tones of 0.08 to 0.2 s with pauses, then silence."""
    random = np.random.default_rng(seed)
    writer = PartWriter(folder, "real", frozenset())
    alignments = []
    for number in range(clips):
        phones, ends, pieces = [SILENT], [0.2], [np.zeros(round(0.2 * RATE_HZ))]
        while ends[-1] < random.uniform(1.8, 2.6):
            kind = int(random.integers(-1, len(PHONES)))
            name = PHONES[kind] if kind >= 0 else SILENT
            if name == phones[-1]:
                continue
            size = int(random.uniform(0.08, 0.2) * RATE_HZ)
            tone = np.sin(2 * np.pi * TONES_HZ[kind] * np.arange(size) / RATE_HZ) if kind >= 0 else np.zeros(size)
            pieces.append(0.2 * tone)
            phones.append(name)
            ends.append(ends[-1] + size / RATE_HZ)
        audio = np.concatenate(pieces) + 0.001 * random.standard_normal(sum(piece.size for piece in pieces))
        writer.add(f"c/{number}", f"c/{number}.wav", "S", "en", "la", to_int16(audio.astype(np.float32)))
        alignments.append(Alignment(f"c/{number}", tuple(phones), tuple(ends)))
    writer.close()
    write_alignments(folder, "real", alignments)
    return Corpus.open(folder)


def tone_source(corpus: Corpus, seconds: float = 8.0) -> BatchSource:
    """Batches of a tone corpus without noise; half of them at another speed."""
    quiet = AugmentationConfig(speed_chance=0.5, noise_chance=0, room_chance=0, tilt_chance=0, band_chance=0)
    alignments = read_alignments(corpus.folder, "real")
    config = BatchConfig(seconds=seconds, shortest_s=1.0, longest_s=2.0)
    return BatchSource(corpus, alignments, Augmenter(quiet), config)
