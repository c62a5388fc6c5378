"""Closed word classes that the front ends decide by, from `data/english_cues.txt` and `data/mandarin_cues.txt`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def _classes(language: str) -> dict[str, frozenset[str]]:
    classes: dict[str, list[str]] = {}
    name = ""
    for line in (files("timbre.text") / "data" / f"{language}_cues.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            name = line.strip("[]")
            classes[name] = []
        elif line and not line.startswith("#"):
            classes[name].extend(line.split())
    return {key: frozenset(words) for key, words in classes.items()}


def cue_words(name: str, language: str = "english") -> frozenset[str]:
    """Words of the class `name`; the data file says what each class decides."""
    return _classes(language)[name]
