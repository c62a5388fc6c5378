"""What is listened to: copies of held-out recordings and spoken sentences, before anything is measured.

recording, voice -> CopiedRecording; sentence, seed, voice -> Spoken

Apart from the measuring, so that one rendition can be measured twice, and be degraded on purpose in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timbre.audio.waveform import Waveform
from timbre.core.errors import TimbreError
from timbre.evaluation.metrics.words import Word, spelled_words
from timbre.evaluation.texts import fixed_sentences
from timbre.inference.copy_synthesis import CopySynthesis
from timbre.inference.engine import Engine
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.inference.voice import Voice
from timbre.text.frontend import phonemize

HELD_OUT, FIXED = "held-out", "fixed"


@dataclass(frozen=True)
class Recording:
    """A held-out slice."""

    id: str
    """Of the slice."""
    text: str
    """As in metadata.csv."""
    language: str
    """Of the text."""
    wave: Waveform
    """[L], at the base's rate."""


@dataclass(frozen=True)
class Sentence:
    """A sentence to speak."""

    id: str
    """Names it in reports and files."""
    text: str
    """As it is given to the engine."""
    source: str
    """HELD_OUT or FIXED."""
    language: str
    """Of the text."""


@dataclass(frozen=True)
class CopiedRecording:
    """A recording and its copy, in step."""

    recording: Recording
    """What was copied."""
    original: Waveform
    """[L], at the base's rate."""
    copy: Waveform
    """[L], at the base's rate."""


@dataclass(frozen=True)
class Spoken:
    """A sentence from its text."""

    sentence: Sentence
    """What was to be said."""
    seed: int
    """Of the sampling."""
    wave: Waveform | None
    """None if it could not be spoken; `refusal` then says why."""
    failures: tuple[str, ...]
    """Reasons found by the engine."""
    expected_s: float
    """Duration at the voice's own pace."""
    sounding_s: float
    """Duration of its sounds alone."""
    phones: tuple[str, ...]
    """Phones to say, with the voice's own readings."""
    refusal: str = ""
    """The engine's error; "" if it spoke."""
    gain: float = 1.0
    """Factor by which the engine turned it down (1: not at all)."""
    words: tuple[tuple[str, Word], ...] = ()
    """The same, each word with its spelling and its phones."""
    pausing_s: float = 0.0
    """Duration of its pauses alone."""


class Renderer:
    """Lets voices of one engine copy and speak; first attempts only."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._copies = CopySynthesis(engine.base, engine.decoders, threads=engine.settings.threads)

    def copy(self, item: Recording, voice: Voice) -> CopiedRecording:
        """The recording through posterior encoder and the voice's generator."""
        original, copied = self._copies.copy(item.wave, voice)
        return CopiedRecording(item, original, copied)

    def speak(self, sentence: Sentence, seed: int, voice: Voice) -> Spoken:
        """The sentence in this voice. Never raises for a text that cannot be spoken: that is a finding."""
        request = SpeechRequest(sentence.text, language=sentence.language, sampling=Sampling(seed=seed), check=False)
        phonemes = phonemize(sentence.text, sentence.language, voice.lexicon)
        phones, words = phonemes.phones, spelled_words(phonemes, voice.lexicon)
        pace = voice.prompt.pace
        expected = pace.expected_s(phones), pace.sounding_s(phones)
        try:
            speech = self._engine.speak(request, voice)
        except TimbreError as error:
            return Spoken(sentence, seed, None, (), *expected, phones, f"not spoken: {error.message}")
        pausing_s = pace.pausing_s(phones)
        failures = tuple(reason for spoken in speech.sentences for reason in spoken.failures)
        gain = min((spoken.gain for spoken in speech.sentences), default=1.0)
        return Spoken(
            sentence, seed, speech.wave, failures, *expected, phones, gain=gain, words=words, pausing_s=pausing_s
        )  # fmt: skip


def sentences_for(held_out: Sequence[Recording], fixed: int) -> list[Sentence]:
    """The voice's own held-out sentences, and so many of the fixed ones of its language."""
    own = [Sentence(item.id, item.text, HELD_OUT, item.language) for item in held_out]
    language = held_out[0].language
    texts = fixed_sentences(language)[:fixed] if fixed else []
    return own + [Sentence(f"fixed-{index:03d}", text, FIXED, language) for index, text in enumerate(texts, 1)]
