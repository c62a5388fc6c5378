"""What a caller asks for, and what it gets."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field

from timbre.audio.waveform import Waveform
from timbre.core.errors import InputError
from timbre.inference.sampling import Sampling
from timbre.inference.timing import SentenceTime

MAX_CHARACTERS = 10_000


@dataclass(frozen=True)
class SpeechRequest:
    """A text to speak.

    language: code of the text's language, or "auto" for the prompt's language with others detected inside. speed:
    0.25 to 4,
    above 1 is faster. pause_s: silence between sentences. check: recognise each sentence and speak it once more when
    words are missing (whole-text requests only). lexicon: word -> phones that override the voice's own and the
    dictionary. prompt_codes: whether speech continues the voice's prompt, None for what suits the base; without, the
    prompt conditions the sound only. longest_s: of the speech as planned, pauses included; None for any.
    """

    text: str
    language: str = "auto"
    sampling: Sampling = field(default_factory=Sampling)
    speed: float = 1.0
    pause_s: float = 0.3
    check: bool = True
    lexicon: Mapping[str, tuple[str, ...]] | None = None
    prompt_codes: bool | None = None
    longest_s: float | None = None

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
    """Outcome of one sentence.

    phones: ids that were spoken. codes: semantic codes. seconds: of audio at the requested speed. attempts: 1, or more
    when it was spoken again. failures: reasons of the kept attempt, empty when it is sound. first_failures: of the
    first attempt. error_rate: by the base's recogniser, None when it was not asked. gain: below 1 when the sentence had
    to be turned down to stay within full scale; a stream, which does not know its loudest sample, would have cut it.
    times: of its words and sounds, from the sentence's own start.
    """

    text: str
    phones: tuple[int, ...]
    codes: tuple[int, ...]
    seconds: float
    attempts: int
    failures: tuple[str, ...]
    first_failures: tuple[str, ...]
    error_rate: float | None
    gain: float = 1.0
    times: SentenceTime | None = None


@dataclass(frozen=True)
class Speech:
    """Audio of a whole request and the outcome of its sentences.

    unknown: characters that could not be spoken. times: of all sentences, from the start of the audio.
    """

    wave: Waveform
    sentences: tuple[SpokenSentence, ...]
    unknown: tuple[str, ...]
    times: tuple[SentenceTime, ...] = ()


@dataclass(frozen=True)
class SpeechStream(Iterator[Waveform]):
    """Audio of a request in pieces, while it is spoken. unknown: characters that are not spoken.

    Nothing is decoded before the first piece is asked for; close() ends speaking and frees its slots. times: of the
    sentences that have ended, from the start of the audio; grows while pieces are taken.
    """

    pieces: Generator[Waveform]
    unknown: tuple[str, ...]
    times: list[SentenceTime] = field(default_factory=list)

    def __next__(self) -> Waveform:
        return next(self.pieces)

    def close(self) -> None:
        """Stops speaking; also when it has not begun or has ended."""
        self.pieces.close()
