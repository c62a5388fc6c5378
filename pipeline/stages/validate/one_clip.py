"""One take judged by itself, while the person is still before the microphone: within a second, without a voice folder.

file + text -> survey, words, likeness to the takes before -> ClipJudgement
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.core.errors import InputError
from timbre.core.problems import Problem
from timbre.core.recipe import ValidateRecipe
from timbre.inference.speaker_groups import Vectors, likeness
from timbre.pipeline.stages.validate.checks import Findings, check_noise, check_pace, check_sound, check_take_speaker
from timbre.pipeline.stages.validate.cleaning import ANALYSIS_RATE_HZ, DenoiseDecision
from timbre.pipeline.stages.validate.listening import Listener
from timbre.pipeline.stages.validate.speakers import MIN_SPEECH_S, SpeakerEncoder
from timbre.pipeline.stages.validate.survey import ClipSurvey, survey_clip, undecodable
from timbre.pipeline.stages.validate.words_heard import WordsHeard, words_heard
from timbre.text.alignment_score import log_softmax

MAX_TAKE_S = 60.0
_NOT_DENOISED = DenoiseDecision(False, "", "not tried on a single take")


@dataclass(frozen=True, eq=False)
class ClipJudgement:
    """What stage 1 finds in one take."""

    survey: ClipSurvey | None
    """None when the file does not decode."""
    problems: tuple[Problem, ...]
    """Reasons to record the take again."""
    remarks: tuple[Problem, ...]
    """What would make it sound better."""
    missed: tuple[str, ...] | None
    """Words of the text that were not heard, None where nothing could listen."""
    similarity: float | None
    """To the takes before, None without any."""
    vector: Vectors | None
    """Of the speaker, to hand in with the next take; None for too little speech."""

    @property
    def good(self) -> bool:
        """Whether it can be kept."""
        return not self.problems


@dataclass
class ClipJudge:
    """Loads its networks once."""

    recipe: ValidateRecipe
    """Limits of stage 1, so that a take kept here passes there."""
    base_rate_hz: int
    """Of the base that the voice is for."""
    listener: Listener | None
    """None without a recogniser."""
    encoder: SpeakerEncoder = field(default_factory=SpeakerEncoder)
    """Embeds the speaker of a take; loads its network at the first one."""

    def judge(self, path: Path, text: str, language: str, earlier: Sequence[Vectors] = ()) -> ClipJudgement:
        """Judges one take.

        path: its file. text: what it should say. earlier: vectors of the takes before, by `ClipJudgement.vector`.
        """
        found = Findings()
        try:
            samples = resample(read(path, MAX_TAKE_S), ANALYSIS_RATE_HZ).samples
        except InputError as error:
            return _refused(path, error)
        # The recogniser listens on one core while the other looks at the sound and at the speaker.
        with ThreadPoolExecutor(1) as beside:
            listening = beside.submit(self._heard, samples, text, language)
            return self._judge(path, samples, text, listening.result, earlier, found)

    def _judge(
        self,
        path: Path,
        samples: NDArray[np.float32],
        text: str,
        hear: Callable[[], WordsHeard | None],
        earlier: Sequence[Vectors],
        found: Findings,
    ) -> ClipJudgement:
        try:
            survey = survey_clip(path, MAX_TAKE_S, self.recipe.vad_aggressiveness)
        except InputError as error:
            return _refused(path, error)
        if not survey.speech_s:
            found.refuse(path.name, "no speech found", "speech", "record it again, closer to the microphone", "silent")
            return ClipJudgement(survey, tuple(found.problems), (), None, None, None)
        check_sound(path.name, survey, self.recipe, self.base_rate_hz, found)
        check_noise(path.name, survey, _NOT_DENOISED, self.recipe, found)
        check_pace([path.name], [text], [survey.speech_s], self.recipe, found)
        vector, similarity = None, None
        if survey.speech_s >= MIN_SPEECH_S:
            vector = self.encoder.embed([samples])[0]
            if len(earlier):
                similarity = float(likeness(np.stack(list(earlier)), vector[None])[0])
        heard = hear()
        if heard is not None and heard.missed:
            remedy = "read the sentence again, every word of it"
            tell = found.refuse if heard.refused else found.remark
            tell(path.name, f"not heard: {', '.join(heard.missed)}", "every word of the text", remedy, "words")
        if similarity is not None:
            check_take_speaker(path.name, similarity, len(earlier), self.recipe, found)
        problems = (*found.problems, *(problem for _, problem in found.rejected))
        return ClipJudgement(
            survey, problems, tuple(found.remarks), heard.missed if heard else None, similarity, vector
        )

    def _heard(self, samples: NDArray[np.float32], text: str, language: str) -> WordsHeard | None:
        if self.listener is None or language not in self.listener.languages:
            return None
        return words_heard(log_softmax(self.listener.scores(samples)), text, language)


def _refused(path: Path, error: InputError) -> ClipJudgement:
    return ClipJudgement(None, (undecodable(path.name, path.name, error),), (), None, None, None)
