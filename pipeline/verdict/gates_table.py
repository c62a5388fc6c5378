"""The gates of a version as a table, from the plain data of gates.json or of a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timbre.core.table import Table


def gates_table(gates: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row a gate: value, limit with its direction, base, production, verdict."""
    rows = []
    for name, gate in gates.items():
        statistic = gate.get("statistic", "mean")
        title = str(gate.get("title", name)) + ("" if statistic == "mean" else f" ({statistic})")
        mode, value = str(gate.get("protocol", "")), _number(gate.get("value"))
        others = (_number(gate.get("base")), _number(gate.get("production")))
        rows.append((title, mode, value, _limit(gate), *others, _verdict(gate)))
    return Table(("gate", "mode", "value", "limit", "base", "production", "verdict"), rows)


def _limit(gate: Mapping[str, Any]) -> str:
    if gate.get("fp32_margin") is not None:
        return f"fp32 {_number(gate.get('fp32'))}, {gate['fp32_margin']:g} worse"
    if gate.get("limit") is None:
        return "relative"
    return f"{'<=' if gate.get('direction') == 'lower' else '>='} {gate['limit']:g}"


def _verdict(gate: Mapping[str, Any]) -> str:
    if gate.get("passed"):
        return "passed"
    if gate.get("fp32_margin") is not None:
        return "red: served with fp32"
    return "red" if gate.get("blocks", True) else "low, does not block"


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}"
