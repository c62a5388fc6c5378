"""A script as requests of the engine, one for each turn; and one voice that speaks a text with its marks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from timbre.audio.waveform import Waveform
from timbre.core.errors import InputError
from timbre.inference.long_text import parts_of
from timbre.inference.request import MAX_CHARACTERS, Speech, SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.text.marked_text import read_script
from timbre.text.turns import Script

_SEEDS_APART = 15_485_863


@dataclass(frozen=True)
class SpokenTurn:
    """A turn of a dialogue."""

    voice: str
    """As the text names it, "" for the request's voice."""
    request: SpeechRequest
    """What it says, and how."""


def marked_turns(request: SpeechRequest) -> list[SpokenTurn]:
    """What a text with marks, or in SSML, asks of the engine. Raises what read_script and spoken_turns raise."""
    return spoken_turns(read_script(request.text), request)


def spoken_turns(script: Script, request: SpeechRequest, longest: int = MAX_CHARACTERS) -> list[SpokenTurn]:
    """What each turn asks of the engine, a turn of more than `longest` characters in parts. request: all but the text.
    Each has its own random numbers, which follow from the request's seed.

    Raises InputError for a rate that, with the request's speed, is outside the limits.
    """
    found: list[SpokenTurn] = []
    for turn in script.turns:
        language = turn.language or (script.language if request.language == "auto" else "") or request.language
        texts = [turn.text] if len(turn.text) <= longest else list(parts_of(turn.text)) or [turn.text[:longest]]
        for text in texts:
            asked = replace(
                request, text=text, marks=script.marks, language=language, speed=request.speed * turn.rate,
                sampling=_of_part(request.sampling, len(found)), lead_s=request.pause_s if found else request.lead_s,
            )  # fmt: skip
            found.append(SpokenTurn(turn.voice, asked))
    return found


def _of_part(sampling: Sampling, index: int) -> Sampling:
    """How codes of part `index` of a text are drawn."""
    return sampling if sampling.seed is None else replace(sampling, seed=(sampling.seed + _SEEDS_APART * index) % 2**63)


def speak_turns(turns: list[SpokenTurn], speak: Callable[[str, SpeechRequest], Speech]) -> Speech:
    """All turns as one speech. speak: takes a voice's name ("" for the request's) and what it says.

    Raises InputError for voices of different rates, and what speak raises.
    """
    spoken: list[Speech] = []
    for turn in turns:
        speech = speak(turn.voice, turn.request)
        if spoken and speech.wave.rate_hz != spoken[0].wave.rate_hz:
            raise InputError(
                f"voice {turn.voice!r}: its base speaks at {speech.wave.rate_hz} Hz, the voice before it at "
                f"{spoken[0].wave.rate_hz} Hz",
                "let voices of one rate speak together",
            )
        spoken.append(speech)
    if len(spoken) == 1:
        return spoken[0]
    rate_hz, before_s, times = spoken[0].wave.rate_hz, 0.0, []
    for speech in spoken:
        times += [time.moved(before_s) for time in speech.times]
        before_s += speech.wave.duration_s
    return Speech(
        Waveform(np.concatenate([speech.wave.samples for speech in spoken]), rate_hz),
        tuple(sentence for speech in spoken for sentence in speech.sentences),
        tuple(dict.fromkeys(character for speech in spoken for character in speech.unknown)),
        tuple(times),
    )
