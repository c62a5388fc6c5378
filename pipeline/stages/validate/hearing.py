"""What stage 1 hears in every slice, kept until all of them can be compared with all texts.

slice + text -> phones of the text, frame scores of the sound -> transcripts.find_mismatches -> problems, remarks
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from timbre.audio.waveform import Samples
from timbre.core.errors import InputError
from timbre.core.problems import Problem
from timbre.pipeline.stages.validate.listening import Listener
from timbre.pipeline.stages.validate.transcripts import Spoken, find_mismatches, transcript_problems
from timbre.text.frontend import phonemize
from timbre.text.lexicon import Lexicon
from timbre.text.recognition import spoken_class_ids


@dataclass(frozen=True)
class Verdict:
    """What the recogniser found."""

    problems: tuple[Problem, ...] = ()
    """Problems of the list as a whole (a shift, a swap)."""
    rejected: tuple[tuple[str, Problem], ...] = ()
    """Problems of single recordings, by file."""
    remarks: tuple[Problem, ...] = ()
    """Recordings worth a listen."""
    unheard: tuple[str, ...] = ()
    """Languages that the recogniser lacks."""


@dataclass
class Hearing:
    """Collects slices."""

    listener: Listener | None
    """None where no recogniser is there; then nothing is kept."""
    lexicon: Lexicon
    """The voice's own readings, so that its names are expected as they are spoken."""
    spoken: list[Spoken] = field(default_factory=list)
    """Slices that can be compared, in the order of recordings."""
    unheard: set[str] = field(default_factory=set)
    """Languages of slices that could not be compared; may hold "" for an unknown one."""

    def add(self, clip: str, text: str, language: str, samples: Samples) -> None:
        """Keep what is heard in one slice. samples: (n,) at 16 kHz."""
        phones = self._phones(text, language)
        if phones is None or self.listener is None:
            self.unheard.add(language)
            return
        scores = self.listener.scores(samples)
        self.spoken.append(Spoken(clip, text, phones, scores.astype(np.float16)))

    def verdict(self, rows: Sequence[str]) -> Verdict:
        """Compares all slices with all texts. rows: files in the order of the list."""
        found, moved = find_mismatches(self.spoken, rows)
        problems, remarks = transcript_problems(self.spoken, rows, found, moved)
        unheard = tuple(sorted(self.unheard - {""}))
        if moved.offset or moved.swaps:
            # The list is wrong, not the recordings: leaving some out would train the rest on wrong texts.
            return Verdict(tuple(problems), (), tuple(remarks), unheard)
        certain = {self.spoken[item.index].clip for item in found if item.certain}
        rejected = tuple((problem.where, problem) for problem in problems if problem.where in certain)
        listed = {where for where, _ in rejected}
        rest = tuple(problem for problem in problems if problem.where not in listed)
        return Verdict(rest, rejected, tuple(remarks), unheard)

    def _phones(self, text: str, language: str) -> tuple[int, ...] | None:
        if self.listener is None or language not in self.listener.languages:
            return None
        try:
            return spoken_class_ids(phonemize(text, language, self.lexicon).phones)
        except InputError:
            # Stage 2 names texts that cannot be spoken; words of other languages have no classes here.
            return None


def unheard_remark(unheard: Sequence[str], heard_by: str) -> Problem | None:
    """What to say where texts could not be compared with their recordings."""
    if not unheard:
        return None
    what = f"texts in {', '.join(unheard)} were not compared with what is said: "
    why = f"the recogniser of {heard_by} does not know this language" if heard_by else "no base here has a recogniser"
    return Problem(
        "all clips", what + why, "every text beside its recording", "listen to a few of them yourself", "untested"
    )
