"""OpenAI's own voice names, which many programs cannot change: each stands for a voice of the registry."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

OPENAI_VOICES = frozenset(
    ("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse")
)


def stand_in(name: str, voices: Iterable[str]) -> str:
    """The voice that speaks for a name, "" without voices. Always the same for the same voices; a new voice takes over
    its share of the names and leaves the others alone (rendezvous hashing).
    """
    return max(voices, key=lambda voice: hashlib.sha256(f"{name}/{voice}".encode()).digest(), default="")
