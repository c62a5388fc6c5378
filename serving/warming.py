"""What a server does before its first client: a word spoken, so that sessions have run, and dictionaries read."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from timbre.core.errors import ConfigurationError
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.text.frontend import phonemize
from timbre.text.marks import Sounds, character

GREETINGS = {"zh": "你好。", "en": "Hello.", "ja": "こんにちは。", "ko": "안녕하세요.", "yue": "你好。"}
_SOUNDS = {
    "en": Sounds("Hello", ("HH", "AH0", "L", "OW1"), "en"),
    "zh": Sounds("你好", ("n", "i2", "h", "ao3"), "zh"),
}
"""Of the greetings: a server is ready without a dictionary, which takes longer to read than its graphs to open."""


def first_words(language: str) -> SpeechRequest:
    """A greeting in a voice's language, by its sounds where they stand here."""
    sounds = _SOUNDS.get(language if language in GREETINGS else "en")
    if sounds is None:
        return SpeechRequest(GREETINGS[language], check=False, sampling=Sampling(seed=0))
    return SpeechRequest(
        f"{character(0)}.", language=sounds.language, check=False, sampling=Sampling(seed=0), marks=(sounds,)
    )


def read_dictionaries(languages: Iterable[str]) -> None:
    """Those of a language are read at its first sentence, which no client should wait for."""
    for language in languages:
        # A machine without the packages of a language says so to the client that asks for it.
        with suppress(ConfigurationError):
            phonemize(GREETINGS[language], language)
