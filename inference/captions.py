"""Times of speech as files that players and programs read: SubRip, WebVTT, JSON.

A cue is a clause of a sentence as it was written, short enough for a screen. Words carry what is spoken (numbers in
words), so the border of a cue inside a sentence is the end of the word that stands as far into it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from timbre.inference.timing import SentenceTime
from timbre.text.sentences import split

_LONGEST_CUE = 84
"""Letters' worth: two lines of subtitles."""


@dataclass(frozen=True)
class Cue:
    """A caption."""

    text: str
    """As shown."""
    start_s: float
    """Seconds from the start of the audio."""
    end_s: float
    """Seconds from the start of the audio."""


def cues(times: Iterable[SentenceTime]) -> list[Cue]:
    """One cue a sentence, more for a long one."""
    return [cue for time in times for cue in _of_sentence(time)]


def _of_sentence(time: SentenceTime) -> list[Cue]:
    parts = split(time.text, _LONGEST_CUE)
    if not time.words:
        return [Cue(time.text, time.start_s, time.end_s)]
    letters = [len(word.text) for word in time.words]
    total, whole = sum(letters), sum(map(len, parts))
    found: list[Cue] = []
    start_s, word, seen, written = time.words[0].start_s, 0, 0, 0
    for index, part in enumerate(parts):
        written += len(part)
        wanted = total * written / whole
        # At least one word each, and as many as end closest to the border.
        while word < len(letters) and seen + letters[word] / 2 <= wanted:
            seen, word = seen + letters[word], word + 1
        last = index == len(parts) - 1
        end_s = time.words[-1].end_s if last else time.words[max(word - 1, 0)].end_s
        end_s = max(end_s, start_s)
        found.append(Cue(part, start_s, end_s))
        start_s = time.words[min(word, len(letters) - 1)].start_s if not last else end_s
        start_s = max(start_s, end_s)
    return found


def srt(times: Iterable[SentenceTime]) -> str:
    """SubRip."""
    blocks = [
        f"{number}\n{_clock(cue.start_s, ',')} --> {_clock(cue.end_s, ',')}\n{_line(cue.text)}\n"
        for number, cue in enumerate(cues(times), 1)
    ]
    return "\n".join(blocks)


def vtt(times: Iterable[SentenceTime]) -> str:
    """WebVTT."""
    blocks = [
        f"{_clock(cue.start_s, '.')} --> {_clock(cue.end_s, '.')}\n{html.escape(_line(cue.text), quote=False)}\n"
        for cue in cues(times)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def as_json(times: Sequence[SentenceTime]) -> str:
    """Sentences, their words, their sounds; s from the start of the audio."""
    return json.dumps({"sentences": [plain(time) for time in times]}, ensure_ascii=False, indent=1) + "\n"


FORMATS: dict[str, Callable[[Sequence[SentenceTime]], str]] = {"srt": srt, "vtt": vtt, "json": as_json}
"""By name, which is the suffix of the file too."""


def plain(time: SentenceTime) -> dict[str, Any]:
    """One sentence, as JSON has it."""
    return {
        "text": time.text,
        "start_s": _ms(time.start_s),
        "end_s": _ms(time.end_s),
        "method": time.method,
        "words": [
            {
                "text": word.text,
                "start_s": _ms(word.start_s),
                "end_s": _ms(word.end_s),
                "phones": [
                    {"symbol": sound.symbol, "start_s": _ms(sound.start_s), "end_s": _ms(sound.end_s)}
                    for sound in word.sounds
                ],
            }
            for word in time.words
        ],
    }


def _ms(seconds: float) -> float:
    return round(seconds, 3)


def _line(text: str) -> str:
    """One line without what a cue would take for its end or an arrow."""
    return " ".join(text.split()).replace("-->", "->")


def _clock(seconds: float, mark: str) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02}{mark}{whole % 1000:03}"
