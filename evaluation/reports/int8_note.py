"""What reports say about int8: which graphs serve this version and why, and what int8 loses, metric by metric.

verdicts, measurements -> sentences and rows in English and Chinese
"""

from __future__ import annotations

from dataclasses import dataclass

from timbre.evaluation.gates import WORDS, Verdict, Verdicts
from timbre.evaluation.measurements import INT8, Measurements, Sample
from timbre.evaluation.metrics.catalogue import Direction
from timbre.evaluation.metrics.display import quantity
from timbre.evaluation.reports import chinese as zh

Pair = tuple[str, str]


@dataclass(frozen=True)
class Int8Row:
    """One metric with both profiles."""

    title: Pair
    """Of the metric, English and Chinese."""
    fp32: str
    """Value with unit, "-" for none."""
    int8: str
    """The same."""
    loses: str
    """By how much int8 is worse; with a minus where it is better."""
    margin: str
    """What it may lose, chance aside."""
    count: int
    """Sentences."""
    level: str
    """green or red."""


def served_sentence(verdicts: Verdicts) -> Pair:
    """Which graphs a server on a processor takes by itself, and why."""
    if verdicts.served_profile == INT8:
        return (
            "Served on a processor with the int8 graphs: they lose no more than they may.",
            "在处理器上用 int8 计算图提供服务：损失不超过允许值。",
        )
    red = [item for item in verdicts.int8 if not item.passed]
    if red:
        reasons, titles = "; ".join(item.reason for item in red), "、".join(zh.title(item) for item in red)
        return (
            f"Served with the fp32 graphs, since int8 loses too much: {reasons}.",
            f"用 fp32 计算图提供服务，因为 int8 损失过大：{titles}。",
        )
    why = next((why for name, why in verdicts.undecided.items() if name.startswith(WORDS) and name.endswith(INT8)), "")
    return (
        f"Served with the fp32 graphs: {why or 'no gate compares the words of int8 with theirs'}.",
        "用 fp32 计算图提供服务：没有比较 int8 读出的词语。",
    )


def int8_rows(verdicts: Verdicts) -> list[Int8Row]:
    """One row for each gate that judges int8, the most important first."""
    return [_row(item) for item in verdicts.int8]


def most_changed(measured: Measurements) -> tuple[Sample, Sample] | None:
    """The sentence of which int8 loses most words: (with int8, with fp32); None where nothing was compared."""
    heard = [(one, other) for one, other in measured.int8_and_fp32 if WORDS in other.values and one.file and other.file]
    return max(heard, key=lambda pair: pair[0].values.get(WORDS, 1.0) - pair[1].values[WORDS], default=None)


def _row(item: Verdict) -> Int8Row:
    about, margin = item.metric, item.gate.fp32_margin
    loses = "-"
    if item.value is not None and item.fp32 is not None:
        change = item.value - item.fp32
        loses = quantity(about.name, -change if about.direction is Direction.HIGHER else change, about.unit, "+")
    return Int8Row(
        (about.title, zh.TITLES[about.name][0]), about.text(item.fp32), about.text(item.value), loses,
        about.text(margin), item.count, "green" if item.passed else "red",
    )  # fmt: skip
