"""Recordings that clients or the operator give: decoded within bounds, and what is wrong with them in words.

bytes -> a file that lives for this call, in memory where the system has such a folder -> samples
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from timbre.audio.music import MusicStream
from timbre.audio.noise import AmplitudeStream, signal_to_noise_db
from timbre.audio.reader import read
from timbre.audio.waveform import Samples, Waveform
from timbre.core.errors import InputError
from timbre.core.recipe import ValidateRecipe
from timbre.inference.reference import HEARING_HZ, Reference, ReferenceEncoder, prepare
from timbre.inference.speaker_groups import compare
from timbre.serving.errors import ApiError

SHORTEST_S, LONGEST_S = 3.0, 30.0
LONGEST_STATEMENT_S = 60.0
_MEMORY = Path("/dev/shm")
_SPEECH_S = 2.0
_WINDOW_S = 2.0
_GROUP_SIMILARITY = 0.8
"""Of the two groups of windows of 2 s; below it, two speakers. 100 recordings of 8 and 14 s of 51 readers of
LibriSpeech had .824 to .957; of two readers one after the other 50 of 51 had .49 to .79."""


def decode(data: bytes, field: str, longest_s: float) -> Waveform:
    """A recording as mono. Raises ApiError: 400 where it is no sound, 413 where it is longer than longest_s."""
    if not data:
        raise ApiError(400, f"{field}: it is empty", "send a sound file", param=field)
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="timbre-", dir=where) as folder:
        path = Path(folder) / field
        path.write_bytes(data)
        try:
            wave = read(path, longest_s + 0.05)
        except InputError as error:
            if "longer than" in error.message:
                raise _too_long(field, longest_s) from None
            raise ApiError(
                400, error.message, "send WAV, FLAC, MP3, Ogg or M4A", code="not_sound", param=field
            ) from None  # fmt: skip
    if not np.isfinite(wave.samples).all():
        raise ApiError(400, f"{field}: samples that are no finite numbers", "export it again as WAV", param=field)
    return wave


def _too_long(field: str, longest_s: float) -> ApiError:
    return ApiError(
        413, f"{field}: longer than {longest_s:g} s", "send a shorter part of it", code="too_long", param=field
    )


def reference_of(data: bytes, field: str) -> Reference:
    """A recording that can condition speech. Raises ApiError 400 or 413 with the reason."""
    wave = decode(data, field, LONGEST_S)
    seconds = len(wave.samples) / wave.rate_hz
    if seconds < SHORTEST_S:
        raise ApiError(
            400, f"{field}: {seconds:.1f} s, at least {SHORTEST_S:g} s", f"send {SHORTEST_S:g} to {LONGEST_S:g} s",
            code="too_short", param=field,
        )  # fmt: skip
    found = _speech(wave, field)
    recipe = ValidateRecipe()
    amplitudes, music = AmplitudeStream(), MusicStream()
    amplitudes.push(found.heard)
    music.push(found.heard)
    snr_db = signal_to_noise_db(found.activity, amplitudes.finish())
    if snr_db < recipe.min_snr_db:
        raise _refused(
            field, f"noise: {snr_db:.0f} dB between speech and noise, at least {recipe.min_snr_db:g} dB", "noisy"
        )
    if (share := music.finish()) > recipe.max_music_share:
        raise _refused(
            field, f"music in {share:.0%} of it, at most {recipe.max_music_share:.0%}", "music"
        )  # fmt: skip
    return found


def statement_of(data: bytes, field: str) -> Reference:
    """A spoken statement. Raises ApiError 400 or 413 with the reason."""
    found = _speech(decode(data, field, LONGEST_STATEMENT_S), field)
    least = ValidateRecipe().min_consent_speech_s
    if found.speech_s < least:
        raise ApiError(
            400, f"{field}: {found.speech_s:.1f} s of speech, at least {least:g} s", "say the whole sentence",
            code="no_speech", param=field,
        )  # fmt: skip
    return found


def refuse_two_speakers(found: Reference, encoder: ReferenceEncoder, field: str) -> None:
    """Raises ApiError 400 when pieces of a recording fall into two unlike groups of voices."""
    length = round(_WINDOW_S * HEARING_HZ)
    spoken = _spoken_samples(found)
    starts = range(0, len(spoken) - length + 1, length // 2)
    if len(starts) < 4:
        return
    vectors = np.stack([encoder.speaker(Waveform(spoken[at : at + length], HEARING_HZ)) for at in starts])
    groups = compare(vectors, _GROUP_SIMILARITY)
    if groups.smaller:
        raise _refused(
            field, f"two speakers (likeness {groups.groups:.2f}, at least {_GROUP_SIMILARITY:g})", "speakers"
        )


def _spoken_samples(found: Reference) -> Samples:
    """Samples at 16 kHz without its pauses."""
    runs = [(round(start * HEARING_HZ), round(end * HEARING_HZ)) for start, end in found.activity.runs(True)]
    return np.concatenate([found.heard[start:end] for start, end in runs])


def _speech(wave: Waveform, field: str) -> Reference:
    try:
        found = prepare(wave)
    except InputError as error:
        raise ApiError(400, f"{field}: {error.message}", error.remedy, code="no_speech", param=field) from None
    if found.speech_s < _SPEECH_S:
        raise ApiError(
            400, f"{field}: {found.speech_s:.1f} s of speech, at least {_SPEECH_S:g} s",
            "record a few sentences in a quiet room", code="no_speech", param=field,
        )  # fmt: skip
    return found


def _refused(field: str, message: str, code: str) -> ApiError:
    return ApiError(
        400, f"{field}: {message}", "record one person alone, in a quiet room, close to the microphone",
        code=f"{code}_recording", param=field,
    )  # fmt: skip
