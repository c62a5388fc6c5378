"""When each word and sound of a sentence is heard.

phones of the text + codes that were spoken -> seconds of every sound -> words (what the text room counted) -> times

Where codes stand for phones (text/phone_codes.py), times are exact to one code (40 ms): each sound begins with its own
code. On other bases nothing says where a sound begins; then the sounding part of the wave is shared out by the voice's
pace, and the result says that it is an estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timbre.core.errors import InputError
from timbre.inference.pace import Pace
from timbre.text.phone_codes import UNIT_OF, tone_of
from timbre.text.phonemes import Phonemes
from timbre.text.recognition import SILENCE, class_of
from timbre.text.symbols import MARKS, is_speech

BY_CODES, BY_PACE = "codes", "estimate"
"""How times were found: from the codes themselves, or by the voice's pace."""

_STRONG = frozenset({".", "!", "?", "…"})
_FRAME_S = 0.01
_FAINT = 0.02
"""Share of the loudest frame's amplitude below which a frame at the edge counts as silence."""


@dataclass(frozen=True)
class SoundTime:
    """When one sound is heard."""

    symbol: str
    """Of the v2 table."""
    start_s: float
    """Seconds from the start of the audio."""
    end_s: float
    """Seconds from the start of the audio."""


@dataclass(frozen=True)
class WordTime:
    """When one word, or one Chinese character, is heard."""

    text: str
    """As it is spoken."""
    start_s: float
    """Seconds from the start of the audio."""
    end_s: float
    """Seconds from the start of the audio."""
    sounds: tuple[SoundTime, ...]
    """Of the word, in order."""


@dataclass(frozen=True)
class SentenceTime:
    """When one sentence is heard."""

    text: str
    """As it was written."""
    start_s: float
    """Seconds from the start of the audio."""
    end_s: float
    """Seconds from the start of the audio."""
    words: tuple[WordTime, ...]
    """Of the sentence, in order."""
    method: str
    """BY_CODES or BY_PACE."""

    def moved(self, by_s: float) -> SentenceTime:
        """The same, later."""
        words = tuple(
            replace(
                word,
                start_s=word.start_s + by_s,
                end_s=word.end_s + by_s,
                sounds=tuple(replace(s, start_s=s.start_s + by_s, end_s=s.end_s + by_s) for s in word.sounds),
            )
            for word in self.words
        )
        return replace(self, start_s=self.start_s + by_s, end_s=self.end_s + by_s, words=words)


def sentence_time(
    text: str,
    phonemes: Phonemes,
    codes: Sequence[int],
    wave: NDArray[np.float32],
    *,
    rate_hz: int,
    pace: Pace,
    codes_are_phones: bool,
) -> SentenceTime:
    """Times of a spoken sentence, from its own start. wave [S]: as spoken, at whatever speed."""
    seconds = len(wave) / rate_hz
    spans = _from_codes(phonemes.phones, codes, seconds) if codes_are_phones and len(codes) else None
    method = BY_PACE if spans is None else BY_CODES
    if spans is None:
        spans = _by_pace(phonemes.phones, wave, rate_hz, pace)
    return SentenceTime(text, 0.0, seconds, tuple(_words(phonemes, spans)), method)


Span = tuple[float, float]


def _from_codes(phones: Sequence[str], codes: Sequence[int], seconds: float) -> list[Span | None] | None:
    """A span for every sounding phone, None for marks; None as a whole when the codes are not those of these phones."""
    silence = UNIT_OF[SILENCE, 0]
    begins = [place for place, code in enumerate(codes) if code % 2 == 0]
    ends = [*begins[1:], len(codes)]
    heard = [(codes[b] // 2, b, e) for b, e in zip(begins, ends, strict=True) if codes[b] // 2 != silence]
    each_s = seconds / len(codes)
    spans: list[Span | None] = []
    at = 0
    for phone in phones:
        unit = _unit(phone)
        if unit is None:
            spans.append(None)
            continue
        if at == len(heard) or heard[at][0] != unit:
            return None
        spans.append((heard[at][1] * each_s, heard[at][2] * each_s))
        at += 1
    return spans if at == len(heard) else None


def _unit(phone: str) -> int | None:
    """Unit of a sounding phone, None for silence; -1 for a phone that has no unit."""
    try:
        kind = class_of(phone)
    except (InputError, KeyError):
        return -1
    return None if kind is None or kind == SILENCE else UNIT_OF.get((kind, tone_of(phone)), -1)


def _by_pace(phones: Sequence[str], wave: NDArray[np.float32], rate_hz: int, pace: Pace) -> list[Span | None]:
    start_s, end_s = _sounding(wave, rate_hz)
    sounding = [place for place, phone in enumerate(phones) if is_speech(phone)]
    if not sounding:
        return [None] * len(phones)
    inner = range(sounding[0], sounding[-1] + 1)
    shares = [_share(phones[place], pace) if place in inner else 0.0 for place in range(len(phones))]
    edges = start_s + np.concatenate([[0.0], np.cumsum(shares)]) / max(sum(shares), 1e-9) * (end_s - start_s)
    return [
        (float(edges[place]), float(edges[place + 1])) if is_speech(phone) else None
        for place, phone in enumerate(phones)
    ]


def _share(phone: str, pace: Pace) -> float:
    if is_speech(phone):
        return pace.phone_s
    return 0.0 if phone not in MARKS else pace.strong_s if phone in _STRONG else pace.weak_s


def _sounding(wave: NDArray[np.float32], rate_hz: int) -> Span:
    """Start and end of what is heard, s."""
    size = max(1, round(_FRAME_S * rate_hz))
    frames = len(wave) // size
    if not frames:
        return 0.0, len(wave) / rate_hz
    level = np.abs(wave[: frames * size]).reshape(frames, size).max(axis=1)
    loud = np.flatnonzero(level > _FAINT * float(level.max()))
    if not len(loud):
        return 0.0, len(wave) / rate_hz
    return float(loud[0]) * size / rate_hz, float(loud[-1] + 1) * size / rate_hz


def _words(phonemes: Phonemes, spans: Sequence[Span | None]) -> Iterator[WordTime]:
    at = 0
    for text, count in _parts(phonemes):
        sounds = tuple(
            SoundTime(phone, *span)
            for phone, span in zip(phonemes.phones[at : at + count], spans[at : at + count], strict=True)
            if span is not None
        )
        at += count
        if sounds:
            yield WordTime(text, sounds[0].start_s, sounds[-1].end_s, sounds)


def _parts(phonemes: Phonemes) -> Iterable[tuple[str, int]]:
    for segment in phonemes.segments:
        yield from segment.parts
