"""The voices of one order, loaded, and the marks that their sound carries."""

from __future__ import annotations

import numpy as np

from timbre.audio.watermark import Marker
from timbre.audio.waveform import Samples
from timbre.serving.errors import ApiError
from timbre.serving.library import Library
from timbre.serving.loader import Speaker
from timbre.serving.order import Order, Part


class Cast:
    """All voices are loaded before anybody speaks, so that a missing one is an error with a status.

    Raises ApiError, also for voices whose bases speak at different rates, and what loading raises.
    """

    def __init__(self, order: Order, library: Library) -> None:
        self._speakers: dict[tuple[str, str], Speaker] = {}
        for part in order.parts:
            key = part.voice, part.reference
            if key not in self._speakers:
                self._speakers[key] = library.speaker(*key)
        rates = {speaker.engine.base.rate_hz: speaker.name for speaker in self._speakers.values()}
        if len(rates) > 1:
            shown = ", ".join(f"{name} at {rate_hz} Hz" for rate_hz, name in sorted(rates.items()))
            raise ApiError(
                400, f"these voices cannot speak in one answer: {shown}", "let voices of one rate speak together",
                param="voice",
            )  # fmt: skip
        self.rate_hz = next(iter(rates))

    @property
    def speakers(self) -> tuple[Speaker, ...]:
        """In the order of their first words."""
        return tuple(self._speakers.values())

    @property
    def names(self) -> tuple[str, ...]:
        """NAME@VERSION of each."""
        return tuple(dict.fromkeys(speaker.name for speaker in self.speakers))

    def of(self, part: Part) -> Speaker:
        """Who says a part."""
        return self._speakers[part.voice, part.reference]


class CastMarker:
    """Marks a sound by the voice that speaks now. on: False leaves it as it is."""

    def __init__(self, rate_hz: int, *, on: bool) -> None:
        self._rate_hz = rate_hz
        self._on = on
        self._marker: Marker | None = None
        self._name = ""

    def turn_to(self, name: str) -> Samples:
        """Another voice speaks now; what is left of the one before."""
        if not self._on or name == self._name:
            return np.zeros(0, np.float32)
        left = self.finish()
        self._marker, self._name = Marker(self._rate_hz, name), name
        return left

    def push(self, samples: Samples) -> Samples:
        """What is ready of the sound."""
        return samples if self._marker is None else self._marker.push(samples)

    def finish(self) -> Samples:
        """What is left."""
        return np.zeros(0, np.float32) if self._marker is None else self._marker.finish()
