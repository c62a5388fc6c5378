"""May this voice be made? The words of a consent were heard, and the person in the recording says them.

The judgement of stage 1 (pipeline/stages/validate/consent.py): the same words with the same limit, and one speaker.
What the machine is not sure of is refused, since nobody is there to decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from timbre.audio.waveform import Waveform
from timbre.core.recipe import ValidateRecipe
from timbre.inference.recogniser import errors_of
from timbre.inference.reference import HEARING_HZ, Reference, ReferenceEncoder
from timbre.serving.errors import ApiError
from timbre.text.alignment_score import log_softmax
from timbre.text.consent import (
    CONSENT,
    CONSENT_PHRASES,
    SAME_SPEAKER,
    consent_score,
    other_speaker,
    other_words,
)
from timbre.text.phonemes import Phonemes

_LEAST_SIMILARITY = 0.84
"""GE2E cosine of a whole statement to a whole recording: two halves of a recording had .845 to .961 with 51 readers of
LibriSpeech. Stage 1 compares with many slices instead, and has a limit of its own."""
_MOST_ERRORS = 0.5
"""Share of the phones of a transcript that the recogniser may miss: stage 1's own limit is for clean text."""


class Ear(Protocol):
    """What hears phones: inference.recogniser.Recogniser."""

    def logits(self, wave: Waveform) -> NDArray[np.float32]:
        """Class scores [T, K] at 50 frames a second."""
        ...


@dataclass(frozen=True)
class Consent:
    """What was heard."""

    language: str
    """In which the statement was understood."""
    seconds: float
    """Of speech in it."""
    words: float
    """Score of the wording in nats a phone, 0 is perfect."""
    similarity: float
    """Of statement and recording, -1 to 1."""


def judge_consent(
    statement: Reference, recording: Reference, encoder: ReferenceEncoder, ears: Mapping[str, Ear | None]
) -> Consent:
    """ears: who hears a language, for each in which the statement may be.

    Raises ApiError 403 with the reason where the statement is not a consent of the person in the recording.
    """
    recipe = ValidateRecipe()
    heard = {language: ear for language, ear in ears.items() if ear is not None and language in CONSENT_PHRASES}
    if not heard:
        raise _refused(
            f"the words of a statement in {', '.join(ears) or 'no language'} cannot be checked here: no base of this "
            "server hears them",
            f"use one of: {', '.join(sorted(CONSENT_PHRASES))}, on a server that has a base with a recogniser (nano)",
            "consent_unheard",
        )
    wave = Waveform(statement.heard, HEARING_HZ)
    scores = {
        language: consent_score(log_softmax(ear.logits(wave)), language) for language, ear in heard.items()
    }  # fmt: skip
    language = max(scores, key=lambda item: scores[item])
    words = scores[language]
    if words < recipe.min_consent_words:
        raise _refused(
            other_words(words, recipe.min_consent_words),
            f"let the person read: {' | '.join(CONSENT[item] for item in heard)}", "consent_words",
        )  # fmt: skip
    one, two = (encoder.speaker(Waveform(item.heard, HEARING_HZ)) for item in (statement, recording))
    similarity = float(one @ two)
    if similarity < _LEAST_SIMILARITY:
        raise _refused(
            f"{other_speaker(similarity, 'recording')}, at least {_LEAST_SIMILARITY:g}", SAME_SPEAKER,
            "consent_speaker",
        )  # fmt: skip
    return Consent(language, round(statement.speech_s, 2), round(words, 3), round(similarity, 4))


def refuse_other_words(recording: Reference, phonemes: Phonemes, ear: Ear, field: str) -> None:
    """Raises ApiError 400 when a transcript is not what was said."""
    errors = errors_of(ear.logits(Waveform(recording.heard, HEARING_HZ)), phonemes)
    if errors.rate > _MOST_ERRORS:
        raise ApiError(
            400, f"{field}: it is not what was said: {errors.rate:.0%} of its sounds were not heard",
            "send the words of the recording, or none", code="wrong_transcript", param=field,
        )  # fmt: skip


def _refused(message: str, remedy: str, code: str) -> ApiError:
    return ApiError(403, f"consent: {message}", remedy, code=code, param="consent")
