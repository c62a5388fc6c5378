"""The base's phone recogniser: what was really said, as classes of text/recognition.py."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.digests import digest_file
from timbre.inference.exported_base import ExportedBase
from timbre.inference.phone_search import own_language, search
from timbre.inference.session import open_session
from timbre.text.alignment_score import log_softmax, text_scores
from timbre.text.edit_distance import EditCounts, edit_counts
from timbre.text.phonemes import Phonemes
from timbre.text.recognition import SILENCE, spoken_class_ids

RATE_HZ = 16_000
_EAGER = 3.0
"""Nats a phone that make the search prefer some phones to none."""


class Recogniser:
    """Audio -> phone classes by the content encoder's phone head. Thread-safe: it holds a session only."""

    def __init__(self, base: ExportedBase, session: ort.InferenceSession | None = None) -> None:
        """session: of its graph; None to open it here."""
        self._graph = base.graph("content")
        self._session = session or open_session(self._graph)

    @property
    def digest(self) -> str:
        """SHA-256 of its graph, to be written beside what it counts."""
        return digest_file(self._graph)

    def logits(self, wave: Waveform) -> NDArray[np.float32]:
        """Class scores [T, K] at 50 frames a second, of audio at any rate."""
        samples = resample(wave, RATE_HZ).samples
        return np.asarray(self._session.run(["logits"], {"wave": samples[None]})[0][0], np.float32)

    def hear(self, wave: Waveform, spoken: Phonemes | Sequence[str] = ()) -> list[int]:
        """Class ids in order, without blanks and silence, as `phone_search.search` finds them.

        spoken: what was to be said; sounds of other languages than its own are not heard. Empty: any language.
        """
        return search(own_language(self.logits(wave), _wanted(spoken)))

    def doubt(self, wave: Waveform, spoken: Phonemes | Sequence[str]) -> float:
        """As `doubt_of`, of audio at any rate."""
        return doubt_of(self.logits(wave), spoken)

    def errors(self, wave: Waveform, spoken: Phonemes | Sequence[str]) -> EditCounts:
        """Edits between the phones that were to be spoken and those that were heard."""
        return errors_of(self.logits(wave), spoken)


def errors_of(logits: NDArray[np.float32], spoken: Phonemes | Sequence[str]) -> EditCounts:
    """As `Recogniser.errors`, of its logits [T, K]."""
    wanted = _wanted(spoken)
    return edit_counts(wanted, search(own_language(logits, wanted)))


def doubt_of(logits: NDArray[np.float32], spoken: Phonemes | Sequence[str]) -> float:
    """Nats a phone by which what was to be spoken is less likely than other phones are; 0: nothing is likelier.

    logits: of `Recogniser.logits`, [T, K]. Counting edits asks for the likeliest phones, and of one short word these
    are often none at all, however clear it is. This asks whether the sound can be that word, against everything but
    silence. infinity for sound that is too short to hold it.
    """
    wanted = _wanted(spoken)
    if not wanted:
        return 0.0
    chances = log_softmax(own_language(logits, wanted))
    if len(chances) < len(wanted):
        return math.inf
    others: list[list[int]] = [[phone] for phone in range(SILENCE + 1, chances.shape[1])]
    if heard := search(chances, bonus=_EAGER):
        others.append(heard)
    own, *rest = text_scores(chances, [wanted, *others])
    return max(0.0, max(rest) - float(own)) / len(wanted)


def _wanted(spoken: Phonemes | Sequence[str]) -> tuple[int, ...]:
    return spoken_class_ids(spoken.phones if isinstance(spoken, Phonemes) else spoken)
