"""What the pieces of one recording hold: level of their speech, pauses and speech inside a cut."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from timbre.audio.level import active_level_dbfs
from timbre.audio.resample import resample
from timbre.audio.vad import detect
from timbre.audio.waveform import Waveform
from timbre.pipeline.stages.validate.cleaning import ANALYSIS_RATE_HZ
from timbre.pipeline.stages.validate.slicing import Cut
from timbre.pipeline.stages.validate.survey import ClipSurvey


def speech_level(pieces: list[Waveform], otherwise: float) -> float:
    """Level of active speech over some pieces in dBFS."""
    heard = [detect(resample(piece, ANALYSIS_RATE_HZ).samples) for piece in pieces]
    speech = np.concatenate([activity.speech for activity in heard])
    levels = np.concatenate([activity.levels_dbfs for activity in heard])
    return active_level_dbfs(levels, speech) if speech.any() else otherwise


def inside(pauses: list[tuple[float, float]], cut: Cut) -> list[tuple[float, float]]:
    """Pauses within a cut, in seconds from its start."""
    return [(a - cut.start_s, b - cut.start_s) for a, b in pauses if a > cut.start_s and b < cut.end_s]


def speech_in(heard: ClipSurvey, cut: Cut) -> float:
    """Seconds of speech within a cut."""
    return sum(_overlaps(heard.activity.runs(True), cut))


def _overlaps(runs: list[tuple[float, float]], cut: Cut) -> Iterator[float]:
    for start, end in runs:
        yield max(0.0, min(end, cut.end_s) - max(start, cut.start_s))
