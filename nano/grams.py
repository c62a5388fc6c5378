"""The phone grams of the package, counted over the texts of the training speech and made-up sentences."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from timbre.core.errors import InputError
from timbre.nano.corpus import training_files
from timbre.nano.sentences import MandarinSentences, SentenceSource
from timbre.text.frontend import phonemize
from timbre.text.phone_grams import PhoneGrams
from timbre.text.recognition import spoken_class_ids

Row = tuple[int, ...]


READ_TIMES = 4
"""How often the texts of recordings count: they are language, the made-up ones only pairs of words."""


def count_grams(speech: Path, english: int = 16_000, mandarin: int = 4_000, seed: int = 77) -> PhoneGrams:
    """Grams of so many made-up sentences of each language and of the texts that training may read; never of an eval
    text."""
    return PhoneGrams.count(_sentences(speech, english, mandarin, seed))


def _sentences(speech: Path, english: int, mandarin: int, seed: int) -> Iterator[Row]:
    texts = [(file.text, file.language) for file in training_files(speech)] * READ_TIMES
    texts += [(text, "en") for text in islice(SentenceSource(speech, seed).sentences(read_share=0.0), english)]
    texts += [(text, "zh") for text in islice(MandarinSentences(speech, seed + 1).sentences(), mandarin)]
    for text, language in texts:
        try:
            phones = phonemize(text, language).phones
        except InputError:
            continue
        yield spoken_class_ids(phones)
