"""Metrics whose models are optional: DistillMOS (extra `mos`) and Whisper (extra `whisper`)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from timbre.audio.waveform import Waveform
from timbre.evaluation.metrics import distilled
from timbre.evaluation.metrics.errors import UnmeasurableError
from timbre.evaluation.whisper import EXTRA, LANGUAGES, Whisper


@dataclass(frozen=True)
class OptionalJudges:
    """Metrics that need an extra."""

    mos: bool = False
    """Whether DistillMOS is used."""
    whisper: Whisper | None = None
    """A loaded model, or None."""

    @property
    def whisper_languages(self) -> tuple[str, ...]:
        """What Whisper is asked about; nothing without it."""
        return LANGUAGES if self.whisper is not None else ()

    def word_errors(self, wave: Waveform, text: str, language: str) -> float:
        """Errors over words or toned syllables, at most 1. Raises UnmeasurableError for a text without any."""
        assert self.whisper is not None, "whisper_languages says whether it may be asked"
        counts = self.whisper.errors(wave, text, language)
        if not counts.length:
            raise UnmeasurableError("Whisper: the text has no words")
        # Without speech a language model may invent whole sentences: no text is worse than wholly wrong.
        return min(1.0, counts.rate)

    def digests(self) -> dict[str, str]:
        """Metric -> SHA-256 of its model."""
        found = {"distilled_mos": distilled.model_digest()} if self.mos else {}
        return found | ({"listener_error_rate": self.whisper.digest} if self.whisper is not None else {})

    def unasked(self, languages: Collection[str]) -> dict[str, str]:
        """Metric -> why it is not asked about texts of these languages."""
        found = {}
        if not self.mos:
            found["distilled_mos"] = f"the extra {distilled.EXTRA} is not installed"
        if self.whisper is None:
            found["listener_error_rate"] = f"no Whisper model here: the extra {EXTRA}, evaluate.listener"
        elif unheard := sorted(set(languages) - set(LANGUAGES)):
            found["listener_error_rate"] = f"Whisper is not asked about {', '.join(unheard)}"
        return found
