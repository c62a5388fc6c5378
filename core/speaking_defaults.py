"""How a base speaks where nobody says otherwise: base.yaml's `speaking`, carried into export.json.

base.yaml -> SpeakingDefaults -> export.json -> engine, unless the request has its own value
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

LIMITS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "top_k": (0, 1_000_000),
        "top_p": (0.0, 1.0),
        "temperature": (0.0, 2.0),
        "repetition_penalty": (1.0, 10.0),
        "noise_scale": (0.0, 2.0),
        "duration_spread": (0.0, 1.0),
    }
)
"""Smallest and largest value of each number; requests are held to the same."""


@dataclass(frozen=True)
class SpeakingDefaults:
    """What suits the official models; a base whose codes behave otherwise says so."""

    top_k: int = 15
    """Only the k likeliest codes (0: all)."""
    top_p: float = 1.0
    """Only the likeliest that together have this probability (0: the likeliest alone)."""
    temperature: float = 1.0
    """0 always takes the likeliest."""
    repetition_penalty: float = 1.35
    """Codes that were spoken already become less likely."""
    prompt_codes: bool = True
    """Speech continues the phones and codes of the voice's prompt; without, the prompt conditions the sound only."""
    noise_scale: float = 0.5
    """Share of the acoustic prior's spread that is drawn."""
    follow_text: bool = False
    """The base's codes stand for phones (text/phone_codes.py), and only those are drawn that keep to the text."""
    duration_spread: float = 1.0
    """With follow_text: share of each sound's lengths that is drawn, around their median; 0 always has the median."""

    def to_plain(self) -> dict[str, Any]:
        """All fields, as export.json holds them."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def changed(self) -> dict[str, Any]:
        """Only what differs from the defaults, as base.yaml holds it."""
        plain = SpeakingDefaults().to_plain()
        return {name: value for name, value in self.to_plain().items() if value != plain[name]}


def speaking_defaults(data: Any) -> SpeakingDefaults:
    """From a mapping of any of the fields. Raises ValueError that names the field, its value and what is expected."""
    if not isinstance(data, Mapping):
        raise ValueError(f"{data!r} is not a mapping")
    known = {item.name for item in fields(SpeakingDefaults)}
    for name, value in data.items():
        if name not in known:
            raise ValueError(f"{name}: unknown; there are: {', '.join(sorted(known))}")
        if name in ("prompt_codes", "follow_text"):
            if not isinstance(value, bool):
                raise ValueError(f"{name}: {value!r} is not true or false")
            continue
        low, high = LIMITS[name]
        kind, words = (int, "whole number") if name == "top_k" else ((int, float), "number")
        # Not low <= value also refuses NaN.
        if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
            raise ValueError(f"{name}: {value!r} is not a {words} from {low:g} to {high:g}")
    return SpeakingDefaults(**data)
