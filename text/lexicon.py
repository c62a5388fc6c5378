"""The voice's own readings: `lexicon.txt` in a voice folder overrides every dictionary.

One entry a line, word and phones with a blank, a tab or '=' between; '#' begins a comment:

    Nguyen      W IH1 N            ARPAbet with stress
    Timbre      T AE1 M B ER0
    重庆        chong2 qing4       pinyin with tone digits, one syllable for each character
    yue:重慶    cung4 hing3        Jyutping, one syllable for each character
    サクラ      s a [ k u r a      Japanese or Korean: symbols of the phone table, as the front end writes them
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from timbre.core.errors import InputError
from timbre.text.jyutping import syllable as jyutping_syllable
from timbre.text.languages import HANGUL, KANA
from timbre.text.languages import IDEOGRAPHS as HAN
from timbre.text.mandarin_pinyin import syllable
from timbre.text.symbols import is_speech, is_symbol

FILE = "lexicon.txt"

Lexicon = Mapping[str, tuple[str, ...]]
"""Lower-case English word or Mandarin word -> phones of the v2 table."""

_LINE = re.compile(r"([^\s=]+)\s*[\s=]\s*(\S.*)")
_ENGLISH = re.compile(r"[a-z]+(?:['-][a-z]+)*")
REMEDY = "write e.g. `Nguyen W IH1 N` (ARPAbet with stress) or `重庆 chong2 qing4` (pinyin with tone digits)"


def read(text: str) -> tuple[dict[str, tuple[str, ...]], list[tuple[int, str]]]:
    """(entries, problems) of the text of a lexicon; a word that comes twice keeps its last reading.

    problems: (line from 1, what is wrong in it) of every line that cannot be used.
    """
    entries: dict[str, tuple[str, ...]] = {}
    problems: list[tuple[int, str]] = []
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        content = line.split("#", 1)[0].strip()
        if not content:
            continue
        match = _LINE.fullmatch(content)
        if match is None:
            problems.append((number, f"{content!r} has no phones"))
            continue
        word, phones = match[1].lower(), match[2].split()
        if _ENGLISH.fullmatch(word):
            wrong = [p for p in phones if not (is_symbol(p) and is_speech(p) and p[0].isupper() and p.isascii())]
            if wrong:
                problems.append((number, f"{wrong[0]!r} in {word!r} is no ARPAbet phone"))
            else:
                entries[word] = tuple(phones)
        elif re.fullmatch(f"yue:[{HAN}]+", word):
            problem, reading = _cantonese(word[4:], phones)
            if problem:
                problems.append((number, problem))
            else:
                entries[word[4:]] = reading
        elif re.fullmatch(f"[{KANA}{HAN}]*[{KANA}][{KANA}{HAN}]*|[{HANGUL}]+", word):
            wrong = [phone for phone in phones if not is_symbol(phone)]
            if wrong:
                problems.append((number, f"{wrong[0]!r} in {word!r} is no symbol of the phone table"))
            else:
                entries[word] = tuple(phones)
        elif re.fullmatch(f"[{HAN}]+", word):
            problem, reading = _mandarin(word, phones)
            if problem:
                problems.append((number, problem))
            else:
                entries[word] = reading
        else:
            problems.append((number, f"{word!r} is neither an English word nor Han characters"))
    return entries, problems


def parse(text: str, name: str = FILE) -> dict[str, tuple[str, ...]]:
    """Entries of a lexicon, as `read`. Raises InputError that names every wrong line of `name`."""
    entries, problems = read(text)
    if problems:
        raise InputError(f"{name}: " + "; ".join(f"line {number}: {what}" for number, what in problems), REMEDY)
    return entries


def _mandarin(word: str, syllables: list[str]) -> tuple[str, tuple[str, ...]]:
    """(problem, phones): one of them is empty."""
    if len(syllables) != len(word):
        return f"{word!r} has {len(word)} characters but {len(syllables)} syllables", ()
    phones: list[str] = []
    for pinyin in syllables:
        found = syllable(pinyin.lower())
        if found is None or not all(map(is_symbol, found.phones)) or not pinyin[-1:].isdigit():
            return f"{pinyin!r} in {word!r} is no syllable of pinyin with a tone 1 to 5", ()
        phones.extend(found.phones)
    return "", tuple(phones)


def _cantonese(word: str, syllables: list[str]) -> tuple[str, tuple[str, ...]]:
    """(problem, phones): one of them is empty."""
    if len(syllables) != len(word):
        return f"{word!r} has {len(word)} characters but {len(syllables)} syllables", ()
    phones: list[str] = []
    for jyutping in syllables:
        found = jyutping_syllable(jyutping.lower())
        if found is None:
            return f"{jyutping!r} in {word!r} is no syllable of Jyutping with a tone 1 to 6", ()
        phones.extend(found)
    return "", tuple(phones)


def load(folder: Path) -> dict[str, tuple[str, ...]]:
    """Entries of `folder`/lexicon.txt, empty if there is none. Raises InputError as `parse`, and if it is not UTF-8."""
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8", remedy="save the file as UTF-8") from None
