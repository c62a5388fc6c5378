"""One recording -> what conditions speech in its voice, without torch and without training.

recording -> level of stage 1 -> spectra of 3 s (style graph), speaker vector -> mean condition
          └ at 16 kHz -> content graph -> quantizer graph -> codes, where the base continues those of its prompt

Equal to what stages 2 and 3 make of the same slices, by test: only the adapters are missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timbre.audio.level import active_level_dbfs, apply_gain, limit
from timbre.audio.resample import resample
from timbre.audio.vad import Activity, detect
from timbre.audio.waveform import Samples, Waveform
from timbre.core.errors import ConfigurationError, InputError
from timbre.core.recipe import ValidateRecipe
from timbre.inference.characters import CharacterVectors
from timbre.inference.copy_synthesis import magnitude_spectrum
from timbre.inference.exported_base import ExportedBase
from timbre.inference.filter_bank import filter_bank
from timbre.inference.pace import Pace
from timbre.inference.session import open_session
from timbre.inference.speaker import SpeakerEncoder
from timbre.inference.voice import Prompt
from timbre.text.pauses import count_pauses
from timbre.text.phonemes import Phonemes

Floats = NDArray[np.float32]
HEARING_HZ = 16_000
REFERENCE_S = 3.0
"""Of one spectrum: what stage 3 takes of a slice (training/finetune/voice_condition.py)."""
_VERIFIER = "verification"
_RECEPTIVE, _FRAME = 400, 320
_EDGE_S = 0.1
# Seconds a sound, of readers at an easy pace, and the range that speech has.
_PACE_S = {"en": 0.085}
_OTHER_PACE_S = 0.1
_SLOWEST_S, _FASTEST_S = 0.2, 0.04


@dataclass(frozen=True)
class Reference:
    """A recording as it conditions speech."""

    wave: Waveform
    """From the first to the last speech, at the level of stage 1's slices, at its own rate."""
    heard: Samples
    """The same at 16 kHz."""
    activity: Activity
    """Of `heard`."""

    @property
    def speech_s(self) -> float:
        """Seconds of speech."""
        return self.activity.speech_s


def prepare(wave: Waveform) -> Reference:
    """Cuts a recording to its speech and brings it to the level that networks know.

    Raises InputError when it holds no speech.
    """
    found = detect(resample(wave, HEARING_HZ).samples)
    runs = found.runs(True)
    if not runs:
        raise InputError("no speech in it", "record a few sentences in a quiet room, close to the microphone")
    recipe, rate_hz = ValidateRecipe(), wave.rate_hz
    first, last = max(0.0, runs[0][0] - _EDGE_S), runs[-1][1] + _EDGE_S
    cut = wave.samples[round(first * rate_hz) : round(last * rate_hz)]
    level = active_level_dbfs(found.levels_dbfs, found.speech)
    raised = apply_gain(Waveform(cut - cut.mean(), rate_hz), recipe.loudness_target_dbfs - level)
    level_wave = limit(raised, recipe.limiter_ceiling_dbfs).wave
    heard = resample(level_wave, HEARING_HZ).samples
    return Reference(level_wave, heard, detect(heard))


class ReferenceEncoder:
    """Recordings -> prompts for one exported base. Holds sessions: make one when it is needed, and let it go.

    Raises ConfigurationError for a base whose condition needs a speaker encoder that is not exported.
    """

    def __init__(self, base: ExportedBase, *, threads: int = 1) -> None:
        if base.speaker_encoder not in ("none", "ge2e") and not base.has(_VERIFIER):
            raise ConfigurationError(
                f"base {base.name}: its speaker encoder {base.speaker_encoder!r} is not among the exported graphs",
                f"export the base again with this version: timbre base export {base.name}",
            )
        self._base = base
        self._threads = threads
        self._speaker = SpeakerEncoder(base, threads=threads)

    def speaker(self, wave: Waveform) -> Floats:
        """Unit vector [256] (GE2E). Raises InputError for silence."""
        return self._speaker.embed(wave)

    def condition(self, found: Reference, speaker: Floats) -> Floats:
        """[1, G, 1]: the mean over pieces of 3 s that cover the recording. speaker: its GE2E vector [256]."""
        base = self._base
        samples = resample(found.wave, base.rate_hz).samples
        style = open_session(base.graph("style"), threads=self._threads)
        vector = self._verified(found.heard) if base.has(_VERIFIER) else speaker[None]
        feeds = {"speaker": vector} if base.acoustic.speaker_width else {}
        spectra = [magnitude_spectrum(piece, base.fft_size, base.hop)[None] for piece in pieces(samples, base.rate_hz)]
        conditions = [np.asarray(style.run(None, {"spectrum": item, **feeds})[0]) for item in spectra]
        return np.asarray(np.mean(conditions, axis=0), np.float32)

    def _verified(self, heard: Samples) -> Floats:
        """[1, W]: pooled features of the base's own speaker network."""
        session = open_session(self._base.graph(_VERIFIER), threads=self._threads)
        return np.asarray(session.run(None, {"features": filter_bank(heard)[None]})[0], np.float32)

    def codes(self, heard: Samples) -> NDArray[np.int64]:
        """Semantic codes [N] of samples at 16 kHz, as stage 2 hears them."""
        base = self._base
        content = open_session(base.graph("content"), threads=self._threads)
        # As many samples of silence as make one frame for every 320 samples of sound.
        padded = np.pad(heard, (0, _RECEPTIVE - _FRAME))
        features = np.asarray(content.run(["features"], {"wave": padded[None]})[0])[:, :, : len(heard) // _FRAME]
        quantizer = open_session(base.graph("quantizer"), threads=self._threads)
        return np.asarray(quantizer.run(None, {"features": np.ascontiguousarray(features)})[0][0], np.int64)

    def prompt(self, found: Reference, language: str, phonemes: Phonemes | None) -> Prompt:
        """What conditions speech. phonemes: of the words in it; None where they are not known.

        Raises InputError without words on a base that continues the codes of its prompt.
        """
        base = self._base
        continues = base.speaking.prompt_codes
        if continues and phonemes is None:
            raise InputError(
                f"base {base.name} continues the recording, so it must know its words", "send its transcript"
            )
        speaker = self.speaker(Waveform(found.heard, HEARING_HZ))
        ids = np.zeros(0, np.int64) if phonemes is None else np.array(phonemes.ids, np.int64)
        codes = self.codes(found.heard) if continues else np.zeros(0, np.int64)
        bert = None
        if continues and phonemes is not None and base.has("bert"):
            bert = CharacterVectors(base, threads=self._threads).raw(phonemes)
        condition = self.condition(found, speaker)
        return Prompt(codes, ids, language, condition, speaker, _pace(found, language, phonemes), bert)


def pieces(samples: Samples, rate_hz: int) -> list[Samples]:
    """Pieces of 3 s (or all, if there is less) that cover samples (n,) evenly, as few as do."""
    length = round(REFERENCE_S * rate_hz)
    if len(samples) <= length:
        return [samples]
    starts = np.linspace(0, len(samples) - length, -(-len(samples) // length)).round().astype(int)
    return [samples[start : start + length] for start in starts]


def _pace(found: Reference, language: str, phonemes: Phonemes | None) -> Pace:
    sounding = count_pauses(phonemes.phones).sounding if phonemes is not None else 0
    if not sounding:
        return Pace(_PACE_S.get(language, _OTHER_PACE_S))
    return Pace(min(max(found.speech_s / sounding, _FASTEST_S), _SLOWEST_S))
