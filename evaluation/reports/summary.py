"""Counts and marks for readers: how many sentences failed and why, and how sure a gate is of its verdict.

measurements, verdicts -> sentences in English and Chinese
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from timbre.evaluation.gates import Verdict
from timbre.evaluation.measurements import Measurements, Sample
from timbre.evaluation.metrics.catalogue import Direction

_DURATION = re.compile(r"duration ([\d.]+) s is outside ([\d.]+) to ([\d.]+) s")
_ERROR_RATE = re.compile(r"phoneme error rate (\d+%) is above (\d+%)")
_LOOPS = re.compile(r"follows itself (\d+) times \(limit (\d+)\)")
_SILENT = re.compile(r"silent: (-?\d+) dBFS is below (-?[\d.]+)")
KINDS: dict[str, tuple[str, str]] = {
    "long": ("too long", "过长"),
    "short": ("too short", "过短"),
    "words": ("words missing", "缺词"),
    "loops": ("repeating", "重复"),
    "silent": ("silent", "无声"),
    "cut": ("cut off", "被截断"),
    "refused": ("not spoken", "未能合成"),
    "other": ("other", "其他"),
}


def kind_of(reason: str) -> str:
    """A key of KINDS for a reason that the engine or stage 4 gave."""
    duration = _DURATION.search(reason)
    if duration:
        return "long" if float(duration[1]) > float(duration[3]) else "short"
    starts = {"words missing": "words", "loops": "loops", "silent": "silent", "cut off": "cut", "not spoken": "refused"}
    return next((kind for start, kind in starts.items() if reason.startswith(start)), "other")


def reason_in_chinese(reason: str) -> str:
    """The reason with its values, in Chinese."""
    kind = kind_of(reason)
    name = KINDS[kind][1]
    if found := _DURATION.search(reason):
        return f"{name}：{found[1]} 秒，应在 {found[2]} 到 {found[3]} 秒之间"
    if found := _ERROR_RATE.search(reason):
        return f"{name}：音素错误率 {found[1]}，限值 {found[2]}"
    if found := _LOOPS.search(reason):
        return f"{name}：同一组编码连续出现 {found[1]} 次（限值 {found[2]}）"
    if found := _SILENT.search(reason):
        return f"{name}：{found[1]} dBFS，低于 {found[2]}"
    return name


def totals(samples: Sequence[Sample]) -> tuple[str, str]:
    """(English, Chinese): how many of the spoken sentences failed, and for which reasons; most frequent first."""
    failed = [sample for sample in samples if sample.failures]
    counts = Counter(kind for sample in failed for kind in sorted({kind_of(reason) for reason in sample.failures}))
    english = ", ".join(f"{count} {KINDS[kind][0]}" for kind, count in counts.most_common())
    chinese = "、".join(f"{KINDS[kind][1]} {count} 句" for kind, count in counts.most_common())
    if not failed:
        return f"All {len(samples)} sentences were spoken in full.", f"{len(samples)} 句全部完整读出。"
    several = " (one sentence may fail in several ways)" if sum(counts.values()) > len(failed) else ""
    return (
        f"{len(failed)} of {len(samples)} sentences failed: {english}{several}.",
        f"{len(samples)} 句中有 {len(failed)} 句失败：{chinese}{'（一句可能有多种问题）' if several else ''}。",
    )


def limit_quantity(item: Verdict) -> str:
    """The limit with its direction and unit; "" for a gate that only compares."""
    if item.gate.limit is None:
        return ""
    sign = "≥" if item.metric.direction is Direction.HIGHER else "≤"
    return f"{sign} {item.metric.text(item.gate.limit)}"


def level(item: Verdict) -> str:
    """green; yellow: passed, but the limit lies inside the interval of the mean, or it does not block; red."""
    if not item.passed:
        return "red" if item.gate.blocks or item.gate.judges_int8 else "yellow"
    limit = item.gate.limit
    if item.gate.statistic == "mean" and limit is not None and item.low is not None and item.high is not None:
        return "yellow" if item.low <= limit <= item.high else "green"
    return "green"


def interval(item: Verdict) -> str:
    """Of the statistic that decides; "" where that is not the mean, which alone has one."""
    if item.gate.statistic != "mean" or item.low is None or item.high is None:
        return ""
    return f"{item.metric.text(item.low)} – {item.metric.text(item.high)}"


def worst_samples(measured: Measurements, item: Verdict, most: int = 3) -> list[Sample]:
    """The worst samples of a gate, each sentence once: those without a value first, only those that can be heard."""
    name = item.gate.metric
    heard = [sample for sample in measured.adapted.samples(item.gate.protocol) if sample.file]
    asked = [sample for sample in heard if name in sample.values or name in sample.unmeasurable]
    sign = 1.0 if item.metric.direction is Direction.HIGHER else -1.0
    asked.sort(key=lambda sample: sign * sample.values[name] if name in sample.values else float("-inf"))
    found: dict[str, Sample] = {}
    for sample in asked:
        found.setdefault(sample.id, sample)
    return list(found.values())[:most]
