"""Two sides next to each other: origin, recipe, recordings, texts, gates with what differs for certain, and sounds.

Side, Side -> Comparison -> tables, plain data, page
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from timbre.core.numbers import number
from timbre.core.table import Table
from timbre.evaluation.measurements import Sample
from timbre.evaluation.metrics.catalogue import METRICS, Direction
from timbre.evaluation.metrics.display import importance, number_text, unit_suffix
from timbre.evaluation.metrics.summary import Interval
from timbre.evaluation.paired import Difference, difference
from timbre.pipeline.release.compared import Side

MAX_SENTENCES = 10


@dataclass(frozen=True)
class GateRow:
    """A gate on both sides."""

    name: str
    """As in gates.yaml."""
    metric: str
    """Name in the catalogue of metrics; a gate of another version may name one that is not there."""
    title: str
    """For people, with "(worst)" where the gate looks at the worst sentence."""
    protocol: str
    """tts (spoken from text) or copy (reconstructed from codes)."""
    a: Mapping[str, Any]
    """As plain data, empty where that side has no such gate."""
    b: Mapping[str, Any]
    """As plain data, empty where that side has no such gate."""
    change: Difference | None
    """Of the mean; None where single sentences are unknown or the gate is of another statistic."""
    better: str
    """"a" or "b" where the difference is certain, else ""."""

    @property
    def unit(self) -> str:
        """What follows a value, with its space; "" for pure numbers."""
        return unit_suffix(self.metric, self.unit_name)

    @property
    def unit_name(self) -> str:
        """Of the metric, as gates.json has it; "" where it has none."""
        return str({**self.a, **self.b}.get("unit", ""))


@dataclass(frozen=True)
class Fact:
    """One line of the table of facts."""

    area: str
    """origin, recipe or recordings."""
    name: str
    """Of the setting or property."""
    a: str
    """As text, "" where unknown."""
    b: str
    """As text, "" where unknown."""

    @property
    def same(self) -> bool:
        return self.a == self.b


@dataclass(frozen=True)
class Pair:
    """A sentence that both have spoken, with the same seed where there is one."""

    text: str
    """What is said."""
    a: Sample
    """Spoken by side a; its file exists."""
    b: Sample
    """Spoken by side b; its file exists."""


@dataclass(frozen=True)
class Comparison:
    """What differs between two sides."""

    a: Side
    """The side that the other is compared with."""
    b: Side
    """Changes are b minus a."""
    facts: Sequence[Fact]
    """Equal ones too."""
    gates: Sequence[GateRow]
    """Of either side, most important first."""
    shared_texts: int
    """Number of sentences that both have spoken."""
    only_a: int
    """Number of sentences that b has not spoken."""
    only_b: int
    """Number of sentences that a has not spoken."""
    pairs: Sequence[Pair]
    """At most MAX_SENTENCES; empty without sound on both sides."""

    def facts_table(self) -> Table:
        """What differs, and then in one row what is equal."""
        rows = [(f"{fact.area}: {fact.name}", fact.a or "-", fact.b or "-") for fact in self.facts if not fact.same]
        rows.append(("sentences of this side only", str(self.only_a), str(self.only_b)))
        return Table(("", self.a.name, self.b.name), rows)

    def gates_table(self) -> Table:
        """One row a gate."""
        rows = [
            (row.title, row.protocol, side_text(row, row.a), side_text(row, row.b), change_text(row),
             {"a": self.a.name, "b": self.b.name, "": "-"}[row.better])
            for row in self.gates
        ]  # fmt: skip
        return Table(("gate", "mode", self.a.name, self.b.name, "change (95 % interval)", "certainly better"), rows)

    def notes(self) -> list[str]:
        """What a reader has to know about the tables."""
        equal = [fact.name for fact in self.facts if fact.same and fact.a]
        compared = sum(row.change is not None for row in self.gates)
        certain = sum(bool(row.better) for row in self.gates)
        found = [f"equal: {', '.join(equal)}"] if equal else []
        found.append(
            f"{self.shared_texts} sentences spoken by both; {certain} of {compared} differences are certain "
            f"(interval without zero; about {compared * 0.05:.1f} would be by chance)"
        )
        missing = [side.name for side in (self.a, self.b) if side.measured is None]
        if missing:
            found.append(f"no single sentences are known of {' and '.join(missing)}: differences have no interval")
        return found

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "schema": 1, "a": self.a.name, "b": self.b.name,
            "facts": [{"area": fact.area, "name": fact.name, "a": fact.a, "b": fact.b} for fact in self.facts],
            "texts": {"shared": self.shared_texts, "only_a": self.only_a, "only_b": self.only_b},
            "gates": [
                {"gate": row.name, "title": row.title, "a": _plain_gate(row.a), "b": _plain_gate(row.b),
                 "change": vars(row.change) if row.change else None, "better": row.better}
                for row in self.gates
            ],
            "samples": [{"id": pair.a.id, "text": pair.text, "a": pair.a.file, "b": pair.b.file}
                        for pair in self.pairs],
        }  # fmt: skip


def compare(a: Side, b: Side, interval: Interval | None = None) -> Comparison:
    """Compares b with a: changes are b minus a."""
    facts = [
        Fact(area, name, _text(one.get(name)), _text(other.get(name)))
        for area, one, other in (
            ("origin", a.about, b.about), ("recipe", a.recipe, b.recipe), ("recordings", a.recordings, b.recordings),
        )
        for name in dict.fromkeys((*one, *other))
    ]  # fmt: skip
    names = sorted(dict.fromkeys((*a.gates, *b.gates)), key=importance)
    texts_a, texts_b = _texts(a), _texts(b)
    return Comparison(
        a, b, facts, [_row(name, a, b, interval) for name in names], len(texts_a & texts_b), len(texts_a - texts_b),
        len(texts_b - texts_a), heard_pairs(a, b),
    )  # fmt: skip


def side_text(row: GateRow, gate: Mapping[str, Any]) -> str:
    """Value and interval of one side, and whether it is red."""
    value, low, high = (number(gate.get(name)) for name in ("value", "low", "high"))
    if value is None:
        return "-"
    spread = "" if low is None or high is None else f" ({quantity(row, low)} to {quantity(row, high)})"
    red = not gate.get("passed", True)
    return (
        quantity(row, value)
        + row.unit
        + spread
        + (" red" if red and gate.get("blocks", True) else " low" if red else "")
    )


def change_text(row: GateRow) -> str:
    """The change with its interval; without one where sentences are unknown."""
    if row.change is not None:
        change = row.change
        sign = "" if change.paired else ", other sentences"
        return (
            f"{quantity(row, change.mean, '+')}{row.unit} ({quantity(row, change.low, '+')} to "
            f"{quantity(row, change.high, '+')}{sign})"
        )
    values = [number(gate.get("value")) for gate in (row.a, row.b)]
    return "-" if values[0] is None or values[1] is None else quantity(row, values[1] - values[0], "+") + row.unit


def quantity(row: GateRow, value: float, sign: str = "") -> str:
    """A value without its unit, rates times 100."""
    return number_text(row.metric, value, row.unit_name, sign)


def _row(name: str, a: Side, b: Side, interval: Interval | None) -> GateRow:
    one, other = a.gates.get(name, {}), b.gates.get(name, {})
    known = {**one, **other}
    protocol = str(known.get("protocol", name.rpartition("_")[2]))
    metric = str(known.get("metric") or name.removesuffix("_worst").removesuffix(f"_{protocol}"))
    change, better = None, ""
    if a.measured and b.measured and metric in METRICS and str(known.get("statistic", "mean")) == "mean":
        ours, theirs = a.measured.adapted.samples(protocol), b.measured.adapted.samples(protocol)
        change = difference(ours, theirs, metric, interval)
    if change is not None and change.significant:
        higher = METRICS[metric].direction is Direction.HIGHER
        better = "b" if (change.mean > 0) == higher else "a"
    title = str(known.get("title", name)) + (" (worst)" if known.get("statistic") == "worst" else "")
    return GateRow(name, metric, title, protocol, one, other, change, better)


def _texts(side: Side) -> set[tuple[str, str]]:
    return {(item.id, item.text) for item in side.measured.adapted.tts} if side.measured else set()


def heard_pairs(a: Side, b: Side) -> list[Pair]:
    """Sentences whose sound both sides still have: those of the texts that every voice reads first."""
    found: dict[tuple[str, str], Pair] = {}
    others = {(item.id, item.text, item.seed): item for item in _heard(b)}
    for item in _heard(a):
        other = others.get((item.id, item.text, item.seed))
        if other is not None:
            found.setdefault((item.id, item.text), Pair(item.text, item, other))
    ordered = sorted(found.values(), key=lambda pair: pair.a.source != "fixed")
    return ordered[:MAX_SENTENCES]


def _heard(side: Side) -> list[Sample]:
    if side.measured is None or side.folder is None:
        return []
    return [item for item in side.measured.adapted.tts if item.file and (side.folder / item.file).is_file()]


def _text(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _plain_gate(gate: Mapping[str, Any]) -> dict[str, Any]:
    return {key: gate.get(key) for key in ("value", "low", "high", "limit", "passed", "blocks")} if gate else {}
