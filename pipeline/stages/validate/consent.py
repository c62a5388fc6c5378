"""The recorded statement: it can be heard, and it is the speaker of the clips who makes it.

Whether the words are those of a consent is only guessed, and only remarked on: a small recogniser (PocketSphinx) gets a
third of the words of clear English wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timbre.audio.level import apply_gain
from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.waveform import Samples, Waveform
from timbre.core.errors import InputError
from timbre.core.recipe import ValidateRecipe
from timbre.core.settings import Problem
from timbre.pipeline.stages.validate.cleaning import ANALYSIS_RATE_HZ
from timbre.pipeline.stages.validate.speakers import SpeakerEncoder, Vectors
from timbre.pipeline.stages.validate.survey import ClipSurvey, survey_clip

MAX_STATEMENT_S = 300.0
# Words of which a statement of consent uses some, in whatever wording.
_KEYWORDS = frozenset(
    [
        "agree",
        "allow",
        "allowed",
        "consent",
        "give",
        "giving",
        "name",
        "my",
        "voice",
        "may",
        "used",
        "use",
        "uses",
        "using",
        "recordings",
        "recording",
        "recorded",
        "synthetic",
        "speech",
        "clone",
        "cloned",
        "permission",
        "purpose",
        "school",
        "company",
        "train",
        "training",
    ]
)
_MIN_KEYWORDS = 2


@dataclass(frozen=True)
class Statement:
    """What was heard: seconds of speech; similarity to the voice and keywords are None where they were not measured."""

    duration_s: float
    speech_s: float
    similarity: float | None
    keywords: tuple[str, ...] | None


def check_statement(
    where: str,
    path: Path,
    language: str,
    recipe: ValidateRecipe,
    encoder: SpeakerEncoder,
    centre: Vectors | None,
    problems: list[Problem],
    remarks: list[Problem],
) -> Statement | None:
    """Examines the statement; adds what is wrong to problems and remarks. centre: mean embedding of the clips."""
    try:
        heard = survey_clip(path, MAX_STATEMENT_S, recipe.vad_aggressiveness)
        samples = resample(read(path, MAX_STATEMENT_S), ANALYSIS_RATE_HZ).samples
    except InputError as error:
        problems.append(Problem(where, error.message, "a sound file that can be decoded", error.remedy))
        return None
    if heard.speech_s < recipe.min_consent_speech_s:
        limit = f"at least {recipe.min_consent_speech_s:g} s"
        remedy = "record the whole sentence of consent"
        problems.append(Problem(where, f"{heard.speech_s:.1f} s of speech", limit, remedy))
        return Statement(heard.duration_s, heard.speech_s, None, None)
    similarity = None
    if centre is not None:
        vector = encoder.embed([spoken_part(samples, heard)])[0]
        similarity = float(np.dot(vector, centre))
        if similarity < recipe.min_consent_similarity:
            limit = f"at least {recipe.min_consent_similarity:g}"
            remedy = "the person whose voice it is must read the statement, with the same microphone"
            value = f"spoken by somebody else: similarity {similarity:.2f} to the clips"
            problems.append(Problem(where, value, limit, remedy))
    keywords = heard_keywords(samples, heard.level_dbfs) if language == "en" else None
    if keywords is not None and len(keywords) < _MIN_KEYWORDS:
        value = f"words of consent recognised: {', '.join(keywords) or 'none'}"
        remedy = "listen to it: does the speaker say who they are and what the voice may be used for?"
        remarks.append(Problem(where, value, f"{_MIN_KEYWORDS} or more", remedy))
    return Statement(heard.duration_s, heard.speech_s, similarity, keywords)


def spoken_part(samples: Samples, heard: ClipSurvey) -> Samples:
    """The samples (n,) at 16 kHz from the first to the last speech."""
    runs = heard.activity.runs(True)
    return samples[round(runs[0][0] * ANALYSIS_RATE_HZ) : round(runs[-1][1] * ANALYSIS_RATE_HZ)]


def heard_keywords(samples: Samples, level_dbfs: float) -> tuple[str, ...] | None:
    """Words of consent that PocketSphinx hears in English speech (n,) at 16 kHz; None where it is not installed."""
    try:
        from pocketsphinx import Decoder
    except ImportError:
        return None
    loud = apply_gain(Waveform(samples, ANALYSIS_RATE_HZ), min(30.0, -20.0 - level_dbfs)).samples
    decoder = Decoder(loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw((np.clip(loud, -1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    best = decoder.hyp()
    words = re.findall(r"[a-z]+", best.hypstr.lower()) if best is not None else []
    return tuple(sorted(_KEYWORDS & set(words)))
