"""What a caller requests, and what it gets."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field

from timbre.audio.waveform import Waveform
from timbre.core.errors import InputError
from timbre.inference.sampling import Sampling
from timbre.inference.timing import SentenceTime
from timbre.text.marks import Mark

MAX_CHARACTERS = 10_000


@dataclass(frozen=True)
class SpeechRequest:
    """A text to speak."""

    text: str
    """At most MAX_CHARACTERS; marks stand in it as private characters."""
    language: str = "auto"
    """Code of the text's language, or "auto" for the prompt's language with others detected inside."""
    sampling: Sampling = field(default_factory=Sampling)
    """How codes are drawn; what it leaves at None is the base's."""
    speed: float = 1.0
    """Speaking rate, 0.25 to 4; above 1 is faster."""
    pause_s: float = 0.3
    """Silence between sentences."""
    check: bool = True
    """Whether to check each sentence and to repeat a failed one (whole-text requests only)."""
    lexicon: Mapping[str, tuple[str, ...]] | None = None
    """Word -> phones that override the voice's own and the dictionary."""
    prompt_codes: bool | None = None
    """Whether speech continues the codes of the voice's prompt; None for the base's default. Without them the prompt
    conditions the sound only.
    """
    longest_s: float | None = None
    """Longest planned speech that is accepted, pauses included; None for any."""
    marks: tuple[Mark, ...] = ()
    """What private characters of the text stand for (text/marks.py)."""
    lead_s: float = 0.0
    """Silence before the first sentence, unless a mark sets it."""

    def __post_init__(self) -> None:
        if len(self.text) > MAX_CHARACTERS:
            raise InputError(
                f"text: {len(self.text)} characters, the limit is {MAX_CHARACTERS}", "send it in several requests"
            )
        for name, value, low, high in (("speed", self.speed, 0.25, 4.0), ("pause_s", self.pause_s, 0.0, 5.0)):
            if not low <= value <= high:  # also refuses NaN
                raise InputError(
                    f"{name}: {value!r} is outside {low:g} to {high:g}", f"choose {name} inside these limits"
                )


@dataclass(frozen=True)
class SpokenSentence:
    """Outcome of one sentence."""

    text: str
    """As it was read, cut from the request's text."""
    phones: tuple[int, ...]
    """Ids that were spoken."""
    codes: tuple[int, ...]
    """Semantic codes."""
    seconds: float
    """Duration at the requested speed."""
    attempts: int
    """1, or more if it was spoken again."""
    failures: tuple[str, ...]
    """Reasons why the kept attempt failed; empty if it passed."""
    first_failures: tuple[str, ...]
    """Reasons of the first attempt."""
    error_rate: float | None
    """Phone error rate by the base's recogniser; None if it was not used."""
    gain: float = 1.0
    """The least gain around a peak that had to stay within full scale; 1 if none had to."""
    times: SentenceTime | None = None
    """Times of its words and sounds, from the start of the sentence."""
    before_s: float = 0.0
    """Silence before it."""
    after_s: float = 0.0
    """Silence after it."""


@dataclass(frozen=True)
class Speech:
    """Audio of a whole request and the outcome of its sentences."""

    wave: Waveform
    """Mono, at the base's rate, with leading silence and pauses."""
    sentences: tuple[SpokenSentence, ...]
    """In order of speaking."""
    unknown: tuple[str, ...]
    """Characters that could not be spoken."""
    times: tuple[SentenceTime, ...] = ()
    """Times of all sentences, from the start of the audio."""


@dataclass(frozen=True)
class SpeechStream(Iterator[Waveform]):
    """Audio of a request in pieces, while it is spoken.

    Decoding starts with the first piece; close() stops it and frees its slots.
    """

    pieces: Generator[Waveform]
    """Generator behind the stream: mono pieces at the base's rate, of any length."""
    unknown: tuple[str, ...]
    """Characters that cannot be spoken."""
    times: list[SentenceTime] = field(default_factory=list)
    """Times of the finished sentences, from the start of the audio; grows as pieces are consumed."""

    def __next__(self) -> Waveform:
        return next(self.pieces)

    def close(self) -> None:
        """Stops speaking; also when it has not begun or has ended."""
        self.pieces.close()
