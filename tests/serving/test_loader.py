"""How many voices stay in memory, and what a server says first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pytest

from timbre.inference.pace import Pace
from timbre.inference.t2s_slots import Lora
from timbre.inference.voice import Delta, Prompt, Voice
from timbre.serving.loader import Loader, Speaker
from timbre.serving.settings import load_settings
from timbre.serving.warming import GREETINGS, first_words
from timbre.text import english_words
from timbre.text.frontend import phonemize

KIB = 1024


def voice(name: str, kib: int) -> Voice:
    """A voice whose tensors take so much."""
    none = np.zeros(0, np.int64)
    empty = np.zeros(0, np.float32)
    prompt = Prompt(none, none, "en", empty, empty, Pace(0.08))
    floats = kib * KIB // 4
    half = np.zeros((1, floats // 4), np.float32)
    lora = Lora({"q": (half, half)})
    return Voice(name, "local", "0" * 64, prompt, lora, {"dec.weight": Delta(half, half, 1.0)})


def loader(held: int, held_bytes: int) -> Loader:
    unused = cast(Any, None)
    return Loader(unused, unused, unused, held, held_bytes)


def names(of: Mapping[tuple[str, str], Speaker]) -> list[str]:
    return [name for name, _ in of]


@pytest.mark.parametrize(
    ("held", "kib", "sizes", "kept"),
    [
        (64, 100, [40, 40, 10], ["v0", "v1", "v2"]),
        (64, 100, [40, 40, 40], ["v1", "v2"]),
        (64, 100, [40, 40, 90], ["v2"]),
        (64, 100, [40, 300], ["v1"]),
        (1, 100, [10, 10], ["v1"]),
    ],
)
def test_voices_in_memory_are_bounded_by_number_and_size(
    held: int, kib: int, sizes: list[int], kept: list[str]
) -> None:
    holding = loader(held, kib * KIB)
    for number, size in enumerate(sizes):
        made = voice(f"v{number}", size)
        assert made.size_bytes == size * KIB
        holding._hold((made.name, made.version), Speaker(None, made, cast(Any, None)), lambda: True)
    assert names(holding.held) == kept


def test_the_settings_bound_both() -> None:
    settings = load_settings(None, {"TIMBRE_SERVE_VOICES_MIB": "300"}, {"decoders_mib": 64})
    assert (settings.voices_mib, settings.decoders_mib) == (300, 64)


@pytest.mark.parametrize("language", ["en", "zh", "fr"])
def test_the_first_words_are_the_greeting_and_need_no_dictionary(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = language if language in GREETINGS else "en"
    greeting = phonemize(GREETINGS[spoken], spoken).phones

    def unread() -> dict[str, str]:
        raise AssertionError("the dictionary was read")

    request = first_words(language)
    monkeypatch.setattr(english_words, "_cmudict", unread)
    assert request.language == spoken
    assert phonemize(request.text, request.language, marks=request.marks).phones == greeting
