"""Which parts of a text are in which language, by script; digits and marks go with what they stand beside."""

from __future__ import annotations

import re
from collections.abc import Collection

from timbre.core.languages import LANGUAGES
from timbre.text.cues import cue_words
from timbre.text.languages import HAN, HANGUL, KANA, by_script

_HAN = re.compile(f"[{HAN}{KANA}{HANGUL}]")
LETTERS = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\uff21-\uff3a\uff41-\uff5a"
_LATIN = re.compile(f"[{LETTERS}]")
_MEASURED = re.compile(
    r"\d(?:[\d.,]*)\s?(?:kcal|bar|km|cm|mm|dm|nm|m|kg|mg|g|ml|mL|L|l|h|min|s|ms|k?Hz|MHz|GHz|W|kW|kWh|V|mAh?|dB|t|°C|°F|℃|%)"
    r"(?:/(?:h|s|min|km|m|L|l|kg))?(?:[\^][23]|[²³])?(?![A-Za-z])"
)
_COUNTERS = "|".join(sorted(cue_words("measures", "mandarin"))) + "|[年月日号点时分秒度百千万亿%°℃]"
_WORD = re.compile("(?=[A-Za-z]{3})(?:[a-z]|[A-Za-z][a-z]|[A-Za-z]{2}[a-z])|[\u00c0-\u024f]")
_WIDE_MARKS = re.compile("[，。！？；：、]")
"""Marks that only Chinese and Japanese write."""
_ENGLISH_RUN = re.compile(
    rf"(?:\.(?=[A-Za-z]))?(?:(?<![\d.:])(?<![\u3400-\u9fff]\d)(?<![\u3400-\u9fff])\d[\d.,]*(?=[a-z]{{2}}|[A-Z][a-z]"
    rf"|(?:st|nd|rd|th)\b)|(?<=[\u3400-\u9fff])\d+(?=(?:st|nd|rd|th)\b))?[{LETTERS}]"
    rf"(?:[{LETTERS}'’&@_./:%?=#+~-]|(?<=[/._@-])\d+|\d(?=[\d]*[./_@-][A-Za-z\d])"
    rf"|[ ,;!?\"“”()]+(?=[A-Za-z])| \d[\d.,]*(?![\d.,]*\s?(?:{_COUNTERS}))| (?=[$£€]?\d+ [A-Za-z]))*"
)


def split(text: str, language: str, speaks: Collection[str] = tuple(LANGUAGES)) -> list[tuple[str, str]]:
    """Pieces (language, text) in order; joined they are `text`.

    language: that of Chinese characters, where the words leave it open, and of pieces without letters. speaks:
    languages that Chinese characters may be taken for.
    """
    pieces: list[tuple[str, str]] = []
    for found, piece in _latin_and_other(text, language):
        for inner, part in [("en", piece)] if found == "en" else by_script(piece, language, speaks, text):
            _add(pieces, inner, part)
    return pieces


def _latin_and_other(text: str, language: str) -> list[tuple[str, str]]:
    """Pieces ('en' or 'zh', text): English words, and everything else."""
    if not _LATIN.search(text):
        return [("zh" if _HAN.search(text) or language != "en" else "en", text)]
    if not _HAN.search(text) and (
        language == "en" or (_WORD.search(text) and not _only_measures(text) and not _WIDE_MARKS.search(text))
    ):
        return [("en", text)]
    pieces: list[tuple[str, str]] = []
    position = 0
    for match in _ENGLISH_RUN.finditer(text):
        run = match[0]
        if _within_measure(text, match):
            continue
        end = match.start() + len(run.rstrip(' ,;:("“.')) if not run.rstrip().endswith(".") else match.end()
        if match.start() > position:
            _add(pieces, "zh", text[position : match.start()])
        _add(pieces, "en", text[match.start() : end])
        position = end
    if position < len(text):
        _add(pieces, "zh", text[position:])
    return _settle(pieces)


def _within_measure(text: str, run: re.Match[str]) -> bool:
    """True if the letters are the unit of a number (12km, 5 °C), which Mandarin reads itself."""
    return any(m.start() < run.start() + 1 <= m.end() and run.end() <= m.end() for m in _MEASURED.finditer(text))


def _only_measures(text: str) -> bool:
    return all(_within_measure(text, match) for match in _ENGLISH_RUN.finditer(text))


def _add(pieces: list[tuple[str, str]], language: str, text: str) -> None:
    if pieces and pieces[-1][0] == language:
        pieces[-1] = (language, pieces[-1][1] + text)
    elif text:
        pieces.append((language, text))


def _settle(pieces: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Marks and blanks between two pieces belong to the one before; a text of English alone but for marks is
    English."""
    result: list[tuple[str, str]] = []
    for language, text in pieces:
        if language == "zh" and not _HAN.search(text) and not re.search(r"\d", text) and result:
            result[-1] = (result[-1][0], result[-1][1] + text)
        elif language == "zh" and result and (marks := re.match(r"[\s，。！？；：、,.!?;:…”\"）)]+", text)):
            result[-1] = (result[-1][0], result[-1][1] + marks[0])
            _add(result, "zh", text[marks.end() :])
        else:
            _add(result, language, text)
    return result
