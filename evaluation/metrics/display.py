"""How people see the values of gates: number, unit and order, the same in reasons, tables, reports and pages."""

from __future__ import annotations

IMPORTANCE = (
    "speaker_similarity_tts", "word_error_rate_tts", "phone_error_rate_tts", "dnsmos_tts", "failed_sentences_tts",
    "pesq_nb_copy", "stoi_copy", "pace_deviation_tts",
)  # fmt: skip
"""Gates that come first, the most important one at the front; the others follow in the order of gates.yaml."""
_PERCENT = {
    **dict.fromkeys(("phone_error_rate", "word_error_rate", "listener_error_rate", "failed_sentences"), 1),
    "tone_error_rate": 1,
    "clipped_share": 2,
}
"""Metrics shown in per cent, with their decimals."""
_PURE = ("", "1", "ratio")
"""Units of pure numbers, which are not printed."""
_DIGITS = {"Hz": 0, "dB": 1, "dBFS": 1, **dict.fromkeys(_PURE, 3)}
_OTHER_DIGITS = 2


def number_text(metric: str, value: float, unit: str, sign: str = "") -> str:
    """A value of a metric without its unit, rates times 100. sign: "+" to mark a change."""
    if metric in _PERCENT:
        return f"{100 * value:{sign}.{_PERCENT[metric]}f}"
    return f"{value:{sign}.{_DIGITS.get(unit, _OTHER_DIGITS)}f}"


def unit_suffix(metric: str, unit: str) -> str:
    """What follows a number, with its space: per cent for rates, nothing for pure numbers."""
    return " %" if metric in _PERCENT else "" if unit in _PURE else f" {unit}"


def quantity(metric: str, value: float | None, unit: str, sign: str = "") -> str:
    """A value with its unit, for example "50.0 %"; "-" for none."""
    return "-" if value is None else number_text(metric, value, unit, sign) + unit_suffix(metric, unit)


def importance(gate: str) -> int:
    """Rank of a gate by its name, 0 for the most important; a key to sort by."""
    return IMPORTANCE.index(gate) if gate in IMPORTANCE else len(IMPORTANCE)
