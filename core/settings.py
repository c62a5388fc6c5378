"""Settings: dataclass fields that carry a one-line meaning, a unit and limits, and the reader that checks values
against them.

A recipe section is a frozen dataclass whose fields are made by `setting`. The reader reports every problem of a
document at once, and an unknown key names the nearest known one.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from timbre.core.problems import Problem, shown, unknown_key

LOWER = "lower"


def setting(
    default: Any,
    doc: str,
    unit: str = "",
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    keyed: bool = True,
    voice: bool | str = False,
) -> Any:
    """A dataclass field for one setting.

    doc: one line; unit: "s", "Hz", "dB", ... ; low and high: inclusive limits of numbers; choices: the allowed strings.
    keyed: False for settings that cannot change a stage's outputs (how often to write a checkpoint, say), which must
    therefore not be part of the stage's key. voice: whether the owner of a voice may set it in voice.yaml (LOWER: only
    to less than the operator's value); every other setting decides what is accepted or what a run costs, and only the
    operator's recipe sets it.
    """
    metadata = {"doc": doc, "unit": unit, "low": low, "high": high, "choices": choices, "keyed": keyed, "voice": voice}
    return dataclasses.field(default=default, metadata=metadata)


def keyed_values(section: Any) -> dict[str, Any]:
    """The settings of a section that can change outputs, as plain data for a digest."""
    fields = dataclasses.fields(section)
    return {field.name: getattr(section, field.name) for field in fields if field.metadata.get("keyed", True)}


def read_section(section: Any, values: Any, where: str, by_voice: bool = False) -> tuple[Any, list[Problem]]:
    """`section` (a frozen dataclass instance) with `values` laid over it, and the problems found.

    by_voice: only settings that a voice may set are taken. values: what a YAML document held under the section's name
    (a mapping, or None for nothing); where: for messages.
    """
    if values is None:
        return section, []
    if not isinstance(values, Mapping):
        return section, [Problem(where, shown(values), "a mapping of settings", "write `name: value` lines under it")]
    hints = typing.get_type_hints(type(section))
    fields = {field.name: field for field in dataclasses.fields(section)}
    problems: list[Problem] = []
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in fields:
            problems.append(unknown_key(where, name, fields))
            continue
        if by_voice and not fields[name].metadata.get("voice"):
            remedy = "remove it; the operator sets it in recipes/default.yaml, for every voice"
            problems.append(Problem(f"{where}.{name}", shown(value), "a setting that a voice may set", remedy))
            continue
        try:
            changes[name] = _checked(value, hints[name], fields[name].metadata)
            if by_voice and fields[name].metadata["voice"] == LOWER and changes[name] > getattr(section, name):
                most = getattr(section, name)
                del changes[name]
                raise ValueError(f"at most the operator's {most:g}")
        except ValueError as error:
            problems.append(Problem(f"{where}.{name}", shown(value), str(error), _remedy(fields[name])))
    return dataclasses.replace(section, **changes), problems


def describe_type(hint: Any) -> str:
    """A type hint in words: "number", "whole number", "text", "list of numbers"."""
    inner, optional = _without_none(hint)
    words = {int: "whole number", float: "number", bool: "true or false", str: "text"}
    listed = typing.get_origin(inner) is tuple
    text = f"list of {words[typing.get_args(inner)[0]]}s" if listed else words[inner]
    return f"{text} or null" if optional else text


def _without_none(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [part for part in typing.get_args(hint) if part is not type(None)]
        return inner[0], True
    return hint, False


def _checked(value: Any, hint: Any, metadata: Mapping[str, Any]) -> Any:
    inner, optional = _without_none(hint)
    if value is None and optional:
        return None
    if typing.get_origin(inner) is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"a {describe_type(hint)}")
        return tuple(_checked_scalar(item, typing.get_args(inner)[0], metadata) for item in value)
    return _checked_scalar(value, inner, metadata)


def _checked_scalar(value: Any, kind: type, metadata: Mapping[str, Any]) -> Any:
    if kind is bool or kind is str:
        if not isinstance(value, kind):
            raise ValueError(f"a {describe_type(kind)}" if kind is str else describe_type(kind))
        if metadata.get("choices") and value not in metadata["choices"]:
            raise ValueError("one of " + ", ".join(metadata["choices"]))
        return value
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        raise ValueError(f"a {describe_type(kind)}")
    try:
        finite = math.isfinite(value)
    except OverflowError:
        # Whole numbers know no limit; a float does.
        finite = False
    if not finite:
        raise ValueError("a finite number")
    low, high = metadata.get("low"), metadata.get("high")
    if (low is not None and value < low) or (high is not None and value > high):
        raise ValueError(limits_text(low, high, str(metadata.get("unit", ""))))
    return kind(value)


def limits_text(low: float | None, high: float | None, unit: str = "") -> str:
    """Inclusive limits in words: "1 to 10 s", "at least 3"."""
    tail = f" {unit}" if unit else ""
    if low is not None and high is not None:
        return f"{low:g} to {high:.10g}{tail}"
    if low is not None:
        return f"at least {low:g}{tail}"
    return f"at most {high:g}{tail}" if high is not None else ""


def _remedy(field: Any) -> str:
    default = field.default
    plain = list(default) if isinstance(default, tuple) else default
    return f"{field.metadata['doc']} (default {shown(plain)})"
