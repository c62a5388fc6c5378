"""How fast a sentence is spoken: by drawing out its codes, or by compressing the frames that they become.

codes that were drawn -> each sound but plosives in more of them -> what is spoken

A base has one pace. Its owner's pace belongs to a voice as much as its sound does. Where codes stand for phones
(text/phone_codes.py), a slower sentence is one with more codes to a sound: measured by the recogniser of nano, half the
pace costs no words that way, and two of three words when frames are stretched instead. Faster speech goes through the
frames, which keep more than codes of 40 ms that are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_STRETCH = 3.0
"""Attention goes over all codes of a sentence, so memory grows with their square; beyond this, frames are stretched."""


@dataclass(frozen=True)
class Tempo:
    """How one sentence is slowed down or sped up."""

    stretch: float = 1.0
    """Codes to each code that was drawn, 1 to MOST_STRETCH; plosives stay as they are."""
    speed: float = 1.0
    """What the decoder divides the number of frames by."""


def tempo_of(speed: float, pace: float, *, codes_are_phones: bool) -> Tempo:
    """speed: of the request, above 1 is faster; pace: seconds of the voice to each second of the base's own pace."""
    if not codes_are_phones:
        return Tempo(speed=speed)
    whole = speed / pace
    if 1.0 / whole > MOST_STRETCH:
        return Tempo(MOST_STRETCH, whole * MOST_STRETCH)
    return Tempo(stretch=max(1.0, 1.0 / whole), speed=max(1.0, whole))
