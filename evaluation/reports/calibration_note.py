"""Sentences in every report about its limits: how they did on both halves of the speakers, or that they are not
calibrated, and that the comparison with production was left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HALVES = ("setting", "judging")
DEGRADED = "degraded"
_DEGRADED_BEFORE = "degraded"
"""Name of the same count in gates.yaml files of earlier versions."""
UNCALIBRATED = (
    "The limits are not calibrated: which good voices they refuse and which bad voices they pass was not measured.",
    "这些限值尚未校准：还没有测量过它们会拒绝哪些好声音、放过哪些坏声音。",
)


def voice_counts(half: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """measured and passed of "good" or DEGRADED voices in one half of a calibration block; empty where it says none."""
    found = half.get(kind)
    if found is None and kind == DEGRADED:
        found = half.get(_DEGRADED_BEFORE)
    return found or {}


def left_out_sentence(reason: str) -> tuple[str, str]:
    """(English, Chinese): limits relative to production did not decide, and why."""
    return (
        f"Not compared with production, so limits relative to it were not applied: {reason}.",
        f"没有与生产版本比较，相对于它的限值不参与判定：{reason}。",
    )


def undecided_sentence(undecided: Mapping[str, str]) -> tuple[str, str]:
    """(English, Chinese): gates without a verdict here. undecided: gate -> why."""
    listed = "; ".join(f"{name} ({why})" for name, why in undecided.items())
    return (
        f"Not measured here, so without a verdict: {listed}.",
        f"此处没有测量，因此没有结论：{'、'.join(undecided)}。",
    )


def edited_sentence(names: Sequence[str]) -> tuple[str, str]:
    """(English, Chinese): which limits somebody changed in gates.yaml after the calibration had set them."""
    listed = ", ".join(names)
    return (
        f"Limits edited by hand after the calibration, which no longer vouches for them: {listed}.",
        f"校准之后手工修改过的限值，校准结果对它们不再有效：{listed}。",
    )


def calibration_sentence(calibration: Mapping[str, Any], base_digest: str = "") -> tuple[str, str]:
    """(English, Chinese) about the calibration block of gates.yaml (evaluation/reports/calibration_report.py writes
    it). base_digest: of the base that was measured, to say when the limits were found for other weights.
    """
    halves = [calibration.get(name) for name in HALVES]
    if not all(isinstance(half, Mapping) for half in halves):
        return UNCALIBRATED
    english, chinese = [], []
    for name, label, half in zip(HALVES, ("设定组", "检验组"), halves, strict=True):
        assert isinstance(half, Mapping)
        good, degraded = (voice_counts(half, kind) for kind in ("good", DEGRADED))
        numbers = [table.get(key, "?") for table in (good, degraded) for key in ("passed", "measured")]
        english.append("{4} half: {0} of {1} good voices pass, {2} of {3} degraded ones pass".format(*numbers, name))
        chinese.append("{4}：{1} 个好声音中 {0} 个通过，{3} 个劣化的声音中 {2} 个通过".format(*numbers, label))
    speakers, date = calibration.get("speakers", "?"), calibration.get("date", "?")
    known = calibration.get("base_digest", "")
    stale = bool(base_digest and known and known != base_digest)
    return (
        f"Limits calibrated on {speakers} speakers ({date}){', for other weights of this base' * stale}; "
        f"{'; '.join(english)}.",
        f"限值于 {date} 用 {speakers} 位说话人校准{'（当时底模的权重不同）' * stale}；{'；'.join(chinese)}。",
    )


def limits_sentence(gates_digest: str, overrides: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """(English, Chinese): which gates.yaml the limits come from, and what the voice itself set; empty where unknown."""
    if not gates_digest:
        return "", ""
    own = [f"{part}.{name} = {value}" for part, values in overrides.items() for name, value in values.items()]
    digest = gates_digest[:12]
    return (
        f"Limits of gates.yaml {digest}; the voice's own settings: {', '.join(own) or 'none'}.",
        f"限值来自 gates.yaml {digest}；声音自己的设置：{'，'.join(own) or '无'}。",
    )
