"""From a cut to the two copies that later stages read: denoised only where it helps, even in level, no long pauses.

cut -> samples at the file's rate -> (denoiser) -> shorter pauses -> gain -> base rate and 16 kHz, under the ceiling
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from timbre.audio.denoise import Denoiser, RnNoise
from timbre.audio.level import apply_gain, limit
from timbre.audio.mos import Dnsmos, Mos
from timbre.audio.passing_noise import agreed_ratio_db, empties_much, keeps_voice, voice_over_loss_db
from timbre.audio.reader import mono_blocks, probe
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.recipe import ValidateRecipe
from timbre.pipeline.stages.validate.slicing import Cut

ANALYSIS_RATE_HZ = 16_000
# No clean speaker of 53 is below 1.99; chainsaws and waves as loud as the voice are at 1.1 to 1.5, whatever a denoiser
# makes of them. Rooms bring single clips of clean speakers down to 1.2, but RNNoise keeps those.
DROWNED_OPINION = 1.7
# Beyond this, making it louder only raises the room.
_MAX_GAIN_DB = 40.0


@dataclass(frozen=True)
class DenoiseDecision:
    """Whether a clip is denoised, and why."""

    applied: bool
    """False also where the denoiser was tried and its result dropped."""
    denoiser: str
    """Name of the denoiser that was tried; empty when none was."""
    reason: str
    """For people, with the measurements that decided."""
    before: Mos | None = None
    """Predicted opinion of the recording, None where it was not measured."""
    after: Mos | None = None
    """Predicted opinion of the denoised clip, None where it was not measured."""
    drowned: bool = False
    """Whether noise is as loud as the voice: by the opinion of the recording, unless a second denoiser keeps it."""


@dataclass(frozen=True)
class Copies:
    """A slice as later stages read it."""

    base: Waveform
    """At the rate of the base."""
    analysis: Waveform
    """At 16 kHz, for the recogniser and the speaker encoder; the same object as `base` if the base has that rate."""
    reduction_db: float
    """Largest gain reduction by the limiter in either copy, 0 if it did nothing."""


@dataclass(frozen=True)
class DenoisePolicy:
    """When to denoise."""

    mode: str
    """`validate.denoise` of the recipe: "off", "auto", or the name of a denoiser that is then always applied."""
    below_snr_db: float
    """Cleaner clips are never touched."""
    min_gain: float
    """Least rise of the overall opinion."""
    max_speech_loss: float
    """Most that the opinion of the speech itself may fall (what denoisers do to voices)."""

    @classmethod
    def of(cls, recipe: ValidateRecipe) -> DenoisePolicy:
        """As a recipe says."""
        return cls(
            recipe.denoise,
            recipe.denoise_below_snr_db,
            recipe.denoise_min_gain_mos,
            recipe.denoise_max_speech_loss_mos,
        )


class Cleaner:
    """Denoisers and the opinion network, loaded when first needed and used for every clip of a voice."""

    def __init__(
        self,
        policy: DenoisePolicy,
        make_denoiser: Callable[[], Denoiser],
        second: Callable[[], Denoiser] = RnNoise,
    ) -> None:
        """second: makes another denoiser, which is asked whether what the first one takes is noise."""
        self._policy = policy
        self._make = make_denoiser
        self._second = second
        self._cleaned: list[tuple[Waveform, Waveform]] = []

    @property
    def is_off(self) -> bool:
        """Whether the recipe wants no denoiser."""
        return self._policy.mode == "off"

    @cached_property
    def denoiser(self) -> Denoiser:
        """The denoiser of this run."""
        return self._make()

    def denoise(self, wave: Waveform) -> Waveform:
        """The cleaned sound: same rate, same length. What the last decision listened to is not cleaned again."""
        for before, after in self._cleaned:
            if before.rate_hz == wave.rate_hz and np.array_equal(before.samples, wave.samples):
                return after
        return self.denoiser.denoise(wave)

    @cached_property
    def opinion(self) -> Dnsmos:
        """The opinion network of this run."""
        return Dnsmos()

    def decide(self, snr_db: float, probes: Sequence[Waveform]) -> DenoiseDecision:
        """Whether a clip with that signal-to-noise ratio is denoised; probes: pieces of it to listen to, not empty."""
        policy = self._policy
        self._cleaned = []
        if policy.mode == "off":
            return DenoiseDecision(False, "", "switched off in the recipe")
        if snr_db >= policy.below_snr_db and policy.mode == "auto":
            return DenoiseDecision(
                False, "", f"clean: SNR {snr_db:.0f} dB, denoised only below {policy.below_snr_db:g} dB"
            )
        name = self.denoiser.name
        before = _mean([self.opinion.score(_safe(piece)) for piece in probes])
        self._cleaned = [(piece, self.denoiser.denoise(piece)) for piece in probes]
        after = _mean([self.opinion.score(_safe(cleaned)) for _, cleaned in self._cleaned])
        gain, loss = after.overall - before.overall, before.speech - after.speech
        drowned = before.overall < DROWNED_OPINION and not self._is_voice(probes)
        measured = f"SNR {snr_db:.0f} dB, DNSMOS overall {before.overall:.2f} -> {after.overall:.2f}"
        if policy.mode != "auto":
            return DenoiseDecision(True, name, f"asked for in the recipe: {measured}", before, after, drowned)
        if gain < policy.min_gain:
            return DenoiseDecision(False, name, f"does not help: {measured}", before, after, drowned)
        if loss > policy.max_speech_loss:
            reason = f"would harm the voice: {measured}, speech {before.speech:.2f} -> {after.speech:.2f}"
            return DenoiseDecision(False, name, reason, before, after, drowned)
        if any(self._loses_syllables(*both) for both in self._cleaned):
            reason = f"takes syllables away, which {self._second().name} keeps: {measured}"
            return DenoiseDecision(False, name, reason, before, after, drowned)
        return DenoiseDecision(True, name, measured, before, after, drowned)

    def _is_voice(self, probes: Sequence[Waveform]) -> bool:
        second = self._second()
        return all(keeps_voice(voice_over_loss_db(piece, second.denoise(piece))) for piece in probes)

    def _loses_syllables(self, before: Waveform, after: Waveform) -> bool:
        """Whether the denoiser took for noise what another one knows to be a voice."""
        taken_db = voice_over_loss_db(before, after)
        return empties_much(taken_db) and not empties_much(agreed_ratio_db(before, after, self._second))


def read_spans(path: Path, spans: Sequence[tuple[float, float]]) -> Iterator[Waveform]:
    """The parts of a recording between start and end seconds, in order and without overlap, in one pass over the file.

    Holds one part in memory at a time. Offsets are taken out of each part.
    """
    rate_hz = probe(path).rate_hz
    stream = mono_blocks(path)
    held: npt.NDArray[np.float32] = np.zeros(0, dtype=np.float32)
    at = 0
    for start_s, end_s in spans:
        start, end = round(start_s * rate_hz), round(end_s * rate_hz)
        while at + len(held) < end and (block := next(stream, None)) is not None:
            # What lies before the span is not needed any more.
            skip = min(len(held), max(0, start - at))
            held, at = np.concatenate((held[skip:], block)), at + skip
        part = held[max(0, start - at) : max(0, end - at)]
        yield Waveform((part - part.mean(dtype=np.float64)).astype(np.float32) if len(part) else part.copy(), rate_hz)


def probe_spans(cuts: Sequence[Cut], most: int = 3) -> list[tuple[float, float]]:
    """Up to `most` cuts, spread over the recording, to listen to before the decision about the whole of it."""
    picked = sorted({round(i) for i in np.linspace(0, len(cuts) - 1, min(most, len(cuts)))})
    return [(cuts[i].start_s, cuts[i].end_s) for i in picked]


def gain_db(level_dbfs: float, target_dbfs: float) -> float:
    """Gain that brings active speech to the target, at most 40 dB."""
    return min(target_dbfs - level_dbfs, _MAX_GAIN_DB)


def make_copies(wave: Waveform, gain: float, rate_hz: int, ceiling_dbfs: float) -> Copies:
    """A slice at the rate of the base and at 16 kHz. Each is limited at its own rate, since resampling moves peaks."""
    louder = apply_gain(wave, gain)
    base = limit(resample(louder, rate_hz), ceiling_dbfs)
    if rate_hz == ANALYSIS_RATE_HZ:
        return Copies(base.wave, base.wave, base.reduction_db)
    analysis = limit(resample(louder, ANALYSIS_RATE_HZ), ceiling_dbfs)
    return Copies(base.wave, analysis.wave, max(base.reduction_db, analysis.reduction_db))


def _safe(wave: Waveform) -> Waveform:
    """Float files may pass full scale, which the opinion network does not know."""
    peak = float(np.max(np.abs(wave.samples), initial=0.0))
    return wave if peak <= 1.0 else Waveform(wave.samples / np.float32(peak), wave.rate_hz)


def _mean(scores: Sequence[Mos]) -> Mos:
    values = [np.mean([getattr(score, name) for score in scores]) for name in ("speech", "background", "overall")]
    return Mos(*(float(value) for value in values))
