"""A statement of consent: the sentence to read, the wordings that count, and whether one was heard.

log probabilities of the recogniser's classes -> best score of a wording, 0 is perfect
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from timbre.text.alignment_score import phrase_score
from timbre.text.frontend import phonemize
from timbre.text.recognition import spoken_class_ids

CONSENT: Mapping[str, str] = {
    "en": "My name is [name]. I agree that my recordings may be used to make a synthetic voice, for [purpose].",
    "zh": "我叫[姓名]。我同意用我的录音制作我的合成声音，用于[用途]。",
    "yue": "我叫[姓名]。我同意用我嘅錄音整一把合成聲，用嚟[用途]。",
    "ja": "私の名前は[名前]です。私の録音から合成音声を作り、[目的]のために使うことに同意します。",
    "ko": "제 이름은 [이름]입니다. 제 녹음으로 합성 음성을 만들어 [목적]에 사용하는 것에 동의합니다.",
}

# Any of these, heard in a statement, is a consent; each is long enough that other speech does not hold it by chance.
CONSENT_PHRASES: Mapping[str, tuple[str, ...]] = {
    "en": (
        "I agree that my recordings may be used to make a synthetic voice",
        "I agree that my voice may be used",
        "I consent to the use of my voice",
        "I consent to my voice being used",
        "I give my permission to use my voice",
        "I allow my recordings to be used",
        "I agree to the use of my recordings",
    ),
    "zh": ("我同意用我的录音制作我的合成声音", "我同意使用我的声音", "我同意使用我的录音", "我允许使用我的声音"),
}


SAME_SPEAKER = "the person whose voice it is must read the statement, with the same microphone"
"""What to do about `other_speaker`."""


def other_words(score: float, least: float) -> str:
    """What is wrong with a statement whose `consent_score` is below a limit."""
    return f"the words of a consent were not heard (score {score:.1f}, at least {least:g})"


def other_speaker(similarity: float, voice: str) -> str:
    """What is wrong with a statement that is so little like the voice; voice: what it was compared with."""
    return f"spoken by somebody else: similarity {similarity:.2f} to the {voice}"


def consent_score(log_chances: NDArray[np.float32], language: str) -> float:
    """Best score of the phrases that make a consent in that language (text/alignment_score.py: phrase_score)."""
    phrases = CONSENT_PHRASES.get(language, ())
    ids = [spoken_class_ids(phonemize(phrase, language).phones) for phrase in phrases]
    return max((phrase_score(log_chances, item) for item in ids), default=-np.inf)
