"""Syllables of a Mandarin sentence as recogniser classes: an initial and a final, or a final alone."""

from __future__ import annotations

from timbre.text.frontend import phonemize
from timbre.text.recognition import CLASSES, MANDARIN_FINALS, MANDARIN_INITIALS, SILENCE, class_of


def spoken_classes(text: str) -> list[str]:
    """Names of the recogniser classes of a Mandarin sentence, without silences."""
    classes = (class_of(phone) for phone in phonemize(text, "zh").phones)
    return [CLASSES[item] for item in classes if item is not None and item != SILENCE]


def syllables(classes: list[str]) -> list[tuple[str, ...]]:
    """Group classes into (initial, final) or (final,)."""
    groups: list[tuple[str, ...]] = []
    initial: str | None = None
    for name in classes:
        if name in MANDARIN_INITIALS:
            initial = name
        elif name in MANDARIN_FINALS:
            groups.append((initial, name) if initial else (name,))
            initial = None
        else:
            raise ValueError(f"{name!r} is no Mandarin class")
    return groups
