"""The room before the first line: some seconds in which nobody speaks, and what they say about noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbre.audio.level import rms, to_db
from timbre.audio.resample import resample
from timbre.audio.vad import RATE_HZ, detect
from timbre.audio.waveform import Waveform
from timbre.core.recipe import ValidateRecipe

# Level of a person at a hand's width from a microphone that is set as usual; the takes show the real one.
_USUAL_SPEECH_DBFS = -25.0
_MUTED_DBFS = -88.0
_SPOKEN_S = 0.6
_SPEECH_RANGE_DB = 12.0
_HUM_HZ = 160.0
_HUM_SHARE = 0.7
SHORTEST_S = 1.0


@dataclass(frozen=True)
class Quiet:
    """How quiet a room is."""

    level_dbfs: float
    """Of the noise."""
    snr_db: float
    """Of a usual voice above the noise."""
    verdict: str
    """One of "quiet", "usable" and "loud"."""
    advice: tuple[str, ...]
    """Words for the page: "muted", "spoken", "hum", "hiss"; none for a quiet room."""


def measure(wave: Waveform, recipe: ValidateRecipe, speech_dbfs: float = _USUAL_SPEECH_DBFS) -> Quiet:
    """The limits are those of stage 1: SNR below which it denoises, and below which it refuses."""
    samples = wave.samples - wave.samples.mean(dtype=np.float64).astype(np.float32)
    level = to_db(rms(samples))
    if level < _MUTED_DBFS:
        return Quiet(level, 0.0, "loud", ("muted",))
    snr = speech_dbfs - level
    verdict = "quiet" if snr >= recipe.denoise_below_snr_db else "usable" if snr >= recipe.min_snr_db else "loud"
    if verdict == "quiet":
        return Quiet(level, snr, verdict, ())
    activity = detect(resample(Waveform(samples, wave.rate_hz), RATE_HZ).samples)
    low_db, high_db = np.percentile(activity.levels_dbfs, (10, 95))
    # Steady noise may pass for speech, too, but its level does not move.
    if activity.speech_s > _SPOKEN_S and high_db - low_db > _SPEECH_RANGE_DB:
        return Quiet(level, snr, verdict, ("spoken",))
    powers = np.abs(np.fft.rfft(samples)) ** 2
    low = powers[np.fft.rfftfreq(len(samples), 1 / wave.rate_hz) < _HUM_HZ].sum()
    return Quiet(level, snr, verdict, ("hum" if low > _HUM_SHARE * powers.sum() else "hiss",))
