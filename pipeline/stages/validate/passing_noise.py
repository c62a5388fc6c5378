"""Noise that comes and goes in a whole folder (a clock in the room), from a few pieces of speech across its clips.

pieces of a few clips -> DeepFilterNet, RNNoise if that takes much -> voice against what was taken out -> refused or not
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from timbre.audio.denoise import Denoiser, RnNoise
from timbre.audio.passing_noise import MIN_DB, agreed_ratio_db, empties_much
from timbre.audio.waveform import Waveform
from timbre.pipeline.stages.validate.checks import Findings
from timbre.pipeline.stages.validate.cleaning import Cleaner, probe_spans, read_spans
from timbre.pipeline.stages.validate.deepfilter_library import NAME
from timbre.pipeline.stages.validate.slicing import Cut

_PIECES = 5
_FEWEST = 3


def pieces_of(index: int, clips: int) -> int:
    """How many pieces of clip `index` of so many are listened to: five over the folder, evenly."""
    if clips <= _PIECES:
        return -(-_PIECES // max(clips, 1))
    return int(index in {round(place) for place in np.linspace(0, clips - 1, _PIECES)})


@dataclass
class PassingNoise:
    """What was measured so far."""

    ratios_db: list[float] = field(default_factory=list)
    """Voice over loss of every piece, in dB."""
    second: Callable[[], Denoiser] = RnNoise
    """Makes the denoiser that is asked where the first one takes much."""

    def hear(self, index: int, clips: int, path: Path, cuts: Sequence[Cut], cleaner: Cleaner) -> None:
        """Measure pieces of clip `index` of so many; only with DeepFilterNet, for which the limit was measured."""
        count = pieces_of(index, clips)
        if count and not cleaner.is_off and cleaner.denoiser.name == NAME:
            self.measure(list(read_spans(path, probe_spans(cuts, count))), cleaner)

    def measure(self, pieces: Sequence[Waveform], denoiser: Denoiser | Cleaner) -> None:
        """Measure pieces of speech as they were recorded."""
        self.ratios_db += [agreed_ratio_db(piece, denoiser.denoise(piece), self.second) for piece in pieces]

    @property
    def ratio_db(self) -> float | None:
        """Of the median piece, in dB; one noisy piece is no noisy room. None with fewer than three pieces."""
        return float(np.median(self.ratios_db)) if len(self.ratios_db) >= _FEWEST else None

    def check(self, found: Findings) -> None:
        """Refuse the folder if the median piece has such noise."""
        ratio_db = self.ratio_db
        if ratio_db is None or not empties_much(ratio_db):
            return
        found.refuse(
            "all clips",
            f"noise that comes and goes, voice {ratio_db:.0f} dB above it in the pauses",
            f"at least {MIN_DB:g} dB",
            "stop what ticks, knocks or crackles in the room, or record in another one",
            "noise",
        )
