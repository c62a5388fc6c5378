"""A blind listening test on the page of a voice: the version that waits for a review against the one that speaks now.

VoiceView -> both versions without their adapters -> sentences that both have spoken, copied beside the page -> test
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from timbre.cli.dashboard.voice_view import VoiceView
from timbre.core.digests import digest_bytes
from timbre.core.errors import TimbreError
from timbre.evaluation.listening import Heard, page_data
from timbre.pipeline.release.compared import find_side
from timbre.pipeline.release.comparison import heard_pairs
from timbre.pipeline.release.comparison_page import file_of
from timbre.registry.registry import Registry


@dataclass(frozen=True)
class BlindTest:
    """A blind test of two versions."""

    a: str
    """VOICE@VERSION that speaks now."""
    b: str
    """VOICE@VERSION of the candidate."""
    pairs: tuple[Heard, ...]
    """Sentences that both have spoken, at least one; their sounds lie beside the page."""
    data: str
    """For listening.js."""


def blind_test(view: VoiceView, registry: Registry, put: Callable[[str, bytes], str]) -> BlindTest | None:
    """None where nothing waits, nothing speaks, or both have kept no sound of one sentence. put: writes a sound beside
    the page and returns its relative address.
    """
    now, waiting = view.production, view.waiting
    if now is None or not waiting:
        return None
    names = [f"{view.known.name}@{version}" for version in (now.version, waiting)]
    with tempfile.TemporaryDirectory() as temporary:
        try:
            a, b = (find_side(name, registry, None, Path(temporary) / name) for name in names)
            pairs = [
                (pair, file_of(a, pair.a).read_bytes(), file_of(b, pair.b).read_bytes()) for pair in heard_pairs(a, b)
            ]
        except TimbreError:
            # Encrypted and no key is at hand, or damaged: the page then has no test.
            return None
    heard = tuple(
        Heard(
            pair.a.id, pair.text, put(f"blind-{number}-a.wav", one), put(f"blind-{number}-b.wav", other),
            digest_bytes(one), digest_bytes(other),
        )
        for number, (pair, one, other) in enumerate(pairs)
    )  # fmt: skip
    return BlindTest(a.name, b.name, heard, page_data(a.name, b.name, heard)) if heard else None
