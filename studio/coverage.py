"""Which sounds of a language the takes hold, and which line to read next so that the missing ones are heard soonest.

text -> phones -> sounds without stress and tone (classes of the recogniser where it knows the language)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from timbre.core.errors import ConfigurationError, InputError
from timbre.text.frontend import phonemize
from timbre.text.recognition import CLASSES, SILENCE, class_of
from timbre.text.symbols import is_speech


@dataclass(frozen=True)
class Coverage:
    """Which sounds of a language the takes contain."""

    heard: tuple[str, ...]
    """Names of sounds, sorted."""
    missing: tuple[str, ...]
    """Names of sounds, sorted."""


@lru_cache(maxsize=4096)
def sounds_of(text: str, language: str) -> frozenset[str]:
    """Names of the sounds of a text; none where this machine cannot read it."""
    try:
        phones = phonemize(text, language).phones
    except (InputError, ConfigurationError):
        return frozenset()
    return frozenset(name for phone in phones if is_speech(phone) and (name := _name(phone)))


def _name(phone: str) -> str:
    try:
        number = class_of(phone)
    except InputError:
        return phone
    return "" if number is None or number == SILENCE else CLASSES[number]


def coverage(read: Iterable[tuple[str, str]], script: Iterable[tuple[str, str]]) -> Coverage:
    """read, script: (text, language) of the good takes, and of everything that there is to read."""
    wanted = frozenset().union(*(sounds_of(*item) for item in script))
    heard = frozenset().union(*(sounds_of(*item) for item in read)) & wanted
    return Coverage(tuple(sorted(heard)), tuple(sorted(wanted - heard)))


def next_line(unread: Sequence[str], texts: Mapping[str, tuple[str, str]], missing: Iterable[str]) -> str:
    """Id of the line of `unread` that holds most of the missing sounds, the first of equal ones; "" for none left.

    texts: id -> (text, language).
    """
    wanted = frozenset(missing)
    gains = [len(sounds_of(*texts[key]) & wanted) for key in unread]
    return unread[gains.index(max(gains))] if unread else ""
