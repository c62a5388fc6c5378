"""How a training went, as charts: of one training, or of two on one scale.

training.json -> losses over steps of each network -> SVG
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from timbre.evaluation.reports.charts import Series, line_chart

Pair = tuple[str, str]
Points = list[tuple[float, float]]
_NETWORKS = {
    "t2s": ("Words and rhythm (text to semantic)", "文本到语义"),
    "sovits": ("Sound (acoustic model)", "声学模型"),
}
_KINDS: dict[str, Pair] = {"training": ("training", "训练"), "held_out": ("held out", "留出")}
_OVER_STEPS = ("loss over steps", "各步的损失")


def training_curves(training: Mapping[str, Any]) -> list[tuple[Pair, Markup]]:
    """A chart a network: losses over steps, the kept step marked. Empty for a training.json of another shape."""
    found = []
    for name, network in _networks(training):
        series = [Series(names, points) for kind, names in _KINDS.items() if (points := _losses(network, kind))]
        about = (f"{_OVER_STEPS[0]}; dotted: kept step", f"{_OVER_STEPS[1]}；虚线：保留的一步")
        chart = line_chart(series, about, network.get("best_step"))
        if chart:
            found.append((_NETWORKS.get(name, (name, name)), chart))
    return found


def compared_curves(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[Pair, Markup]]:
    """A chart for each network and kind of loss, with the lines of both trainings, named A and B. Of a loss that only
    one of them has there is one line.
    """
    sides = [dict(_networks(training)) for training in (a, b)]
    found = []
    for name in dict.fromkeys((*sides[0], *sides[1])):
        for kind, words in _KINDS.items():
            series = [
                Series((letter, letter), points)
                for letter, networks in zip("AB", sides, strict=True)
                if name in networks and (points := _losses(networks[name], kind))
            ]
            network = _NETWORKS.get(name, (name, name))
            title = f"{network[0]}: {words[0]}", f"{network[1]}：{words[1]}"
            chart = line_chart(series, _OVER_STEPS, label=title[0])
            if chart:
                found.append((title, chart))
    return found


def _networks(training: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    networks = training.get("networks")
    for name, network in networks.items() if isinstance(networks, Mapping) else ():
        if isinstance(network, Mapping):
            yield str(name), network


def _losses(network: Mapping[str, Any], kind: str) -> Points:
    return [
        (float(entry["step"]), float(entry[kind]["total"]))
        for entry in network.get("history", [])
        if kind in entry and "step" in entry
    ]
