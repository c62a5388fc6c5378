"""gates.yaml: the limits of a base, read with every problem at once.

file -> plain YAML -> fields, names and limits checked -> GateSet
"""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from timbre.core.problems import Problem, configuration_error, shown, unknown_key
from timbre.core.yaml_document import read_mapping
from timbre.evaluation.gates import OF_TRAINING, Gate, GateSet, Statistic
from timbre.evaluation.metrics.catalogue import FLOORS, METRICS, ON_RECORDINGS, WORST_POSSIBLE, Direction, Protocol

GATES_FILE = "gates.yaml"
_Kind = TypeVar("_Kind", Protocol, Statistic)
_KEYS = ("version", "min_sentences", "gates", "calibration")
_NUMBERS = ("limit", "base_margin", "production_margin", "recorded_margin", "fp32_margin")


def read_gates(path: Path) -> GateSet:
    """The gates of a file. Raises ConfigurationError that lists every problem, also a limit that nothing can miss, or
    one below the floor of its metric.
    """
    missing = "write it (docs/gates.md): without it, nothing says when a voice is good"
    data, problems = read_mapping(path, missing)
    if data is None:
        raise configuration_error(problems, str(path))
    problems += [unknown_key(str(path), key, _KEYS) for key in data if key not in _KEYS]
    listed = data.get("gates")
    if not isinstance(listed, list) or not listed:
        found = shown(listed) if "gates" in data else "missing"
        problems.append(Problem(f"{path}: gates", found, "a list of at least one gate", "see docs/gates.md"))
        listed = []
    read = [_gate(f"{path}: gates[{index}]", item, problems) for index, item in enumerate(listed)]
    gates = tuple(gate for gate in read if gate)
    names = [gate.name for gate in gates]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(Problem(f"{path}: gates", f"{name} is listed twice", "every gate once", "remove one of them"))
    minimum = data.get("min_sentences", 5)
    if isinstance(minimum, bool) or not isinstance(minimum, int) or minimum < 1:
        limit = "a whole number above 0"
        problems.append(Problem(f"{path}: min_sentences", shown(minimum), limit, "write 5 or more"))
    version = data.get("version", 1)
    if isinstance(version, bool) or not isinstance(version, int):
        problems.append(Problem(f"{path}: version", shown(version), "a whole number", "write 1"))
    if problems:
        raise configuration_error(problems, str(path))
    return GateSet(version, minimum, gates, data.get("calibration") or {})


def _gate(where: str, data: Any, problems: list[Problem]) -> Gate | None:
    """One entry, or None where something is wrong with it."""
    if not isinstance(data, dict) or "metric" not in data or "protocol" not in data:
        limit = "a mapping with at least `metric` and `protocol`"
        problems.append(Problem(where, shown(data), limit, "see docs/gates.md"))
        return None
    known = {item.name for item in fields(Gate)}
    found = [unknown_key(where, key, known) for key in data if key not in known]
    name = str(data["metric"])
    if name not in METRICS:
        found.append(Problem(f"{where}.metric", shown(name), "a metric", f"use one of: {', '.join(sorted(METRICS))}"))
    protocol = _member(Protocol, data["protocol"], f"{where}.protocol", found)
    statistic = _member(Statistic, data.get("statistic", "mean"), f"{where}.statistic", found)
    numbers = {key: _number(f"{where}.{key}", data.get(key), found) for key in _NUMBERS}
    if not found and protocol is not None and statistic is not None:
        blocks = bool(data.get("blocks", numbers["fp32_margin"] is None))
        gate = Gate(name, protocol, statistic=statistic, blocks=blocks, why=str(data.get("why", "")), **numbers)
        found += _senseless(where, gate)
        if not found:
            return gate
    problems += found
    return None


def _member(kind: type[_Kind], value: Any, where: str, found: list[Problem]) -> _Kind | None:
    names = [str(item) for item in kind]
    if value in names:
        return kind(value)
    found.append(Problem(where, shown(value), f"one of {', '.join(names)}", "use one of them"))
    return None


def _number(where: str, value: Any, found: list[Problem]) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        found.append(Problem(where, shown(value), "a finite number", "write a number, or leave it out"))
        return None
    return float(value)


def _senseless(where: str, gate: Gate) -> list[Problem]:
    """A gate that means nothing, cannot fail, or asks for less than the floor of its metric."""
    about, limit = METRICS[gate.metric], gate.limit
    found = []
    if gate.protocol not in about.protocols:
        protocols = ", ".join(about.protocols)
        value = f"{about.name} has no meaning under {gate.protocol}"
        found.append(Problem(f"{where}.protocol", value, protocols, f"use it under: {protocols}"))
    if all(getattr(gate, key) is None for key in _NUMBERS):
        value = f"{about.name} has no limit and no margin, so it can never fail"
        found.append(Problem(where, value, "a limit or a margin", "give one"))
    if gate.recorded_margin is not None and about.name not in ON_RECORDINGS:
        value = f"{about.name} is not measured on recordings"
        remedy = f"leave it out: {', '.join(ON_RECORDINGS)} are measured on them"
        found.append(Problem(f"{where}.recorded_margin", value, "a metric that is", remedy))
    found += _senseless_int8(where, gate) if gate.judges_int8 else []
    end = WORST_POSSIBLE.get(about.name)
    if end is not None and limit is not None and about.better(end, limit):
        side = "above" if about.direction is Direction.HIGHER else "below"
        value = f"{limit:g} cannot be missed: the worst {about.name} under {gate.protocol} is {end:g}, which passes"
        remedy = f"write a number {side} {end:g}, or leave the limit out and give a margin"
        found.append(Problem(f"{where}.limit", value, f"a number {side} {end:g}", remedy))
    mean_copy = gate.protocol is Protocol.COPY and gate.statistic is Statistic.MEAN
    floor = FLOORS.get(about.name) if mean_copy else None
    if floor is not None and limit is not None and limit < floor:
        value = f"{about.name} under {gate.protocol}: {limit:g} is below {floor:g}, its floor"
        remedy = f"write {floor:g} or more: a calibration may raise it, never lower it"
        found.append(Problem(f"{where}.limit", value, f"at least {floor:g}", remedy))
    return found


def _senseless_int8(where: str, gate: Gate) -> list[Problem]:
    """A gate of int8 that asks for something else too: it compares two profiles on spoken sentences, and says which of
    them serves."""
    found = []
    if gate.protocol is not Protocol.TTS or gate.metric in OF_TRAINING:
        value = f"{gate.metric} under {gate.protocol} is not asked of the int8 graphs"
        found.append(Problem(f"{where}.fp32_margin", value, "a metric of speech under tts", "use it under: tts"))
    if gate.blocks:
        value = "true beside fp32_margin: int8 that loses too much is not served, and the voice is, with fp32"
        found.append(Problem(f"{where}.blocks", value, "false", "leave it out"))
    if given := [key for key in _NUMBERS if key != "fp32_margin" and getattr(gate, key) is not None]:
        value = f"{', '.join(given)} beside fp32_margin"
        found.append(Problem(f"{where}.fp32_margin", value, "a gate of its own", "list two gates"))
    if gate.fp32_margin is not None and gate.fp32_margin < 0:
        value = f"{gate.fp32_margin:g}"
        found.append(Problem(f"{where}.fp32_margin", value, "0 or more", "write how much int8 may lose"))
    return found
