"""The recorded statement: it can be heard, it says what a statement must say, and the speaker of the clips makes it.

What the machine is not sure of, a named person decides: `consent.approved_by` in voice.yaml, which Git records.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.waveform import Samples
from timbre.core.errors import InputError
from timbre.core.recipe import ValidateRecipe
from timbre.inference.speaker_groups import Vectors, least_likeness, likeness
from timbre.pipeline.stages.validate.checks import Findings
from timbre.pipeline.stages.validate.cleaning import ANALYSIS_RATE_HZ
from timbre.pipeline.stages.validate.listening import Listener
from timbre.pipeline.stages.validate.speakers import SpeakerEncoder
from timbre.pipeline.stages.validate.survey import ClipSurvey, survey_clip
from timbre.text.alignment_score import log_softmax
from timbre.text.consent import CONSENT, SAME_SPEAKER, consent_score, other_speaker, other_words

MAX_STATEMENT_S = 300.0
_APPROVE = 'or somebody who listened to it writes their name in voice.yaml: `approved_by: "Name, date"` under consent'


@dataclass(frozen=True)
class Statement:
    """What was heard."""

    duration_s: float
    """Of the whole file."""
    speech_s: float
    """Compared with `validate.min_consent_speech_s`."""
    similarity: float | None
    """Mean cosine to the clips of the voice, 1 at most; None without clips, or when too little is said."""
    words: float | None
    """Score of the words of a consent, 0 is perfect; None where not measured."""
    approved_by: str = ""
    """The person who decided where the machine did not."""


@dataclass(frozen=True)
class StatementCheck:
    """What a statement is compared with."""

    where: str
    """Name of the file in messages."""
    path: Path
    """Sound file of at most MAX_STATEMENT_S seconds."""
    language: str
    """Language of the voice, in which the statement is expected."""
    approved_by: str
    """As in voice.yaml."""
    recipe: ValidateRecipe
    """Holds the limits `min_consent_*`."""
    encoder: SpeakerEncoder
    """The one that embedded the clips, so that both can be compared."""
    listener: Listener | None
    """None without a recogniser: then only `approved_by` settles the words."""
    voice: Vectors | None
    """Embeddings (n, d) of the clips; None without clips."""

    def run(self, found: Findings) -> Statement | None:
        """Examines the statement; adds what is wrong to the findings."""
        try:
            heard = survey_clip(self.path, MAX_STATEMENT_S, self.recipe.vad_aggressiveness)
            samples = resample(read(self.path, MAX_STATEMENT_S), ANALYSIS_RATE_HZ).samples
        except InputError as error:
            found.refuse(self.where, error.message, "a sound file that can be decoded", error.remedy, "undecodable")
            return None
        if heard.speech_s < self.recipe.min_consent_speech_s:
            limit = f"at least {self.recipe.min_consent_speech_s:g} s"
            found.refuse(
                self.where, f"{heard.speech_s:.1f} s of speech", limit, "record the whole sentence of consent", "short"
            )
            return Statement(heard.duration_s, heard.speech_s, None, None)
        similarity = self._speaker(samples, heard, found)
        words = self._words(samples, found)
        return Statement(heard.duration_s, heard.speech_s, similarity, words, self.approved_by)

    def _speaker(self, samples: Samples, heard: ClipSurvey, found: Findings) -> float | None:
        if self.voice is None or not len(self.voice):
            return None
        similarity = float(likeness(self.voice, self.encoder.embed([spoken_part(samples, heard)]))[0])
        least = least_likeness(self.recipe.min_consent_similarity, len(self.voice))
        if similarity < least:
            limit = f"at least {least:.2g}"
            self._doubt(other_speaker(similarity, "clips"), limit, SAME_SPEAKER, "speaker", found)
        return similarity

    def _words(self, samples: Samples, found: Findings) -> float | None:
        script = CONSENT.get(self.language, "")
        limit = f"a statement such as: {script}" if script else "a statement of consent"
        if self.listener is None or self.language not in self.listener.languages:
            known = ", ".join(self.listener.languages) if self.listener is not None else "no language"
            value = f"its words cannot be checked: the recogniser hears {known}"
            self._doubt(value, limit, "ask somebody who understands it to listen", "unheard", found)
            return None
        best = consent_score(log_softmax(self.listener.scores(samples)), self.language)
        if best < self.recipe.min_consent_words:
            value = other_words(best, self.recipe.min_consent_words)
            self._doubt(value, limit, "read the sentence of script.txt, in a quiet room", "words", found)
        return best

    def _doubt(self, value: str, limit: str, remedy: str, kind: str, found: Findings) -> None:
        if self.approved_by:
            found.remark(self.where, f"{value}; approved by {self.approved_by}", limit, "nothing to do", kind)
        else:
            found.refuse(self.where, value, limit, f"{remedy}; {_APPROVE}", kind)


def spoken_part(samples: Samples, heard: ClipSurvey) -> Samples:
    """The samples (n,) at 16 kHz from the first to the last speech."""
    runs = heard.activity.runs(True)
    return samples[round(runs[0][0] * ANALYSIS_RATE_HZ) : round(runs[-1][1] * ANALYSIS_RATE_HZ)]
