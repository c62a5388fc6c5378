"""The one error of the metric functions."""

from __future__ import annotations


class UnmeasurableError(ValueError):
    """A metric has no value for this audio (silent, too short, not finite).

    Gates treat it as a miss, never as a pass; the text says what was wrong with the audio.
    """
