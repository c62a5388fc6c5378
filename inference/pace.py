"""How long a voice takes for a text: its sounds, the pauses at marks, and what surrounds a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from timbre.text.pauses import count_pauses


@dataclass(frozen=True)
class Pace:
    """A voice's own seconds, measured on its recordings by stage 2 (training/pace.py)."""

    phone_s: float
    """Of a speech sound."""
    weak_s: float = 0.2
    """Of the pause at a comma."""
    strong_s: float = 0.4
    """Of the pause at a full stop inside a piece."""
    edges_s: float = 0.3
    """Before the first and after the last sound together."""
    stretch: float = 1.0
    """Seconds of the voice to each second that its codes, as they are drawn, would take; only where codes stand for
    phones (inference/tempo.py). Found by stage 3; the seconds above are the voice's own and do not depend on it."""

    @property
    def undrawn(self) -> Pace:
        """Of the base in this voice's place: the same sounds at the pace at which its codes are drawn."""
        factor = 1.0 / self.stretch
        return replace(
            self, phone_s=factor * self.phone_s, weak_s=factor * self.weak_s, strong_s=factor * self.strong_s,
            edges_s=factor * self.edges_s, stretch=1.0,
        )  # fmt: skip

    def sounding_s(self, phones: Iterable[str]) -> float:
        """Seconds of the sounds alone: the least that can be heard of a text."""
        return self.phone_s * count_pauses(phones).sounding

    def pausing_s(self, phones: Iterable[str]) -> float:
        """Seconds of the pauses between the first and the last sound."""
        found = count_pauses(phones)
        return self.weak_s * found.weak + self.strong_s * found.strong

    def expected_s(self, phones: Iterable[str]) -> float:
        """Seconds of the whole piece."""
        found = count_pauses(phones)
        return self.phone_s * found.sounding + self.weak_s * found.weak + self.strong_s * found.strong + self.edges_s
